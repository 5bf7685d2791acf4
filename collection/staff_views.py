"""The staff pages of this app: the review desk, calls. (Libraries: collection.library_views.)"""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from collection import freezes, services, tasks
from collection.forms import CallForm, DecisionForm
from collection.models import Image, ImageStatus
from collection.views import preview_response
from consent.hints import hint
from consent.pages import form_page
from consent.roles import DATA_MANAGER, REVIEWER, role_required, staff_user


@require_GET
@never_cache
@role_required(REVIEWER)
def review_queue(request: HttpRequest) -> HttpResponse:
    """What is held, oldest first."""
    held = Image.objects.filter(status=ImageStatus.NEEDS_REVIEW).with_live_basis().order_by("received_at")
    return render(request, "collection/review_queue.html", {"images": held.prefetch_related("transitions")[:200]})


@form_page
@never_cache
@role_required(REVIEWER)
def review_image(request: HttpRequest, image_id: uuid.UUID) -> HttpResponse:
    """One held image beside what it resembles, and the decision."""
    form = DecisionForm(request.POST or None)
    if form.is_valid() and form.cleaned_data["decision"] == "minor":
        return _hold_minor(request, image_id)
    image = get_object_or_404(Image.objects.with_live_basis(), pk=image_id)
    if form.is_valid():
        try:
            services.settle_review(
                image=image,
                decision=form.cleaned_data["decision"],
                reviewer=staff_user(request),
                reason=form.cleaned_data["reason"],
            )
            hint(tasks.advance_task, str(image.pk))
            messages.success(request, "Settled.")
        except services.Refused as refused:
            messages.warning(request, str(refused))
        return redirect("review_queue")
    resembles = image.resembles.filter(original__in=Image.objects.with_live_basis()).select_related("original")
    return render(
        request,
        "collection/review_image.html",
        {"image": image, "form": form, "resembles": resembles.order_by("distance")},
    )


def _hold_minor(request: HttpRequest, image_id: uuid.UUID) -> HttpResponse:
    """Sent twice, the image is frozen already the second time."""
    image = get_object_or_404(Image.objects.entitled(), pk=image_id)
    freezes.report_minor(image=image)
    messages.success(request, "All photographs of this person are frozen. The data-protection officer decides.")
    return redirect("review_queue")


@require_GET
@role_required(REVIEWER)
def staff_preview(request: HttpRequest, image_id: uuid.UUID) -> HttpResponseBase:
    return preview_response(Image.objects.with_live_basis().filter(pk=image_id).first())


@form_page
@role_required(DATA_MANAGER)
def call_add(request: HttpRequest) -> HttpResponse:
    form = CallForm(request.POST or None)
    if form.is_valid():
        call = form.save()
        messages.success(request, "The call is open." if call.is_open() else "The call is saved.")
        return redirect("call", call.slug)
    return render(request, "collection/call_add.html", {"form": form})
