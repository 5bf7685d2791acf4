"""The rights desk of the data-protection officer: what people ask for, the photographs concerned, and the answer."""

import uuid
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET

from collection import freezes, tasks
from collection.desk_forms import AnswerForm, CorrectForm, ExtendForm, FreezeForm, PickForm
from collection.models import Freeze, Image
from collection.views import preview_response
from consent import desk
from consent.hints import hint
from consent.models import RightsRequest, User
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import PROTECTION_OFFICER, role_required, staff_user
from consent.tasks import mail_requests

ANSWERED_SHOWN = 50
SHOWN = 200  # photographs of one request on its page

Forms = dict[str, forms.Form]
Done = Callable[[RightsRequest, dict[str, Any], User], str]


@require_GET
@role_required(PROTECTION_OFFICER)
def desk_list(request: HttpRequest) -> HttpResponse:
    """What is open, the most urgent first, and what was answered last."""
    answered = RightsRequest.objects.filter(answered_at__isnull=False).order_by("-answered_at")
    by_people = answered.exclude(kind=RightsRequest.Kind.ACCESS, handled_by__isnull=True)  # downloads answer themselves
    context = {"waiting": desk.open_requests(), "answered": by_people[:ANSWERED_SHOWN]}
    return render(request, "collection/desk.html", context)


@form_page
@role_required(PROTECTION_OFFICER)
def desk_request(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    """One request: what it says, what it holds, and everything that can be done about it."""
    found = get_object_or_404(RightsRequest.objects.select_related("contributor__user", "handled_by"), pk=request_id)
    if found.kind == RightsRequest.Kind.HARM:  # only harm officers look and decide
        return redirect("harm_case", found.pk)
    action = request.POST.get("action", "")
    offered = _forms(found, request, action)
    form = offered.get(action)
    if request.method == "POST" and form is None:
        messages.warning(request, "That is not possible any more: the request was answered or changed meanwhile.")
        return redirect("desk_request", found.pk)
    if form is not None and form.is_valid():
        try:
            messages.success(request, ACTIONS[action](found, form.cleaned_data, staff_user(request)))
            return redirect("desk_request", found.pk)
        except Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "collection/desk_request.html", _context(found, offered))


def _forms(found: RightsRequest, request: HttpRequest, action: str) -> Forms:
    """What can be done about it now. Only the one that was sent is bound."""
    if found.answered_at is not None:
        return {}

    def data(name: str) -> Any:
        return request.POST if request.method == "POST" and name == action else None

    held = list(found.freezes.values_list("image_id", flat=True))  # decided ones too: the button may be pressed twice
    offered: Forms = {
        "lift": PickForm(data("lift"), held=held),
        "erase": PickForm(data("erase"), held=held),
        "freeze": FreezeForm(data("freeze"), prefix="freeze"),
        "answer": AnswerForm(data("answer"), prefix="answer"),
    }
    if found.extended_at is None and not found.is_overdue():
        offered["extend"] = ExtendForm(data("extend"), prefix="extend")
    if found.kind == RightsRequest.Kind.RECTIFICATION and found.contributor:
        person = found.contributor
        known = {"date_of_birth": person.date_of_birth, "country": person.country}
        offered["correct"] = CorrectForm(data("correct"), prefix="correct", initial=known)
    return offered


def _context(found: RightsRequest, offered: Forms) -> dict[str, Any]:
    held = freezes.held_images(found)
    there = Image.objects.filter(freezes__request=found).distinct()
    return {
        "found": found,
        "forms": offered,
        "pick_errors": [error for name in ("lift", "erase") if name in offered for error in _errors(offered[name])],
        "held": held.order_by("pk")[:SHOWN],
        "held_count": held.count(),
        "visible": set(_lookable(found).values_list("pk", flat=True)),
        "decided": there.exclude(pk__in=held.values("pk")).order_by("pk")[:SHOWN],
    }


def _errors(form: forms.Form) -> list[str]:
    return [str(error) for errors in form.errors.values() for error in errors]


def _lookable(found: RightsRequest) -> Any:
    """What the desk may look at for this request: what it holds, while the request is open and the right lasts."""
    held = freezes.held_images(found)
    lookable = found.answered_at is None and found.kind != RightsRequest.Kind.HARM  # that needs the special duty
    known_harm = Freeze.objects.preserving().values("image")  # held by another request, it needs that duty all the same
    return held.entitled().exclude(pk__in=known_harm) if lookable else held.none()


@require_GET
@role_required(PROTECTION_OFFICER)
def desk_preview(request: HttpRequest, request_id: uuid.UUID, image_id: uuid.UUID) -> HttpResponseBase:
    """The preview of a frozen photograph, which nobody else may look at."""
    found = get_object_or_404(RightsRequest, pk=request_id)
    return preview_response(_lookable(found).filter(pk=image_id).first())


# --- What can be done ----------------------------------------------------------------------------


def _lift(found: RightsRequest, cleaned: dict[str, Any], user: User) -> str:
    lifted = freezes.lift_freezes(request=found, images=cleaned["image"])
    return f"{lifted} no longer frozen by this request."


def _erase(found: RightsRequest, cleaned: dict[str, Any], user: User) -> str:
    removed = freezes.erase_frozen(request=found, images=cleaned["image"])
    hint(tasks.purge_withdrawn)
    return f"{len(removed)} taken out for good. Sweeps erase them everywhere, which takes about a minute."


def _freeze(found: RightsRequest, cleaned: dict[str, Any], user: User) -> str:
    wanted = cleaned["images"]
    known = Image.objects.filter(pk__in=wanted).count()
    made = freezes.freeze_images(images=wanted, request=found)
    unknown = len(set(wanted)) - known
    return f"{len(made)} more frozen." + (f" {unknown} of the ids name no photograph." if unknown else "")


def _extend(found: RightsRequest, cleaned: dict[str, Any], user: User) -> str:
    desk.extend_request(request=found, reason=cleaned["reason"], user=user)
    hint(mail_requests)
    return "Extended. The person is mailed the reason."


def _answer(found: RightsRequest, cleaned: dict[str, Any], user: User) -> str:
    freezes.close_request(request=found, user=user, **cleaned)
    hint(mail_requests)
    return "Answered. The person is mailed your words." if found.reply_to else "Answered."


def _correct(found: RightsRequest, cleaned: dict[str, Any], user: User) -> str:
    opened = freezes.correct_person(request=found, **cleaned)
    if opened is None:
        return "Corrected."
    return "Corrected. By this date they are a minor: all their photographs are frozen, in a request of its own."


ACTIONS: dict[str, Done] = {
    "lift": _lift,
    "erase": _erase,
    "freeze": _freeze,
    "extend": _extend,
    "answer": _answer,
    "correct": _correct,
}
