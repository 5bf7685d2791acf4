"""The public page on which anybody checks a receipt that they hold. Nothing that is sent here is kept."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from consent import verification
from consent.pages import form_page
from consent.refusals import Refused

LARGEST_RECEIPT = 200_000  # bytes
LARGEST_PDF = 10_000_000


class VerifyForm(forms.Form):
    receipt = forms.FileField(
        label="The receipt (JSON file)",
        required=False,
        allow_empty_file=True,
        widget=forms.ClearableFileInput(attrs={"accept": ".json,application/json"}),
    )
    text = forms.CharField(
        label="Or paste what is in the file",
        required=False,
        max_length=LARGEST_RECEIPT,
        error_messages={"max_length": "That is too long for a receipt."},
        widget=forms.Textarea(attrs={"rows": 4, "class": "code", "spellcheck": "false"}),
    )
    pdf = forms.FileField(
        label="The signed text (PDF)",
        required=False,
        allow_empty_file=True,
        help_text="If you add it, we check that it is the one that belongs to the receipt.",
        widget=forms.ClearableFileInput(attrs={"accept": ".pdf,application/pdf"}),
    )

    def clean_receipt(self) -> bytes | None:
        return _content(self.cleaned_data["receipt"], LARGEST_RECEIPT, "That file is too large for a receipt.")

    def clean_pdf(self) -> bytes | None:
        return _content(self.cleaned_data["pdf"], LARGEST_PDF, "That file is too large for a signed text.")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not cleaned.get("receipt") and not cleaned.get("text"):
            self.add_error(None, "Choose the receipt as a file, or paste it.")
        return cleaned

    def envelope(self) -> bytes:
        """What to check: the file, else what was pasted."""
        pasted: str = self.cleaned_data["text"]
        return self.cleaned_data["receipt"] or pasted.encode()


def _content(file: UploadedFile | None, most: int, too_large: str) -> bytes | None:
    if file is None:
        return None
    if (file.size or 0) > most:
        raise forms.ValidationError(too_large)
    return bytes(file.read())


@form_page
@never_cache
def verify(request: HttpRequest) -> HttpResponse:
    form = VerifyForm(request.POST, request.FILES) if request.method == "POST" else VerifyForm()
    found = None
    if form.is_valid():
        try:
            found = verification.check_receipt(envelope=form.envelope(), pdf=form.cleaned_data["pdf"])
        except Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "consent/verify.html", {"form": form, "found": found})
