"""“I am in a photo I did not agree to”: a page for anybody, without an account. What is found is frozen on receipt."""

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from consent.addresses import client_ip
from consent.models import RightsRequest
from consent.pages import form_page
from consent.refusals import Refused
from exports import openness
from exports.depicted import report_depicted
from exports.rights_forms import DepictedForm
from exports.throttle import may_send


@form_page
@never_cache
def depicted(request: HttpRequest) -> HttpResponse:
    """The same answer whether or not we have such a photograph: nobody is to search our collection with it."""
    form = DepictedForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        if not may_send(client_ip(request) or "this machine"):
            return _closed(request)
        try:
            opened = report_depicted(**form.cleaned_data)
            return redirect("depicted_received", opened.pk)
        except Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "exports/depicted.html", {"form": form})


def _closed(request: HttpRequest) -> HttpResponse:
    texts = (text for _, found in openness.forms_in_force() for text in found)
    context = {"controllers": openness.controllers(texts)}
    return render(request, "exports/depicted_closed.html", context, status=429)


@require_GET
@never_cache
def depicted_received(request: HttpRequest, reference: uuid.UUID) -> HttpResponse:
    """By when they hear from us. Nothing of what they wrote is shown."""
    found = get_object_or_404(RightsRequest, pk=reference, kind=RightsRequest.Kind.DEPICTED)
    return render(request, "exports/depicted_received.html", {"found": found})
