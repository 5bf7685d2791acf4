"""manage.py import_harm_list FILE --name NAME: hashes of known harmful pictures, which freeze what they match."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from collection import harm_lists
from collection.models import HarmHash
from consent.refusals import Refused


class Command(BaseCommand):
    help = "Imports a list of hashes of known harmful pictures. Photographs that match are frozen at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="one hash per line in hex, or CSV: hash, kind")
        parser.add_argument("--name", required=True, help="what the list is called, e.g. by whom it was given")
        parser.add_argument(
            "--kind",
            choices=HarmHash.Kind.values,
            help="of every hash; otherwise the second column or the length says it (64 digits: sha256)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open(encoding="utf-8-sig", newline="") as lines:
                hashes = harm_lists.read_hashes(lines, options["kind"])
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']} cannot be read as text: {error}") from None
        except Refused as refused:
            raise CommandError(str(refused)) from None
        new = harm_lists.import_hashes(name=options["name"], hashes=hashes)
        self.stdout.write(f"{len(set(hashes))} hashes in {options['file'].name}, {new} of them new.")
        self.stdout.write("Photographs that are here already are held against them by the next sweeps.")
