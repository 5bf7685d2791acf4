"""The optional page about oneself, and the counts that a fairness analyst sees."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from consent import demographics
from consent.countries import COUNTRIES
from consent.models import PREFER_NOT_TO_SAY, Contributor, Demographics
from consent.pages import form_page, next_address
from consent.refusals import Refused
from consent.roles import FAIRNESS_ANALYST, contributor_required, role_required
from consent.swatches import SwatchSelect

PREFER_NOT = (PREFER_NOT_TO_SAY, "Prefer not to say")
TONES = SwatchSelect(demographics.SKIN_TONES)


def _radio(label: str, choices: list[tuple[str, str]], help_text: str = "", widget: Any = None) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label,
        help_text=help_text,
        choices=[*choices, PREFER_NOT],
        widget=widget or forms.RadioSelect,
        required=False,
    )


def _choices(name: str) -> list[tuple[str, str]]:
    return list(demographics.ATTRIBUTES[name][1].items())


class AboutMeForm(forms.Form):
    """Five questions, each optional, none answered beforehand."""

    skin_tone = _radio(
        "Which is closest to your skin tone?", _choices("skin_tone"), "1 is the lightest, 10 the darkest.", TONES
    )
    age_band = _radio("May we note your age band?", [])
    gender = _radio("Your gender", _choices("gender"))
    ancestry = _radio(
        "Where does most of your family come from, some generations back?",
        _choices("ancestry"),
        "However you see it yourself.",
    )
    country = forms.ChoiceField(
        label="The country you live in",
        choices=[("", "Not answered"), PREFER_NOT, *COUNTRIES.items()],
        required=False,
    )

    def __init__(self, data: Any = None, *, contributor: Contributor, said: Demographics | None) -> None:
        super().__init__(data, initial=_initial(said), label_suffix="")
        band = demographics.age_band(contributor)
        words = demographics.ATTRIBUTES["age_band"][1].get(band, "")
        self.fields["age_band"].choices = [*([(band, f"Yes: {words}")] if band else []), PREFER_NOT]  # type: ignore[attr-defined]
        self.fields["age_band"].help_text = "We work it out from your date of birth, and only if you say yes here."


def _initial(said: Demographics | None) -> dict[str, str]:
    return {name: getattr(said, name) for name in demographics.ATTRIBUTES} if said else {}


@form_page
@never_cache
@contributor_required
def about_me(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    said = demographics.answers_of(contributor)
    form = AboutMeForm(request.POST or None, contributor=contributor, said=said)
    if form.is_valid():
        try:
            kept = demographics.save_answers(contributor=contributor, **form.cleaned_data)
            words = (
                f"Thank you. We delete it on {kept.delete_on:%-d %B %Y}, or when you say so."
                if kept
                else "Nothing is kept."
            )
            messages.success(request, words)
            return redirect(next_address(request))
        except Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "consent/about_me.html", {"form": form, "said": said, "onward": next_address(request)})


@require_POST
@never_cache
@contributor_required
def about_me_delete(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    demographics.delete_answers(contributor=contributor)
    messages.success(request, "We deleted what you had told us about yourself.")
    return redirect("me")


@require_GET
@role_required(FAIRNESS_ANALYST)
def fairness(request: HttpRequest) -> HttpResponse:
    return render(request, "consent/fairness.html", {"tables": demographics.count_tables()})
