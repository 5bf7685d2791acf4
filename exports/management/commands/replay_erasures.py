"""manage.py replay_erasures: after a backup was restored, erase again what was erased since it was made."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exports import replay


class Command(BaseCommand):
    help = (
        "Applies every event of the erasure list that this database lacks, lets the sweeps finish and looks that "
        "nothing is left. Until it has run, a restored installation answers 503. Running it twice changes nothing."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = replay.replay()
        self.stdout.write(
            f"{done.applied} events applied again, {done.unknown} about people or photographs that this backup does "
            f"not know; {done.purged} photographs and {done.files} release files erased again"
        )
        for problem in done.problems:
            self.stderr.write(problem)
        if done.problems:
            raise CommandError(f"{len(done.problems)} problems are left. Mend them and run this again.")
        self.stdout.write("Nothing is left. It is safe to serve.")
