"""Deleting an account: identity goes everywhere, proof stays and still verifies."""

import re
import uuid

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection

from consent import accounts, audit, ledger, services
from consent.models import Consent, Contributor, LedgerEntry, SignatureEvidence, User, Withdrawal
from consent.refusals import Refused
from tests.annotation.factories import make_annotator
from tests.collection.factories import make_image
from tests.consent.factories import PASSWORD, make_consent, make_contributor, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    """Somebody who signed, has a receipt, and sent a photograph."""
    contributor = make_contributor(make_user("ada.lovelace@example.org"))
    consent = make_consent(contributor)
    services.issue_due()
    make_image(consent)
    ledger.seal()
    mail.outbox.clear()
    return contributor


def everything_in_the_database() -> str:
    """Every column of every table as text."""
    words = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            words += [bytes(v).decode(errors="replace") if isinstance(v, memoryview | bytes) else str(v)
                      for row in cursor.fetchall() for v in row]  # fmt: skip
    return "\n".join(words)


def delete(client, contributor, password=PASSWORD):
    client.force_login(contributor.user)
    return client.post("/me/delete/", {"password": password})


def test_nothing_in_the_database_says_who_it_was(client, ada):
    consent, image = Consent.objects.get(), ada.consents.get().images.get()
    needles = ["ada.lovelace", consent.evidence.signer_name, consent.evidence.ip, "1990-05-17", str(ada.user.password)]
    before = everything_in_the_database()
    assert all(needle in before for needle in needles)
    delete(client, ada)
    after = everything_in_the_database()
    assert [needle for needle in needles if needle in after] == []
    assert not SignatureEvidence.objects.exists()
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
    accounts.delete_account(contributor=Contributor.objects.get(pk=ada.pk))
    accounts.delete_account(contributor=Contributor.objects.get(pk=ada.pk))
    assert Withdrawal.objects.count() == 1


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
