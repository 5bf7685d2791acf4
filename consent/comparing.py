"""What differs between two texts, statement by statement and word by word."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import NamedTuple

from consent.models import FormDraft, FormText
from consent.versions import MATERIAL

LABELS = {
    "purposes": "Purposes",
    "recipients": "Recipients",
    "retention_days": "Kept for (days)",
    "title": "Title",
    "summary": "Summary",
    "controller_name": "Controller",
    "controller_address": "The controller's address",
    "contact": "Contact",
    "data_categories": "Categories of data",
    "transfers": "Transfers",
    "storage_locations": "Stored in",
    "complaint_body": "Authority that takes complaints",
    "jurisdiction": "Jurisdiction",
    "body": "Full text",
}


class Piece(NamedTuple):
    """Some words; `mark` is "" where both have them, else "del" or "ins"."""

    mark: str
    words: str


@dataclass(frozen=True)
class Pair:
    """Two paragraphs beside each other, empty where a side has none. `mark`: same, changed, removed or added."""

    mark: str
    old: list[Piece] = field(default_factory=list)
    new: list[Piece] = field(default_factory=list)


@dataclass(frozen=True)
class Difference:
    """One statement that differs. A material one asks signers again."""

    label: str
    material: bool
    pairs: list[Pair]


def differences(old: FormText | FormDraft, new: FormText | FormDraft) -> tuple[list[Difference], list[str]]:
    """The statements that differ, material ones first, and the names of those that are the same in both."""
    differing, same = [], []
    for name, label in LABELS.items():
        before, after = _paragraphs(old, name), _paragraphs(new, name)
        if before == after:
            same.append(label)
        else:
            differing.append(Difference(label, name in MATERIAL, compare_paragraphs(before, after)))
    return differing, same


def _paragraphs(text: FormText | FormDraft, name: str) -> list[str]:
    if name == "purposes":
        return sorted(purpose.pk for purpose in text.purposes.all())
    value = getattr(text, name)
    if isinstance(value, list):
        return sorted(value)
    return [part.strip() for part in re.split(r"\r?\n\s*\r?\n", str(value)) if part.strip()]


def compare_paragraphs(old: Sequence[str], new: Sequence[str]) -> list[Pair]:
    """Both sides, paragraph by paragraph, with the words marked that differ."""
    pairs: list[Pair] = []
    for verb, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if verb == "equal":
            pairs += [Pair("same", [Piece("", part)], [Piece("", part)]) for part in old[a:b]]
        else:
            both = min(b - a, d - c)
            pairs += [_changed(*two) for two in zip(old[a : a + both], new[c : c + both], strict=True)]
            pairs += [Pair("removed", old=[Piece("del", part)]) for part in old[a + both : b]]
            pairs += [Pair("added", new=[Piece("ins", part)]) for part in new[c + both : d]]
    return pairs


def _changed(old: str, new: str) -> Pair:
    before, after = re.findall(r"\s+|\S+", old), re.findall(r"\s+|\S+", new)
    left: list[Piece] = []
    right: list[Piece] = []
    for verb, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        same = verb == "equal"
        if b > a:
            left.append(Piece("" if same else "del", "".join(before[a:b])))
        if d > c:
            right.append(Piece("" if same else "ins", "".join(after[c:d])))
    return Pair("changed", left, right)
