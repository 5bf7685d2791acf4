"""Forms of the collection pages."""

from typing import Any, ClassVar

from django import forms
from django.core.files.uploadedfile import UploadedFile

from collection.models import Call
from consent.models import Licence


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """A file input that takes several files; cleans to their list."""

    widget = ManyFilesInput

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        files = data if isinstance(data, list | tuple) else [data]
        # An empty file is cleaned by the service, which has a better sentence for it.
        if not any(files):
            raise forms.ValidationError("Choose at least one photograph.", code="required")
        return [file for file in files if file]


class UploadForm(forms.Form):
    photos = ManyFilesField(
        label="Your photographs",
        help_text="JPEG, PNG, WebP or HEIC; several at once if you like.",
        widget=ManyFilesInput(attrs={"accept": "image/jpeg,image/png,image/webp,image/heic,.heic"}),
    )


class CallForm(forms.ModelForm):
    class Meta:
        model = Call
        fields: ClassVar = [
            "slug", "title", "description", "form", "opens_at", "closes_at", "max_per_person", "dpia_reference",
        ]  # fmt: skip
        labels: ClassVar = {
            "slug": "Short name in the address",
            "form": "Consent form",
            "opens_at": "Opens at (UTC)",
            "closes_at": "Closes at (UTC)",
            "max_per_person": "Photographs per person, at most",
            "dpia_reference": "DPIA reference",
        }
        widgets: ClassVar = {
            name: forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
            for name in ("opens_at", "closes_at")
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        opens, closes = cleaned.get("opens_at"), cleaned.get("closes_at")
        if opens and closes and closes <= opens:
            self.add_error("closes_at", "The call must close after it opens.")
        return cleaned


class DecisionForm(forms.Form):
    decision = forms.ChoiceField(
        choices=[("accept", "Accept"), ("duplicate", "Duplicate"), ("reject", "Reject"), ("minor", "Minor")]
    )
    reason = forms.CharField(max_length=300, required=False)


class LibraryForm(forms.Form):
    licence = forms.ModelChoiceField(Licence.objects.order_by("-created_at"))
    archive = forms.FileField(
        label="The library as a zip file",
        help_text="With manifest.csv in it: columns path, subject, model_release (yes for every row to be taken) and, "
        "where the licence asks for it, release (path of the signed model release); where it covers them, skin_tone, "
        "age_band, gender, ancestry, country as the people gave them.",
    )
