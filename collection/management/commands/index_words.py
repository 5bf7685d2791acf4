"""manage.py index_words: find edited copies also of photographs that were taken in before those were looked for."""

from typing import Any

from django.core.management.base import BaseCommand

from collection.missing_words import index_missing

EVERY = 200  # photographs between two lines of progress


class Command(BaseCommand):
    help = (
        "Makes photographs findable for their edited copies (cut, turned, written on) that were taken in before "
        "Likeness looked for those. Copies that come from now on are found; pairs that both were there are not "
        "compared. Run it again after it was killed, as often as you like."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = 0
        for done, image_id in enumerate(index_missing(), 1):
            if done % EVERY == 0:
                self.stdout.write(f"{done} photographs looked at, the last {image_id}")
        self.stdout.write(f"{done} photographs looked at")
