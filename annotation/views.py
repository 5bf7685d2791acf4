"""Pages for data managers and annotators, the webhook, and the address that serves photographs to annotators."""

import hmac
import json
import logging
import uuid
from collections import defaultdict
from decimal import Decimal
from itertools import groupby
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Count
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST, require_safe

from annotation import disputes, labelstudio, push, services, tasks
from annotation.access import campaigns_open_to, is_handed_to
from annotation.accounts import ensure_account
from annotation.balances import Balance, balances
from annotation.comparison import comparison_facts
from annotation.config import DEFAULT_TEMPLATE, TEMPLATES, parse_config, starter_config
from annotation.forecast import forecast
from annotation.forms import CampaignForm, InviteForm, TopUpForm
from annotation.handout_models import ImageView
from annotation.handouts import with_what_is_left
from annotation.joining_models import TrainingSet
from annotation.labelstudio import LabelStudioError
from annotation.languages import language_name
from annotation.models import Annotation, Annotator, Campaign, Earning, Invitation, LabelProject, LabelTask, MoneySum
from annotation.payout_views import own_annotator, pay_facts
from annotation.signed_in import annotator_at
from annotation.terms import has_agreed
from annotation.training import overview, trainings_of
from annotation.wages import wage_of
from collection.storage import open_clean
from consent.hints import hint
from consent.models import User
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, role_required, staff_user, user_required

logger = logging.getLogger(__name__)
SHOWN = 200  # rows of the pay page; the balance counts all
# What a data manager reads for each state of a task.
STATES = {
    LabelTask.State.PENDING: "Waiting to be sent",
    LabelTask.State.PUSHING: "Being sent",
    LabelTask.State.PUSHED: "In Label Studio",
    LabelTask.State.RETRACTING: "Being taken back",
    LabelTask.State.RETRACTED: "Taken back",
}


# --- Campaigns -----------------------------------------------------------------------------------


@form_page
@role_required(DATA_MANAGER)
def campaign_add(request: HttpRequest) -> HttpResponse:
    template = request.GET.get("template", "")
    template = template if template in TEMPLATES else DEFAULT_TEMPLATE
    form = CampaignForm(request.POST or None, initial={"config": starter_config(template)})
    if form.is_valid():
        form.instance.created_by_id = request.user.pk
        return redirect("campaign", form.save().pk)
    campaigns = Campaign.objects.select_related("purpose").order_by("-created_at")
    facts = {"form": form, "campaigns": campaigns, "templates": TEMPLATES, "template": template}
    return render(request, "annotation/campaign_add.html", facts)


@form_page
@role_required(DATA_MANAGER)
def campaign(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Campaign.objects.select_related("purpose"), pk=pk)
    if request.method == "POST":
        top_up = TopUpForm(request.POST)
        if request.POST.get("action") != "top up":
            _act(request, found, request.POST.get("action", ""))
        elif not top_up.is_valid():
            return render(request, "annotation/campaign.html", _campaign_facts(found) | {"top_up": top_up})
        else:
            _top_up(request, found, top_up.cleaned_data["amount"])
        return redirect("campaign", pk)
    return render(request, "annotation/campaign.html", _campaign_facts(found))


def _top_up(request: HttpRequest, found: Campaign, amount: Decimal) -> None:
    try:
        services.top_up(campaign=found, amount=amount, user=staff_user(request))
    except Refused as refusal:
        messages.error(request, str(refusal))
        return
    messages.success(request, f"The budget is {found.budget:,.2f} {found.currency} now.")
    hint(tasks.push_running)


def _act(request: HttpRequest, found: Campaign, action: str) -> None:
    try:
        services.change_campaign(campaign=found, action=action)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return
    if found.state == Campaign.State.RUNNING:
        hint(tasks.push_running)
    elif found.state == Campaign.State.CLOSED:
        hint(tasks.retract_withdrawn)
    messages.success(request, f"The campaign is {found.get_state_display().lower()} now.")


def _campaign_facts(found: Campaign) -> dict[str, Any]:
    count = dict(found.tasks.order_by().values_list("state").annotate(Count("pk")))
    annotations = Annotation.objects.filter(task__campaign=found)
    paid = Earning.objects.filter(task__campaign=found).aggregate(total=MoneySum("amount"))["total"] or 0
    waiting = count.get(LabelTask.State.PENDING, 0)
    return {
        "campaign": found,
        "tasks": [(words, count.get(state, 0)) for state, words in STATES.items()],
        "annotations": dict(annotations.order_by().values_list("verdict").annotate(Count("pk"))),
        "paid": paid,
        "unaffordable": max(waiting - push.affordable_tasks(found), 0),
        "trouble": found.tasks.exclude(last_error="").order_by("-next_attempt_at").first(),
        "actions": [name for name, (before, _) in services.ACTIONS.items() if found.state in before],
        "projects": found.projects.order_by("pk"),
        **comparison_facts(found),
        "forecast": forecast(found) if found.state != Campaign.State.CLOSED else None,
        "controls": parse_config(found.config).values(),
        "rests": found.state == Campaign.State.RUNNING and not Campaign.objects.open_today().filter(pk=found.pk),
        "today": timezone.localdate(),
        "wage": wage_of(found),
        "disputes": disputes.waiting_in(found),
        "languages": [language_name(one.language) for one in found.languages.order_by("language")],
        "training": (training := TrainingSet.objects.filter(campaign=found).first()),
        "trained": overview(training) if training else None,
        "top_ups": found.top_ups.select_related("made_by").order_by("-pk"),
        "top_up": TopUpForm(),
    }


# --- Annotators ----------------------------------------------------------------------------------


@form_page
@role_required(DATA_MANAGER)
def annotators(request: HttpRequest) -> HttpResponse:
    form = InviteForm(request.POST or None)
    if form.is_valid() and _invite(request, form):
        return redirect("annotators")
    owed: dict[uuid.UUID, list[tuple[str, Balance]]] = defaultdict(list)
    for (annotator, currency), balance in balances().items():
        owed[annotator].append((currency, balance))
    people = [(one, owed[one.pk]) for one in Annotator.objects.select_related("user").order_by("terms_accepted_at")]
    open_invitations = Invitation.objects.filter(accepted_at=None).order_by("-created_at")
    facts = {"form": form, "annotators": people, "invitations": open_invitations}
    return render(request, "annotation/annotators.html", facts)


def _invite(request: HttpRequest, form: InviteForm) -> bool:
    try:
        services.invite_annotator(email=form.cleaned_data["email"], invited_by=staff_user(request))
    except Refused as refusal:
        form.add_error("email", str(refusal))
        return False
    messages.success(request, f"The invitation to {form.cleaned_data['email']} is on its way.")
    return True


@require_GET
@never_cache
@user_required
def work(request: HttpRequest, user: User) -> HttpResponse:
    """Where an annotator goes to label, and sees what each piece of work brought."""
    annotator = own_annotator(user)
    about = ("task__campaign", "earning", "rejection", "dispute__decision")
    rows = list(annotator.annotations.select_related(*about).order_by("-made_at")[:SHOWN])
    pauses = annotator.pauses.filter(lifted_at=None).select_related("campaign")
    facts = {
        "annotations": rows,
        "disputable": disputes.disputable(rows),
        "pauses": pauses,
        "agreed": has_agreed(annotator),
        "languages": [language_name(one.language) for one in annotator.languages.order_by("language")],
        "trainings": trainings_of(annotator, campaigns_open_to(annotator)),
    }
    facts |= pay_facts(annotator) | _way_in(annotator)
    return render(request, "annotation/work.html", facts)


def _way_in(annotator: Annotator) -> dict[str, Any]:
    """What there is to label. Whoever comes for the first time gets an account in Label Studio, which we keep."""
    try:
        ensure_account(annotator=annotator)
    except LabelStudioError as error:
        logger.warning("%s", error)
        return {"away": True}
    campaigns = campaigns_open_to(annotator).filter(training_set=None)  # trainings have a page of their own
    projects = with_what_is_left(LabelProject.objects.filter(campaign__in=campaigns), annotator)
    ordered = projects.select_related("campaign").order_by("campaign__name", "campaign", "pk")
    return {
        "campaigns": [(campaign, list(parts)) for campaign, parts in groupby(ordered, key=lambda one: one.campaign)],
        "label_studio": settings.LABELLING_URL,
    }


# --- Label Studio calls --------------------------------------------------------------------------


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Label Studio says that a task changed. It waits one second and never asks again: note it and answer."""
    if not _knows_secret(request):
        return HttpResponse("The secret header is missing or wrong.", status=403, content_type="text/plain")
    try:
        payload = json.loads(request.body)
        project, task = int(payload["project"]["id"]), int(payload["task"]["id"])
        action = str(payload.get("action", "")).encode("ascii", "replace").decode().replace("\0", "")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return HttpResponseBadRequest("The body names no project and task.", content_type="text/plain")
    if services.note_hint(project=project, task=task, action=action):
        hint(tasks.pull_hinted)
    return HttpResponse(status=204)


def _knows_secret(request: HttpRequest) -> bool:
    given = request.headers.get(labelstudio.SECRET_HEADER, "").encode()
    secret = settings.LABEL_STUDIO_WEBHOOK_SECRET.encode()
    return bool(secret) and hmac.compare_digest(given, secret)


@require_safe
def task_image(request: HttpRequest, view_key: str) -> HttpResponseBase:
    """The photograph of one task, to whoever was given the task: rights are checked at every request, every view noted.

    410 for everybody once it may not be used, 403 for others.
    """
    task = get_object_or_404(LabelTask.objects.select_related("campaign", "image"), view_key=view_key)
    annotator = annotator_at(request)
    may_use = services.may_be_seen(task=task)
    served = may_use and annotator is not None and is_handed_to(annotator, task=task)
    ImageView.objects.create(task=task, annotator=annotator, served=served)
    response = _image(task) if served else _not_yours() if may_use else _gone()
    response["Cache-Control"] = "no-store"
    return response


def _image(task: LabelTask) -> HttpResponseBase:
    try:
        photograph = open_clean(task.image)
    except FileNotFoundError:  # purged between the check and here
        return _gone()
    return FileResponse(photograph, filename=f"photograph.{task.image.clean_format}")


def _gone() -> HttpResponse:
    return HttpResponse("This photograph may not be used any more.", status=410, content_type="text/plain")


def _not_yours() -> HttpResponse:
    words = "This photograph was not given to you to label. Begin at your own page."
    return HttpResponse(words, status=403, content_type="text/plain")
