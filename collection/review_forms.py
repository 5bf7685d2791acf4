"""Forms of the review desk."""

from django import forms

from collection.models import ReviewDecision
from collection.review import REJECTIONS

CONFIRM = "confirm"  # turn down for the reason that the first reviewer gave


class DecisionForm(forms.Form):
    decision = forms.ChoiceField(choices=[*ReviewDecision.Kind.choices, (CONFIRM, "turned down as well")])
    reason = forms.ChoiceField(choices=list(REJECTIONS.items()), required=False)
    note = forms.CharField(max_length=300, required=False)


class PeriodForm(forms.Form):
    days = forms.TypedChoiceField(
        choices=[(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year")],
        coerce=int,
    )
