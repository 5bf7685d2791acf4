from django.db import migrations
from django.db.models import F


def fill(apps, schema_editor):
    for text in apps.get_model("consent", "FormText").objects.all():
        digits = text.version.partition(".")[0]
        type(text).objects.filter(pk=text.pk).update(major=int(digits) if digits.isdecimal() else 1)
    # Before acts were kept, each withdrawal was one by itself.
    apps.get_model("consent", "Withdrawal").objects.update(act=F("id"))


class Migration(migrations.Migration):
    dependencies = [("consent", "0004_rights")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
