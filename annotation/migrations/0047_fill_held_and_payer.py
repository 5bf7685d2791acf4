"""Handouts from before answers were noted, and who paid the runs so far, as far as the settings still say."""

from typing import Any

from django.conf import settings
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Exists, OuterRef
from django.utils import timezone

from consent.append_only import AppendOnly, Thaw


def fill(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    annotation, handout = apps.get_model("annotation", "Annotation"), apps.get_model("annotation", "Handout")
    sent = annotation.objects.filter(task=OuterRef("task"), annotator=OuterRef("annotator"))
    handout.objects.filter(Exists(sent), answered_at=None).update(answered_at=timezone.now())
    if any(settings.PAYER.values()):
        apps.get_model("annotation", "PayoutRun").objects.filter(payer__isnull=True).update(payer=settings.PAYER)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0046_held_and_payer")]
    operations = [
        Thaw("annotation_payoutrun"),
        migrations.RunPython(fill, migrations.RunPython.noop),
        AppendOnly("annotation_payoutrun", when="OLD.approved_by_id IS NOT NULL"),
    ]
