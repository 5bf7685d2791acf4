from django.db import migrations

from consent.append_only import AppendOnly

TABLES = ("annotation_annotation", "annotation_earning", "annotation_imageview")


class Migration(migrations.Migration):
    dependencies = [("annotation", "0001_initial")]
    operations = [AppendOnly(table) for table in TABLES]
