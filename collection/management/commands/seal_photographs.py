"""manage.py seal_photographs: seal what was stored before photographs were sealed."""

import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from collection.unsealed import Sealed, seal_photographs

EVERY = 200  # photographs between two lines of progress


class Command(BaseCommand):
    help = (
        "Seals originals, cleaned copies and previews that lie unsealed, where they lie. Until then they cannot be "
        "shown. Best before the workers start. Run it again after it was killed, as often as you like: what is sealed "
        "stays as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--after", type=uuid.UUID, metavar="IMAGE_ID", help="go on behind this photograph")

    def handle(self, *args: Any, after: uuid.UUID | None, **options: Any) -> None:
        done = Sealed()
        for done in seal_photographs(after=after):  # the last one is the sum
            if done.images % EVERY == 0:
                self.stdout.write(f"{_said(done)}; to go on from here: --after {done.last}")
        self.stdout.write(_said(done))
        if done.faulty:
            raise CommandError(
                f"{done.faulty} files do not hold the bytes that their names say, and were left as they are. The log "
                "names them; restore them and run this again, or have their photographs removed."
            )


def _said(done: Sealed) -> str:
    return f"{done.images} photographs looked at, {done.sealed} files sealed"
