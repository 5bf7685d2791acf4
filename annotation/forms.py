"""What people fill in on the annotation pages."""

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MinLengthValidator, RegexValidator

from annotation.config import KINDS, parse_config, starter_config
from annotation.joining_models import CampaignLanguage
from annotation.languages import CHOICES
from annotation.models import Campaign
from consent.refusals import Refused


class CampaignForm(forms.ModelForm):
    name = forms.CharField(
        max_length=100, validators=[MinLengthValidator(3)], help_text="Annotators see it in Label Studio"
    )
    config = forms.CharField(
        label="Labelling config",
        initial=starter_config,
        widget=forms.Textarea(attrs={"rows": 22, "spellcheck": "false"}),
        help_text=f"Label Studio XML. It may use {', '.join(KINDS)}.",
    )
    currency = forms.CharField(
        initial="EUR",
        validators=[RegexValidator(r"^[A-Z]{3}$", "Give the three capital letters of the currency, such as EUR.")],
    )

    languages = forms.MultipleChoiceField(
        label="Only annotators who know one of these languages",
        choices=CHOICES,
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 6}),
        help_text="None chosen: everybody. Several are chosen with Ctrl or Cmd held down.",
    )

    class Meta:
        model = Campaign
        fields: ClassVar = [
            "name",
            "purpose",
            "call",
            "basis",
            "sample_size",
            "strata",
            "config",
            "overlap",
            "rate",
            "currency",
            "budget",
            "daily_annotations",
            "daily_cost",
            "starts_on",
            "ends_on",
            "gold_percent",
            "gold_pass_percent",
            "training",
            "languages",
        ]
        labels: ClassVar = {
            "training": "Only annotators who passed this training",
            "call": "Photographs of this call only",
            "basis": "Which photographs",
            "sample_size": "At most so many photographs",
            "strata": "Drawn how",
            "rate": "Pay per accepted annotation",
            "overlap": "Annotations per photograph",
            "daily_annotations": "At most so many annotations a day",
            "daily_cost": "At most so much money a day",
            "starts_on": "First day",
            "ends_on": "Last day",
            "gold_percent": "Gold tasks, in a hundred",
            "gold_pass_percent": "Pause annotators who agree with the reviewer on fewer than so many in a hundred",
        }
        help_texts: ClassVar = {
            "overlap": "By as many people.",
            "rate": "",
            "sample_size": "Empty: all that there are, also those that come later.",
            "strata": "Only where a number is given. Groups are what people say of themselves.",
            "daily_annotations": "Empty: no limit. What is open on a screen when the limit is reached is still paid.",
            "gold_percent": "Drawn at random. Reviewers say their answer; annotators cannot tell them from others.",
            "gold_pass_percent": "Empty: nobody is paused automatically.",
            "training": "Trainings are made on the page about the quality of a campaign whose gold is answered.",
        }
        widgets: ClassVar = {
            "starts_on": forms.DateInput(attrs={"type": "date"}),
            "ends_on": forms.DateInput(attrs={"type": "date"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        call = self.fields["call"]
        call.empty_label = "All calls"  # type: ignore[attr-defined]
        self.fields["training"].empty_label = "No training"  # type: ignore[attr-defined]

    def clean_config(self) -> str:
        config: str = self.cleaned_data["config"]
        try:
            parse_config(config)
        except Refused as refusal:
            raise ValidationError(str(refusal)) from refusal
        return config

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        rate, overlap, budget = given.get("rate"), given.get("overlap"), given.get("budget")
        if rate is not None and rate <= 0:
            self.add_error("rate", "The pay must be more than zero.")
        if overlap is not None and overlap < 1:
            self.add_error("overlap", "Ask for at least one annotation.")
        if rate and overlap and budget is not None and budget < rate * overlap:
            self.add_error("budget", f"One photograph costs {rate * overlap}. Give at least that.")
        if rate and rate > 0 and given.get("daily_cost") is not None and given["daily_cost"] < rate:
            self.add_error("daily_cost", f"One annotation costs {rate}. Give at least that, or leave it empty.")
        if given.get("strata") and not given.get("sample_size"):
            self.add_error("sample_size", "Say how many photographs are to be drawn.")
        if given.get("call") and given.get("basis") == Campaign.Basis.LICENCE:
            self.add_error("basis", "Photographs of a call are contributed. Choose those, or no call.")
        training = given.get("training")
        if training and given.get("config") and parse_config(training.campaign.config) != parse_config(given["config"]):
            self.add_error("training", "It asks for other things. Choose a training with the same labelling config.")
        first, last = given.get("starts_on"), given.get("ends_on")
        if first and last and last < first:
            self.add_error("ends_on", "The last day is before the first.")
        return given

    def _save_m2m(self) -> None:
        super()._save_m2m()  # type: ignore[misc]
        CampaignLanguage.objects.bulk_create(
            CampaignLanguage(campaign=self.instance, language=code) for code in self.cleaned_data["languages"]
        )


class TopUpForm(forms.Form):
    amount = forms.DecimalField(label="Add to the budget", min_value=Decimal("0.01"), max_digits=10, decimal_places=2)


class InviteForm(forms.Form):
    email = forms.EmailField(label="E-mail address", help_text="The invitation goes there and is good for 14 days.")
