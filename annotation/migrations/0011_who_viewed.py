import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0010_handout")]
    operations = [
        migrations.AddField(
            "imageview",
            "annotator",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="views",
                to="annotation.annotator",
            ),
        ),
    ]
