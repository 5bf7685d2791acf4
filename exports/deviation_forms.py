"""Forms of the pages of deviation reports."""

from typing import Any, ClassVar

from django import forms

from exports.models import DeviationAction, GateException

OWNER = "A role or team, not a name: it is kept for good."


class ExceptionForm(forms.ModelForm):
    """Why a release may be published although the gate keeps it back."""

    class Meta:
        model = GateException
        fields: ClassVar[Any] = ("reason", "owner")
        widgets: ClassVar[Any] = {"reason": forms.Textarea(attrs={"rows": 4})}
        labels: ClassVar[Any] = {"reason": "Why it may be published all the same", "owner": "Who answers for it"}
        help_texts: ClassVar[Any] = {
            "reason": "What is behind the gap, and what follows from it for whoever uses the release. It goes into the "
            "release's card.",
            "owner": OWNER,
        }


class ActionForm(forms.ModelForm):
    """What is to be done, by whom, by which day."""

    due_on = forms.DateField(label="By which day", widget=forms.DateInput(attrs={"type": "date"}))

    class Meta:
        model = DeviationAction
        fields: ClassVar[Any] = ("what", "owner", "due_on")
        labels: ClassVar[Any] = {"what": "What is to be done", "owner": "Whose task it is"}
        help_texts: ClassVar[Any] = {"owner": OWNER}


class DoneForm(forms.Form):
    """What came of an action."""

    outcome = forms.CharField(max_length=300, label="What came of it")
