"""Pages on what the collection rests on: the list of licences, and all holdings."""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET

from collection import holdings
from collection.models import ModelRelease
from consent.licence_views import document_response
from consent.licence_warnings import notices
from consent.licensing import read_evidence
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, PROTECTION_OFFICER, REVIEWER, has_role, role_required


@require_GET
@role_required(REVIEWER, DATA_MANAGER, PROTECTION_OFFICER)
def licences(request: HttpRequest) -> HttpResponse:
    """Every licence: where it stands, what it brought and cost."""
    manages = has_role(request.user, DATA_MANAGER)
    context = {
        "rows": holdings.licence_rows(),
        "notices": notices(),
        "may_add": manages,
        "may_read": manages or has_role(request.user, PROTECTION_OFFICER),
    }
    return render(request, "collection/licences.html", context)


@require_GET
@role_required(REVIEWER, DATA_MANAGER, PROTECTION_OFFICER)
def holdings_page(request: HttpRequest) -> HttpResponse:
    """What share of all images rests on what basis, and what it cost."""
    return render(request, "collection/holdings.html", {"stock": holdings.take_stock(), "notices": notices()})


@require_GET
@role_required(DATA_MANAGER, PROTECTION_OFFICER)
def model_release(request: HttpRequest, image_id: uuid.UUID) -> HttpResponseBase:
    """The signed release of the person in one licensed image."""
    release = get_object_or_404(ModelRelease, pk=image_id)
    try:
        return document_response(read_evidence(key=release.key, sha256=release.sha256), release.name)
    except Refused as refused:  # it is erased with its image
        messages.error(request, str(refused))
        return redirect("licences")
