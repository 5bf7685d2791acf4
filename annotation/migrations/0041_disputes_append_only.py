from django.db import migrations

from consent.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("annotation", "0040_disputes")]
    operations = [AppendOnly("annotation_dispute"), AppendOnly("annotation_disputedecision")]
