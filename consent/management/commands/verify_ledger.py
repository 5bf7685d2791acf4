"""manage.py verify_ledger: recompute the ledger and name what is wrong."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from consent import audit, ledger


class Command(BaseCommand):
    help = (
        "Recomputes every leaf, root and checkpoint, and compares consents, withdrawals, licences and texts with them."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(audit.problems())
        for problem in found:
            self.stderr.write(problem)
        if found:
            raise CommandError(f"the ledger is not sound: {len(found)} problems")
        head = ledger.latest_checkpoint()
        self.stdout.write(
            f"good: {head.tree_size} entries under root {head.root_hash}" if head else "good: nothing sealed"
        )
