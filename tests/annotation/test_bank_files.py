"""Files for the bank: valid against the official schema, the same each time, and safe in a spreadsheet."""

import csv
import datetime
import io
import re
from dataclasses import replace
from decimal import Decimal
from importlib.resources import files

import pytest
from lxml import etree

from annotation.bank_details import Party
from annotation.bank_files import Order, Transfer, cents, latin, write_csv, write_pain001
from tests.annotation.payout_factories import IBAN, OTHER_IBAN, PAYER, details

NAMES = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}
WRITERS = {"pain001": write_pain001, "csv": write_csv}


def transfer(number=1, amount="12.34", **changes) -> Transfer:
    return Transfer(reference=f"{number:032x}", payee=Party(**details(**changes)), amount=Decimal(amount))


def order(*transfers: Transfer, **changes) -> Order:
    told = {
        "reference": "LIKENESS-7-20260102",
        "made_at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "day": datetime.date(2026, 1, 2),
        "currency": "EUR",
        "payer": Party(**PAYER),
        "text": "Labelling, payout run 7",
        "transfers": transfers or (transfer(1), transfer(2, "0.01", iban=OTHER_IBAN, bic="COBADEFF", building="")),
    }
    return Order(**{**told, **changes})


def read(xml: bytes):
    """What another implementation than ours reads, after it validated."""
    schema = etree.XMLSchema(etree.parse(str(files("sepaxml") / "schemas" / "pain.001.001.09.xsd")))
    document = etree.fromstring(xml)
    schema.assertValid(document)
    return document


def test_who_has_no_house_number_gets_none():
    """transfer(2) is to somebody without one."""
    document = read(write_pain001(order()))
    assert texts(document, "//p:CdtTrfTxInf/p:Cdtr/p:PstlAdr/p:BldgNb") == [transfer(1).payee.building]


def texts(document, path: str) -> list[str]:
    return [found if isinstance(found, str) else found.text for found in document.xpath(path, namespaces=NAMES)]


def told(name: str, data: bytes) -> list[tuple[str, str, str, str]]:
    """(reference, account, amount, currency) of every payment in a file."""
    if name == "csv":
        rows = csv.DictReader(io.StringIO(data.decode()))
        return [(row["reference"], row["iban"], row["amount"], row["currency"]) for row in rows]
    document = read(data)
    columns = ("p:PmtId/p:EndToEndId", "p:CdtrAcct/p:Id/p:IBAN", "p:Amt/p:InstdAmt", "p:Amt/p:InstdAmt/@Ccy")
    return list(zip(*(texts(document, f"//p:CdtTrfTxInf/{path}") for path in columns), strict=True))


@pytest.mark.parametrize("name", WRITERS)
def test_every_payment_is_in_the_file_once_with_account_and_amount(name):
    wanted = [(f"{1:032x}", IBAN, "12.34", "EUR"), (f"{2:032x}", OTHER_IBAN, "0.01", "EUR")]
    assert told(name, WRITERS[name](order())) == wanted


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_order_gives_the_same_bytes(name):
    assert WRITERS[name](order()) == WRITERS[name](order())


def test_pain001_says_who_pays_how_much_in_all_and_when():
    document = read(write_pain001(order()))
    says = {
        "//p:GrpHdr/p:MsgId": ["LIKENESS-7-20260102"],
        "//p:PmtInf/p:PmtInfId": ["LIKENESS-7-20260102"],
        "//p:GrpHdr/p:CreDtTm": ["2026-01-02T03:04:05"],
        "//p:GrpHdr/p:NbOfTxs": ["2"],
        "//p:GrpHdr/p:CtrlSum": ["12.35"],
        "//p:PmtInf/p:CtrlSum": ["12.35"],
        "//p:ReqdExctnDt/p:Dt": ["2026-01-02"],
        "//p:SvcLvl/p:Cd": ["SEPA"],
        "//p:ChrgBr": ["SLEV"],
        "//p:Dbtr/p:Nm": ["Example Foundation"],
        "//p:DbtrAcct/p:Id/p:IBAN": [PAYER["iban"]],
        "//p:DbtrAgt/p:FinInstnId/p:BICFI": ["IRCEIE2D"],
        "//p:Dbtr/p:PstlAdr/p:TwnNm": ["Dublin"],
        "//p:Cdtr/p:PstlAdr/p:StrtNm": ["Sraid Eamonn"] * 2,
        "//p:Cdtr/p:PstlAdr/p:Ctry": ["IE"] * 2,
        "//p:CdtrAgt/p:FinInstnId/p:BICFI": ["COBADEFF"],
        "//p:RmtInf/p:Ustrd": ["Labelling, payout run 7"] * 2,
    }
    assert {path: texts(document, path) for path in says} == says


def test_other_currencies_go_by_no_sepa_rules():
    document = read(write_pain001(order(currency="CHF")))
    assert texts(document, "//p:SvcLvl") == []
    assert texts(document, "//p:ChrgBr") == ["SHAR"]
    assert texts(document, "//p:InstdAmt/@Ccy") == ["CHF", "CHF"]


HOSTILE = [
    "Łukasz Żółć", "Ольга Петрова", "李小龍", "</Nm><Amt>1</Amt>", "a & b < c > \"d\" 'e'", "x" * 70, "\x07\x1b[31m",
    "😀", "ﷺ" * 70, "\u202eevil", "=cmd|' /C calc'!A0", "  ",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_somebody_is_called_the_file_is_valid_and_in_letters_that_banks_take(name):
    party = {"name": name, "street": name, "town": name[:35], "postcode": name[:16], "building": name[:16]}
    document = read(write_pain001(order(transfer(**party))))
    for said in texts(document, "//p:Cdtr//p:Nm | //p:Cdtr//p:StrtNm | //p:Cdtr//p:TwnNm | //p:Cdtr//p:PstCd"):
        assert re.fullmatch(r"[A-Za-z0-9/\-?:().,'+ ]{1,70}", said), said
    assert texts(document, "//p:CtrlSum") == ["12.34", "12.34"]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(name):
    [row] = csv.DictReader(io.StringIO(write_csv(order(transfer(name=name, street=name))).decode(), newline=""))
    assert row["name"] == row["street"] == f"'{name}"


@pytest.mark.parametrize(("amount", "says"), [("0.01", 1), ("12.30", 1230), ("99999999.99", 9999999999)])
def test_cents_are_exact(amount, says):
    assert cents(Decimal(amount)) == says


def test_a_fraction_of_a_cent_is_no_amount():
    with pytest.raises(ValueError, match="whole cents"):
        write_pain001(order(transfer(amount="0.015")))


def test_many_payments_add_up():
    document = read(write_pain001(order(*(transfer(number, "0.10") for number in range(1000)))))
    assert texts(document, "//p:CtrlSum") == ["100.00", "100.00"]
    assert texts(document, "//p:NbOfTxs") == ["1000", "1000"]


def test_a_currency_that_is_none_makes_no_file():
    with pytest.raises(Exception, match="validation errors"):
        write_pain001(replace(order(), currency="euro"))


def test_names_are_cut_to_what_fits():
    assert latin("ﷺ" * 70, 70)
    assert len(latin("ß" * 70, 70)) == 70
