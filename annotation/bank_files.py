"""A payout run as a file for a bank: ISO 20022 pain.001.001.09 and CSV. Pure; the same run gives the same bytes.

Banks know a file that came twice by its message id, so nothing in it may be random or depend on when it was made.
"""

import datetime
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sepaxml import SepaTransfer
from sepaxml.validation import try_valid_xml
from text_unidecode import unidecode

from annotation.bank_details import Party
from consent.sheets import csv_line

SCHEMA = "pain.001.001.09"
NAMESPACE = f"{{urn:iso:std:iso:20022:tech:xsd:{SCHEMA}}}"
SEPA_CURRENCY = "EUR"
FOREIGN = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]+")  # all but the letters that every bank takes (EPC 217-08)
HEADER = (
    "reference", "name", "iban", "bic", "street", "building", "postcode", "town", "country", "amount", "currency",
    "text",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """One payment: `amount` in whole cents, `reference` of 35 letters at most, which the bank tells the payee."""

    reference: str
    payee: Party
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the bank is told to do on `day`. `reference` (35 letters at most) names the file."""

    reference: str
    made_at: datetime.datetime
    day: datetime.date
    currency: str
    payer: Party
    text: str
    transfers: Sequence[Transfer]


Writer = Callable[[Order], bytes]


def write_pain001(order: Order) -> bytes:
    """The order as XML that is valid against the schema; ValueError when it cannot be made so."""
    made = SepaTransfer(_payer(order), schema=SCHEMA, clean=False)
    for transfer in order.transfers:
        made.add_payment(_payment(order, transfer))
    return _pinned(made.export(validate=False), order)


def _payer(order: Order) -> dict[str, object]:
    return {
        **_party(order.payer),
        "batch": True,
        "currency": order.currency,
        "domestic": order.currency != SEPA_CURRENCY,  # its word for: not by the rules of SEPA
    }


def _payment(order: Order, transfer: Transfer) -> dict[str, object]:
    return {
        **_party(transfer.payee),
        "amount": cents(transfer.amount),
        "endtoend_id": transfer.reference,
        "description": latin(order.text, 140),
        "execution_date": order.day,
    }


def _party(party: Party) -> dict[str, object]:
    building = {"building_number": latin(party.building, 16)} if party.building else {}
    address = {
        "street_name": latin(party.street, 70),
        **building,
        "postcode": latin(party.postcode, 16),
        "town": latin(party.town, 35),
        "country": party.country,
    }
    bic = {"BIC": party.bic} if party.bic else {}
    return {"name": latin(party.name, 70), "IBAN": party.iban, "address": address, **bic}


def _pinned(xml: bytes, order: Order) -> bytes:
    """The library gives random ids and the time of day: ours take their place, and the whole is validated."""
    document = ET.fromstring(xml)  # noqa: S314  # it was made just above
    texts = {
        "MsgId": order.reference,
        "PmtInfId": order.reference,
        "CreDtTm": order.made_at.strftime("%Y-%m-%dT%H:%M:%S"),
    }
    if order.currency != SEPA_CURRENCY:
        texts["ChrgBr"] = "SHAR"
    for name, text in texts.items():
        for element in document.iter(NAMESPACE + name):
            element.text = text
    pinned = ET.tostring(document, encoding="utf-8", xml_declaration=True)
    try_valid_xml(pinned, SCHEMA)
    return bytes(pinned)


def cents(amount: Decimal) -> int:
    """A whole number of cents; ValueError if there is a fraction of one."""
    exact = amount * 100
    if exact != int(exact):
        raise ValueError(f"{amount} is not in whole cents")
    return int(exact)


def latin(text: str, most: int) -> str:
    """In letters that every bank takes, `most` of them at most; "." when none is left."""
    return FOREIGN.sub(" ", unidecode(text)).strip()[:most].strip() or "."


def write_csv(order: Order) -> bytes:
    """The order as a table with a header, in UTF-8, safe to be opened in a spreadsheet."""
    lines = [csv_line(*HEADER)]
    for transfer in order.transfers:
        who = transfer.payee
        lines.append(
            csv_line(
                transfer.reference, who.name, who.iban, who.bic, who.street, who.building, who.postcode, who.town,
                who.country, f"{transfer.amount:.2f}", order.currency, order.text,
            )
        )  # fmt: skip
    return "".join(lines).encode()
