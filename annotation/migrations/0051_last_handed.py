"""What an annotator was handed last is asked at every call of the labelling page."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0050_fill_places")]
    operations = [
        migrations.AddIndex("handout", models.Index(fields=["annotator", "at"], name="handout_last")),
    ]
