from django.db import migrations

from consent.append_only import AppendOnly

TABLES = ("annotation_goldanswer", "annotation_rejection")


class Migration(migrations.Migration):
    dependencies = [("annotation", "0005_gold_and_review")]
    operations = [AppendOnly(table) for table in TABLES]
