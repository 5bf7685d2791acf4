"""Pages on the way in: the terms, languages, what people say of themselves, training."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation import about_annotators, services, tasks, terms, training
from annotation.about_annotators import group_agreement
from annotation.access import campaigns_open_to
from annotation.joining_forms import AboutForm, AgreeForm, JoinForm, LanguagesForm, TermsForm, TrainingForm
from annotation.joining_models import TrainingSet, WorkTerms
from annotation.languages import set_languages
from annotation.models import Campaign, LabelProject
from annotation.payout_views import own_annotator
from annotation.selection import accepted_annotations
from consent.hints import hint
from consent.models import User
from consent.notice import render_markdown
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, FAIRNESS_ANALYST, role_required, staff_user, user_required

# --- The terms -----------------------------------------------------------------------------------


def _shown(form: AgreeForm) -> dict[str, Any]:
    return {"form": form, "terms": form.shown, "body": render_markdown(form.shown.body)}


@form_page
@never_cache
def work_join(request: HttpRequest, token: str) -> HttpResponse:
    """The agreement. Who holds the mailed link holds the mailbox, so the address counts as confirmed."""
    user = request.user if isinstance(request.user, User) else None
    try:
        invitation = services.find_invitation(token=token)
    except Refused as refusal:
        return render(request, "annotation/invitation_over.html", {"refusal": refusal}, status=410)
    form = JoinForm(request.POST or None, shown=terms.newest_terms(), invitation=invitation, user=user)
    if form.is_valid() and _join(request, form, user):
        return redirect("work_languages")
    return render(request, "annotation/work_join.html", {"invitation": invitation, **_shown(form)})


def _join(request: HttpRequest, form: JoinForm, user: User | None) -> bool:
    try:
        annotator = services.accept_invitation(
            invitation=form.invitation,
            user=user,
            password=form.cleaned_data.get("password1", ""),
            terms_sha256=form.cleaned_data["terms"],
        )
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return False
    if user is None and annotator.user:
        login(request, annotator.user, backend="django.contrib.auth.backends.ModelBackend")
    return True


@form_page
@never_cache
@user_required
def work_terms(request: HttpRequest, user: User) -> HttpResponse:
    """The terms in force; whoever has not agreed to them yet can do so here."""
    annotator, newest = own_annotator(user), terms.newest_terms()
    agreed = annotator.agreements.filter(terms=newest).first()
    form = AgreeForm(request.POST or None, shown=newest)
    if form.is_valid():
        try:
            terms.agree(annotator=annotator, sha256=form.cleaned_data["terms"])
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, "Thank you. You can go on labelling.")
            return redirect("work")
    return render(request, "annotation/work_terms.html", {"agreed": agreed, **_shown(form)})


@form_page
@role_required(DATA_MANAGER)
def work_terms_publish(request: HttpRequest) -> HttpResponse:
    newest = terms.newest_terms()
    form = TermsForm(request.POST or None, initial={"body": newest.body})
    if form.is_valid():
        try:
            published = terms.publish_terms(body=form.cleaned_data["body"], user=staff_user(request))
        except Refused as refusal:
            form.add_error("body", str(refusal))
        else:
            messages.success(
                request, f"Version {published.version} is in force. Everybody is asked to agree before they go on."
            )
            return redirect("work_terms_publish")
    facts = {"form": form, "newest": newest, "agreed": newest.agreements.count()}
    facts["earlier"] = WorkTerms.objects.select_related("published_by").order_by("-version")
    return render(request, "annotation/work_terms_publish.html", facts)


# --- Languages, and what people say of themselves ------------------------------------------------


@form_page
@never_cache
@user_required
def work_languages(request: HttpRequest, user: User) -> HttpResponse:
    annotator = own_annotator(user)
    known = list(annotator.languages.values_list("language", flat=True))
    form = LanguagesForm(request.POST if request.method == "POST" else None, initial={"codes": known})
    if request.method == "POST" and form.is_valid():
        set_languages(annotator=annotator, codes=form.cleaned_data["codes"])
        messages.success(request, "Your languages are saved.")
        return redirect("work" if about_annotators.answers_of(annotator) or known else "work_about")
    return render(request, "annotation/work_languages.html", {"form": form})


@form_page
@never_cache
@user_required
def work_about(request: HttpRequest, user: User) -> HttpResponse:
    """Voluntary, and for nothing but to compare how groups label."""
    annotator = own_annotator(user)
    said = about_annotators.answers_of(annotator)
    initial = {name: getattr(said, name) for name in about_annotators.ATTRIBUTES} if said else {}
    form = AboutForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        kept = about_annotators.save_answers(annotator=annotator, **form.cleaned_data)
        messages.success(request, "Thank you." if kept else "Nothing is kept.")
        return redirect("work")
    return render(request, "annotation/work_about.html", {"form": form, "said": said})


@require_POST
@user_required
def work_about_delete(request: HttpRequest, user: User) -> HttpResponse:
    about_annotators.delete_answers(annotator=own_annotator(user))
    messages.success(request, "We deleted what you had told us about yourself.")
    return redirect("work")


@require_GET
@role_required(FAIRNESS_ANALYST)
def group_labels(request: HttpRequest, pk: int) -> HttpResponse:
    """Whether groups of annotators label alike."""
    found = get_object_or_404(Campaign, pk=pk)
    tables = group_agreement(accepted_annotations(found, timezone.now()))
    return render(request, "annotation/group_labels.html", {"campaign": found, "tables": tables})


# --- Training ------------------------------------------------------------------------------------


@require_GET
@never_cache
@user_required
def work_training(request: HttpRequest, user: User, pk: int) -> HttpResponse:
    """How a training went, photograph by photograph, and the way to the next attempt."""
    annotator = own_annotator(user)
    found = get_object_or_404(TrainingSet.objects.select_related("campaign"), pk=pk)
    standing = training.standing(annotator, found)
    is_open = campaigns_open_to(annotator).filter(pk=pk).exists()
    if not (is_open or standing.attempts):
        return redirect("work")
    facts = {
        "standing": standing,
        "training": found,
        "attempts": standing.attempts[::-1],
        "is_open": is_open,
        "project": LabelProject.objects.filter(campaign=pk).order_by("pk").first() if is_open else None,
        "label_studio": settings.LABELLING_URL,
        "looks": found.campaign.state == Campaign.State.RUNNING,
    }
    return render(request, "annotation/work_training.html", facts)


@form_page
@role_required(DATA_MANAGER)
def training_add(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a training of a campaign's answered gold."""
    found = get_object_or_404(Campaign, pk=pk)
    form = TrainingForm(request.POST or None)
    if form.is_valid():
        try:
            made = training.make_training(answers_from=found, **form.cleaned_data, user=staff_user(request))
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            hint(tasks.push_running)
            messages.success(request, "The training is made and runs. Campaigns with the same config can ask for it.")
            return redirect("campaign", made.pk)
    facts = {"campaign": found, "form": form, "known": training.known_answers(found)}
    return render(request, "annotation/training_add.html", facts)
