"""What contributors press to take something back. The forms check what was sent; services decide."""

import uuid
from typing import Any

from django import forms

from collection.models import Image
from consent.models import Aftermath, Consent, Contributor

UNKNOWN = "We did not find that permission among yours. Please choose below."


class AftermathForm(forms.Form):
    """What becomes of the photographs; erasing is what happens when nothing is said."""

    aftermath = forms.ChoiceField(choices=Aftermath.choices, required=False)

    def clean_aftermath(self) -> str:
        return self.cleaned_data["aftermath"] or Aftermath.ERASE


class WithdrawForm(AftermathForm):
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
            raise forms.ValidationError(UNKNOWN) from None


class RemoveForm(AftermathForm):
    """Single photographs: those that are ticked (`photo`), or one whose own button was pressed (`erase` or `keep`)."""

    photo = forms.ModelMultipleChoiceField(Image.objects.none(), required=False)
    erase = forms.ModelChoiceField(Image.objects.none(), required=False)
    keep = forms.ModelChoiceField(Image.objects.none(), required=False)

    def __init__(self, data: Any, *, contributor: Contributor) -> None:
        super().__init__(data)
        own = Image.objects.filter(consent__contributor=contributor)
        for name in ("photo", "erase", "keep"):
            self.fields[name].queryset = own  # type: ignore[attr-defined]

    def chosen(self) -> tuple[list[Image], str]:
        """The photographs, and what is to become of them."""
        for aftermath in (Aftermath.ERASE, Aftermath.KEEP):
            if image := self.cleaned_data[aftermath.value]:
                return [image], aftermath
        return list(self.cleaned_data["photo"]), self.cleaned_data["aftermath"]
