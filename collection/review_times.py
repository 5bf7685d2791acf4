"""How long decisions take, by reviewer and queue: so that work can be planned, not so that people are ranked."""

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from django.utils import timezone

from collection.models import ReviewDecision, ReviewOutcome

Outcome = ReviewOutcome.Kind


@dataclass(frozen=True)
class Row:
    """One reviewer in one queue. `overruled` is the share of their decisions that a second person looked at; None: none
    was."""

    reviewer: str
    queue: str
    cases: int
    median_seconds: float
    kinds: dict[str, int]  # by ReviewDecision.Kind
    overruled: float | None


def count_times(*, days: int) -> list[Row]:
    """The last days' decisions that were not undone, by reviewer (in the order of the alphabet) and queue."""
    since = timezone.now() - datetime.timedelta(days=days)
    made = ReviewDecision.objects.filter(decided_at__gte=since).exclude(outcome__kind=Outcome.UNDONE)
    grouped: dict[tuple[str, str], list[tuple[str, int, str | None]]] = defaultdict(list)
    columns = made.values_list("reviewer__email", "queue", "kind", "seconds", "outcome__kind")
    for email, queue, kind, seconds, outcome in columns:
        grouped[email, queue].append((kind, seconds, outcome))
    return list(_rows(grouped))


def _rows(grouped: dict[tuple[str, str], list[tuple[str, int, str | None]]]) -> Iterator[Row]:
    for (reviewer, queue), made in sorted(grouped.items()):
        looked_at = Counter(outcome for _, _, outcome in made)
        second = looked_at[Outcome.CONFIRMED] + looked_at[Outcome.OVERRULED]
        kinds = Counter(kind for kind, _, _ in made)
        yield Row(
            reviewer=reviewer,
            queue=queue,
            cases=len(made),
            median_seconds=median(seconds for _, seconds, _ in made),
            kinds={kind: kinds[kind] for kind in ReviewDecision.Kind.values},
            overruled=looked_at[Outcome.OVERRULED] / second if second else None,
        )
