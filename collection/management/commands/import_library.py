"""Import a library of images under a licence."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from collection import library
from consent.models import Licence
from consent.refusals import Refused


class Command(BaseCommand):
    help = (
        "Import a folder or zip with manifest.csv (path, subject, model_release; release) under a licence. "
        "Safe to repeat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", type=Path, help="folder or zip file")
        parser.add_argument("--licence", required=True, help="id of the licence")

    def handle(self, *args: Any, source: Path, licence: str, **options: Any) -> None:
        try:
            found = Licence.objects.get(pk=licence)
        except (Licence.DoesNotExist, ValidationError):
            raise CommandError(f"There is no licence {licence}. See the staff page of licences.") from None
        try:
            with library.open_library(source) as files:
                run = library.import_library(library=files, licence=found)
        except Refused as refused:
            raise CommandError(str(refused)) from None
        for row in run.refused:
            self.stderr.write(f"refused {row['path']}: {row['reason']}")
        self.stdout.write(f"{run.imported} imported, {run.already_there} there already, {len(run.refused)} refused")
