from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0008_payouts_append_only")]
    operations = [
        migrations.AddField("annotator", "label_studio_access", models.TextField(blank=True)),
    ]
