import django.db.models.deletion
from django.db import migrations, models

from consent.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("exports", "0009_first_definitions")]
    operations = [
        migrations.AlterField(
            "release",
            "definition",
            models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="releases", to="exports.definition"
            ),
        ),
        AppendOnly("exports_definition"),
        AppendOnly("exports_release", when="OLD.state = 'published'"),
    ]
