"""What reviewers of labels fill in."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from annotation.answers import Result
from annotation.config import REGIONS, Control
from annotation.models import Annotation
from consent.swatches import SwatchSelect

NO_ANSWER = ""
LEAVE_OUT = (NO_ANSWER, "Leave this out")
NONE = "\N{EMPTY SET}"  # no config of ours names a choice so
NONE_OF_THESE = (NONE, "To tick nothing is right")


class SeveralField(forms.MultipleChoiceField):
    """Any of some choices, or none of them, which is an answer too."""

    def validate(self, value: list[str]) -> None:
        super().validate(value)
        if NONE in value and len(value) > 1:
            raise ValidationError("Choose some of these, or none of them, not both.")


class GoldForm(forms.Form):
    """The reviewer's answer to each control of the config; of boxes and points, whose are right.

    `letters` are the annotations of the photograph by the letter that the page gives them. What is sent names the
    annotation itself: letters go to others when somebody changes theirs meanwhile.
    """

    def __init__(
        self, *args: Any, controls: Sequence[Control], letters: Mapping[str, Annotation], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.controls, self.letters = controls, letters
        for control in controls:
            self.fields[control.name] = self._field(control)

    def _field(self, control: Control) -> forms.Field:
        label = control.question or control.name.replace("_", " ").capitalize()
        if control.kind in REGIONS:
            drawn = {letter: said for letter, said in self.letters.items() if _regions(said.result, control.name)}
            choices = [LEAVE_OUT, *((str(said.pk), f"as {letter} has it") for letter, said in drawn.items())]
        elif control.kind == "rating":
            choices = [LEAVE_OUT, *((str(stars), str(stars)) for stars in range(1, control.max_rating + 1))]
        else:
            choices = [(value, value) for value in control.values]
            if control.multiple:
                return SeveralField(
                    label=label,
                    choices=[*choices, NONE_OF_THESE],
                    required=False,
                    widget=forms.CheckboxSelectMultiple,
                    help_text="Nothing ticked: left out.",
                )
            choices = [LEAVE_OUT, *choices]
        return forms.ChoiceField(label=label, choices=choices, required=False, widget=SwatchSelect(control.colours))

    def result(self) -> Result:
        """The answer in Label Studio's form."""
        return [item for control in self.controls for item in self._items(control)]

    def _items(self, control: Control) -> Result:
        given = self.cleaned_data[control.name]
        if not given:
            return []
        if control.kind in REGIONS:
            (said,) = (said for said in self.letters.values() if str(said.pk) == given)
            return _regions(said.result, control.name)
        value = {"rating": int(given)} if control.kind == "rating" else {"choices": _chosen(given)}
        return [{"from_name": control.name, "to_name": control.target, "type": control.kind, "value": value}]


def _regions(result: Result, name: str) -> Result:
    return [item for item in result if item["from_name"] == name]


def _chosen(given: Any) -> list[str]:
    chosen = given if isinstance(given, list) else [given]
    return [] if chosen == [NONE] else chosen


class RejectForm(forms.Form):
    reason = forms.CharField(label="Why", max_length=300, help_text="The annotator reads it. Their pay stays.")


class PauseForm(forms.Form):
    reason = forms.CharField(label="Why", max_length=300, help_text="The annotator reads it.")
