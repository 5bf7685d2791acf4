"""manage.py create_signing_key: make the installation's signing key and master key, unless they are there."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from consent.keys import create_master_key
from consent.signing import create_key, key_id, load_key


class Command(BaseCommand):
    help = (
        "Makes the Ed25519 key at SIGNING_KEY_FILE, which signs all that we hand out, and the one at MASTER_KEY_FILE, "
        "which is over the keys of all photographs. Keeps what is there."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        create_key(settings.SIGNING_KEY_FILE)
        key = load_key(settings.SIGNING_KEY_FILE)
        self.stdout.write(f"{settings.SIGNING_KEY_FILE}: key {key_id(key.public_key())}")
        create_master_key()
        self.stdout.write(f"{settings.MASTER_KEY_FILE}: master key; without it no photograph can be opened")
