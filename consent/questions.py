"""Three questions that show whether a text was understood. They teach: nobody is turned away by them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from consent.models import FormDraft, FormText
from consent.refusals import Refused
from consent.words import words

HOW_MANY = 3
FEWEST_ANSWERS, MOST_ANSWERS = 2, 4


@dataclass(frozen=True)
class Question:
    """`right` is the index of the right one of `answers`; `why` is what somebody reads who chose another."""

    question: str
    answers: Sequence[str]
    right: int
    why: str


def questions_of(text: FormText | FormDraft) -> list[Question]:
    """The text's own three questions, else the standard ones in its language (English if we have none in it)."""
    return [Question(**said) for said in text.questions or words(text.language).questions]


def refuse_bad_questions(questions: Any) -> None:
    """Refused unless there are none (the standard ones count then) or three well-formed ones."""
    if questions and not (
        isinstance(questions, list) and len(questions) == HOW_MANY and all(_is_good(said) for said in questions)
    ):
        raise Refused(
            "Own questions must be exactly three, each with two to four different answers, one of them right, and a "
            "sentence that says why. Leave them out to ask the standard ones."
        )


def _is_good(said: Any) -> bool:
    if not isinstance(said, dict) or set(said) != {"question", "answers", "right", "why"}:
        return False
    answers, right = said["answers"], said["right"]
    return (
        isinstance(answers, list)
        and FEWEST_ANSWERS <= len(answers) <= MOST_ANSWERS
        and all(isinstance(words, str) and words.strip() for words in [said["question"], said["why"], *answers])
        and len(set(answers)) == len(answers)
        and isinstance(right, int)
        and not isinstance(right, bool)
        and 0 <= right < len(answers)
    )
