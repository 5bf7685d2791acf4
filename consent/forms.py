"""The forms of people who take part. They check what was typed; services decide what is allowed."""

import datetime
import uuid
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core import signing
from django.utils import timezone

from consent.countries import COUNTRIES
from consent.models import Consent, Contributor, FormText

INTENT = "I have read the text. I sign it electronically by typing my name, of my own free will."
STALE = "The text has changed since you opened this page. Please read the new version below and choose again."
# Names what we sign with settings.SECRET_KEY: the moment at which a text was shown to somebody.
VIEWED_SALT = "consent.viewed"


class AboutForm(forms.Form):
    date_of_birth = forms.DateField(
        label="Your date of birth",
        help_text="Only adults may take part. We keep it as proof that you are one.",
        widget=forms.DateInput(attrs={"type": "date", "autocomplete": "bday"}),
    )
    country = forms.ChoiceField(
        label="The country you live in",
        help_text="It decides from which age you may sign for yourself.",
        choices=[("", "Choose…"), *COUNTRIES.items()],
    )


@dataclass(frozen=True)
class Shown:
    """What the page promised: this text, shown at this moment."""

    text_sha256: str
    at: datetime.datetime

    def sign(self) -> str:
        return signing.dumps([self.text_sha256, self.at.isoformat()], salt=VIEWED_SALT)

    @classmethod
    def open(cls, signed: str) -> "Shown":
        """ValueError unless we signed it."""
        try:
            sha256, at = signing.loads(signed, salt=VIEWED_SALT)
        except signing.BadSignature as error:
            raise ValueError("not a signed moment") from error
        return cls(sha256, datetime.datetime.fromisoformat(at))


class SignForm(forms.Form):
    """One box per purpose of a text, none of them ticked, and a signature."""

    signer_name = forms.CharField(
        label="Your full name",
        help_text="Typing your name here is your signature.",
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        error_messages={"required": "Please type your name to sign."},
    )
    agree = forms.BooleanField(
        label=INTENT, error_messages={"required": "Please tick this box if you want to sign electronically."}
    )
    text_sha256 = forms.CharField(widget=forms.HiddenInput)
    submission = forms.UUIDField(widget=forms.HiddenInput)
    viewed_at = forms.CharField(widget=forms.HiddenInput)
    time_zone = forms.CharField(widget=forms.HiddenInput, required=False, max_length=60)

    def __init__(self, data: Any = None, *, text: FormText) -> None:
        super().__init__(data, initial=self._fresh(text), label_suffix="")
        self.text = text
        for purpose in text.purposes.order_by("code"):
            self.fields[self._name(purpose.code)] = forms.BooleanField(
                label=purpose.name, help_text=purpose.description, required=False
            )
        self.order_fields([*self._purpose_names(), "signer_name", "agree"])

    @staticmethod
    def _fresh(text: FormText) -> dict[str, Any]:
        return {
            "text_sha256": text.sha256,
            "submission": uuid.uuid4(),
            "viewed_at": Shown(text.sha256, timezone.now()).sign(),
        }

    @staticmethod
    def _name(code: str) -> str:
        return f"purpose_{code}"

    def _purpose_names(self) -> list[str]:
        return [name for name in self.fields if name.startswith(self._name(""))]

    def purpose_fields(self) -> list[forms.BoundField]:
        """The tick boxes, for the template."""
        return [self[name] for name in self._purpose_names()]

    def is_stale(self) -> bool:
        """True if what was posted was another text than the one that stands now."""
        return self.is_bound and self.data.get("text_sha256") != self.text.sha256

    def clean_viewed_at(self) -> datetime.datetime:
        try:
            shown = Shown.open(self.cleaned_data["viewed_at"])
        except ValueError:
            shown = None
        if shown is None or shown.text_sha256 != self.text.sha256:
            raise forms.ValidationError("This page is no longer valid. Please open it again.")
        return shown.at

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        codes = [name.removeprefix(self._name("")) for name in self._purpose_names() if cleaned.get(name)]
        if not codes:
            self.add_error(
                None,
                "You did not tick any purpose, so nothing was signed. If you do not want your photographs to be used, "
                "you need not do anything.",
            )
        return {**cleaned, "purposes": codes}


class WithdrawForm(forms.Form):
    """Which consent ("all" for every one), and which of its purposes (empty for all)."""

    consent = forms.CharField()
    purpose = forms.CharField(required=False)

    def __init__(self, data: Any, *, contributor: Contributor) -> None:
        super().__init__(data)
        self.contributor = contributor

    def clean_consent(self) -> Consent | None:
        """The contributor's own consent; None stands for all of them."""
        value = self.cleaned_data["consent"]
        if value == "all":
            return None
        try:
            return Consent.objects.get(pk=uuid.UUID(value), contributor=self.contributor)
        except (ValueError, Consent.DoesNotExist):
            raise forms.ValidationError("We did not find that permission among yours.") from None
