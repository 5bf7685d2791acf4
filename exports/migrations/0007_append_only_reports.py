from django.db import migrations

from consent.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("exports", "0006_deviation_reports")]
    operations = [
        AppendOnly("exports_deviationreport"),
        AppendOnly("exports_deviationaction"),
        AppendOnly("exports_deviationactiondone"),
        AppendOnly("exports_gateexception", when="OLD.envelope <> ''"),
    ]
