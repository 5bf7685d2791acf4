"""Forms of the rights desk."""

import uuid
from typing import Any

from django import forms

from consent.countries import COUNTRIES
from consent.models import RightsRequest

MOST = 200  # image ids typed at once


class ExtendForm(forms.Form):
    reason = forms.CharField(
        label="Why we need longer",
        help_text="The person is mailed this sentence. It must be about this request: complexity, or many requests.",
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class AnswerForm(forms.Form):
    outcome = forms.ChoiceField(label="Outcome", choices=[("", "Choose…"), *RightsRequest.Outcome.choices])
    answer = forms.CharField(
        label="What the person is told",
        help_text="What was done or why not, in plain words. The mail adds how to complain.",
        max_length=5000,
        widget=forms.Textarea,
    )


class FreezeForm(forms.Form):
    images = forms.CharField(
        label="Ids of photographs",
        help_text="One per line. They are frozen at once.",
        widget=forms.Textarea(attrs={"rows": 3, "class": "code"}),
    )

    def clean_images(self) -> list[uuid.UUID]:
        words = self.cleaned_data["images"].replace(",", " ").split()
        if len(words) > MOST:
            raise forms.ValidationError(f"Please enter at most {MOST} at once.")
        return [_image_id(word) for word in words]


def _image_id(word: str) -> uuid.UUID:
    try:
        return uuid.UUID(word)
    except ValueError:
        raise forms.ValidationError(f"“{word}” is not the id of a photograph.") from None


class PickForm(forms.Form):
    """The ticked ones among the photographs that a request holds."""

    image = forms.TypedMultipleChoiceField(coerce=uuid.UUID, required=False)
    everything = forms.BooleanField(required=False)

    def __init__(self, data: Any = None, *, held: list[uuid.UUID], **options: Any) -> None:
        super().__init__(data, **options)
        self.fields["image"].choices = [(str(image_id), str(image_id)) for image_id in held]  # type: ignore[attr-defined]
        self.held = held

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("everything"):
            return {"image": self.held}
        if not self.errors and not cleaned["image"]:
            raise forms.ValidationError("Please tick at least one photograph.")
        return cleaned


class CorrectForm(forms.Form):
    date_of_birth = forms.DateField(label="Date of birth", widget=forms.DateInput(attrs={"type": "date"}))
    country = forms.ChoiceField(label="Country they live in", choices=list(COUNTRIES.items()))
