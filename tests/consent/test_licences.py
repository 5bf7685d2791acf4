"""Licences: what a record says, its contract, how it stands, and the warnings before a right ends."""

import datetime
import hashlib
from decimal import Decimal

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from collection import erasure
from consent import append_only, audit, ledger, licence_warnings, licensing
from consent.dates import day
from consent.models import Licence, LicenceWarning
from consent.refusals import Refused
from tests.consent.factories import make_licence, make_purpose, make_user

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


@pytest.fixture
def manager(client):
    user = make_user("manager@example.org", "data manager")
    client.force_login(user)
    return user


def today():
    return timezone.now().date()


# --- The record ----------------------------------------------------------------------------------


def test_r31_the_record_says_terms_scope_territory_term_and_keeps_the_contract():
    licence = make_licence(
        ("research", "training"),
        terms="cc-by-4.0",
        territory="ie, DE,fr",
        price=Decimal("2.5"),
        price_basis="per_image",
        volume_cap=40,
        model_release=False,
        evidence=ContentFile(b"signed by both", name="contract with Jane Doe.pdf"),
    )
    licence.refresh_from_db()
    assert (licence.terms, licence.territory, licence.volume_cap) == ("CC-BY-4.0", "DE,FR,IE", 40)
    assert (str(licence.price), licence.get_price_basis_display()) == ("2.50", "for each image")
    assert licence.evidence_sha256 == hashlib.sha256(b"signed by both").hexdigest()
    assert "Doe" not in licence.evidence_key
    kept = licensing.read_evidence(key=licence.evidence_key, sha256=licence.evidence_sha256)
    assert kept == b"signed by both"
    assert list(audit.problems()) == []


@pytest.mark.parametrize(
    "terms", ["CC BY 4.0", "Proprietary", "LicenseRef-", "MIT OR Apache-2.0", "(MIT)", "LicenseRef-a_b", ""]
)
def test_r31_terms_are_an_spdx_identifier_or_a_licenseref(terms):
    with pytest.raises(Refused, match="SPDX knows no licence"):
        make_licence(terms=terms)
    assert not Licence.objects.exists()


@pytest.mark.parametrize("territory", ["Ireland", "IE, XX", "", "IE;DE", "WORLD, IE", "EU"])
def test_r31_territories_are_countries_that_there_are_or_the_world(territory):
    with pytest.raises(Refused, match="no country"):
        make_licence(territory=territory)


def test_the_european_economic_area_fits_into_one_record():
    area = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IS IE IT LV LI LT LU MT NL NO PL PT RO SK SI ES SE"
    assert make_licence(territory=area.replace(" ", ", ")).territory.count(",") == 29
    with pytest.raises(Refused, match="too many countries"):
        make_licence(territory=area.replace(" ", ",") + ",US,CA,MX,BR")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": Decimal(-1)}, "price"),
        ({"volume_cap": 0}, "volume cap"),
        ({"evidence": ContentFile(b"", name="a.pdf")}, "empty"),
        ({"purposes": ["unheard-of"]}, "purpose"),
    ],
)
def test_records_that_cannot_be(changes, words):
    make_purpose()
    before = contracts()
    with pytest.raises(Refused, match=words):
        licensing.add_licence(**{**plain(), **changes})
    assert not Licence.objects.exists()
    assert contracts() == before


def contracts():
    storage = licensing.evidence_storage()
    return set(storage.listdir("licences")[1]) if storage.exists("licences") else set()


def plain():
    return {
        "licensor": "A", "title": "B", "terms": "LicenseRef-1", "territory": "WORLD", "purposes": ["research"],
        "starts_on": today(), "ends_on": today(), "price": Decimal(1), "model_release": True,
        "evidence": ContentFile(b"agreed", name="a.pdf"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "change", ["volume_cap = 1000", "price = 1", "price_basis = 'per_image'", "model_release = FALSE", "currency = 'X'"]
)
def test_a_licence_changed_past_the_triggers_is_named(change):
    licence = make_licence(volume_cap=10)
    ledger.seal()
    with connection.cursor() as cursor:
        for statement in append_only.drop_sql(connection.vendor, "consent_licence"):
            cursor.execute(statement)
        cursor.execute(f"UPDATE consent_licence SET {change}")
    assert any(str(licence) in problem for problem in audit.problems())


# --- The contract --------------------------------------------------------------------------------


def address(licence):
    return f"/staff/licences/{licence.pk}/evidence"


def test_the_contract_is_for_data_managers_and_the_protection_officer_only(client):
    licence = make_licence(evidence=ContentFile(b"<script>agreed</script>", name='ag"reed\n.html'))
    assert client.get(address(licence)).url.startswith("/accounts/login/")
    for number, role in enumerate(("reviewer", "fairness analyst", "")):
        client.force_login(make_user(f"no{number}@example.org", *([role] if role else [])))
        assert client.get(address(licence)).status_code == 403
    for number, role in enumerate(("data manager", "data-protection officer")):
        client.force_login(make_user(f"yes{number}@example.org", role))
        answer = client.get(address(licence))
        assert answer.content == b"<script>agreed</script>"
        assert answer["Content-Type"] == "application/octet-stream"
        assert answer["Content-Disposition"].startswith("attachment")
        assert "no-store" in answer["Cache-Control"]


def test_a_contract_that_is_not_what_was_recorded_is_not_shown(client, manager):
    licence = make_licence()
    licensing.evidence_storage().save(licence.evidence_key, ContentFile(b"something else"))
    assert "its hash differs" in client.get(address(licence), follow=True).content.decode()
    licensing.evidence_storage().delete(licence.evidence_key)
    assert "missing from the storage" in client.get(address(licence), follow=True).content.decode()
    assert client.get("/staff/licences/00000000-0000-0000-0000-000000000000/evidence").status_code == 404


# --- The pages -----------------------------------------------------------------------------------


def filled_in(**changes):
    return {
        "licensor": "Example Pictures", "title": "Faces", "terms": "LicenseRef-1", "territory": "IE, DE",
        "purposes": ["research"], "starts_on": "2026-01-01", "ends_on": "2030-12-31", "price": "10.50",
        "price_basis": "flat", "currency": "EUR", "model_release": "on",
        "evidence": SimpleUploadedFile("licence.pdf", b"agreed"), **changes,
    }  # fmt: skip


def test_adding_a_licence(client, manager):
    make_purpose()
    assert client.post("/staff/licences/new/", filled_in(volume_cap="7")).url == "/staff/licences/"
    found = Licence.objects.get()
    assert (str(found.price), found.evidence_name, found.model_release) == ("10.50", "licence.pdf", True)
    html = client.get("/staff/licences/").content.decode()
    for words in (str(found.pk), "used 0 of 7", "DE,IE", address(found)):
        assert words in html


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ends_on": "2025-12-31"}, "ends before it starts"),
        ({"purposes": []}, "at least one purpose"),
        ({"price": "-1"}, "must not be negative"),
        ({"territory": "Ireland"}, "no country with the code"),
        ({"terms": "Mine"}, "SPDX knows no licence"),
        ({"volume_cap": "0"}, "one image or more"),
        ({"evidence": ""}, "required"),
    ],
)
def test_licences_that_cannot_be(client, manager, changes, words):
    make_purpose()
    assert words in client.post("/staff/licences/new/", filled_in(**changes)).content.decode()
    assert not Licence.objects.exists()


def test_how_a_licence_stands_in_words():
    licence = make_licence(starts=today() - DAY, ends=today() + 40 * DAY, volume_cap=5)

    def words(days, used=0, live=True):
        said = licence_warnings.standing(licence, live=live, used=used, today=today() + days * DAY)
        return [one.words for one in said]

    assert words(-2, live=False) == [f"starts on {day(licence.starts_on)}"]
    assert words(0) == ["in force"]
    assert words(0, used=5) == ["in force", "used up"]
    assert words(10) == ["in force, ends in 30 days"]
    assert words(39) == ["in force, ends tomorrow"]
    assert words(40) == ["in force, ends today at midnight UTC"]
    assert words(41, live=False) == [f"ended on {day(licence.ends_on)}"]
    assert words(0, live=False) == ["its purposes have come to an end"]


def test_a_reader_who_may_not_read_contracts_sees_no_link_to_them(client):
    licence = make_licence()
    client.force_login(make_user("", "reviewer"))
    html = client.get("/staff/licences/").content.decode()
    assert "licence.pdf" in html
    assert address(licence) not in html
    assert "Add a licence" not in html


# --- Warnings ------------------------------------------------------------------------------------


def kinds():
    return sorted(LicenceWarning.objects.values_list("licence__title", "kind"))


def test_managers_are_warned_30_days_ahead_at_the_end_and_at_the_cap(manager, mailoutbox):
    make_user("second@example.org", "data manager")
    gone = make_user("gone@example.org", "data manager")
    gone.is_active = False
    gone.save()
    make_user("reviewer@example.org", "reviewer")
    make_licence(title="Far", ends=today() + 31 * DAY)
    make_licence(title="Soon", ends=today() + 30 * DAY)
    make_licence(title="Over", starts=today() - 9 * DAY, ends=today() - DAY)
    full, room = make_licence(title="Full", volume_cap=2), make_licence(title="Room", volume_cap=2)
    for _ in range(3):  # each is said once
        licence_warnings.warn(used={full.pk: 2, room.pk: 1})
    assert kinds() == [("Full", "used_up"), ("Over", "ended"), ("Soon", "ends_soon")]
    assert len(mailoutbox) == 3
    assert all(message.to == ["manager@example.org", "second@example.org"] for message in mailoutbox)
    said = {message.subject: message.body for message in mailoutbox}
    [full_mail] = [body for subject, body in said.items() if "volume cap" in subject]
    assert "as many images as it covers (2)" in full_mail
    assert "/staff/licences/" in full_mail


def test_a_warning_waits_for_somebody_to_tell(mailoutbox):
    make_licence(ends=today() + 3 * DAY)
    licence_warnings.warn(used={})
    assert LicenceWarning.objects.get().mailed_at is None
    assert mailoutbox == []
    make_user("manager@example.org", "data manager")
    licence_warnings.warn(used={})
    assert len(mailoutbox) == 1


def test_a_warning_whose_mail_failed_is_mailed_later(manager, mailoutbox, settings):
    make_licence(ends=today() + 3 * DAY)
    working = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "tests.consent.test_licences.NoMailServer"
    licence_warnings.warn(used={})
    settings.EMAIL_BACKEND = working
    licence_warnings.warn(used={})
    found = LicenceWarning.objects.get()
    assert not licence_warnings.mail_warning(warning=found, to=[manager.email])  # somebody may just be sending it
    assert mailoutbox == []
    LicenceWarning.objects.update(mail_due_at=timezone.now())
    licence_warnings.warn(used={})
    LicenceWarning.objects.update(mail_due_at=timezone.now())
    assert not licence_warnings.mail_warning(warning=found, to=[manager.email])  # it was sent
    assert len(mailoutbox) == 1


class NoMailServer:
    """An e-mail backend whose server is away."""

    def __init__(self, **_):
        pass

    def send_messages(self, messages):
        raise ConnectionRefusedError


def test_staff_pages_show_what_ends(client, manager):
    make_licence(title="Soon", ends=today() + 3 * DAY)
    over = make_licence(title="Over", starts=today() - 9 * DAY, ends=today() - DAY)
    make_licence(title="Long gone", starts=today() - 99 * DAY, ends=today() - 50 * DAY)
    for page in ("/staff/", "/staff/licences/"):
        html = client.get(page).content.decode()
        assert "“Soon” ends in 3 days" in html
        assert f"“Over” ended on {day(over.ends_on)}" in html
        assert "“Long gone” ended" not in html
    client.force_login(make_user("", "fairness analyst"))
    assert "Soon" not in client.get("/staff/").content.decode()


def test_a_contract_whose_licence_was_never_written_goes_and_the_others_stay(time_machine):
    files = licensing.evidence_storage()
    owned = make_licence().evidence_key
    unowned = files.save("licences/0123456789abcdef0123456789abcdef", ContentFile(b"never recorded"))
    assert licensing.remove_unowned_contracts() == 0  # a row may be about to be written
    time_machine.move_to(timezone.now() + licensing.UNOWNED_AGE + DAY)
    assert erasure.remove_orphans() >= 1
    assert files.exists(owned)
    assert not files.exists(unowned)
