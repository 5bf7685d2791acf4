from django.db import migrations

from consent.append_only import AppendOnly

TABLES = (
    "exports_attestation",
    "exports_item",
    "exports_releasefile",
    "exports_filepurge",
    "exports_split",
    "exports_download",
    "exports_notice",
    "exports_revocation",
    "exports_acknowledgement",
    "exports_noticemail",
)


class Migration(migrations.Migration):
    dependencies = [("exports", "0001_initial")]
    operations = [
        *(AppendOnly(table) for table in TABLES),
        AppendOnly("exports_release", when="OLD.state = 'published'"),
    ]
