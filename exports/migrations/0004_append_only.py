from django.db import migrations

from consent.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("exports", "0003_certificates")]
    operations = [AppendOnly("exports_certificate")]
