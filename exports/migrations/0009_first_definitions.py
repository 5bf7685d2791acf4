from django.db import migrations


def define(apps, schema_editor):
    """Every dataset was made by what are now the defaults."""
    definition = apps.get_model("exports", "Definition")
    for dataset in apps.get_model("exports", "Dataset").objects.all():
        first = definition.objects.create(dataset=dataset, number=1, description=dataset.description)
        dataset.releases.update(definition=first)


class Migration(migrations.Migration):
    dependencies = [("exports", "0008_definitions")]
    operations = [migrations.RunPython(define, migrations.RunPython.noop)]
