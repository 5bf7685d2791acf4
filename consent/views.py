"""The pages of people who take part: who they are, signing, receipts, withdrawing; and what anybody may read."""

import datetime
import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from consent import keys, ledger, services, withdrawals
from consent.forms import INTENT, STALE, AboutForm, SignForm, WithdrawForm
from consent.models import Consent, ConsentForm, Contributor, FormText, Receipt, User
from consent.pages import form_page
from consent.roles import contributor_required, user_required
from consent.signing import public_pem


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    user = request.user
    if user.is_authenticated and user.is_staff:
        return redirect("staff")
    if user.is_authenticated and Contributor.objects.filter(user=user).exists():
        return redirect("me")
    return render(request, "consent/home.html")


@require_GET
@never_cache
@contributor_required
def me(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    consents = _consents(contributor)
    live = set(Consent.objects.live().filter(contributor=contributor).values_list("pk", flat=True))
    signed = {consent.text.form_id for consent in consents if consent.pk in live}
    texts = filter(None, (form.current_text() for form in ConsentForm.objects.order_by("name")))
    return render(
        request,
        "consent/me.html",
        {"consents": consents, "live": live, "unsigned": [text for text in texts if text.form_id not in signed]},
    )


def _consents(contributor: Contributor) -> list[Consent]:
    found = Consent.objects.filter(contributor=contributor).select_related("text__form", "receipt")
    return list(found.prefetch_related("granted__purpose", "withdrawals").order_by("-signed_at"))


@form_page
@never_cache
@user_required
def about(request: HttpRequest, user: User) -> HttpResponse:
    """Date of birth and country, once. Nothing of a minor's answer is kept."""
    if Contributor.objects.filter(user=user).exists():
        return redirect(_next(request))
    form = AboutForm(request.POST or None)
    if form.is_valid():
        try:
            services.register_contributor(user=user, **form.cleaned_data)
            return redirect(_next(request))
        except services.Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "consent/about.html", {"form": form})


def _next(request: HttpRequest) -> str:
    """Where the person was going when we led them here; their own page otherwise."""
    address = request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    # `redirect` takes what has no slash for the name of a view.
    return address if safe and "/" in address else reverse("me")


@form_page
@never_cache
@contributor_required
def sign(request: HttpRequest, contributor: Contributor, form_slug: str) -> HttpResponse:
    text = _current_text(form_slug)
    form = SignForm(request.POST or None, text=text)
    if form.is_stale():
        messages.warning(request, STALE)
        form = SignForm(text=text)
    elif form.is_valid():
        try:
            services.grant(contributor=contributor, text=text, **_signature(request, form.cleaned_data))
            messages.success(request, "Thank you. We mail you a receipt, and you find it on My page.")
            return redirect(_next(request))
        except services.Refused as refused:
            form.add_error(None, str(refused))
    until = timezone.now() + datetime.timedelta(days=text.retention_days)
    return render(request, "consent/sign.html", {"form": form, "text": text, "until": until})


def _current_text(form_slug: str) -> FormText:
    text = get_object_or_404(ConsentForm, slug=form_slug).current_text()
    if text is None:
        raise Http404("This form has no published text.")
    return text


def _signature(request: HttpRequest, cleaned: dict[str, Any]) -> dict[str, Any]:
    """What services.grant takes from a filled-in form and its request."""
    return {
        "purposes": cleaned["purposes"],
        "signer_name": cleaned["signer_name"],
        "intent": INTENT,
        "submission": cleaned["submission"],
        "evidence": services.Evidence(
            viewed_at=cleaned["viewed_at"],
            ip=request.META.get("REMOTE_ADDR") or None,
            user_agent=request.headers.get("User-Agent", ""),
            time_zone=cleaned["time_zone"],
        ),
    }


@form_page
@never_cache
@contributor_required
def withdraw(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    if request.method == "POST" and _withdraw(request, contributor):
        return redirect("me")
    consents = [c for c in _consents(contributor) if any(state.live for state in c.purpose_states())]
    return render(request, "consent/withdraw.html", {"consents": consents})


def _withdraw(request: HttpRequest, contributor: Contributor) -> bool:
    form = WithdrawForm(request.POST, contributor=contributor)
    if not form.is_valid():
        messages.error(request, "We did not find that permission among yours. Please choose below.")
        return False
    consent, purpose = form.cleaned_data["consent"], form.cleaned_data["purpose"] or None
    try:
        if consent is None:
            withdrawals.withdraw_all(contributor=contributor)
        else:
            withdrawals.withdraw(consent=consent, purpose=purpose)
    except services.Refused as refused:
        messages.error(request, str(refused))
        return False
    messages.success(request, "Done. From this moment your photographs are no longer used for what you took back.")
    return True


@require_GET
@never_cache
@contributor_required
def receipt_json(request: HttpRequest, contributor: Contributor, consent_id: uuid.UUID) -> HttpResponse:
    receipt = get_object_or_404(Receipt, consent=consent_id, consent__contributor=contributor)
    return _download(receipt.envelope.encode(), "application/json", f"receipt-{consent_id}.json")


@require_GET
@never_cache
@contributor_required
def receipt_pdf(request: HttpRequest, contributor: Contributor, consent_id: uuid.UUID) -> HttpResponse:
    receipt = get_object_or_404(Receipt, consent=consent_id, consent__contributor=contributor)
    return _download(bytes(receipt.pdf), "application/pdf", f"signed-text-{consent_id}.pdf")


def _download(content: bytes, media_type: str, name: str) -> HttpResponse:
    return HttpResponse(content, media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@require_GET
def public_key(request: HttpRequest) -> HttpResponse:
    return HttpResponse(public_pem(keys.public_key()), "application/x-pem-file")


@require_GET
@never_cache
def checkpoint(request: HttpRequest) -> HttpResponse:
    head = ledger.latest_checkpoint()
    if head is None:
        raise Http404("The ledger has not been sealed yet.")
    return HttpResponse(head.note, "text/plain; charset=utf-8")
