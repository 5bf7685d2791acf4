from django.db import migrations

from consent.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("collection", "0003_removals")]
    operations = [AppendOnly("collection_removal"), AppendOnly("collection_modelrelease")]
