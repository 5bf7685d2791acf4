"""What people fill in on their way in, and what staff fill in about it."""

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password

from annotation import terms
from annotation.about_annotators import ATTRIBUTES
from annotation.joining_models import WorkTerms
from annotation.languages import CHOICES
from annotation.models import Invitation
from consent.models import PREFER_NOT_TO_SAY, User


class AgreeForm(forms.Form):
    """The agreement to the terms that were shown: their hash comes back with it."""

    agree = forms.BooleanField(label="I have read the terms and agree to them")
    terms = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, data: Any = None, *, shown: WorkTerms) -> None:
        super().__init__(data, initial={"terms": shown.sha256})
        self.shown = shown
        self.changed = self.is_bound and self.data.get("terms") != shown.sha256
        if self.changed:  # the page that comes back shows the newest terms: whoever sends it again has seen those
            self.data = {**dict(self.data.items()), "terms": shown.sha256}

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if self.changed:
            self.add_error(None, "The terms were changed a moment ago. Please read them again.")
        return given


class JoinForm(AgreeForm):
    """The agreement, and a password unless the invited person is signed in already."""

    password1 = forms.CharField(
        label="Choose a password", widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}), strip=False
    )
    field_order = ("password1", "agree")

    def __init__(self, data: Any = None, *, shown: WorkTerms, invitation: Invitation, user: User | None) -> None:
        super().__init__(data, shown=shown)
        self.invitation = invitation
        if user is not None:
            del self.fields["password1"]

    def clean_password1(self) -> str:
        password: str = self.cleaned_data["password1"]
        validate_password(password, User(email=self.invitation.email))
        return password


class LanguagesForm(forms.Form):
    codes = forms.MultipleChoiceField(
        label="Which languages do you know well enough to work in?",
        choices=CHOICES,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Some campaigns are only for people who know a language. You can change this at any time.",
    )


class AboutForm(forms.Form):
    """Three questions, each optional, none answered beforehand."""

    def __init__(self, data: Any = None, *, initial: dict[str, str]) -> None:
        super().__init__(data, initial=initial, label_suffix="")
        for name, (title, words) in ATTRIBUTES.items():
            choices = [*words.items(), (PREFER_NOT_TO_SAY, "Prefer not to say")]
            self.fields[name] = forms.ChoiceField(
                label=title, choices=choices, required=False, widget=forms.RadioSelect
            )


# --- For staff -----------------------------------------------------------------------------------


class TermsForm(forms.Form):
    body = forms.CharField(
        label="Terms",
        max_length=terms.LONGEST,
        widget=forms.Textarea(attrs={"rows": 24}),
        help_text="CommonMark. What is published never changes; the next version takes its place.",
    )


class TrainingForm(forms.Form):
    size = forms.IntegerField(label="Photographs in an attempt", initial=10, min_value=1, max_value=500)
    pass_percent = forms.IntegerField(
        label="Passed with so many in a hundred right", initial=80, min_value=1, max_value=100
    )
    attempts = forms.IntegerField(
        label="Attempts", initial=2, min_value=1, max_value=20, help_text="Each is of other photographs."
    )
    places = forms.IntegerField(
        label="For how many annotators",
        initial=20,
        min_value=1,
        max_value=1000,
        help_text="The budget is reserved for all of them; what is not earned is free again when you close it.",
    )
