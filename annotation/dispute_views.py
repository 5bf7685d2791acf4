"""Pages of disputes: an annotator says why, reviewers see what waits and decide."""

import json
import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation import disputes
from annotation.config import check_result, parse_config
from annotation.dispute_models import Dispute, DisputeDecision
from annotation.models import Annotation, LabelTask
from annotation.payout_views import own_annotator
from annotation.side_by_side import Said, side_by_side
from consent.models import User
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, REVIEWER, role_required, staff_user, user_required

DECIDED = 20  # decisions that the queue shows
LONGEST = 1000


class DisputeForm(forms.Form):
    words = forms.CharField(
        label="Why do you disagree?",
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="A second reviewer reads it, and is not told who you are. You can say it once.",
    )


class DecideForm(forms.Form):
    outcome = forms.ChoiceField(label="What do you decide?", widget=forms.RadioSelect)
    answer = forms.CharField(label="Why", max_length=300, help_text="The annotator reads it.")

    def __init__(self, *args: Any, pays: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        granted = "pay it after all" if pays else "use the label again"
        self.fields["outcome"].choices = [  # type: ignore[attr-defined]
            (DisputeDecision.Outcome.UPHELD, DisputeDecision.Outcome.UPHELD.label),
            (DisputeDecision.Outcome.GRANTED, f"{DisputeDecision.Outcome.GRANTED.label}: {granted}"),
        ]


# --- For annotators ------------------------------------------------------------------------------


@form_page
@never_cache
@user_required
def dispute(request: HttpRequest, user: User, pk: uuid.UUID) -> HttpResponse:
    """Say that an annotation of one's own was judged wrongly."""
    annotator = own_annotator(user)
    found = get_object_or_404(annotator.annotations.select_related("task__campaign", "rejection"), pk=pk)
    form = DisputeForm(request.POST or None)
    if form.is_valid():
        try:
            disputes.dispute_annotation(annotation=found, annotator=annotator, **form.cleaned_data)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, "A second reviewer will look at it. The answer comes by mail, and stands here.")
            return redirect("work")
    return render(request, "annotation/dispute.html", {"annotation": found, "form": form})


# --- For reviewers -------------------------------------------------------------------------------


@require_GET
@role_required(DATA_MANAGER, REVIEWER)
def dispute_queue(request: HttpRequest) -> HttpResponse:
    about = ("annotation__task__campaign", "annotation__annotator", "annotation__rejection")
    waiting = list(disputes.waiting().select_related(*about))
    barred = disputes.reasons_barred(waiting, staff_user(request))
    decided = DisputeDecision.objects.select_related("dispute__annotation__task__campaign", "made_by").order_by("-at")
    facts = {"waiting": [(one, barred[one.pk]) for one in waiting], "decided": decided[:DECIDED]}
    return render(request, "annotation/disputes.html", facts)


@form_page
@role_required(DATA_MANAGER, REVIEWER)
def dispute_decide(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    about = ("annotation__task__campaign", "annotation__task__image", "annotation__annotator__user", "said", "decision")
    found = get_object_or_404(Dispute.objects.select_related("annotation__rejection", *about), pk=pk)
    annotation, barred = found.annotation, disputes.reasons_barred([found], staff_user(request))[found.pk]
    form = DecideForm(request.POST or None, pays=annotation.verdict == Annotation.Verdict.REFUSED)
    if form.is_valid() and _decide(request, found, form):
        return redirect("disputes")
    said = _said(annotation)
    facts = {
        "dispute": found,
        "task": annotation.task,
        "campaign": annotation.task.campaign,
        "seen": LabelTask.objects.of_usable_images(annotation.task.campaign).filter(pk=annotation.task_id).exists(),
        "said": [said] if said else [],
        "raw": "" if said else json.dumps(annotation.result, ensure_ascii=False, indent=1),
        "barred": barred,
        "form": form,
    }
    return render(request, "annotation/dispute_decide.html", facts)


def _said(annotation: Annotation) -> Said | None:
    """What the annotation says in words; None for what has not the form that the campaign asks for."""
    task = annotation.task
    if check_result(parse_config(task.campaign.config), annotation.result):
        return None
    return side_by_side(task, [annotation])[0]


def _decide(request: HttpRequest, found: Dispute, form: DecideForm) -> bool:
    try:
        disputes.decide_dispute(dispute=found, **form.cleaned_data, user=staff_user(request))
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return False
    messages.success(request, "Your decision is kept, and the annotator is told.")
    return True
