"""The review desk: what waits in each queue, one case at a time, and the decisions."""

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import Count, Min
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from collection import best_copies, claims, face_marks, queues, review, screening, storage, taken_back, tasks
from collection.models import Image, ImageStatus, ReviewCase, ReviewDecision
from collection.review_forms import CONFIRM, DecisionForm
from consent.hints import hint
from consent.models import RightsRequest, User
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import PROTECTION_OFFICER, REVIEWER, has_role, role_required, staff_user

LISTED = 60  # photographs on the page of a queue
TAKEDOWN = (RightsRequest.Kind.DEPICTED, RightsRequest.Kind.OBJECTION)
TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


# --- What waits ----------------------------------------------------------------------------------


@require_GET
@role_required(REVIEWER)
def review_queue(request: HttpRequest) -> HttpResponse:
    """Every queue, and what waits longest in all of them."""
    _apply_due()
    return render(request, "collection/review_queue.html", _waiting(request, ""))


@require_GET
@role_required(REVIEWER)
def review_list(request: HttpRequest, queue: str) -> HttpResponse:
    """One queue: how many, how old, and Start."""
    _refuse_unknown(queue)
    _apply_due()
    return render(request, "collection/review_queue.html", _waiting(request, queue))


def _waiting(request: HttpRequest, queue: str) -> dict[str, Any]:
    user = staff_user(request)
    waits = claims.waiting(queue).select_related("review_case", "review_case__first").order_by("hold", "pk")
    rows = list(waits.prefetch_related("transitions")[:LISTED])
    return {
        "queue": queues.QUEUES.get(queue),
        "name": queue,
        "counts": [_counted(name, user) for name in ([queue] if queue else queues.QUEUES)],
        "images": rows,
        "now": timezone.now(),
        "takedown": RightsRequest.objects.filter(kind__in=TAKEDOWN, answered_at__isnull=True).count(),
        "may_take_down": has_role(request.user, PROTECTION_OFFICER),
        "undoable": review.undoable(user),
    }


def _counted(name: str, user: User) -> dict[str, Any]:
    found = claims.waiting(name).aggregate(count=Count("pk"), oldest=Min("received_at"))
    second = claims.waiting(name).filter(review_case__first__isnull=False).count()
    return {"name": name, "queue": queues.QUEUES[name], **found, "second": second}


def _apply_due() -> None:
    for image_id in review.apply_due():
        hint(tasks.advance_task, str(image_id))


def _refuse_unknown(queue: str) -> None:
    if queue not in queues.QUEUES:
        raise Http404


# --- Taking and leaving cases ----------------------------------------------------------------------


@require_POST
@role_required(REVIEWER)
def review_start(request: HttpRequest, queue: str) -> HttpResponse:
    """Take the oldest case of a queue that is free."""
    _refuse_unknown(queue)
    _apply_due()
    return _go_on(request, queue)


def _go_on(request: HttpRequest, queue: str, after: uuid.UUID | None = None, back: bool = False) -> HttpResponse:
    """The next case at once, or the queue's page when there is none."""
    following = claims.take_next(reviewer=staff_user(request), queue=queue, after=after, back=back)
    return redirect("review_image", following) if following else redirect("review_list", queue)


@require_POST
@role_required(REVIEWER)
def review_take(request: HttpRequest, image_id: uuid.UUID) -> HttpResponse:
    """Take this one case."""
    _apply_due()
    try:
        claims.take_case(image_id=image_id, reviewer=staff_user(request))
    except Refused as refused:
        messages.warning(request, str(refused))
        if str(refused) == claims.GONE:
            return redirect("review_queue")
    return redirect("review_image", image_id)


@require_POST
@role_required(REVIEWER)
def review_leave(request: HttpRequest, image_id: uuid.UUID) -> HttpResponse:
    """Give a case back and take the next one, or the one before."""
    _apply_due()
    queue = queues.queue_of_image(image_id)
    claims.leave_case(image_id=image_id, reviewer=staff_user(request))
    return _go_on(request, queue, after=image_id, back=request.POST.get("to") == "before")


@require_POST
@role_required(REVIEWER)
def review_beat(request: HttpRequest, image_id: uuid.UUID) -> HttpResponse:
    """A sign of life from the page of a case."""
    try:
        until = claims.keep_case(image_id=image_id, reviewer=staff_user(request))
    except Refused as refused:
        return JsonResponse({"says": str(refused)}, status=409)
    return JsonResponse({"until": f"{until:%H:%M:%S}"})


# --- One case ------------------------------------------------------------------------------------


@form_page
@never_cache
@role_required(REVIEWER)
def review_image(request: HttpRequest, image_id: uuid.UUID) -> HttpResponse:
    """One image beside what it resembles, and the decision."""
    if request.method == "POST":
        return _decide(request, image_id)
    _apply_due()
    image = get_object_or_404(Image.objects.with_live_basis(), pk=image_id)
    return render(request, "collection/review_image.html", _case(image, staff_user(request)))


def _case(image: Image, user: User, sent: DecisionForm | None = None) -> dict[str, Any]:
    """What the page of a case shows; `sent` is what could not be done, so that nothing of it is lost."""
    case = ReviewCase.objects.select_related("first__note", "pending").filter(pk=image.pk).first()
    held = image.status == ImageStatus.NEEDS_REVIEW
    pairs = list(review.resembling(image).select_related("original"))
    queue = queues.queue_of_image(image.pk)
    return {
        "image": image,
        "case": case,
        "held": held,
        "mine": held and claims.is_theirs(case, user),
        "why_not": claims.why_not(image_id=image.pk, reviewer=user) if held else "",
        "taken_back": taken_back.why_not(image) if held else "",
        "first": case.first if case else None,
        "resembles": pairs,
        "group": best_copies.group_of(image),
        "reasons": [(key, code, words) for key, (code, words) in enumerate(review.REJECTIONS.items(), 1)],
        "identity": review.IDENTITY,
        "name": queue,
        "queue": queues.QUEUES[queue],
        "hints": screening.hints_of(image),
        "faces": len(face_marks.open_faces(image)),
        "earlier": image.review_decisions.select_related("outcome", "note").order_by("pk"),
        "undoable": review.undoable(user),
        "sent": sent.data if sent else {},
        "left": claims.free_for(user, queue).exclude(pk=image.pk).count(),
    }


def _decide(request: HttpRequest, image_id: uuid.UUID) -> HttpResponse:
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _again(request, image_id, form, "Choose what to do with it, and keep the note under 300 characters.")
    if form.cleaned_data["decision"] == ReviewDecision.Kind.MINOR:
        return _hold_minor(request, image_id, form.cleaned_data["note"])
    said = _said(form.cleaned_data, image_id)
    try:
        decision = review.decide(image_id=image_id, reviewer=staff_user(request), **said)
    except Refused as refused:
        return _again(request, image_id, form, str(refused))
    _apply_due()
    return _go_on(request, decision.queue, after=image_id)


def _again(request: HttpRequest, image_id: uuid.UUID, form: DecisionForm, says: str) -> HttpResponse:
    """The case as it is now, with what was sent, and why that could not be done."""
    messages.warning(request, says)
    image = Image.objects.with_live_basis().filter(pk=image_id).first()
    if image is None:
        return redirect("review_queue")
    return render(request, "collection/review_image.html", _case(image, staff_user(request), form))


def _said(cleaned: dict[str, Any], image_id: uuid.UUID) -> dict[str, Any]:
    """What `decide` wants. To confirm is to turn down for what the first reviewer said."""
    kind, reason = cleaned["decision"], cleaned["reason"]
    if kind == CONFIRM:
        case = ReviewCase.objects.select_related("first").filter(pk=image_id).first()
        kind, reason = ReviewDecision.Kind.REJECT, case.first.reason if case and case.first else ""
    return {"kind": kind, "reason": reason, "note": cleaned["note"]}


def _hold_minor(request: HttpRequest, image_id: uuid.UUID, note: str) -> HttpResponse:
    """Sent twice, the image is frozen already the second time."""
    image = get_object_or_404(Image.objects.entitled(), pk=image_id)
    queue = queues.queue_of_image(image_id)
    review.report_minor(image=image, reviewer=staff_user(request), note=note)
    messages.success(request, "All photographs of this person are frozen. The data-protection officer decides.")
    return _go_on(request, queue, after=image_id)


@require_POST
@role_required(REVIEWER)
def review_undo(request: HttpRequest, decision_id: int) -> HttpResponse:
    """Back to the case that was decided last."""
    try:
        decision = review.undo(decision_id=decision_id, reviewer=staff_user(request))
    except Refused as refused:
        messages.warning(request, str(refused))
        return redirect("review_queue")
    messages.success(request, "Undone. The case is yours again.")
    return redirect("review_image", decision.image_id)


@require_GET
@never_cache
@role_required(REVIEWER)
def review_full(request: HttpRequest, image_id: uuid.UUID) -> HttpResponseBase:
    """The stripped copy in full size, to zoom into."""
    image = get_object_or_404(Image.objects.with_live_basis().exclude(clean_key=""), pk=image_id)
    return clean_copy(image)


def clean_copy(image: Image) -> HttpResponse:
    """The stripped bytes of an image that the caller has checked the right to; 404 if they are gone."""
    try:
        with storage.open_clean(image) as file:
            content = file.read()
    except FileNotFoundError:  # purged between the look-up and here
        raise Http404 from None
    kind = TYPES.get(image.clean_format, "application/octet-stream")
    return HttpResponse(content, content_type=kind, headers={"Cache-Control": "no-store"})
