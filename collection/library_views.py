"""Staff pages of library imports: send a zip, watch it come in, read what was refused, cancel."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from collection import library_runs, tasks
from collection.forms import LibraryForm
from collection.models import LibraryImport
from consent.hints import hint
from consent.models import Licence
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, role_required, staff_user

REFRESH_SECONDS = 5
LISTED = 50  # runs, and refused rows on the page of one; the CSV has all


@form_page
@never_cache
@role_required(DATA_MANAGER)
def library_import(request: HttpRequest) -> HttpResponse:
    """Send a zip to be imported under a licence; what was imported before."""
    form = LibraryForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        try:
            run = library_runs.store_upload(
                licence=form.cleaned_data["licence"], file=form.cleaned_data["archive"], user=staff_user(request)
            )
            hint(tasks.import_library, run.pk)
            return redirect(f"{reverse('library_run', args=[run.pk])}?watch=1")
        except Refused as refused:
            form.add_error(None, str(refused))
    runs = LibraryImport.objects.select_related("licence").order_by("-pk")[:LISTED]
    context = {"form": form, "runs": runs, "licensed": Licence.objects.exists()}
    return render(request, "collection/library_import.html", context)


@require_GET
@never_cache
@role_required(DATA_MANAGER)
def library_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """How far one import is. With `watch` the browser asks again by itself until it has ended; a link stops that."""
    run = get_object_or_404(LibraryImport.objects.select_related("licence"), pk=run_id)
    watching = "watch" in request.GET and not run.ended
    refused = run.refused.order_by("line")[:LISTED]
    pace = {"pace": run.rows_per_second(), "left": run.time_left()}
    context = {"run": run, "watching": watching, "refused": refused, **pace}
    page = render(request, "collection/library_run.html", context)
    if watching:
        page["Refresh"] = str(REFRESH_SECONDS)
    return page


@require_GET
@never_cache
@role_required(DATA_MANAGER)
def library_report(request: HttpRequest, run_id: int) -> StreamingHttpResponse:
    """Every refused row as CSV."""
    run = get_object_or_404(LibraryImport, pk=run_id)
    name = f"refused-rows-of-import-{run.pk}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(
        library_runs.report_lines(run), content_type="text/csv; charset=utf-8", headers=headers
    )


@require_POST
@never_cache
@role_required(DATA_MANAGER)
def library_cancel(request: HttpRequest, run_id: int) -> HttpResponse:
    run = get_object_or_404(LibraryImport, pk=run_id)
    if library_runs.cancel_run(run=run):
        messages.success(request, "The import is cancelled. What came in before stays, and no more will.")
    else:
        messages.warning(request, "The import had ended before.")
    return redirect("library_run", run.pk)
