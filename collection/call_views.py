"""The staff pages of calls: all of them, one with its progress, opening, changing, closing early."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from collection import calls, progress
from collection.call_forms import PREFIX, CallForm, target_rows, with_more_rows
from collection.models import Call
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, role_required

ROWS_SENT = f"{PREFIX}-TOTAL_FORMS"


@require_GET
@role_required(DATA_MANAGER)
def call_list(request: HttpRequest) -> HttpResponse:
    """Every call, the newest first, and how far its targets are."""
    found = Call.objects.select_related("form").order_by("-opens_at", "-pk")
    rows = [(call, _reached(progress.public_progress(call))) for call in found]
    return render(request, "collection/call_list.html", {"rows": rows})


def _reached(rows: list[progress.PublicProgress]) -> str:
    return f"{sum(row.reached for row in rows)} of {len(rows)} reached" if rows else "none"


@require_GET
@role_required(DATA_MANAGER)
def call_progress(request: HttpRequest, slug: str) -> HttpResponse:
    """One call, with what came in against what is wanted."""
    call = get_object_or_404(Call.objects.select_related("form"), slug=slug)
    context = {"call": call, "rows": progress.take_progress(call), "versions": progress.versions(call)}
    return render(request, "collection/call_progress.html", context)


@form_page
@role_required(DATA_MANAGER)
def call_add(request: HttpRequest) -> HttpResponse:
    return _edit(request, None)


@form_page
@role_required(DATA_MANAGER)
def call_edit(request: HttpRequest, slug: str) -> HttpResponse:
    return _edit(request, get_object_or_404(Call, slug=slug))


@require_POST
@role_required(DATA_MANAGER)
def call_close(request: HttpRequest, slug: str) -> HttpResponse:
    try:
        calls.close_call(call=get_object_or_404(Call, slug=slug))
        messages.success(request, "The call is closed. What came in stays.")
    except Refused as refused:
        messages.warning(request, str(refused))
    return redirect("call_progress", slug)


def _edit(request: HttpRequest, call: Call | None) -> HttpResponse:
    """Without rows of targets in what is sent, they stay as they are."""
    instance = Call.objects.get(pk=call.pk) if call else None  # a form writes into it what was typed
    if request.method != "POST":
        return _form(request, call, CallForm(instance=instance), target_rows(call=call))
    if "more_rows" in request.POST and request.POST.get(ROWS_SENT, "").isdecimal():
        sent = with_more_rows(request.POST)
        return _form(request, call, CallForm(sent, instance=instance), target_rows(sent, call))
    form = CallForm(request.POST, instance=instance)
    rows = target_rows(request.POST, call) if ROWS_SENT in request.POST else None
    if all([form.is_valid(), rows is None or rows.is_valid()]):
        wanted = rows.wanted() if rows else None
        try:
            saved = _save(call, form.cleaned_data, wanted)
            messages.success(request, "The call is open." if saved.is_open() else "The call is saved.")
            return redirect("call_progress", saved.slug)
        except Refused as refused:
            form.add_error(None, str(refused))
    return _form(request, call, form, rows or target_rows(call=call))


def _save(call: Call | None, fields: dict[str, Any], wanted: list[dict[str, Any]] | None) -> Call:
    if call is None:
        return calls.open_call(fields=fields, wanted=wanted or ())
    return calls.change_call(call=call, fields=fields, wanted=wanted)


def _form(request: HttpRequest, call: Call | None, form: CallForm, rows: Any) -> HttpResponse:
    return render(request, "collection/call_edit.html", {"call": call, "form": form, "rows": rows})
