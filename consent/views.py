"""The pages of people who take part: who they are, signing, receipts, withdrawing; and what anybody may read."""

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from consent import demographics, services
from consent.forms import AboutForm
from consent.languages import choose_text, wanted_languages
from consent.models import Consent, ConsentForm, Contributor, FormText, Receipt, User
from consent.pages import form_page, next_address
from consent.roles import contributor_required, user_required
from consent.words import words


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
    outdated = set(FormText.objects.outdated().values_list("pk", flat=True))
    permitted = {consent.text.form_id for consent in consents if consent.pk in live}
    current = {consent.text.form_id for consent in consents if consent.pk in live and consent.text_id not in outdated}
    texts = _texts_to_read(request)
    return render(
        request,
        "consent/me.html",
        {
            "consents": consents,
            "live": live,
            "current": current,
            "unsigned": [text for text in texts if text.form_id not in permitted],
            "renewals": [(text, words(text.language).sign) for text in texts if text.form_id in permitted - current],
            "told_about_me": demographics.answers_of(contributor) is not None,
        },
    )


def _texts_to_read(request: HttpRequest) -> list[FormText]:
    """One text per form, in the language that the person reads."""
    forms = (form.current_texts() for form in ConsentForm.objects.order_by("name"))
    return [choose_text(texts, wanted_languages(request)) for texts in forms if texts]


def _consents(contributor: Contributor) -> list[Consent]:
    found = Consent.objects.filter(contributor=contributor).select_related("text__form", "receipt")
    return list(found.prefetch_related("granted__purpose", "withdrawals").order_by("-signed_at"))


@form_page
@never_cache
@user_required
def about(request: HttpRequest, user: User) -> HttpResponse:
    """Date of birth and country, once. Nothing of a minor's answer is kept."""
    if Contributor.objects.filter(user=user).exists():
        return redirect(next_address(request))
    form = AboutForm(request.POST or None)
    if form.is_valid():
        try:
            services.register_contributor(user=user, **form.cleaned_data)
            return redirect(next_address(request))
        except services.Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "consent/about.html", {"form": form})


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
