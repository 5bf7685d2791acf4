"""manage.py verify_ledger: recompute the ledger and name what is wrong."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from consent import anchors, audit, ledger
from consent.models import Checkpoint
from consent.signing import BadSignature


class Command(BaseCommand):
    help = (
        "Recomputes every leaf, root and checkpoint, and compares consents, withdrawals, licences and texts with them. "
        "With a checkpoint that was kept elsewhere: that it is the beginning of this ledger, and all that came since."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", type=Path, metavar="FILE", help="a checkpoint as /ledger/checkpoint gave it")
        parser.add_argument("--anchors", action="store_true", help="compare with the copies in CHECKPOINT_BUCKET")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        since = self._since(options["since"]) if options["since"] else None
        found = list(audit.problems(since))
        if options["anchors"]:
            found += anchors.problems()
        head = ledger.latest_checkpoint()
        if options["json"]:
            told = {"size": head.tree_size, "root": head.root_hash} if head else {"size": 0, "root": None}
            self.stdout.write(json.dumps({"sound": not found, "problems": found, **told}))
        else:
            for problem in found:
                self.stderr.write(problem)
        if found:
            raise CommandError(f"the ledger is not sound: {len(found)} problems")
        if not options["json"]:
            self.stdout.write(_verdict(head, since))

    def _since(self, path: Path) -> Checkpoint:
        try:
            return audit.checkpoint_of(path.read_text())
        except (OSError, UnicodeDecodeError, BadSignature) as error:
            raise CommandError(f"{path} is not a checkpoint of this ledger: {error}") from None
        except ValueError as error:
            raise CommandError(f"the ledger is not sound: {error}") from None


def _verdict(head: Checkpoint | None, since: Checkpoint | None) -> str:
    if head is None:
        return "good: nothing sealed"
    after = f", {head.tree_size - since.tree_size} of them since the checkpoint" if since else ""
    return f"good: {head.tree_size} entries{after} under root {head.root_hash}"
