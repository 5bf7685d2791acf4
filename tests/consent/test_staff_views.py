import pytest

from consent.models import FormText, Purpose
from tests.consent.factories import make_purpose, make_user, text_fields

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
