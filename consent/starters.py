"""Texts to start from, in English, German and Spanish: consent/starters/FORM.LANGUAGE.toml, purposes in purposes.toml.

They leave out what only the controller knows: who it is, how to write to it, where it stores, who takes complaints.
"""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction

from consent.models import Purpose, PurposeWording
from consent.notice import has_wording
from consent.words import LANGUAGES

FOLDER = Path(__file__).parent / "starters"


@dataclass(frozen=True)
class Starter:
    """One form in one language; `says` has the fields of a draft that it fills, `purposes` codes."""

    key: str
    language: str
    purposes: list[str]
    says: dict[str, Any]

    @property
    def title(self) -> str:
        return f"{self.says['name']} ({LANGUAGES[self.language]})"


@cache
def starters() -> list[Starter]:
    """All of them, in order of form and language."""
    return [_read(path) for path in sorted(FOLDER.glob("*.*.toml"))]


def _read(path: Path) -> Starter:
    said = tomllib.loads(path.read_text(encoding="utf-8"))
    key = path.stem
    return Starter(key, key.rpartition(".")[2], said.pop("purposes"), said)


@cache
def starter_purposes() -> dict[str, dict[str, dict[str, str]]]:
    """Per code and language: {"name", "description"}."""
    return tomllib.loads((FOLDER / "purposes.toml").read_text(encoding="utf-8"))


def add_starter_purposes(*, codes: Collection[str]) -> None:
    """Add the purposes of a starter, in every language that it comes in. What is there already stays as it is."""
    for code in codes:
        said = starter_purposes()[code]
        try:
            with transaction.atomic():
                purpose = Purpose.objects.filter(code=code).first() or Purpose.objects.create(code=code, **said["en"])
        except IntegrityError:  # somebody else added it this moment
            purpose = Purpose.objects.get(code=code)
        for language in said.keys() - {"en"}:
            if not has_wording(purpose, language):
                PurposeWording.objects.create(purpose=purpose, language=language, **said[language])
