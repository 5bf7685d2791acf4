"""Pages about the quality of labels: agreement, annotators' records, disputed photographs, gold."""

import uuid
from string import ascii_uppercase
from typing import Any

from django.contrib import messages
from django.db.models import Count, F
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from annotation import gold
from annotation.agreement import agreement, by_control, most_disputed, work_of_annotators
from annotation.config import parse_config
from annotation.handout_models import ImageView
from annotation.models import Annotation, Annotator, Campaign, LabelTask
from annotation.quality_forms import GoldForm, PauseForm, RejectForm
from annotation.quality_models import Pause
from annotation.selection import accepted_annotations
from annotation.side_by_side import newest_accepted, side_by_side
from collection.review_views import clean_copy
from consent.models import User
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, REVIEWER, has_role, role_required, staff_user

SHOWN = 20  # disputed photographs


@form_page
@role_required(DATA_MANAGER, REVIEWER)
def quality(request: HttpRequest, pk: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=pk)
    form = PauseForm(request.POST or None)
    if request.method == "POST" and _act(request, campaign, form):
        return redirect("quality", pk)
    facts = _facts(campaign, staff_user(request)) | {"form": form}
    return render(request, "annotation/quality.html", facts)


def _act(request: HttpRequest, campaign: Campaign, form: PauseForm) -> bool:
    """Pause or let go on; False if the form is to be shown again."""
    person = get_object_or_404(Annotator, pk=_id(request.POST.get("annotator", "")))
    if request.POST.get("action") == "lift":
        pause = get_object_or_404(Pause, annotator=person, campaign=campaign, lifted_at=None)
        return _say(request, "They may go on.", lambda: gold.lift_pause(pause=pause, user=staff_user(request)))
    if not form.is_valid():
        return False
    paused = gold.pause_annotator(annotator=person, campaign=campaign, reason=form.cleaned_data["reason"])
    messages.success(request, "They get no more of this campaign." if paused else "They are paused already.")
    return True


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Http404 from None


def _say(request: HttpRequest, words: str, act: Any) -> bool:
    try:
        act()
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, words)
    return True


def _facts(campaign: Campaign, user: User) -> dict[str, Any]:
    said = accepted_annotations(campaign, timezone.now())
    records = gold.records(campaign)
    paused = {pause.annotator_id: pause for pause in campaign.pauses.filter(lifted_at=None)}
    tasks = campaign.tasks.filter(is_gold=True)
    return {
        "campaign": campaign,
        "agreement": [agreement(control, answers) for control, answers in by_control(said).items()],
        "people": [
            (work, records.get(work.annotator.pk), paused.get(work.annotator.pk))
            for work in work_of_annotators(campaign, said)
        ],
        "refusals": refusals(campaign),
        "disputed": most_disputed(campaign, said, SHOWN),
        "may_manage": has_role(user, DATA_MANAGER),
        "gold": tasks.count(),
        "gold_answered": tasks.filter(gold_answer__isnull=False).count(),
        "next_gold": gold.awaiting_answer(campaign, user).order_by("pk").first(),
    }


def refusals(campaign: Campaign) -> list[Any]:
    """How often annotators were refused for which reason, most often first."""
    refused = Annotation.objects.filter(task__campaign=campaign, verdict=Annotation.Verdict.REFUSED)
    by_reason = refused.order_by().values("refusal", email=F("annotator__user__email"), who=F("annotator"))
    return list(by_reason.annotate(times=Count("pk")).order_by("-times", "refusal", "who"))


# --- One photograph ------------------------------------------------------------------------------


@form_page
@role_required(DATA_MANAGER, REVIEWER)
def label_review(request: HttpRequest, pk: int, asset_id: uuid.UUID) -> HttpResponse:
    task = _task(pk, asset_id)
    annotations = newest_accepted(task)
    form = GoldForm(
        request.POST if request.POST.get("action") == "gold" else None,
        controls=list(parse_config(task.campaign.config).values()),
        letters=dict(zip(ascii_uppercase, annotations, strict=False)),
    )
    if request.method == "POST" and _decide(request, task, form):
        following = _following(task, staff_user(request))
        if request.POST.get("action") == "gold" and following:
            return redirect("label_review", pk, following.pk)
        return redirect("quality", pk)
    facts = {
        "task": task,
        "campaign": task.campaign,
        "said": side_by_side(task, annotations),
        "form": form,
        "following": _following(task, staff_user(request)) if task.is_gold else None,
        "asks": task.is_gold and not hasattr(task, "gold_answer"),
    }
    return render(request, "annotation/label_review.html", facts)


def _following(task: LabelTask, user: User) -> LabelTask | None:
    """The next gold task that this reviewer can answer, from the first on again after the last."""
    waiting = gold.awaiting_answer(task.campaign, user).exclude(pk=task.pk).order_by("pk")
    return waiting.filter(pk__gt=task.pk).first() or waiting.first()


def _task(pk: int, asset_id: uuid.UUID) -> LabelTask:
    campaign = get_object_or_404(Campaign, pk=pk)
    tasks = LabelTask.objects.of_usable_images(campaign).select_related("campaign__purpose", "image")
    return get_object_or_404(tasks, pk=asset_id)


def _decide(request: HttpRequest, task: LabelTask, form: GoldForm) -> bool:
    """True if the person is to be led on."""
    user = staff_user(request)
    if request.POST.get("action") == "gold":
        return form.is_valid() and _say(
            request, "Your answer is kept.", lambda: gold.answer_gold(task=task, result=form.result(), user=user)
        )
    reject = RejectForm(request.POST)
    annotation = get_object_or_404(Annotation, pk=_id(request.POST.get("annotation", "")), task=task)
    if not reject.is_valid():
        messages.error(request, "Say why you reject it: the annotator will read it.")
        return False
    reason = reject.cleaned_data["reason"]
    return _say(
        request,
        "The annotation is in no coming release.",
        lambda: gold.reject_annotation(annotation=annotation, reason=reason, user=user),
    )


@require_GET
@role_required(DATA_MANAGER, REVIEWER)
def label_photograph(request: HttpRequest, pk: int, asset_id: uuid.UUID) -> HttpResponseBase:
    """The photograph for the review page; rights are checked at every request, every view noted."""
    task = _task(pk, asset_id)
    ImageView.objects.create(task=task, served=True)
    return clean_copy(task.image)
