"""The desk's page for matches with lists of known harm. Only harm officers look at the photographs and decide."""

import uuid

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET

from collection import harm_matches, tasks
from collection.models import HarmReport
from collection.views import preview_response
from consent.clock import trusted_now
from consent.hints import hint
from consent.models import RightsRequest, User
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import HARM_OFFICER, PROTECTION_OFFICER, has_role, role_required, staff_user

SHOWN = 200
CASES = RightsRequest.objects.filter(kind=RightsRequest.Kind.HARM)


class ReportForm(forms.Form):
    authority = forms.CharField(label="Reported to", help_text="The authority or hotline.", max_length=200)
    reference = forms.CharField(label="Their reference, or the date and time of the report", max_length=200)


@require_GET
@role_required(PROTECTION_OFFICER, HARM_OFFICER)
def harm_cases(request: HttpRequest) -> HttpResponse:
    """Every case: the open ones first."""
    cases = CASES.select_related("harm_report").prefetch_related("harm_matches__hash__list")
    waiting = cases.filter(answered_at__isnull=True).order_by("received_at")
    closed = cases.filter(answered_at__isnull=False).order_by("-answered_at")[:SHOWN]
    may_open_desk = has_role(request.user, PROTECTION_OFFICER)
    context = {"waiting": waiting, "closed": closed, "may_open_desk": may_open_desk}
    return render(request, "collection/harm_cases.html", context)


@form_page
@role_required(PROTECTION_OFFICER, HARM_OFFICER)
def harm_case(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    """What matches what, what must be reported, and the decision."""
    case = get_object_or_404(CASES, pk=request_id)
    may_decide = has_role(request.user, HARM_OFFICER)
    form = ReportForm(request.POST if request.POST.get("action") == "report" else None)
    if request.method == "POST" and may_decide:
        try:
            if done := _decide(case, request.POST.get("action", ""), form, staff_user(request)):
                messages.success(request, done)
                return redirect("harm_case", case.pk)
        except Refused as refused:
            messages.warning(request, str(refused))
    report = HarmReport.objects.filter(request=case).first()
    context = {
        "case": case,
        "may_decide": may_decide,
        "form": form,
        "report": report,
        "facts": report.facts["photographs"] if report else harm_matches.facts_of(case),
        "held": harm_matches.held_for(case).order_by("pk")[:SHOWN],
        "taken_back": {str(image.pk) for image in harm_matches.held_for(case).lost(clock=trusted_now())},
    }
    return render(request, "collection/harm_case.html", context)


def _decide(case: RightsRequest, action: str, form: ReportForm, user: User) -> str:
    """What was done, in words; empty if the form has to be shown again."""
    if action == "report" and form.is_valid():
        harm_matches.report_case(request=case, user=user, **form.cleaned_data)
        return "Noted what was reported. It stays frozen until you erase it."
    if action == "erase":
        erased = harm_matches.erase_case(request=case, user=user)
        hint(tasks.purge_withdrawn)
        return f"{erased} taken out for good. Sweeps erase them everywhere, which takes about a minute."
    if action == "dismiss":
        let_go = harm_matches.dismiss_case(request=case, user=user)
        hint(tasks.purge_withdrawn)  # what was taken back meanwhile
        return f"{let_go} no longer frozen by this case."
    return ""


@require_GET
@role_required(HARM_OFFICER)
def harm_preview(request: HttpRequest, request_id: uuid.UUID, image_id: uuid.UUID) -> HttpResponseBase:
    """The preview of what a case holds, while it is open."""
    case = get_object_or_404(CASES.filter(answered_at__isnull=True), pk=request_id)
    return preview_response(harm_matches.held_for(case).filter(pk=image_id).first())
