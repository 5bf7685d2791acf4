"""Recording licences and reading their contracts. (The list of licences counts images: collection.holdings_views.)"""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET

from consent import licensing
from consent.licence_forms import LicenceForm
from consent.models import Licence
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, PROTECTION_OFFICER, role_required


@form_page
@role_required(DATA_MANAGER)
def licence_add(request: HttpRequest) -> HttpResponse:
    form = LicenceForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        try:
            licence = licensing.add_licence(**form.statements())
            messages.success(request, f"Recorded the licence {licence}.")
            return redirect("licences")
        except Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "consent/licence_add.html", {"form": form})


@require_GET
@role_required(DATA_MANAGER, PROTECTION_OFFICER)
def licence_evidence(request: HttpRequest, licence_id: uuid.UUID) -> HttpResponseBase:
    """The contract as it was handed in, or why there is none."""
    licence = get_object_or_404(Licence, pk=licence_id)
    try:
        content = licensing.read_evidence(key=licence.evidence_key, sha256=licence.evidence_sha256)
    except Refused as refused:
        messages.error(request, str(refused))
        return redirect("licences")
    return document_response(content, licence.evidence_name)


def document_response(content: bytes, name: str) -> HttpResponse:
    """A document to be saved, whatever its uploader calls it: never shown inside our pages, never cached."""
    response = HttpResponse(content, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or ""
    response.headers["Cache-Control"] = "no-store"
    return response
