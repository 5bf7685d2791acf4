"""Signing: one page per form, in each language that it has a text in."""

import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.views.decorators.cache import never_cache

from consent import renewal, services, tasks
from consent.addresses import client_ip
from consent.hints import hint
from consent.languages import choose_text, own_name, wanted_languages
from consent.models import ConsentForm, Contributor, FormText
from consent.pages import form_page, next_address
from consent.roles import contributor_required
from consent.sign_forms import SignForm
from consent.words import words


@form_page
@never_cache
@contributor_required
def sign(request: HttpRequest, contributor: Contributor, form_slug: str) -> HttpResponse:
    texts = get_object_or_404(ConsentForm, slug=form_slug).current_texts()
    if not texts:
        raise Http404("This form has no published text.")
    text = _text_to_sign(request, texts)
    with translation.override(text.language):
        return _sign(request, contributor, text, texts)


def _text_to_sign(request: HttpRequest, texts: list[FormText]) -> FormText:
    """What was read is what is signed, whatever the address says; else the language that the person asks for."""
    sent = request.POST.get("text_sha256", "").replace("\0", "")  # PostgreSQL cannot be asked for it
    for text in texts:
        if text.sha256 == sent:
            return text
    earlier = FormText.objects.filter(form=texts[0].form, sha256=sent).values_list("language", flat=True)
    return choose_text(texts, [*earlier[:1], *wanted_languages(request)])


def _sign(request: HttpRequest, contributor: Contributor, text: FormText, texts: list[FormText]) -> HttpResponse:
    form = SignForm(request.POST or None, text=text, contributor=contributor)
    if form.is_stale():
        form = _shown_anew(request, form)
    elif form.is_bound and (trouble := form.trouble()):
        messages.warning(request, trouble)
        form = form.renewed()
    elif form.is_valid():
        try:
            consent = services.grant(contributor=contributor, text=text, **_signature(request, form))
            hint(tasks.issue_receipt, str(consent.pk))
            messages.success(request, form.says["done"])
            return redirect(next_address(request))
        except services.Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "consent/sign.html", _context(request, form, texts))


def _shown_anew(request: HttpRequest, form: SignForm) -> SignForm:
    """A changed text has no box ticked; what was ticked before is said in words."""
    ticked = form.ticked_words()
    before = form.says["ticked_before"].format(purposes=", ".join(ticked)) if ticked else ""
    messages.warning(request, f"{form.says['stale']} {before}".strip())
    return SignForm(text=form.text, contributor=form.contributor, signer_name=form.data.get("signer_name", ""))


def _signature(request: HttpRequest, form: SignForm) -> dict[str, Any]:
    """What services.grant takes from a filled-in form and its request."""
    cleaned = form.cleaned_data
    return {
        "purposes": cleaned["purposes"],
        "signer_name": cleaned["signer_name"],
        "intent": form.intent,
        "submission": cleaned["submission"],
        "evidence": services.Evidence(
            viewed_at=cleaned["viewed_at"],
            ip=client_ip(request),
            user_agent=request.headers.get("User-Agent", ""),
            time_zone=cleaned["time_zone"],
            answers=cleaned["answers"],
            drawing=cleaned["drawing"],
        ),
    }


def _context(request: HttpRequest, form: SignForm, texts: list[FormText]) -> dict[str, Any]:
    text, says = form.text, form.says
    before = renewal.signed_before(contributor=form.contributor, text=text)
    ends = timezone.now() + datetime.timedelta(days=text.retention_days)
    return {
        "form": form,
        "text": text,
        "words": words(text.language),
        "until": says["until"].format(date=_day(ends), days=text.retention_days),
        "before": before,
        "signed_already": says["signed_already"].format(date=_day(before.consent.signed_at)) if before else "",
        "languages": [_language_link(request, other, text) for other in texts] if len(texts) > 1 else [],
    }


def _day(moment: datetime.datetime) -> str:
    """The date as people write it in the language of the page."""
    return date_format(moment, "DATE_FORMAT")


def _language_link(request: HttpRequest, text: FormText, current: FormText) -> dict[str, Any]:
    query = request.GET.copy()
    query["language"] = text.language
    return {
        "tag": text.language,
        "name": own_name(text.language),
        "address": f"?{query.urlencode()}",
        "current": text == current,
    }
