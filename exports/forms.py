"""Forms of the staff pages."""

from typing import Any, ClassVar

from django import forms

from annotation.models import Campaign
from exports.models import Dataset


class DatasetForm(forms.ModelForm):
    """A new dataset. Its labels were made for its purpose, or it has none."""

    terms = forms.RegexField(
        r"^[A-Za-z0-9][A-Za-z0-9.+-]*$",
        max_length=100,
        initial="LicenseRef-Likeness-Research",
        help_text="SPDX identifier, or LicenseRef- and a name.",
    )

    class Meta:
        model = Dataset
        fields: ClassVar = ["slug", "title", "description", "purpose", "campaign", "terms"]
        labels: ClassVar = {"slug": "Short name in the address"}
        help_texts: ClassVar = {
            "slug": "Letters, digits and hyphens, such as portraits. It is the name by which the dataset is pulled.",
        }
        error_messages: ClassVar = {
            "slug": {"invalid": "Letters, digits and hyphens only, please, without blanks."},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What people are trained with is labelled by everybody once more: no labels to train anything with.
        self.fields["campaign"].queryset = Campaign.objects.filter(training_set=None)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        campaign, purpose = self.cleaned_data.get("campaign"), self.cleaned_data.get("purpose")
        if campaign and purpose and campaign.purpose_id != purpose.pk:
            self.add_error("campaign", f"It labels for {campaign.purpose}, not for {purpose}. Choose another.")
        return cleaned


class DraftForm(forms.Form):
    """What a drafter adds to a release; everything else in its card is computed."""

    notes = forms.CharField(
        label="Release notes",
        max_length=20_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What people who use it should know of this version. What changed is counted for you.",
    )


class RecipientForm(forms.Form):
    """Somebody who may pull one dataset."""

    name = forms.CharField(max_length=200, help_text="The team, as notices address it.")
    email = forms.EmailField(label="E-mail address", help_text="Notices about withdrawn rows go here.")
    dataset = forms.ModelChoiceField(Dataset.objects.order_by("title"))
