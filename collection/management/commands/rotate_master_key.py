"""manage.py rotate_master_key: replace the key that is over the keys of all photographs, while everything runs."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from collection import keys
from consent.keys import coming_master_key_file, prepare_master_key, retire_master_key

EVERY = 500  # keys between two lines of progress


class Command(BaseCommand):
    help = (
        "Makes a new master key beside MASTER_KEY_FILE, wraps every contributor's key by it, looks that it opens all, "
        "and puts it in the place of the old one. Photographs themselves are not touched. Meanwhile both keys "
        "open, so nothing has to be stopped. Killed anywhere, run it again. With several machines: run it with "
        "--prepare, copy the new file to each of them, then run it on each."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--prepare", action="store_true", help="only make the new key's file")

    def handle(self, *args: Any, prepare: bool, **options: Any) -> None:
        prepare_master_key()
        coming = coming_master_key_file()
        if prepare:
            self.stdout.write(f"{coming}: copy it beside {settings.MASTER_KEY_FILE} on every machine that has one.")
            return
        rewrapped = keys.rewrap_all(tell=self._tell)
        if left := keys.wrapped_otherwise():
            listed = ", ".join(str(key_id) for key_id in left[:10])
            raise CommandError(
                f"{len(left)} keys cannot be opened by either master key ({listed}), so the old one stays. Restore "
                "these objects of the storage `keys`, or delete them if their photographs are gone; then run it again."
            )
        retire_master_key()
        self.stdout.write(f"{rewrapped} keys wrapped anew; {settings.MASTER_KEY_FILE} is the new key.")
        self.stdout.write("Copy it to where you keep the old one, and destroy every copy of that.")

    def _tell(self, seen: int) -> None:
        if seen % EVERY == 0:
            self.stdout.write(f"{seen} keys looked at")
