"""What staff mean to do about a deviation: actions with an owner and a day, and how they went."""

import datetime
from collections.abc import Sequence

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from consent.models import User
from consent.refusals import Refused
from exports.models import DeviationAction, DeviationActionDone, DeviationReport


def add_action(*, report: DeviationReport, user: User, what: str, owner: str, due_on: datetime.date) -> DeviationAction:
    """An action that a report calls for. Its day is still to come."""
    if due_on < timezone.now().date():
        raise Refused("That day is past. Choose the day by which it is to be done.")
    return DeviationAction.objects.create(report=report, what=what, owner=owner, due_on=due_on, entered_by=user)


def finish_action(*, action: DeviationAction, user: User, outcome: str) -> DeviationActionDone:
    """An action was carried out: what came of it."""
    try:
        with transaction.atomic():
            return DeviationActionDone.objects.create(action=action, outcome=outcome, done_by=user)
    except IntegrityError:
        raise Refused("This action is done already. Add another one if there is more to do.") from None


def actions_of(report: DeviationReport) -> Sequence[DeviationAction]:
    """The actions of a report, and those of earlier ones about the same that are still open; the most urgent first."""
    earlier = DeviationAction.objects.filter(done__isnull=True, report__pk__lt=report.pk)
    if report.release is None:
        earlier = earlier.filter(report__release__isnull=True)
    else:
        earlier = earlier.filter(report__release__dataset=report.release.dataset_id)
    own = Q(report=report) | Q(pk__in=earlier.values("pk"))
    found = DeviationAction.objects.filter(own).select_related("done", "report__release__dataset")
    return list(found.order_by(F("done").asc(nulls_first=True), "due_on", "pk"))
