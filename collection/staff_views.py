"""The staff pages of this app: previews, libraries. (Reviews and calls have views of their own.)"""

import uuid

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from collection import library, services, tasks
from collection.forms import LibraryForm
from collection.models import Image, ImageStatus, LibraryImport
from collection.views import preview_response
from consent.hints import hint
from consent.pages import form_page
from consent.roles import DATA_MANAGER, REVIEWER, role_required, staff_user


@require_GET
@role_required(REVIEWER)
def staff_preview(request: HttpRequest, image_id: uuid.UUID) -> HttpResponseBase:
    return preview_response(Image.objects.with_live_basis().filter(pk=image_id).first())


@form_page
@role_required(DATA_MANAGER)
def library_import(request: HttpRequest) -> HttpResponse:
    """Import a zip under a licence and report what was refused."""
    form = LibraryForm(request.POST or None, request.FILES or None)
    run: LibraryImport | None = None
    if form.is_valid():
        try:
            with library.open_library(form.cleaned_data["archive"].file) as files:
                run = library.import_library(
                    library=files, licence=form.cleaned_data["licence"], user=staff_user(request)
                )
            for image in Image.objects.filter(licence=run.licence, status=ImageStatus.RECEIVED):
                hint(tasks.advance_task, str(image.pk))
        except services.Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "collection/library_import.html", {"form": form, "run": run})
