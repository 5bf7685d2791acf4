"""The page on which a data manager says what a dataset's next release holds."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from collection.call_forms import PREFIX, rows_with, with_more_rows
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, role_required, staff_user
from exports.definition_forms import DefinitionForm
from exports.definitions import current_definition, define
from exports.models import Dataset, Definition

ROWS_SENT = f"{PREFIX}-TOTAL_FORMS"


@form_page
@role_required(DATA_MANAGER)
def dataset_define(request: HttpRequest, slug: str) -> HttpResponse:
    """Without rows of targets in what is sent, they stay as they are."""
    dataset = get_object_or_404(Dataset.objects.select_related("purpose", "campaign"), slug=slug)
    current = current_definition(dataset)
    if request.method != "POST":
        return _form(request, dataset, _asking(dataset, current), rows_with(current.goals()))
    if "more_rows" in request.POST and request.POST.get(ROWS_SENT, "").isdecimal():
        sent = with_more_rows(request.POST)
        return _form(request, dataset, _asking(dataset, current, sent), rows_with(current.goals(), sent))
    form = _asking(dataset, current, request.POST)
    rows = rows_with(current.goals(), request.POST) if ROWS_SENT in request.POST else None
    if all([form.is_valid(), rows is None or rows.is_valid()]):
        targets = _kept(rows.wanted()) if rows else current.targets
        try:
            define(dataset=dataset, user=staff_user(request), fields=form.cleaned_data, targets=targets)
            messages.success(
                request, "Saved. This is what the next release will hold; earlier ones keep what they had."
            )
            return redirect("dataset_next", slug)
        except Refused as refusal:
            form.add_error(None, str(refusal))
    return _form(request, dataset, form, rows or rows_with(current.goals()))


def _asking(dataset: Dataset, current: Definition, data: Any = None) -> DefinitionForm:
    """What stands now as a start; the form never writes into it."""
    return DefinitionForm(data, initial=current.values(*Definition.FIELDS), dataset=dataset)


def _kept(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what was left empty."""
    return [{name: value for name, value in row.items() if value} for row in rows]


def _form(request: HttpRequest, dataset: Dataset, form: DefinitionForm, rows: Any) -> HttpResponse:
    return render(request, "exports/dataset_define.html", {"dataset": dataset, "form": form, "rows": rows})
