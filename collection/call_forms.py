"""The forms of a call and its targets. They check what was typed; collection.calls decides what is allowed."""

import datetime
from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms

from collection.calls import MOST_TARGETS
from collection.models import DIMENSIONS, Call, Target
from consent.demographics import ATTRIBUTES

BLANK_ROWS = 3
PREFIX = "targets"
WORDS = {"skin_tone": "Skin tone", "age_band": "Age", "gender": "Gender", "country": "Country"}


class CallForm(forms.ModelForm):
    class Meta:
        model = Call
        fields: ClassVar = [
            "slug", "title", "description", "form", "opens_at", "closes_at", "max_per_person", "look_at_all",
            "dpia_reference", "open_to_unsaid",
        ]  # fmt: skip
        labels: ClassVar = {
            "slug": "Short name in the address",
            "form": "Consent form",
            "opens_at": "Opens at (UTC)",
            "closes_at": "Closes at (UTC)",
            "max_per_person": "Photographs per person, at most",
            "look_at_all": "A reviewer looks at each photograph before it is accepted",
            "dpia_reference": "DPIA reference",
            "open_to_unsaid": "Also take photographs of people who do not say what the targets ask for",
        }
        help_texts: ClassVar = {
            "slug": "Letters, digits and hyphens, such as faces-by-daylight.",
            "open_to_unsaid": "They count in no group. Without this tick, people have to tell something about "
            "themselves to take part.",
        }
        error_messages: ClassVar = {
            "slug": {"invalid": "Letters, digits and hyphens only, please, without blanks."},
        }
        widgets: ClassVar = {
            name: forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
            for name in ("opens_at", "closes_at")
        }

    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        if slug == "new":
            raise forms.ValidationError("Choose another short name: this one is the address of this page.")
        return slug

    def clean_opens_at(self) -> datetime.datetime:
        return self._kept("opens_at")

    def clean_closes_at(self) -> datetime.datetime:
        return self._kept("closes_at")

    def _kept(self, name: str) -> datetime.datetime:
        """What was not changed keeps its seconds, which the field does not show."""
        now: datetime.datetime = self.cleaned_data[name]
        before = getattr(self.instance, name) if self.instance.pk else None
        return before if before and before.replace(second=0, microsecond=0) == now else now

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        opens, closes = cleaned.get("opens_at"), cleaned.get("closes_at")
        if opens and closes and closes <= opens:
            self.add_error("closes_at", "The call must close after it opens.")
        return cleaned


def _choice(name: str) -> forms.ChoiceField:
    return forms.ChoiceField(label=WORDS[name], choices=[("", "Any"), *ATTRIBUTES[name][1].items()], required=False)


class TargetForm(forms.Form):
    """One group, and how many people or photographs of it."""

    gender = _choice("gender")
    age_band = _choice("age_band")
    skin_tone = _choice("skin_tone")
    country = _choice("country")
    people = forms.IntegerField(label="People", min_value=1, max_value=1_000_000, required=False)
    photographs = forms.IntegerField(label="Photographs", min_value=1, max_value=100_000_000, required=False)


class TargetFormSet(forms.BaseFormSet):
    def wanted(self) -> list[dict[str, Any]]:
        """The rows that say something and are not to be removed."""
        kept = [form.cleaned_data for form in self.forms if form not in self.deleted_forms]
        names = (*DIMENSIONS, "people", "photographs")
        return [{name: row[name] for name in names} for row in kept if any(row.get(name) for name in names)]


_Targets = forms.formset_factory(
    TargetForm, formset=TargetFormSet, extra=BLANK_ROWS, can_delete=True, max_num=MOST_TARGETS, absolute_max=200
)


def target_rows(data: Any = None, call: Call | None = None) -> TargetFormSet:
    """The targets of a call as rows, with some blank ones."""
    return rows_with(call.targets.order_by("pk") if call else (), data)


def rows_with(targets: Iterable[Target], data: Any = None) -> TargetFormSet:
    """These targets as rows, with some blank ones."""
    initial = [{name: getattr(target, name) for name in TargetForm.base_fields} for target in targets]
    rows = _Targets(data, initial=initial, prefix=PREFIX)
    rows.extra = 1 if initial else BLANK_ROWS
    assert isinstance(rows, TargetFormSet)  # noqa: S101  # what the factory was told to make
    return rows


def with_more_rows(data: Any) -> Any:
    """What was sent, with more blank rows at its end."""
    more = data.copy()
    count = f"{PREFIX}-TOTAL_FORMS"
    more[count] = str(min(int(data[count]) + BLANK_ROWS, MOST_TARGETS))
    return more
