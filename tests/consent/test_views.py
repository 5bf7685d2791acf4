import datetime
import re
import uuid

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from consent import ledger, services
from consent.models import Consent, Contributor, SignatureEvidence, User, Withdrawal
from consent.questions import questions_of
from tests.consent.factories import PASSWORD, make_consent, make_contributor, make_text, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def contributor(client):
    contributor = make_contributor()
    client.force_login(contributor.user)
    return contributor


def page(response):
    assert response.status_code == 200, response
    return response.content.decode()


def hidden(response):
    """What a browser sends back untouched, without JavaScript."""
    inputs = re.findall(r'<input type="hidden" name="(\w+)"(?: value="([^"]*)")?', page(response))
    return {name: value for name, value in inputs if name != "csrfmiddlewaretoken"}


def right_answers(text):
    return {f"question_{index}": question.right for index, question in enumerate(questions_of(text))}


def filled(client, text, **changes):
    return {
        **hidden(client.get(reverse("sign", args=[text.form.slug]))),
        "purpose_research": "on",
        **right_answers(text),
        "signer_name": "Ada Example",
        "agree": "on",
        **changes,
    }


def test_signing_up_confirming_and_registering(client):
    answer = {"email": "new@example.org", "password1": "a long password 7"}
    assert client.post(reverse("account_signup"), answer).status_code == 302
    link = re.search(r"/accounts/confirm-email/\S+", mail.outbox[0].body)[0]
    client.post(link)
    user = User.objects.get()
    assert user.email_verified_at
    client.post(reverse("account_login"), {"login": "new@example.org", "password": "a long password 7"})
    assert "/me/about/" in page(client.get("/"))
    response = client.post("/me/about/", {"date_of_birth": "1990-05-17", "country": "IE"})
    assert response.url == "/me/"
    assert Contributor.objects.get().user == user


def test_a_seventeen_year_old_is_refused_and_nothing_is_kept(client):
    client.force_login(make_user())
    born = timezone.now().date() - datetime.timedelta(days=17 * 365)
    html = page(client.post("/me/about/", {"date_of_birth": born.isoformat(), "country": "IE"}))
    assert "at least 18 years old" in html
    assert not Contributor.objects.exists()


def test_strangers_sign_in_and_newcomers_say_who_they_are_first(client):
    text = make_text()
    address = reverse("sign", args=[text.form.slug])
    assert client.get(address).url == f"/accounts/login/?next={address}"
    client.force_login(make_user())
    led = client.get(address).url
    assert led == f"/me/about/?next={address}"
    response = client.post(led, {"date_of_birth": "1990-05-17", "country": "IE"})
    assert response.url == address
    assert client.get("/me/about/?next=https://evil.example/").url == "/me/"


def test_no_box_is_ticked_and_each_purpose_has_its_own(client, contributor):
    text = make_text(["research", "training"])
    html = page(client.get(f"/sign/{text.form.slug}/"))
    boxes = re.findall(r'<input type="checkbox" name="([^"]+)"([^>]*)>', html)
    assert {name for name, _ in boxes} == {"purpose_research", "purpose_training", "agree"}
    assert not any("checked" in rest for _, rest in boxes)
    assert text.html in html


def test_signing(client, contributor):
    text = make_text(["research", "training"])
    response = client.post(f"/sign/{text.form.slug}/", filled(client, text), HTTP_USER_AGENT="Test browser")
    assert response.url == "/me/"
    consent = Consent.objects.get()
    assert [purpose.pk for purpose in consent.purposes.all()] == ["research"]
    assert (consent.evidence.user_agent, consent.evidence.ip) == ("Test browser", "127.0.0.1")
    assert consent.evidence.viewed_at <= consent.signed_at
    assert consent.evidence.intent.startswith("I have read")
    assert text.title in page(client.get("/me/"))


def test_a_double_submit_signs_once(client, contributor):
    text = make_text()
    data = filled(client, text)
    for _ in range(2):
        assert client.post(f"/sign/{text.form.slug}/", data).url == "/me/"
    assert Consent.objects.count() == 1


def test_no_purpose_is_a_valid_answer_that_signs_nothing(client, contributor):
    text = make_text()
    data = filled(client, text)
    del data["purpose_research"]
    assert "nothing was signed" in page(client.post(f"/sign/{text.form.slug}/", data))
    assert not Consent.objects.exists()
    assert not SignatureEvidence.objects.exists()


def test_a_text_that_changed_meanwhile_is_shown_anew(client, contributor):
    text = make_text()
    data = filled(client, text)
    newer = make_text()
    response = client.post(f"/sign/{text.form.slug}/", data)
    assert "The text has changed" in page(response)
    assert newer.html in response.content.decode()
    assert 'checkbox" name="purpose_research" checked' not in response.content.decode()
    assert not Consent.objects.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"signer_name": ""}, "Please type your name"),
        ({"agree": ""}, "Please tick this box"),
        ({"viewed_at": "forged"}, "no longer valid"),
        ({"submission": "no uuid"}, "no longer valid"),
    ],
)
def test_incomplete_or_forged_forms_sign_nothing(client, contributor, changes, words):
    text = make_text()
    assert words in page(client.post(f"/sign/{text.form.slug}/", filled(client, text, **changes)))
    assert not Consent.objects.exists()


def test_unknown_forms_are_not_found(client, contributor):
    assert client.get("/sign/nothing/").status_code == 404


def test_receipts_are_there_once_issued_and_only_for_their_own_person(client, contributor):
    consent = make_consent(contributor)
    json_page, pdf_page = (f"/me/receipts/{consent.pk}.{kind}" for kind in ("json", "pdf"))
    assert client.get(json_page).status_code == 404
    assert "receipt is being made" in page(client.get("/me/"))
    receipt = services.issue_receipt(consent=consent)
    assert client.get(json_page).content.decode() == receipt.envelope
    assert client.get(pdf_page).content == bytes(receipt.pdf)
    assert "no-store" in client.get(pdf_page)["Cache-Control"]
    client.force_login(make_contributor().user)
    assert client.get(json_page).status_code == client.get(pdf_page).status_code == 404


def test_withdrawing_is_one_link_and_one_button_away(client, contributor):
    """No more steps than signing took, and no reason asked."""
    consent = make_consent(contributor, ["research", "training"])
    assert 'href="/me/withdraw/"' in page(client.get("/me/"))
    assert str(consent.pk) in page(client.get("/me/withdraw/"))
    answer = client.post("/me/withdraw/", {"consent": consent.pk, "purpose": "research"})
    assert answer.url == f"/certificates/{Withdrawal.objects.get().act}/"
    assert not Consent.objects.live("research").exists()
    assert Consent.objects.live("training").exists()
    client.post("/me/withdraw/", {"consent": consent.pk, "purpose": ""})
    assert not Consent.objects.live().exists()
    assert "taken back on" in page(client.get("/me/"))


def test_withdrawing_everything(client, contributor):
    make_consent(contributor)
    make_consent(contributor)
    other = make_consent()
    assert 'value="all"' in page(client.get("/me/withdraw/"))
    client.post("/me/withdraw/", {"consent": "all", "purpose": ""})
    assert Consent.objects.live().get() == other


@pytest.mark.parametrize("purpose", ["", "research"])
def test_other_peoples_consents_cannot_be_withdrawn(client, contributor, purpose):
    other = make_consent()
    for consent in (other.pk, uuid.uuid4(), "nonsense", ""):
        response = client.post("/me/withdraw/", {"consent": consent, "purpose": purpose})
        assert "did not find" in page(response)
    assert not Withdrawal.objects.exists()


def test_home_leads_people_on(client, contributor):
    assert client.get("/").url == "/me/"
    client.force_login(make_user("staff@example.org", "reviewer"))
    assert client.get("/").url == "/staff/"
    client.logout()
    assert reverse("account_signup") in page(client.get("/"))


def test_the_key_and_the_checkpoint_are_public(client):
    assert client.get("/ledger/checkpoint").status_code == 404
    make_consent()
    head = ledger.seal()
    assert client.get("/ledger/checkpoint").content.decode() == head.note
    assert client.get("/keys/signing.pem").content.startswith(b"-----BEGIN PUBLIC KEY-----")


def test_a_password_signs_in(client):
    user = make_user("ada@example.org")
    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    assert client.get("/me/").url.startswith("/me/about/")


@pytest.mark.parametrize("address", ["foo", "sign", "//evil.example", "javascript:alert(1)"])
def test_no_next_leads_away_or_to_an_error(client, address):
    client.force_login(make_user())
    about = f"/me/about/?next={address}"
    answer = client.post(about, {"date_of_birth": "1990-01-01", "country": "IE"})
    assert (answer.status_code, answer["Location"]) == (302, "/me/")


def test_a_year_of_two_digits_makes_nobody_an_adult(client):
    client.force_login(make_user())
    client.post("/me/about/", {"date_of_birth": "0009-01-01", "country": "IE"})
    assert not Contributor.objects.exists()
