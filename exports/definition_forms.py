"""The form of a definition. It checks what was typed; exports.definitions decides what is allowed."""

from typing import Any, ClassVar

from django import forms

from consent.countries import COUNTRIES
from exports.definitions import control_names
from exports.models import Dataset, Definition, Format

LABELS = ("least_annotators", "least_agreement", "controls", "ratings", "choices")  # of no matter without a campaign
SMALLEST, LARGEST = 64, 20_000  # pixels


class DefinitionForm(forms.ModelForm):
    """Which photographs, labels, splits and files."""

    territory = forms.ChoiceField(
        label="Where it is to be used",
        choices=[("", "Anywhere"), *COUNTRIES.items()],
        required=False,
        help_text="Licensed photographs whose licence does not cover the country are left out.",
    )
    shorter_side = forms.IntegerField(
        label="Pixels on the shorter side, at least",
        help_text="Empty: any size.",
        min_value=SMALLEST,
        max_value=LARGEST,
        required=False,
    )
    least_annotators = forms.IntegerField(label="Annotators per photograph, at least", min_value=1, max_value=100)
    least_agreement = forms.IntegerField(
        label="They agree on at least so many in a hundred comparisons",
        min_value=1,
        max_value=100,
        required=False,
        help_text="Empty: whatever they say. Ratings one step apart, boxes that overlap by half and points close to "
        "each other agree.",
    )
    controls = forms.MultipleChoiceField(
        label="Which labels", widget=forms.CheckboxSelectMultiple, required=False, help_text="None ticked: all."
    )
    train_percent = forms.IntegerField(label="For training, per cent", min_value=1, max_value=100)
    validation_percent = forms.IntegerField(
        label="For validation, per cent",
        min_value=0,
        max_value=99,
        help_text="The rest is for testing. A person, and photographs that look alike, are in one split only, so the "
        "shares are met about. What is in a split already stays there.",
    )
    formats = forms.MultipleChoiceField(
        label="Files, beside Parquet", choices=Format.choices, widget=forms.CheckboxSelectMultiple, required=False
    )
    longest_side = forms.IntegerField(
        label="Pixels on the longer side, at most",
        help_text="Larger photographs are made smaller. Empty: the size they have.",
        min_value=SMALLEST,
        max_value=LARGEST,
        required=False,
    )

    class Meta:
        model = Definition
        fields: ClassVar = [*Definition.FIELDS]
        labels: ClassVar = {
            "description": "What it is for",
            "limits": "Known limits",
            "call": "Photographs of this call only",
            "basis": "Which photographs",
            "ratings": "Several ratings become",
            "choices": "Several choices become",
        }
        help_texts: ClassVar = {
            "description": "For people who use it. It opens the card; whatever can be counted, the card counts itself.",
            "limits": "What it should not be used for, and what is known to be missing. It is part of the card.",
        }
        widgets: ClassVar = {
            "description": forms.Textarea(attrs={"rows": 4}),
            "limits": forms.Textarea(attrs={"rows": 3}),
        }

    def __init__(self, *args: Any, dataset: Dataset, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["call"].empty_label = "All calls, and licensed libraries"  # type: ignore[attr-defined]
        known = control_names(dataset)
        self.fields["controls"].choices = [(name, name) for name in known]  # type: ignore[attr-defined]
        for name in () if known else LABELS:
            del self.fields[name]

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given.get("call") and given.get("basis") == "licence":
            self.add_error("basis", "Photographs of a call are contributed. Choose those, or no call.")
        train, validation = given.get("train_percent"), given.get("validation_percent")
        if train is not None and validation is not None and train + validation > 100:
            self.add_error("validation_percent", "Together with training this is more than 100 per cent.")
        if given.get("least_agreement") and (given.get("least_annotators") or 0) < 2:
            self.add_error("least_annotators", "Only two or more can agree. Ask for at least 2, or for no agreement.")
        return given
