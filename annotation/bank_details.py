"""Numbers of bank accounts: what is one, and who the organisation itself pays from."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from stdnum import bic, iban
from stdnum.exceptions import ValidationError

from consent.countries import COUNTRIES
from consent.refusals import Refused


@dataclass(frozen=True, kw_only=True)
class Party:
    """Somebody who pays or is paid, as a bank wants it: the account without spaces, the address in parts."""

    name: str
    iban: str
    bic: str
    street: str
    building: str
    postcode: str
    town: str
    country: str  # ISO 3166-1 alpha-2


def checked_iban(text: str) -> str:
    """The IBAN in capitals without spaces; Refused unless its length, form and check digits hold."""
    try:
        return iban.validate(text)
    except ValidationError as error:
        raise Refused("This is no IBAN that can be right: please compare it with your bank card.") from error


def checked_bic(text: str) -> str:
    """The BIC in capitals without spaces, or "" for none; Refused unless it has the form of one."""
    if not text.strip():
        return ""
    try:
        return bic.validate(text)
    except ValidationError as error:
        raise Refused("A BIC has 8 or 11 letters and digits, such as AIBKIE2D. Leave it empty if unsure.") from error


# --- The organisation ----------------------------------------------------------------------------


def payer() -> Party:
    """Who pays, from the settings; Refused when they are missing or wrong."""
    problems = list(payer_problems()) if any(settings.PAYER.values()) else ["it is not set."]
    if problems:
        raise Refused(
            f"The account that we pay from is not ready: {problems[0]} "
            "Ask whoever runs this installation to look at PAYER_… in docs/settings.md."
        )
    return Party(**settings.PAYER)


def payer_problems() -> Iterator[str]:
    """What is wrong with the settings PAYER_…, one sentence each."""
    for name, value in settings.PAYER.items():
        if not value and name != "building":
            yield f"PAYER_{name.upper()} is missing."
        elif not _fits(name, value):
            yield f"PAYER_{name.upper()} is not valid, or not in capitals without spaces."


def _fits(name: str, value: str) -> bool:
    checks = {"iban": checked_iban, "bic": checked_bic}
    try:
        return value in COUNTRIES if name == "country" else name not in checks or checks[name](value) == value
    except Refused:
        return False
