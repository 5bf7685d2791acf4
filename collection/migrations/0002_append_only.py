from django.db import migrations

from consent.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("collection", "0001_initial")]
    operations = [AppendOnly("collection_transition")]
