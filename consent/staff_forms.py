"""The forms of data managers: purposes, form texts, licences."""

from typing import Any, ClassVar

from django import forms

from consent.models import FormText, Licence, Purpose
from consent.texts import NEEDED


class LinesField(forms.CharField):
    """Text with one value per line; gives a list."""

    widget = forms.Textarea(attrs={"rows": 3})

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip()]


def _purposes(label: str) -> forms.ModelMultipleChoiceField:
    return forms.ModelMultipleChoiceField(
        Purpose.objects.order_by("code"),
        label=label,
        error_messages={"required": "Choose at least one purpose."},
        widget=forms.CheckboxSelectMultiple,
        help_text="None in the list? Add a purpose first.",
    )


class PurposeForm(forms.ModelForm):
    class Meta:
        model = Purpose
        fields: ClassVar = ["code", "name", "description"]
        help_texts: ClassVar = {"code": "Short and in small letters, such as research. It never changes."}
        error_messages: ClassVar = {
            "code": {"invalid": "Letters, digits, - and _ only, without spaces, such as public-research."}
        }


class TextForm(forms.ModelForm):
    """A new version of a form. What the law wants but is missing is named as texts.publish_text names it."""

    slug = forms.SlugField(label="Form", help_text="Its name in addresses, such as portrait. A new one starts a form.")
    name = forms.CharField(label="Name of the form", max_length=100)
    data_categories = LinesField(
        label="Categories of data", help_text="One per line, as terms of DPV, e.g. pd:Picture."
    )
    recipients = LinesField(label="Recipients", help_text="Who receives the data; one per line.")
    storage_locations = LinesField(label="Stored in", help_text="Country codes, one per line, e.g. IE.")
    purposes = _purposes("Purposes that people may tick")

    class Meta:
        model = FormText
        fields: ClassVar = [
            "slug", "name", "version", "language", "title", "summary", "body", "purposes", "controller_name",
            "controller_address", "contact", "data_categories", "recipients", "transfers", "storage_locations",
            "retention_days", "complaint_body", "jurisdiction",
        ]  # fmt: skip
        labels: ClassVar = {
            "body": "Full text (Markdown)",
            "contact": "Contact for privacy questions",
            "retention_days": "Kept for (days)",
            "complaint_body": "Authority that takes complaints",
        }
        help_texts: ClassVar = {
            "version": "Never used before for this form and language, e.g. 1.0.0.",
            "summary": "What people read first: short and plain.",
            "transfers": "To which countries outside the EU, and on what grounds; or that there are none.",
            "jurisdiction": "Country code, e.g. IE.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, words in NEEDED.items():
            self.fields[name].required = True
            self.fields[name].error_messages["required"] = f"The text does not say: {words}."

    def statements(self) -> dict[str, Any]:
        """What was typed, as texts.publish_text takes it."""
        return {**self.cleaned_data, "purposes": [purpose.pk for purpose in self.cleaned_data["purposes"]]}


class LicenceForm(forms.ModelForm):
    purposes = _purposes("What the library may be used for")
    evidence = forms.FileField(
        label="The licence agreement",
        help_text="We keep its name and its SHA-256, not the file itself: keep the original safe.",
    )
    currency = forms.RegexField(r"^[A-Z]{3}$", initial="EUR", help_text="ISO 4217 code, e.g. EUR.")
    terms = forms.RegexField(
        r"^[A-Za-z0-9][A-Za-z0-9.+-]*$",
        max_length=100,
        help_text="SPDX identifier, or LicenseRef- and a name.",
        error_messages={"invalid": "No spaces. Terms of their own are LicenseRef- and a name: LicenseRef-Stock-2026."},
    )
    territory = forms.RegexField(
        r"^(WORLD|[A-Z]{2}(, ?[A-Z]{2})*)$",
        max_length=100,
        help_text="Country codes such as IE, DE; or WORLD.",
        error_messages={"invalid": "Give capital country codes with commas between them, e.g. IE, DE; or WORLD."},
    )

    class Meta:
        model = Licence
        fields: ClassVar = [
            "licensor", "title", "terms", "territory", "purposes", "starts_on", "ends_on", "price", "currency",
            "model_release", "evidence",
        ]  # fmt: skip
        widgets: ClassVar = {name: forms.DateInput(attrs={"type": "date"}) for name in ("starts_on", "ends_on")}
