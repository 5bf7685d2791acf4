"""Pages of deviation reports: for staff in full, for everybody in whole per cent."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from consent.hints import hint
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, FAIRNESS_ANALYST, has_role, role_required, staff_user
from exports import deviation_actions, deviation_reports, gate, gate_exceptions, tasks
from exports.deviation_forms import ActionForm, DoneForm, ExceptionForm
from exports.deviation_pdf import render_pdf
from exports.deviation_words import change, changes, part
from exports.models import DeviationAction, DeviationReport, GateException, Release


@require_GET
@role_required(DATA_MANAGER, FAIRNESS_ANALYST)
def deviation_reports_list(request: HttpRequest) -> HttpResponse:
    """Every report, the newest first; those of drafts that were given up are left out."""
    found = DeviationReport.objects.exclude(release__state=Release.State.DISCARDED).select_related("release__dataset")
    rows = [(report, list(map(part, deviation_reports.sections(report.content)))) for report in found.order_by("-pk")]
    return render(request, "exports/deviation_reports.html", {"rows": rows})


@require_GET
@role_required(DATA_MANAGER, FAIRNESS_ANALYST)
def deviation_report(request: HttpRequest, pk: int) -> HttpResponse:
    report = _report(pk)
    sections = deviation_reports.sections(report.content)
    before = deviation_reports.report_before(report)
    release = report.release
    context = {
        "report": report,
        "release": release,
        "parts": list(map(part, sections)),
        "before": before,
        "changes": _changes(sections, before),
        "withdrawn": _withdrawn(release),
        "actions": deviation_actions.actions_of(report),
        "today": timezone.now().date(),
        "manages": has_role(request.user, DATA_MANAGER),
        **_exception(release),
    }
    return render(request, "exports/deviation_report.html", context)


def _report(pk: int) -> DeviationReport:
    return get_object_or_404(DeviationReport.objects.select_related("release__dataset__campaign"), pk=pk)


def _changes(sections: list[dict[str, Any]], before: DeviationReport | None) -> list[tuple[str, Any]]:
    then = {one["dataset"]: one for one in deviation_reports.sections(before.content)} if before else {}
    both = [(one, then[one["dataset"]]) for one in sections if one["dataset"] in then]
    return [(f"{old['title']} {old['version']}", changes(new["tables"], old["tables"])) for new, old in both]


def _withdrawn(release: Release | None) -> list[Any]:
    if release is None or release.state != Release.State.PUBLISHED:
        return []
    return list(map(change, deviation_reports.withdrawal_effect(release)))


def _exception(release: Release | None) -> dict[str, Any]:
    if release is None:
        return {}
    written = GateException.objects.filter(release=release).select_related("written_by", "signed_by").first()
    return {"exception": written or gate.standing_exception(release), "kept_back": gate.refusal(release)}


@require_GET
@role_required(DATA_MANAGER, FAIRNESS_ANALYST)
def deviation_report_json(request: HttpRequest, pk: int) -> HttpResponse:
    """The document whose hash is in the ledger, byte for byte."""
    report = _report(pk)
    return _download(report, report.document.encode(), "application/json", "json")


@require_GET
@role_required(DATA_MANAGER, FAIRNESS_ANALYST)
def deviation_report_pdf(request: HttpRequest, pk: int) -> HttpResponse:
    report = _report(pk)
    return _download(report, render_pdf(report), "application/pdf", "pdf")


def _download(report: DeviationReport, content: bytes, kind: str, ending: str) -> HttpResponse:
    name = f"{report.release.dataset.slug}-{report.release.version}" if report.release else report.quarter
    answer = HttpResponse(content, content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="deviation-{name}.{ending}"'
    return answer


@require_GET
def release_balance(request: HttpRequest, slug: str, version: str) -> HttpResponse:
    """For everybody: who is in a published release, in whole per cent, and what the gate said."""
    published = Release.objects.filter(state=Release.State.PUBLISHED, dataset__slug=slug, version=version)
    release = get_object_or_404(published.select_related("dataset", "deviation_report"), deviation_report__isnull=False)
    context = {
        "release": release,
        "part": part(release.deviation_report.content),
        "exception": gate.standing_exception(release),
    }
    return render(request, "exports/release_balance.html", context)


# --- Exceptions ----------------------------------------------------------------------------------


@form_page
@role_required(DATA_MANAGER)
def exception_write(request: HttpRequest, pk: int) -> HttpResponse:
    release = get_object_or_404(Release.objects.select_related("dataset", "deviation_report"), pk=pk)
    report = get_object_or_404(DeviationReport, release=release)
    form = ExceptionForm(request.POST or None)
    if form.is_valid():
        try:
            gate_exceptions.write_exception(release=release, user=staff_user(request), **form.cleaned_data)
            messages.success(request, "The exception is written. A second person reads and signs it.")
            return redirect("deviation_report", report.pk)
        except Refused as refusal:
            form.add_error(None, str(refusal))
    return render(
        request, "exports/exception_write.html", {"form": form, "report": report, "part": part(report.content)}
    )


@require_POST
@role_required(DATA_MANAGER)
def exception_sign(request: HttpRequest, pk: int) -> HttpResponse:
    exception = get_object_or_404(GateException.objects.select_related("release__dataset"), pk=pk)
    try:
        draft = gate_exceptions.sign_exception(exception=exception, user=staff_user(request))
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("deviation_report", exception.release.deviation_report.pk)
    hint(tasks.build, draft.pk)
    messages.success(request, f"Signed. {draft} is built again, to carry the exception. A third person publishes it.")
    return redirect("dataset_staff", draft.dataset.slug)


@require_POST
@role_required(DATA_MANAGER)
def exception_drop(request: HttpRequest, pk: int) -> HttpResponse:
    exception = get_object_or_404(GateException.objects.select_related("release__deviation_report"), pk=pk)
    report = exception.release.deviation_report
    try:
        gate_exceptions.drop_exception(exception=exception)
        messages.success(request, "The exception is dropped.")
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("deviation_report", report.pk)


# --- Actions -------------------------------------------------------------------------------------


@form_page
@role_required(DATA_MANAGER)
def action_add(request: HttpRequest, pk: int) -> HttpResponse:
    report = _report(pk)
    form = ActionForm(request.POST or None)
    if form.is_valid():
        try:
            deviation_actions.add_action(report=report, user=staff_user(request), **form.cleaned_data)
            return redirect("deviation_report", report.pk)
        except Refused as refusal:
            form.add_error("due_on", str(refusal))
    return render(request, "exports/action_form.html", {"form": form, "report": report, "heading": "Add an action"})


@form_page
@role_required(DATA_MANAGER)
def action_done(request: HttpRequest, pk: int) -> HttpResponse:
    action = get_object_or_404(DeviationAction.objects.select_related("report__release__dataset"), pk=pk)
    form = DoneForm(request.POST or None)
    if form.is_valid():
        try:
            deviation_actions.finish_action(action=action, user=staff_user(request), **form.cleaned_data)
            return redirect("deviation_report", action.report.pk)
        except Refused as refusal:
            form.add_error(None, str(refusal))
    context = {"form": form, "report": action.report, "heading": "It is done", "action": action}
    return render(request, "exports/action_form.html", context)
