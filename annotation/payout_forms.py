"""What people fill in on the pages about pay."""

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

from annotation.bank_details import checked_bic, checked_iban
from annotation.payout_models import MOVES, Payee, PaymentState
from annotation.proposal_models import Proposal, ProposalDecision
from consent.countries import COUNTRIES
from consent.refusals import Refused

CURRENCY = RegexValidator(r"^[A-Z]{3}$", "Give the three capital letters of the currency, such as EUR.")
# What a data manager reads for each answer of the bank.
OUTCOMES = {
    PaymentState.SETTLED: "Settled: the bank paid it",
    PaymentState.FAILED: "Failed: the bank did not pay it",
    PaymentState.REVERSED: "Reversed: it was paid and came back",
}


class PayeeForm(forms.ModelForm):
    iban = forms.CharField(
        label="IBAN",
        max_length=60,  # people write it in groups of four
        help_text="The number of your bank account, as on your bank card.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    country = forms.ChoiceField(
        choices=[("", "Choose"), *COUNTRIES.items()], widget=forms.Select(attrs={"autocomplete": "country"})
    )

    class Meta:
        model = Payee
        fields: ClassVar = list(Payee.FIELDS)
        labels: ClassVar = {
            "name": "Account holder's name", "bic": "BIC", "building": "House number",
        }  # fmt: skip
        help_texts: ClassVar = {"bic": "Only if your bank asks for it."}
        widgets: ClassVar = {
            name: forms.TextInput(attrs={"autocomplete": hint, "spellcheck": "false"})
            for name, hint in {
                "name": "name", "bic": "off", "street": "address-line1", "building": "off",
                "postcode": "postal-code", "town": "address-level2",
            }.items()
        }  # fmt: skip

    def clean_iban(self) -> str:
        return _checked(checked_iban, self.cleaned_data["iban"])

    def clean_bic(self) -> str:
        return _checked(checked_bic, self.cleaned_data["bic"])


def _checked(check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except Refused as refusal:
        raise ValidationError(str(refusal)) from refusal


class AdjustForm(forms.Form):
    amount = forms.DecimalField(
        max_digits=10, decimal_places=4, help_text="With a minus sign when something is taken back."
    )
    currency = forms.CharField(initial="EUR", validators=[CURRENCY])
    reason = forms.CharField(max_length=300, help_text="The annotator reads it.")


class PrepareForm(forms.Form):
    currency = forms.CharField(initial="EUR", validators=[CURRENCY])
    minimum = forms.DecimalField(
        label="Minimum amount",
        max_digits=10,
        decimal_places=2,
        initial=lambda: settings.PAYOUT_MINIMUM,
        help_text="Who is owed less waits for a later run.",
    )


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=300, help_text="The people who are not paid read it.")


class DecideForm(forms.Form):
    """What a second person says to a proposal."""

    proposal = forms.ModelChoiceField(Proposal.objects.all())
    outcome = forms.ChoiceField(choices=ProposalDecision.Outcome)


class OutcomeForm(forms.Form):
    """What the bank said of one payment in `state`."""

    new = forms.ChoiceField(label="What the bank said", widget=forms.RadioSelect)
    reason = forms.CharField(
        max_length=300,
        required=False,
        help_text="When it was not paid or came back: a second person has to agree, and the annotator reads it.",
    )

    def __init__(self, *args: Any, state: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        possible = MOVES.get(state, ()) if state != PaymentState.PREPARED else ()
        self.fields["new"].choices = [(new, OUTCOMES[PaymentState(new)]) for new in possible]  # type: ignore[attr-defined]
