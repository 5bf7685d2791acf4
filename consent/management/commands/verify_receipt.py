"""manage.py verify_receipt FILE: is this a receipt that we signed, unchanged?"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.management.base import BaseCommand, CommandError

from consent.keys import public_key
from consent.refusals import Refused
from consent.signing import load_public_key
from consent.verification import read_receipt


class Command(BaseCommand):
    help = "Checks the signature of a receipt (JSON file), and that a PDF is the one it speaks of."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--key", type=Path, help="public key (PEM); otherwise this installation's own")
        parser.add_argument("--pdf", type=Path, help="the signed text that came with the receipt")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            pdf = options["pdf"].read_bytes() if options["pdf"] else None
            said = read_receipt(envelope=options["file"].read_bytes(), key=self._key(options["key"]), pdf=pdf)
        except (Refused, ValueError, OSError) as error:
            raise CommandError(f"{options['file']}: {error}") from None
        if said.paper_fits is False:
            raise CommandError(f"{options['pdf']} is not the text that this receipt speaks of.")
        paper = ", and the PDF is its own" if said.paper_fits else ""
        self.stdout.write(
            f"good: consent {said.consent}, signed {said.signed_at}, for {', '.join(said.purposes)}{paper}"
        )

    def _key(self, path: Path | None) -> Ed25519PublicKey:
        return load_public_key(path.read_bytes()) if path else public_key()
