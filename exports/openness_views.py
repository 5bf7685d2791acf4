"""The public page about what we keep, and the record of processing for staff."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from consent.retention_table import RULES
from consent.roles import DATA_MANAGER, PROTECTION_OFFICER, role_required
from exports import openness, processing


@require_GET
def openness_page(request: HttpRequest) -> HttpResponse:
    forms = openness.forms_in_force()
    context = {
        "rules": RULES,
        "figures": openness.figures(),
        "forms": forms,
        "controllers": openness.controllers(text for _, texts in forms for text in texts),
        "releases": openness.published_releases(),
        "fewest": openness.FEWEST,
    }
    return render(request, "exports/openness.html", context)


@require_GET
@role_required(PROTECTION_OFFICER, DATA_MANAGER)
def records(request: HttpRequest) -> HttpResponse:
    return render(request, "exports/records.html", {"record": processing.record()})


@require_GET
@role_required(PROTECTION_OFFICER, DATA_MANAGER)
def records_json(request: HttpRequest) -> HttpResponse:
    """The same record as a file."""
    response = JsonResponse(processing.record(), json_dumps_params={"indent": 2, "ensure_ascii": False})
    response["Content-Disposition"] = 'attachment; filename="record-of-processing.json"'
    return response
