"""Forms of the collection pages."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from consent.models import Licence

ACCEPTED = "image/jpeg,image/png,image/webp,image/heic,image/heif,image/avif,image/tiff,.heic,.heif,.avif,.tif,.tiff"


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
        help_text="JPEG, HEIC, PNG, WebP, AVIF or TIFF; several at once if you like.",
        widget=ManyFilesInput(attrs={"accept": ACCEPTED}),
    )


class LibraryForm(forms.Form):
    licence = forms.ModelChoiceField(Licence.objects.order_by("-created_at"), empty_label="Choose…")
    archive = forms.FileField(
        label="The library as a zip file",
        help_text="With manifest.csv in it: columns path, subject, model_release (yes for every row to be taken) and, "
        "where the licence asks for it, release (path of the signed model release); where it covers them, skin_tone, "
        "age_band, gender, ancestry, country as the people gave them.",
    )
