"""Deleting an account: identity goes everywhere, proof stays and still verifies."""

import base64
import re
import uuid

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from collection import erasure
from collection.models import Image
from consent import accounts, audit, demographics, desk, ledger, services
from consent.models import (
    Consent,
    Contributor,
    ErasureNote,
    LedgerEntry,
    Receipt,
    SignatureEvidence,
    User,
    Withdrawal,
)
from consent.refusals import Refused
from consent.roles import REVIEWER
from exports.definitions import kept_definition
from exports.models import Release
from tests.annotation.factories import make_annotator
from tests.collection.factories import make_image
from tests.consent.factories import PASSWORD, make_consent, make_contributor, make_user
from tests.exports.factories import make_dataset

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_tries_before():
    """Wrong passwords are counted in the cache, which no test rolls back."""
    cache.clear()


@pytest.fixture
def ada():
    """Somebody who signed, has a receipt, sent a photograph, said something about herself and asked us things."""
    contributor = make_contributor(make_user("ada.lovelace@example.org"))
    consent = make_consent(contributor)
    services.issue_due()
    image = make_image(consent)
    Image.objects.filter(pk=image.pk).update(client_name="ada-at-the-lake.jpg")
    demographics.save_answers(contributor=contributor, ancestry="several")
    officer = make_user("officer@example.org")
    mine = desk.open_request(kind="access", contributor=contributor, name="Ada Byron", details="I live in Nottingham.")
    desk.extend_request(request=mine, reason="Ada Byron has many photographs.", user=officer)
    desk.answer_request(request=mine, outcome="done", answer="Dear Ada Byron, here it is.", user=officer)
    signed_out = desk.open_request(kind="depicted", name="Ada Byron", email="Ada.Lovelace@example.org", details="Me.")
    desk.answer_request(request=signed_out, outcome="refused", answer="It is not you, Ada Byron.", user=officer)
    ledger.seal()
    mail.outbox.clear()
    return contributor


def everything_in_the_database() -> str:
    """Every column of every table as text, and what signed envelopes among them hold."""
    words = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            words += [as_text(value) for row in cursor.fetchall() for value in row]
    return "\n".join(words)


def as_text(value) -> str:
    text = bytes(value).decode(errors="replace") if isinstance(value, memoryview | bytes) else str(value)
    packed = re.findall(r'"payload":\s*"([A-Za-z0-9+/=]+)"', text)
    return "\n".join([text, *(base64.b64decode(one).decode(errors="replace") for one in packed)])


def delete(client, contributor, password=PASSWORD):
    client.force_login(contributor.user)
    return client.post("/me/delete/", {"password": password})


def test_nothing_in_the_database_says_who_it_was(client, ada):
    consent, image = Consent.objects.get(), ada.consents.get().images.get()
    needles = [
        "ada.lovelace", consent.evidence.signer_name, consent.evidence.ip, "1990-05-17", str(ada.user.password),
        "ada byron", "nottingham", "ada-at-the-lake", "several",
    ]  # fmt: skip
    needles = [needle.lower() for needle in needles]
    before = everything_in_the_database().lower()
    assert [needle for needle in needles if needle not in before] == []
    delete(client, ada)
    erasure.purge_withdrawn()
    after = everything_in_the_database().lower()
    assert [needle for needle in needles if needle in after] == []
    assert not SignatureEvidence.objects.exists()
    assert not Receipt.objects.exists()  # the name stands in the PDF as well, which is packed
    assert not User.objects.filter(email__contains="ada").exists()
    assert Contributor.objects.get(pk=ada.pk).user is None
    assert image.subject == str(ada.pk)  # a pseudonym stays


def test_the_proof_stays_and_verifies(client, ada):
    consent = Consent.objects.get()
    [before] = ledger.inclusion(
        list(LedgerEntry.objects.filter(payload__contains="consent.granted")),
        ledger.seal() or ledger.latest_checkpoint(),
    )
    delete(client, ada)
    ledger.seal()
    assert list(audit.problems()) == []
    assert Consent.objects.get().evidence_sha256 == consent.evidence_sha256
    [entry] = LedgerEntry.objects.filter(payload__contains="consent.granted")
    assert entry.payload == before["leaf"]
    assert LedgerEntry.objects.filter(payload__contains="account.deleted").count() == 1


def test_everything_is_taken_back_and_the_certificate_needs_no_account(client, ada):
    answer = delete(client, ada)
    act = uuid.UUID(re.search(r"/certificates/([0-9a-f-]{36})/", answer.headers["Location"])[1])
    withdrawal = Withdrawal.objects.get()
    assert (withdrawal.act, withdrawal.cause, withdrawal.aftermath) == (act, "account_deleted", "erase")
    assert "_auth_user_id" not in client.session
    page = client.get(f"/certificates/{act}/")
    assert page.status_code == 200
    [goodbye] = mail.outbox
    assert goodbye.to == ["ada.lovelace@example.org"]
    assert str(act) in goodbye.body


def test_the_password_is_asked_for_and_a_wrong_one_deletes_nothing(client, ada):
    assert "not your password" in delete(client, ada, "wrong").content.decode()
    assert "type your password" in delete(client, ada, "").content.decode()
    assert User.objects.filter(pk=ada.user.pk).exists()
    assert not Withdrawal.objects.exists()


def test_other_sessions_of_the_person_end(client, ada):
    from django.test import Client

    phone = Client()
    phone.force_login(ada.user)
    delete(client, ada)
    assert phone.get("/me/").status_code == 302
    assert not Session.objects.filter(pk=phone.cookies["likeness_session"].value).exists()


@pytest.mark.parametrize("role", ["staff", "annotator"])
def test_accounts_that_serve_more_are_refused_with_a_way_on(client, ada, role):
    if role == "staff":
        User.objects.filter(pk=ada.user.pk).update(is_staff=True)
    else:
        make_annotator(user=ada.user)
    answer = delete(client, ada)
    assert answer.status_code == 200
    assert b"first" in answer.content
    assert User.objects.filter(pk=ada.user.pk).exists()
    ada.refresh_from_db()
    with pytest.raises(Refused):
        accounts.delete_account(contributor=ada)


def test_who_permits_nothing_any_more_ends_on_the_start_page(client):
    contributor = make_contributor()
    assert delete(client, contributor).headers["Location"] == "/"
    assert not User.objects.filter(pk=contributor.user_id).exists()


def test_deleting_twice_is_once(ada):
    act = accounts.delete_account(contributor=Contributor.objects.get(pk=ada.pk))
    noted = ErasureNote.objects.count()
    assert accounts.delete_account(contributor=ada) == act  # as it was when a second window was opened
    assert Withdrawal.objects.count() == 1
    assert ErasureNote.objects.count() == noted
    assert LedgerEntry.objects.filter(payload__contains="account.deleted").count() == 1


def test_a_role_without_the_staff_mark_counts_as_well(ada):
    ada.user.groups.add(Group.objects.get(name=REVIEWER))
    with pytest.raises(Refused, match="end your role"):
        accounts.delete_account(contributor=ada)
    assert not Withdrawal.objects.exists()


def test_who_once_drafted_releases_is_forgotten_too_and_the_releases_stay(client, ada):
    dataset = make_dataset()
    definition = kept_definition(dataset=dataset, user=ada.user)
    about = {"number": 1, "version": "1.0.0", "snapshot_at": timezone.now(), "definition": definition}
    release = Release.objects.create(dataset=dataset, drafted_by=ada.user, **about)
    delete(client, ada)
    assert "ada.lovelace" not in everything_in_the_database().lower()
    left = Release.objects.get(pk=release.pk).drafted_by
    assert (left.is_active, left.has_usable_password()) == (False, False)
    assert not EmailAddress.objects.filter(user=left).exists()
    assert Contributor.objects.get(pk=ada.pk).user is None


def test_nothing_is_signed_or_issued_behind_a_deletion(ada):
    consent = Consent.objects.get()
    Receipt.objects.all().delete()
    consent.evidence  # noqa: B018  # a worker has read it and renders the PDF
    evidence = services._evidence(ada, "Ada Lovelace", "I agree", services.Evidence(viewed_at=timezone.now()))
    accounts.delete_account(contributor=ada)
    with pytest.raises(SignatureEvidence.DoesNotExist):
        services.issue_receipt(consent=consent)
    with pytest.raises(Refused, match="deleted in the meantime"):
        services._sign(ada, consent.text, list(consent.purposes.values_list("pk", flat=True)), evidence, uuid.uuid4())
    services.issue_due()
    assert not Receipt.objects.exists()
    assert Consent.objects.count() == 1
    assert not SignatureEvidence.objects.exists()


def test_what_she_asked_without_signing_in_and_waits_for_an_answer_keeps_the_address(client, ada):
    waiting = desk.open_request(kind="depicted", email="ada.lovelace@example.org", details="Another one.")
    delete(client, ada)
    waiting.refresh_from_db()
    assert waiting.reply_to == "ada.lovelace@example.org"


def test_passwords_cannot_be_tried_without_end(client, ada):
    client.force_login(ada.user)
    for _ in range(10):
        client.post("/me/delete/", {"password": "guess"})
    answer = client.post("/me/delete/", {"password": PASSWORD})
    assert "too often" in answer.content.decode()
    assert User.objects.filter(pk=ada.user.pk).exists()


def test_a_mail_server_that_is_away_does_not_hide_the_certificate(client, ada, settings, caplog):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # nobody listens
    assert "/certificates/" in delete(client, ada).headers["Location"]
    assert "could not be mailed" in caplog.text
    assert "ada" not in caplog.text


def test_an_account_without_a_password_is_asked_nothing(client, ada):
    ada.user.set_unusable_password()
    ada.user.save()
    client.force_login(ada.user)
    assert b"Your password" not in client.get("/me/delete/").content
    assert "/certificates/" in client.post("/me/delete/").headers["Location"]


@pytest.mark.parametrize("page", ["/me/", "/me/data/"])
def test_the_way_there_is_on_the_pages_of_a_contributor(client, ada, page):
    client.force_login(ada.user)
    assert b'href="/me/delete/"' in client.get(page).content


def test_every_table_with_personal_data_is_looked_at():
    """A new model that names a person directly must be thought of in accounts.forget_person."""
    direct = {
        (model._meta.label, name)
        for model in apps.get_models()
        for name, why in getattr(model, "PERSONAL_DATA", {}).items()
        if name in ("email", "signer_name", "date_of_birth", "ip", "user_agent")
    }
    known = {
        ("consent.User", "email"), ("consent.Contributor", "date_of_birth"),
        ("consent.SignatureEvidence", "signer_name"),
        ("consent.SignatureEvidence", "email"), ("consent.SignatureEvidence", "ip"),
        ("consent.SignatureEvidence", "user_agent"), ("consent.RightsRequest", "email"),
        ("annotation.Invitation", "email"), ("exports.Recipient", "email"),
    }  # fmt: skip
    assert direct == known
