"""Taking back: everything, one purpose, single photographs. One page and one button, and no reason asked."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from collection import removals
from collection.models import Image, Removal
from collection.withdraw_forms import UNKNOWN, RemoveForm, WithdrawForm
from consent.models import Aftermath, Consent, Contributor, Purpose, Withdrawal
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import contributor_required
from consent.withdrawals import withdraw as withdraw_consent
from consent.withdrawals import withdraw_all

DONE = "Done. From this moment nobody is given what you took back."
RENEWED = (
    "You took that back before, and signed again since, so it is allowed now. To take it back again, choose it below."
)
NOTHING = "There was nothing left to take back."


@dataclass
class Permission:
    """What one person allows under one form now: the newest consent stands for those that it renewed."""

    consent: Consent
    purposes: list[Purpose] = field(default_factory=list)


@form_page
@never_cache
@contributor_required
def withdraw(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    if request.method == "POST" and (act := _withdraw(request, contributor)):
        return redirect("certificate", act)
    context = {
        "permissions": _permissions(contributor),
        "kept": removals.kept_by(contributor).count(),
        "acts": removals.acts_of(contributor),
    }
    return render(request, "collection/withdraw.html", context)


def _permissions(contributor: Contributor) -> list[Permission]:
    """One per form, the newest first, with every purpose that is still allowed under it."""
    live = Consent.objects.live().filter(contributor=contributor).select_related("text__form").order_by("-signed_at")
    found: dict[int, Permission] = {}
    for consent in live.prefetch_related("granted__purpose", "withdrawals"):
        permission = found.setdefault(consent.text.form_id, Permission(consent))
        allowed = (state.purpose for state in consent.purpose_states() if state.live)
        permission.purposes += [purpose for purpose in allowed if purpose not in permission.purposes]
    return list(found.values())


def _withdraw(request: HttpRequest, contributor: Contributor) -> uuid.UUID | None:
    """The act, or None with a message."""
    form = WithdrawForm(request.POST, contributor=contributor)
    if not form.is_valid():
        messages.error(request, UNKNOWN)
        return None
    consent, aftermath = form.cleaned_data["consent"], form.cleaned_data["aftermath"]
    try:
        if consent is None:
            made = withdraw_all(contributor=contributor, aftermath=aftermath)
        else:
            purpose = form.cleaned_data["purpose"] or None
            made = [withdraw_consent(consent=consent, purpose=purpose, aftermath=aftermath)]
    except Refused as refused:
        messages.error(request, str(refused))
        return None
    if consent is not None and _still_allowed(consent, form.cleaned_data["purpose"] or None):
        messages.warning(request, RENEWED)
        return None
    latest = made[0] if made else _latest(contributor)
    if latest:
        messages.success(request, DONE)
        return latest.act
    messages.info(request, NOTHING)
    return None


def _still_allowed(consent: Consent, purpose: str | None) -> bool:
    """True if an older page was sent: what it shows was taken back before, and signed anew since."""
    live = Consent.objects.live(purpose).filter(contributor=consent.contributor_id)
    return live.filter(text__form=consent.text.form_id).exists()


def _latest(contributor: Contributor) -> Withdrawal | None:
    """What an earlier press of the same button did."""
    return Withdrawal.objects.filter(consent__contributor=contributor).order_by("-made_at").first()


@require_POST
@never_cache
@contributor_required
def photos_remove(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    """Take back single photographs. Another person's are not found."""
    form = RemoveForm(request.POST, contributor=contributor)
    if not form.is_valid():
        raise Http404("These are not photographs of yours.")
    chosen, aftermath = form.chosen()
    if not chosen:
        messages.warning(request, "You did not tick any photograph, so nothing was taken back.")
        return redirect("photos")
    return _remove(request, contributor, chosen, aftermath)


@require_POST
@never_cache
@contributor_required
def kept_erase(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    """Erase, after all, everything that was taken back and kept."""
    return _remove(request, contributor, removals.kept_by(contributor), Aftermath.ERASE)


def _remove(request: HttpRequest, contributor: Contributor, images: Iterable[Image], aftermath: str) -> HttpResponse:
    """The certificate of the act; of the earlier one if all of them were taken back before."""
    wanted = [image.pk for image in images]
    open_ones = removals.removable_by(contributor).filter(pk__in=wanted)
    made = removals.remove_images(images=open_ones, cause=Removal.Cause.WITHDRAWN, aftermath=aftermath)
    made = made or list(Removal.objects.filter(image__in=wanted).order_by("-made_at"))
    if made:
        messages.success(request, DONE)
        return redirect("certificate", made[0].act)
    messages.info(request, NOTHING)
    return redirect("photos")
