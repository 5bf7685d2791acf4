"""manage.py reconcile_pay: prove that all sums about pay agree, or name the first that does not."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.balances import balances
from annotation.reconcile import differences, one_moment


class Command(BaseCommand):
    help = (
        "Adds up earnings, corrections and payments by annotator, campaign, run and currency, and compares them with "
        "each other, with what campaigns reserve, and with the ledger. Exit code 0: they agree; 1: they do not, and "
        "the first difference is named."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with one_moment():
            found = next(differences(), None)
            owed = balances()
        if found:
            raise CommandError(f"Pay does not add up: {found}")
        people = len({annotator for annotator, _ in owed})
        self.stdout.write(f"good: the sums of {people} annotators agree")
        for currency in sorted({currency for _, currency in owed}):
            all_of = [balance for (_, its), balance in owed.items() if its == currency]
            earned, adjusted, paid = (
                sum(getattr(balance, name) for balance in all_of) for name in ("earned", "adjusted", "paid")
            )
            self.stdout.write(
                f"{currency}: earned {earned}, corrections {adjusted}, paid {paid}, owed {earned + adjusted - paid}"
            )
