"""The form by which a text is signed. It checks what was typed; consent.services decides what is allowed."""

import datetime
import re
import uuid
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core import signing
from django.utils import timezone

from consent.adulthood import adult_age
from consent.clock import CLOCK_SKEW
from consent.models import Contributor, FormText, Purpose
from consent.questions import Question, questions_of
from consent.texts import offered_purposes, wording
from consent.words import words

# Names what we sign with settings.SECRET_KEY: the moment at which a text was shown to somebody.
VIEWED_SALT = "consent.viewed"
LONGEST_VIEW = datetime.timedelta(hours=24)
PURPOSE, QUESTION = "purpose_", "question_"

DRAWING_MOST = 20_000  # characters
DRAWING_WIDTH, DRAWING_HEIGHT = 600, 200
NUMBER = r"[0-9]{1,3}(?:\.[0-9])?"
DRAWING = re.compile(rf"M {NUMBER} {NUMBER}(?: [ML] {NUMBER} {NUMBER})*")


@dataclass(frozen=True)
class Shown:
    """What the page promised: this text, shown to this contributor at this moment, to be signed once."""

    text_sha256: str
    contributor: str
    submission: str
    at: datetime.datetime

    def sign(self) -> str:
        return signing.dumps(
            [self.text_sha256, self.contributor, self.submission, self.at.isoformat()], salt=VIEWED_SALT
        )

    @classmethod
    def open(cls, signed: str) -> "Shown":
        """ValueError unless we signed it."""
        try:
            sha256, contributor, submission, at = signing.loads(signed, salt=VIEWED_SALT)
            return cls(sha256, contributor, submission, datetime.datetime.fromisoformat(at))
        except signing.BadSignature as error:
            raise ValueError("not a signed moment") from error


class SignForm(forms.Form):
    """One box per purpose of a text, none of them ticked, three questions, and a signature."""

    signer_name = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    agree = forms.BooleanField()
    drawing = forms.CharField(widget=forms.HiddenInput, required=False, max_length=DRAWING_MOST)
    text_sha256 = forms.CharField(widget=forms.HiddenInput)
    submission = forms.UUIDField(widget=forms.HiddenInput)
    viewed_at = forms.CharField(widget=forms.HiddenInput)
    time_zone = forms.CharField(widget=forms.HiddenInput, required=False, max_length=60)

    def __init__(self, data: Any = None, *, text: FormText, contributor: Contributor, signer_name: str = "") -> None:
        self.text, self.contributor = text, contributor
        self.says = words(text.language).sign
        self.questions = questions_of(text)
        super().__init__(data, initial={**self._fresh(), "signer_name": signer_name}, label_suffix="")
        self.intent = self.says["intent"].format(
            age=adult_age(contributor.country), country=words(text.language).country(contributor.country)
        )
        self._add_purposes()
        self._add_questions()
        self._speak()

    def _fresh(self) -> dict[str, str]:
        submission = str(uuid.uuid4())
        shown = Shown(self.text.sha256, str(self.contributor.pk), submission, timezone.now())
        return {"text_sha256": self.text.sha256, "submission": submission, "viewed_at": shown.sign()}

    def _add_purposes(self) -> None:
        for purpose, said in offered_purposes(self.text):
            self.fields[PURPOSE + purpose.code] = forms.BooleanField(
                label=said.name, help_text=said.description, required=False
            )

    def _add_questions(self) -> None:
        for index, question in enumerate(self.questions):
            self.fields[f"{QUESTION}{index}"] = AnswerField(question, self.says)

    def _speak(self) -> None:
        """The labels and errors, in the language of the text."""
        name, agree, drawing = (self.fields[field] for field in ("signer_name", "agree", "drawing"))
        name.label, name.help_text = self.says["name"], self.says["name_help"]
        name.error_messages["required"] = self.says["name_missing"]
        agree.label = self.intent
        agree.error_messages["required"] = self.says["agree_missing"]
        drawing.error_messages["max_length"] = self.says["drawing_long"]

    def purpose_fields(self) -> list[forms.BoundField]:
        """The tick boxes, for the template."""
        return [self[name] for name in self.fields if name.startswith(PURPOSE)]

    def question_fields(self) -> list[forms.BoundField]:
        """The questions, for the template."""
        return [self[name] for name in self.fields if name.startswith(QUESTION)]

    # --- The page that was sent ------------------------------------------------------------------

    def is_stale(self) -> bool:
        """True if what was sent was another text than the one that stands now."""
        return self.is_bound and self.data.get("text_sha256") != self.text.sha256

    def trouble(self) -> str:
        """Why the page that was sent cannot be signed and has to be shown anew, in words; empty if it can."""
        shown = self._shown()
        if shown is None or shown.at > timezone.now() + CLOCK_SKEW:
            return self.says["invalid"]
        return self.says["too_old"] if timezone.now() - shown.at > LONGEST_VIEW else ""

    def _shown(self) -> Shown | None:
        """What we promised on the page that was sent; None if it was not this page, or not for this person."""
        try:
            shown = Shown.open(self.data.get("viewed_at", ""))
        except ValueError:
            return None
        expected = (self.text.sha256, str(self.contributor.pk), self.data.get("submission"))
        return shown if (shown.text_sha256, shown.contributor, shown.submission) == expected else None

    def renewed(self) -> "SignForm":
        """The same answers on a page that is shown now."""
        return SignForm({**dict(self.data.items()), **self._fresh()}, text=self.text, contributor=self.contributor)

    def ticked_words(self) -> list[str]:
        """What was ticked on a page whose text has changed since: names of purposes."""
        sent = (name.removeprefix(PURPOSE) for name in self.data if name.startswith(PURPOSE))
        codes = [code for code in sent if "\0" not in code]  # PostgreSQL cannot be asked for it
        return [wording(purpose, self.text.language).name for purpose in Purpose.objects.filter(pk__in=codes)]

    # --- What was typed --------------------------------------------------------------------------

    def clean_viewed_at(self) -> datetime.datetime:
        shown = self._shown()
        if shown is None:
            raise forms.ValidationError(self.says["invalid"])
        return min(shown.at, timezone.now())

    def clean_drawing(self) -> str:
        drawing = str(self.cleaned_data["drawing"])
        if drawing and not is_drawing(drawing):
            raise forms.ValidationError(self.says["drawing_bad"])
        return drawing

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        codes = [name.removeprefix(PURPOSE) for name, value in cleaned.items() if name.startswith(PURPOSE) and value]
        if not codes:
            self.add_error(None, self.says["none_ticked"])
        answers = [cleaned.get(f"{QUESTION}{index}") for index in range(len(self.questions))]
        return {**cleaned, "purposes": codes, "answers": answers}


class AnswerField(forms.TypedChoiceField):
    """One question; cleans to {"question": str, "answer": str}. What is not right is answered by the reason why."""

    def __init__(self, question: Question, says: dict[str, str]) -> None:
        self.question = question
        self.not_quite = says["not_quite"].format(why=question.why)
        super().__init__(
            label=question.question,
            choices=[(str(index), answer) for index, answer in enumerate(question.answers)],
            widget=forms.RadioSelect,
            error_messages={"required": says["choose"], "invalid_choice": says["choose"]},
        )

    def clean(self, value: Any) -> dict[str, str]:
        chosen = int(super().clean(value))
        if chosen != self.question.right:
            raise forms.ValidationError(self.not_quite)
        return {"question": self.question.question, "answer": self.question.answers[chosen]}


def is_drawing(path: str) -> bool:
    """True for the path data of a signature: `M x y L x y …`, inside the box of 600 x 200."""
    if not DRAWING.fullmatch(path):
        return False
    numbers = [float(number) for number in re.findall(NUMBER, path)]
    return max(numbers[::2]) <= DRAWING_WIDTH and max(numbers[1::2]) <= DRAWING_HEIGHT
