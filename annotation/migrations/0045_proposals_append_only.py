from django.db import migrations

from consent.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("annotation", "0044_second_person")]
    operations = [AppendOnly("annotation_proposal"), AppendOnly("annotation_proposaldecision")]
