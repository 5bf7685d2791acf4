"""Training: a campaign of photographs whose answers are known, which annotators pass before the one that asks for it.

It is a campaign like any other, so it is pushed, answered in Label Studio, paid at its rate from its own budget, and
taken back after a withdrawal. Known answers are a reviewer's gold of an earlier campaign with the same config. An
attempt is the next `size` accepted annotations of somebody; further attempts are of other photographs. What counts is
what they sent first: changing an answer after the result was seen changes no result. See docs/decisions/0028.
"""

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from annotation.answers import Control, Result, Word, answer, answered, in_words
from annotation.config import parse_config
from annotation.gold import awaiting_answer, is_right, is_same_answer
from annotation.joining_models import TrainingResult, TrainingSet
from annotation.models import Annotator, Campaign, Earning, LabelTask
from annotation.quality_models import GoldAnswer
from consent.models import User
from consent.refusals import Refused

TWICE = datetime.timedelta(minutes=1)  # the same again within it is a form that was sent twice

# --- Making one ----------------------------------------------------------------------------------


def known_answers(campaign: Campaign) -> int:
    """Photographs of the campaign that a reviewer answered, open to new uses: what a training is made of."""
    return LabelTask.objects.of_open_images(campaign).filter(gold_answer__isnull=False).count()


def cost(*, campaign: Campaign, size: int, attempts: int, places: int) -> Decimal:
    """What a training costs at most: everybody uses every attempt."""
    return campaign.rate * size * attempts * places


@transaction.atomic
def make_training(
    *, answers_from: Campaign, size: int, attempts: int, pass_percent: int, places: int, user: User
) -> TrainingSet:
    """A running training for `places` people, paid at the campaign's rate. Refused with fewer answers than it takes."""
    if TrainingSet.objects.filter(campaign=answers_from).exists():
        raise Refused("This is a training itself. Make one of the campaign that its answers come from.")
    _refuse_twice(answers_from, user, size=size, attempts=attempts, pass_percent=pass_percent, places=places)
    there = known_answers(answers_from)
    if there < size * attempts:
        raise Refused(
            f"{size} photographs in each of {attempts} attempts take {size * attempts} known answers, and there are "
            f"{there}. Ask for fewer, or have reviewers answer more gold."
        )
    campaign = Campaign.objects.create(
        name=f"Training: {answers_from.name}"[:100],
        purpose=answers_from.purpose,
        config=answers_from.config,
        overlap=places,
        rate=answers_from.rate,
        currency=answers_from.currency,
        budget=cost(campaign=answers_from, size=size, attempts=attempts, places=places),
        sample_size=size * attempts,
        gold_percent=0,
        gold_pass_percent=None,
        state=Campaign.State.RUNNING,
        created_by=user,
    )
    return TrainingSet.objects.create(
        campaign=campaign, answers_from=answers_from, size=size, attempts=attempts, pass_percent=pass_percent
    )


def _refuse_twice(answers_from: Campaign, user: User, *, places: int, **said: int) -> None:
    """Refused for a form that was sent twice; two at once take turns."""
    Campaign.objects.select_for_update(no_key=True).get(pk=answers_from.pk)
    since = timezone.now() - TWICE
    same = answers_from.training_sets.filter(**said, campaign__overlap=places)
    if same.filter(campaign__created_by=user, campaign__created_at__gt=since).exists():
        raise Refused("You made this very training a moment ago. Look for it among the campaigns.")


# --- Whom it lets in -----------------------------------------------------------------------------


def passed_by(annotator: Annotator) -> Q:
    """For a query of campaigns: those that ask for no training, or for one that the annotator has passed."""
    passed = TrainingResult.objects.filter(annotator=annotator, training=OuterRef("training"), passed=True)
    return Q(training=None) | Q(Exists(passed))


def still_to_do(annotator: Annotator, wanted: QuerySet[Campaign]) -> Q:
    """For a query of campaigns: those that are no training, and trainings that one of `wanted` asks for and that the
    annotator has neither passed nor used up."""
    results = TrainingResult.objects.filter(annotator=annotator, training=OuterRef("pk"))
    over = Q(Exists(results.filter(passed=True))) | Q(
        Exists(results.filter(attempt__gte=OuterRef("training_set__attempts")))
    )
    return Q(training_set=None) | (Q(Exists(wanted.filter(training=OuterRef("pk")))) & ~over)


# --- Judging -------------------------------------------------------------------------------------


def judge(*, annotator: Annotator, training: TrainingSet) -> list[TrainingResult]:
    """Judge every attempt that is complete and was not judged, in the caller's transaction.

    Whoever records answers of one annotator at the same time waits here and then counts them all.
    """
    Annotator.objects.select_for_update(no_key=True).get(pk=annotator.pk)
    results = list(TrainingResult.objects.filter(annotator=annotator, training=training).order_by("attempt"))
    made: list[TrainingResult] = []
    for attempt in _attempts(annotator, training)[len(results) :]:
        if len(attempt) < training.size or any(one.passed for one in results + made):
            break
        right = sum(one.right for one in attempt)
        made.append(
            TrainingResult.objects.create(
                annotator=annotator,
                training=training,
                attempt=len(results) + len(made) + 1,
                right=right,
                of=training.size,
                passed=right * 100 >= training.pass_percent * training.size,
            )
        )
    return made


@dataclass(frozen=True)
class Answered:
    """One photograph of an attempt: what was said and is right, by control, and whether all of it is."""

    task: LabelTask
    said: Result
    known: Result
    right: bool

    def controls(self) -> list[tuple[Control, list[Word], list[Word], bool]]:
        """(control, what they said, what the reviewer said, whether that is the same), of what the reviewer said."""
        asked, rows = parse_config(self.task.campaign.config), []
        for control in answered([self.known]):
            said, known = answer(self.said, control), answer(self.known, control)
            colours = asked[control.name].colours if control.name in asked else {}
            same = is_same_answer(control, said, known)
            rows.append((control, in_words(said, colours), in_words(known, colours), same))
        return rows


def _attempts(annotator: Annotator, training: TrainingSet) -> list[list[Answered]]:
    """Somebody's answers in the order in which they were recorded, cut into attempts; the last may be unfinished."""
    known = _known(training)
    # By what was paid: the first accepted version of each.
    paid = Earning.objects.of_labels().filter(annotator=annotator, task__campaign=training.pk).order_by("pk")
    answers = [
        Answered(
            task=one.task,
            said=one.annotation.result,
            known=known[one.task.image_id],
            right=is_right(one.annotation.result, known[one.task.image_id]),
        )
        for one in paid.select_related("annotation", "task__image", "task__campaign")
        if one.task.image_id in known
    ][: training.size * training.attempts]
    return [answers[start : start + training.size] for start in range(0, len(answers), training.size)]


def _known(training: TrainingSet) -> Mapping[uuid.UUID, Result]:
    gold = GoldAnswer.objects.filter(task__campaign=training.answers_from_id)
    return dict(gold.values_list("task__image", "result"))


# --- How it went ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    number: int
    result: TrainingResult
    answers: list[Answered]


@dataclass(frozen=True)
class Standing:
    """Where an annotator is in a training."""

    training: TrainingSet
    attempts: list[Attempt]  # those that were judged
    begun: int  # photographs of the attempt that is not complete
    left: int  # photographs that they have not answered and may still be shown

    @property
    def passed(self) -> bool:
        return any(one.result.passed for one in self.attempts)

    @property
    def attempts_left(self) -> int:
        return 0 if self.passed else self.training.attempts - len(self.attempts)

    @property
    def can_finish(self) -> bool:
        """False once so many photographs were taken back that no further attempt can be completed."""
        return self.attempts_left > 0 and self.begun + self.left >= self.training.size

    @property
    def passed_at(self) -> datetime.datetime | None:
        return next((one.result.at for one in self.attempts if one.result.passed), None)


def standing(annotator: Annotator, training: TrainingSet) -> Standing:
    """How the attempts went; what was answered beyond an attempt that was passed counts for nothing."""
    results = list(TrainingResult.objects.filter(annotator=annotator, training=training).order_by("attempt"))
    cut = _attempts(annotator, training)
    judged = [Attempt(one.attempt, one, answers) for one, answers in zip(results, cut, strict=False)]
    rest = cut[len(results)] if len(cut) > len(results) else []
    answered_by_them = Earning.objects.filter(annotator=annotator, task=OuterRef("pk"))
    left = photographs_left(training).exclude(Exists(answered_by_them)).count()
    return Standing(training, judged, len(rest), left)


def photographs_left(training: TrainingSet) -> QuerySet[LabelTask]:
    """The tasks of a training whose photographs may still be shown."""
    there = (LabelTask.State.PENDING, LabelTask.State.PUSHING, LabelTask.State.PUSHED)
    return LabelTask.objects.of_usable_images(training.campaign).filter(state__in=there)


@dataclass(frozen=True)
class Overview:
    """How a training stands, for whoever manages it: people who passed, and who used all attempts without; photographs
    that are left, and that all attempts take; gold that a reviewer could still answer, which would come in by itself.
    """

    passed: int
    used_up: int
    left: int
    wanted: int
    unanswered: int

    @property
    def lacks(self) -> int:
        return max(self.wanted - self.left, 0)


def overview(training: TrainingSet) -> Overview:
    passed = training.results.filter(passed=True).values("annotator")
    used_up = training.results.filter(attempt__gte=training.attempts).exclude(annotator__in=passed)
    wanted = training.size * training.attempts
    planned = LabelTask.objects.filter(campaign=training.pk).exists()
    return Overview(
        passed=passed.count(),
        used_up=used_up.count(),
        left=photographs_left(training).count() if planned else wanted,  # they come within a sweep
        wanted=wanted,
        unanswered=awaiting_answer(training.answers_from).count(),
    )


def trainings_of(annotator: Annotator, open_now: QuerySet[Campaign]) -> list[Standing]:
    """The trainings that are open to an annotator now, and those that they have results of, by name."""
    theirs = Q(campaign__in=open_now) | Q(results__annotator=annotator)
    found = TrainingSet.objects.filter(theirs).distinct().select_related("campaign").order_by("campaign__name")
    return [standing(annotator, training) for training in found]


def may_be_looked_at(annotator: Annotator) -> Q:
    """For a query of tasks: those of attempts that were judged, so that one can learn from them while it runs."""
    judged = TrainingResult.objects.filter(annotator=annotator, training=OuterRef("campaign"))
    return Q(Exists(judged)) & Q(campaign__state=Campaign.State.RUNNING)
