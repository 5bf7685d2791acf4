"""Forms in which people ask for something about their data: contributors, and anybody who is in a photograph."""

import uuid
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from consent.models import RightsRequest

Kind = RightsRequest.Kind
PHOTO_BYTES = 10 * 1024 * 1024


class OnceForm(forms.Form):
    """Carries the reference of the request that it becomes, so that sending it twice asks once."""

    reference = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"initial": {"reference": uuid.uuid4()}, "label_suffix": "", **options})


class DepictedForm(OnceForm):
    name = forms.CharField(label="Your name", max_length=200, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    email = forms.EmailField(
        label="Your e-mail address",
        help_text="Our answer goes there.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    photo = forms.FileField(
        label="A copy of the photograph",
        help_text="JPEG, PNG, WebP or HEIC, at most 10 MB. We compare it and do not keep it.",
        required=False,
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/webp,image/heic,.heic"}),
    )
    clues = forms.CharField(
        label="Or where it is",
        help_text="A link, the id of a photograph, or the row id or SHA-256 from a dataset; one per line.",
        max_length=5000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    words = forms.CharField(
        label="What we should know",
        help_text="For example who you are in it. You need not say why you mind.",
        max_length=5000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def clean_photo(self) -> bytes | None:
        photo: UploadedFile | None = self.cleaned_data["photo"]
        if photo is None:
            return None
        if photo.size is None or photo.size > PHOTO_BYTES:
            raise forms.ValidationError("The file is larger than 10 MB. Please send it in a smaller size.")
        content: bytes = photo.read()
        return content

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not any(cleaned.get(name) for name in ("photo", "clues", "words")):
            raise forms.ValidationError("Please tell us which photograph you mean: send a copy, or say where it is.")
        return cleaned


class CorrectionForm(OnceForm):
    about = forms.ChoiceField(
        label="What is wrong",
        choices=[
            ("", "Choose…"),
            *(
                (value, value)
                for value in ("Date of birth", "Country", "E-mail address", "My name", "A photograph", "Something else")
            ),
        ],
    )
    words = forms.CharField(label="What is right", max_length=5000, widget=forms.Textarea(attrs={"rows": 4}))

    def details(self) -> str:
        return f"{self.cleaned_data['about']}: {self.cleaned_data['words']}"


class ObjectionForm(OnceForm):
    words = forms.CharField(
        label="What you object to, and why",
        help_text="Tell us about your situation, so that we can weigh it.",
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 5}),
    )

    def details(self) -> str:
        return str(self.cleaned_data["words"])


class OtherForm(OnceForm):
    kind = forms.ChoiceField(
        label="What it is about",
        choices=[
            ("", "Choose…"),
            (Kind.ACCESS, "A question about my data"),
            (Kind.PORTABILITY, "Send my data to somebody else"),
            (Kind.ERASURE, "Erase something that I cannot erase myself"),
        ],
    )
    words = forms.CharField(label="What you ask for", max_length=5000, widget=forms.Textarea(attrs={"rows": 5}))

    def details(self) -> str:
        return str(self.cleaned_data["words"])
