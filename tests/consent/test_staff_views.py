import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from consent.models import FormText, Licence, Purpose
from tests.consent.factories import make_licence, make_purpose, make_user, text_fields

pytestmark = pytest.mark.django_db
MANAGER_PAGES = ("/staff/purposes/new/", "/staff/forms/new/", "/staff/licences/new/")


@pytest.fixture
def manager(client):
    client.force_login(make_user("manager@example.org", "data manager"))


def lines(fields):
    """A text's fields as a browser sends them: lists are one value per line."""
    return {name: "\r\n".join(value) if isinstance(value, list) else value for name, value in fields.items()}


@pytest.mark.parametrize("address", [*MANAGER_PAGES, "/staff/", "/staff/licences/"])
def test_who_may_see_what(client, address):
    assert client.get(address).url == f"/accounts/login/?next={address}"
    client.force_login(make_user())
    assert client.get(address).status_code == 403
    client.force_login(make_user("reviewer@example.org", "reviewer"))
    assert client.get(address).status_code == (403 if address in MANAGER_PAGES else 200)
    client.force_login(make_user("boss@example.org", "data manager"))
    assert client.get(address).status_code == 200


def test_adding_a_purpose(client, manager):
    answer = {"code": "research", "name": "Research", "description": "For studies."}
    assert client.post("/staff/purposes/new/", answer).url == "/staff/"
    assert Purpose.objects.get().description == "For studies."
    assert "already exists" in client.post("/staff/purposes/new/", answer).content.decode()


def test_publishing_a_text(client, manager):
    make_purpose("research")
    make_purpose("training")
    data = lines(text_fields(recipients=["One", "Two"], purposes=["research", "training"]))
    data["purposes"] = ["research", "training"]
    assert client.post("/staff/forms/new/", data).url == "/staff/"
    text = FormText.objects.get()
    assert text.recipients == ["One", "Two"]
    assert {purpose.pk for purpose in text.purposes.all()} == {"research", "training"}
    assert f"/sign/{text.form.slug}/" in client.get("/staff/").content.decode()


def test_each_missing_statement_is_named(client, manager):
    data = lines(text_fields(contact="", recipients=[], retention_days="", complaint_body=""))
    html = client.post("/staff/forms/new/", data).content.decode()
    for words in ("Choose at least one purpose", "contact e-mail", "who receives", "how long it is kept", "complaints"):
        assert words in html
    assert not FormText.objects.exists()


def licence(**changes):
    return {
        "licensor": "Example Pictures", "title": "Faces", "terms": "LicenseRef-1", "territory": "IE, DE",
        "purposes": ["research"], "starts_on": "2026-01-01", "ends_on": "2030-12-31", "price": "10.50",
        "currency": "EUR", "model_release": "on", "evidence": SimpleUploadedFile("licence.pdf", b"agreed"), **changes,
    }  # fmt: skip


def test_adding_a_licence(client, manager):
    make_purpose()
    assert client.post("/staff/licences/new/", licence()).url == "/staff/licences/"
    found = Licence.objects.get()
    assert (str(found.price), found.evidence_name, found.model_release) == ("10.50", "licence.pdf", True)
    assert str(found.pk) in client.get("/staff/licences/").content.decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ends_on": "2025-12-31"}, "ends before it starts"),
        ({"purposes": []}, "at least one purpose"),
        ({"price": "-1"}, "must not be negative"),
        ({"territory": "Ireland"}, "capital country codes"),
        ({"evidence": ""}, "required"),
    ],
)
def test_licences_that_cannot_be(client, manager, changes, words):
    make_purpose()
    assert words in client.post("/staff/licences/new/", licence(**changes)).content.decode()
    assert not Licence.objects.exists()


def test_the_list_says_what_is_in_force(client, manager):
    make_licence()
    assert "in force" in client.get("/staff/licences/").content.decode()
