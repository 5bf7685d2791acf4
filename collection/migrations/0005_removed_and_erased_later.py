import django.db.models.deletion
from django.db import migrations, models

from consent.append_only import AppendOnly, Thaw


class Migration(migrations.Migration):
    """What its owner kept may be erased later: a photograph may have one removal of each aftermath."""

    dependencies = [("collection", "0004_append_only")]
    operations = [
        Thaw("collection_removal"),
        migrations.AlterField(
            model_name="removal",
            name="image",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="removals", to="collection.image"
            ),
        ),
        migrations.AddConstraint(
            model_name="removal",
            constraint=models.UniqueConstraint(fields=("image", "aftermath"), name="removed_once_per_aftermath"),
        ),
        migrations.AddConstraint(
            model_name="removal",
            constraint=models.CheckConstraint(
                condition=models.Q(("aftermath__in", ["erase", "keep"])), name="removal_aftermath_known"
            ),
        ),
        AppendOnly("collection_removal"),
    ]
