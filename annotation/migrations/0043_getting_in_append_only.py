from django.db import migrations

from consent.append_only import AppendOnly

TABLES = ("annotation_workterms", "annotation_workagreement", "annotation_trainingresult", "annotation_trainingset")


class Migration(migrations.Migration):
    dependencies = [("annotation", "0042_getting_in")]
    operations = [AppendOnly(table) for table in TABLES]
