from django.db import migrations

from consent.append_only import AppendOnly

TABLES = (
    "annotation_adjustment",
    "annotation_payment",
    "annotation_paymentchange",
    "annotation_leftout",
)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0007_payouts")]
    operations = [
        *(AppendOnly(table) for table in TABLES),
        AppendOnly("annotation_payoutrun", when="OLD.approved_by_id IS NOT NULL"),
    ]
