"""manage.py create_signing_key: make the installation's signing key, unless there is one."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from consent.signing import create_key, key_id, load_key


class Command(BaseCommand):
    help = "Makes the Ed25519 key at SIGNING_KEY_FILE, which signs all that we hand out. Keeps an existing one."

    def handle(self, *args: Any, **options: Any) -> None:
        create_key(settings.SIGNING_KEY_FILE)
        key = load_key(settings.SIGNING_KEY_FILE)
        self.stdout.write(f"{settings.SIGNING_KEY_FILE}: key {key_id(key.public_key())}")
