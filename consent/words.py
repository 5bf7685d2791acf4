"""The words of notices, signed papers and standard questions in each language that we speak: consent/words/*.toml."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from consent.countries import COUNTRIES

FOLDER = Path(__file__).parent / "words"
LANGUAGES = {"en": "English", "de": "German", "es": "Spanish"}


@dataclass(frozen=True)
class Words:
    """The words of one language; `phrases["rights"]` is a list, everything else in the dicts is text."""

    headings: dict[str, str]
    phrases: dict[str, Any]
    paper: dict[str, str]
    categories: dict[str, str]
    countries: dict[str, str]
    questions: list[dict[str, Any]]
    sign: dict[str, str]

    def category(self, term: str) -> str:
        """A DPV term such as `pd:Picture` in plain words; an unknown one is taken apart: `pd:HairColor`, hair color."""
        name = term.rpartition(":")[2]
        return self.categories.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()

    def country(self, code: str) -> str:
        """The name of a country (ISO 3166-1 alpha-2), in English if we know no other, else the code."""
        return self.countries.get(code) or COUNTRIES.get(code, code)

    def span(self, days: int) -> str:
        """A number of days in words, with whole years if there are."""
        years, rest = divmod(days, 365)
        kind = "days" if rest or not years else "year" if years == 1 else "years"
        return str(self.phrases[kind]).format(years=years, days=days)


def words(language: str) -> Words:
    """The words for a language tag such as `de-AT`; English where we do not speak it."""
    base = language.partition("-")[0].lower()
    return _load(base if base in LANGUAGES else "en")


@cache
def _load(language: str) -> Words:
    return Words(**tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8")))
