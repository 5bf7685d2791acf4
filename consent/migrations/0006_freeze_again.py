import uuid

from django.db import migrations, models

from consent.append_only import AppendOnly

ALTERED = ("consent_formtext", "consent_withdrawal", "consent_licence", "consent_checkpoint")
NEW = ("consent_purposewording", "consent_purposeend", "consent_checkpointcopy")
ROLES = ("data-protection officer", "fairness analyst")


def add_roles(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for name in ROLES:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("consent", "0005_fill_rights")]
    operations = [
        migrations.AlterField(
            model_name="withdrawal",
            name="act",
            field=models.UUIDField(db_index=True, default=uuid.uuid4, editable=False),
        ),
        *(AppendOnly(table) for table in (*ALTERED, *NEW)),
        migrations.RunPython(add_roles, migrations.RunPython.noop),
    ]
