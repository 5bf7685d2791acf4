"""What people fill in on the annotation pages."""

from typing import Any, ClassVar

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import MinLengthValidator, RegexValidator

from annotation.config import parse_config, starter_config
from annotation.models import Campaign, Invitation
from consent.models import User
from consent.refusals import Refused


class CampaignForm(forms.ModelForm):
    name = forms.CharField(
        max_length=100, validators=[MinLengthValidator(3)], help_text="Annotators see it in Label Studio"
    )
    config = forms.CharField(
        label="Labelling config",
        initial=starter_config,
        widget=forms.Textarea(attrs={"rows": 22, "spellcheck": "false"}),
        help_text="Label Studio XML. It may use Rating, Choices and RectangleLabels.",
    )
    currency = forms.CharField(
        initial="EUR",
        validators=[RegexValidator(r"^[A-Z]{3}$", "Give the three capital letters of the currency, such as EUR.")],
    )

    class Meta:
        model = Campaign
        fields: ClassVar = ["name", "purpose", "config", "overlap", "rate", "currency", "budget"]
        labels: ClassVar = {"rate": "Pay per accepted annotation", "overlap": "Annotations per photograph"}

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
        return given


class InviteForm(forms.Form):
    email = forms.EmailField(label="E-mail address", help_text="The invitation goes there and is good for 14 days.")


class JoinForm(forms.Form):
    """The agreement, and a password unless the invited person is signed in already."""

    password1 = forms.CharField(
        label="Choose a password", widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}), strip=False
    )
    agree = forms.BooleanField(label="I have read the agreement and agree to it")

    def __init__(self, *args: Any, invitation: Invitation, user: User | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invitation = invitation
        if user is not None:
            del self.fields["password1"]

    def clean_password1(self) -> str:
        password: str = self.cleaned_data["password1"]
        validate_password(password, User(email=self.invitation.email))
        return password
