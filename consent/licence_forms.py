"""The form in which data managers record a licence."""

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms

from consent.form_forms import purposes_field
from consent.licensing import known_terms, known_territory
from consent.models import Licence
from consent.refusals import Refused


class LicenceForm(forms.ModelForm):
    purposes = purposes_field("What the library may be used for")
    evidence = forms.FileField(
        label="The licence agreement",
        help_text="The signed contract. It is kept, with its SHA-256, for data managers and the protection officer.",
    )
    currency = forms.RegexField(r"^[A-Z]{3}$", initial="EUR", help_text="ISO 4217 code, e.g. EUR.")

    class Meta:
        model = Licence
        fields: ClassVar = [
            "licensor", "title", "terms", "territory", "purposes", "starts_on", "ends_on", "volume_cap", "price",
            "price_basis", "currency", "model_release", "self_reported_attributes", "evidence",
        ]  # fmt: skip
        labels: ClassVar = {
            "starts_on": "First day",
            "ends_on": "Last day",
            "volume_cap": "Most images it covers",
            "price_basis": "The price is",
            "model_release": "The licensor holds a model release of everybody depicted",
            "self_reported_attributes": "The licence covers what the people depicted said about themselves",
        }
        help_texts: ClassVar = {
            "terms": "An SPDX identifier such as CC-BY-4.0, or LicenseRef- and a name for terms of their own.",
            "territory": "Country codes such as IE, DE; or WORLD.",
            "ends_on": "The images may be used until midnight UTC of this day.",
            "volume_cap": "Leave it empty if there is no cap. Imports stop at it.",
            "price": "Without tax.",
            "self_reported_attributes": "Skin tone, age band, gender, ancestry, country: given by the people "
            "themselves and licensed with their photographs. Only then are those columns of a manifest read.",
            "model_release": "If not, each image has to come with a signed release of its own (column release).",
        }
        widgets: ClassVar = {name: forms.DateInput(attrs={"type": "date"}) for name in ("starts_on", "ends_on")}

    def clean_terms(self) -> str:
        return self._known(known_terms, "terms")

    def clean_territory(self) -> str:
        return self._known(known_territory, "territory")

    def _known(self, check: Callable[[str], str], name: str) -> str:
        try:
            return check(self.cleaned_data[name])
        except Refused as refused:
            raise forms.ValidationError(str(refused)) from None

    def statements(self) -> dict[str, Any]:
        """What was typed, as licensing.add_licence takes it."""
        return {**self.cleaned_data, "purposes": [purpose.pk for purpose in self.cleaned_data["purposes"]]}
