from django.db import migrations

from consent.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("annotation", "0003_campaign_scope")]
    operations = [AppendOnly("annotation_topup")]
