"""The forms of data managers about what people are asked: purposes, form texts and their drafts."""

from typing import Any, ClassVar

from django import forms

from consent.countries import COUNTRIES
from consent.models import FormDraft, FormText, Purpose
from consent.questions import refuse_bad_questions
from consent.refusals import Refused
from consent.starters import starters
from consent.texts import NEEDED

FIELDS = [
    "slug", "name", "version", "language", "title", "summary", "body", "purposes", "controller_name",
    "controller_address", "contact", "data_categories", "recipients", "transfers", "storage_locations",
    "retention_days", "complaint_body", "jurisdiction",
]  # fmt: skip
LABELS = {
    "body": "Full text (Markdown)",
    "contact": "Contact for privacy questions",
    "retention_days": "Kept for (days)",
    "complaint_body": "Authority that takes complaints",
}
HELP = {
    "version": "Never used before for this form and language, e.g. 1.0.0. A new first number asks signers again.",
    "language": "Short name, e.g. en, de, es.",
    "summary": "What people read first: short and plain.",
    "transfers": "To which countries outside the EU, and on what grounds; or that there are none.",
    "jurisdiction": "Country code, e.g. IE.",
}


class LinesField(forms.CharField):
    """Text with one value per line; gives a list."""

    widget = forms.Textarea(attrs={"rows": 3})

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip()]

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value


class QuestionsField(forms.CharField):
    """Questions as plain text: the question, its answers as "- …" ("+ …" for the right one), "= …" for why."""

    widget = forms.Textarea(attrs={"rows": 12})

    def to_python(self, value: Any) -> Any:
        said = (super().to_python(value) or "").replace("\r\n", "\n").strip()
        questions = [_read_question(block) for block in said.split("\n\n") if block.strip()]
        try:
            refuse_bad_questions(questions)
        except Refused as refused:
            raise forms.ValidationError(str(refused)) from None
        return questions

    def prepare_value(self, value: Any) -> Any:
        return "\n\n".join(map(_write_question, value)) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(super().has_changed(self.prepare_value(initial), data))


class _PurposesField(forms.ModelMultipleChoiceField):
    """Two purposes may have one name in different words; their codes differ."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.pk})"


def purposes_field(label: str) -> forms.ModelMultipleChoiceField:
    """Tick boxes for the purposes that have not ended."""
    return _PurposesField(
        Purpose.objects.filter(end__isnull=True).order_by("code"),
        label=label,
        error_messages={"required": "Choose at least one purpose."},
        widget=forms.CheckboxSelectMultiple,
        help_text="None in the list? Add a purpose first.",
    )


def _read_question(block: str) -> dict[str, Any]:
    lines = [line.strip() for line in block.splitlines() if line.strip()]
    answers = [line for line in lines if line[0] in "+-"]
    right = [index for index, line in enumerate(answers) if line[0] == "+"]
    return {
        "question": next((line for line in lines if line[0] not in "+-="), ""),
        "answers": [line[1:].strip() for line in answers],
        "right": right[0] if len(right) == 1 else -1,
        "why": " ".join(line[1:].strip() for line in lines if line[0] == "="),
    }


def _write_question(said: dict[str, Any]) -> str:
    answers = [f"{'+' if index == said['right'] else '-'} {words}" for index, words in enumerate(said["answers"])]
    return "\n".join([said["question"], *answers, f"= {said['why']}"])


class PurposeForm(forms.ModelForm):
    class Meta:
        model = Purpose
        fields: ClassVar = ["code", "name", "description"]
        help_texts: ClassVar = {"code": "Short and in small letters, such as research. It never changes."}
        error_messages: ClassVar = {
            "code": {"invalid": "Letters, digits, - and _ only, without spaces, such as public-research."}
        }


class WordingForm(forms.Form):
    language = forms.CharField(max_length=10, help_text="Short name of the language, e.g. de or es.")
    name = forms.CharField(max_length=100)
    description = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One plain sentence that a contributor reads beside the tick box.",
    )


class StatementsForm(forms.ModelForm):
    """What texts and drafts have in common."""

    slug = forms.SlugField(label="Form", help_text="Its name in addresses, such as portrait. A new one starts a form.")
    name = forms.CharField(label="Name of the form", max_length=100)
    data_categories = LinesField(
        label="Categories of data", required=False, help_text="One per line, as terms of DPV, e.g. pd:Picture."
    )
    recipients = LinesField(label="Recipients", required=False, help_text="Who receives the data; one per line.")
    storage_locations = LinesField(label="Stored in", required=False, help_text="Country codes, one per line, e.g. IE.")
    purposes = purposes_field("Purposes that people may tick")

    def clean_storage_locations(self) -> list[str]:
        return [_country(code) for code in self.cleaned_data["storage_locations"]]

    def clean_jurisdiction(self) -> str:
        return _country(self.cleaned_data["jurisdiction"]) if self.cleaned_data["jurisdiction"] else ""


def _country(code: str) -> str:
    if code.upper() not in COUNTRIES:
        raise forms.ValidationError(f"“{code}” is not the two-letter code of a country, such as IE.")
    return code.upper()


class TextForm(StatementsForm):
    """A new version of a form. What the law wants but is missing is named as texts.publish_text names it."""

    class Meta:
        model = FormText
        fields = FIELDS
        labels = LABELS
        help_texts = HELP

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, words in NEEDED.items():
            self.fields[name].required = True
            self.fields[name].error_messages["required"] = f"The text does not say: {words}."

    def statements(self) -> dict[str, Any]:
        """What was typed, as texts.publish_text takes it."""
        return {**self.cleaned_data, "purposes": [purpose.pk for purpose in self.cleaned_data["purposes"]]}


class DraftForm(StatementsForm):
    """A text that is still being written: everything but the form's own name may be missing."""

    questions = QuestionsField(
        label="Own questions",
        required=False,
        help_text="Leave this empty to ask the three standard ones. Else exactly three, with an empty line between "
        "them: the question, then each answer on a line of its own that begins with - (with + for the right one), "
        "then a line that begins with = and says why.",
    )

    class Meta:
        model = FormDraft
        fields: ClassVar = [*FIELDS, "questions"]
        labels = LABELS
        help_texts = HELP

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.required = name in ("slug", "name", "language")
        self.initial["retention_days"] = self.initial.get("retention_days") or None

    def clean_retention_days(self) -> int:
        return self.cleaned_data["retention_days"] or 0


class StartForm(forms.Form):
    """What a new draft begins with: nothing, a starter, or a published text; and its language."""

    start = forms.ChoiceField(label="Start from")
    language = forms.CharField(
        max_length=10,
        help_text="Short name of the language, e.g. en, de, es. A starter comes in its own language.",
        initial="en",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["start"].choices = [  # type: ignore[attr-defined]
            ("empty", "An empty page"),
            ("Starters", [(f"starter-{one.key}", one.title) for one in starters()]),
            ("Published texts", _published()),
        ]


class CompareForm(forms.Form):
    """Which two texts or drafts."""

    old = forms.ChoiceField(label="Before")
    new = forms.ChoiceField(label="After")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        drafts = [(f"draft-{draft.pk}", str(draft)) for draft in FormDraft.objects.order_by("slug", "-saved_at")]
        for name in ("old", "new"):
            self.fields[name].choices = [("Published texts", _published()), ("Drafts", drafts)]  # type: ignore[attr-defined]


def _published() -> list[tuple[str, str]]:
    found = FormText.objects.select_related("form").order_by("form__name", "-major", "language", "-published_at")
    return [(f"text-{text.pk}", str(text)) for text in found]
