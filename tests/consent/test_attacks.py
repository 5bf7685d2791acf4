"""Attacks by way of the pages: what a hostile sender tries is answered clearly, and changes no right."""

import threading
import uuid

import pytest
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from collection import freezes, pipeline
from collection.models import Freeze, Image, ImageStatus, Removal
from collection.removals import remove_images
from consent import accounts, desk, drafts, services, withdrawals
from consent.addresses import client_ip
from consent.models import (
    Consent,
    Contributor,
    ErasureNote,
    FormText,
    LedgerEntry,
    PurposeEnd,
    RightsRequest,
    SignatureEvidence,
    User,
    Withdrawal,
)
from consent.roles import DATA_MANAGER, PROTECTION_OFFICER
from tests.collection.factories import make_image
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent, make_contributor, make_purpose, make_text, make_user

pytestmark = pytest.mark.django_db
at_once = pytest.mark.django_db(transaction=True)


@pytest.fixture
def contributor(client):
    contributor = make_contributor()
    client.force_login(contributor.user)
    return contributor


def hold(*images):
    request = desk.open_request(kind="depicted", email="me@example.org", details="I am in it.")
    freezes.freeze_images(images=[image.pk for image in images], request=request)
    return request


# --- What cannot be stored -----------------------------------------------------------------------


def test_nul_on_the_sign_page_is_a_stale_page(client, contributor):
    make_text(slug="portrait")
    sent = {"text_sha256": "a\0b", "purpose_res\0earch": "on", "viewed_at": "\0", "submission": "\0"}
    assert client.post("/sign/portrait/", sent).status_code == 200
    assert not Consent.objects.exists()


def test_nul_in_the_name_of_the_browser_does_not_stop_signing(contributor):
    evidence = services.Evidence(viewed_at=timezone.now(), ip=None, user_agent="Mozilla\0/5.0")
    services.grant(
        contributor=contributor,
        text=make_text(slug="portrait"),
        purposes=["research"],
        signer_name="Ada Example",
        intent="I agree.",
        submission=uuid.uuid4(),
        evidence=evidence,
    )
    assert SignatureEvidence.objects.get().user_agent == "Mozilla/5.0"


def test_nul_in_the_reason_why_a_purpose_ends(client):
    client.force_login(make_user("", DATA_MANAGER))
    address = reverse("purpose_end", args=[make_purpose("research").pk])
    client.post(address, {"reason": "\0"})
    assert not PurposeEnd.objects.exists()
    assert client.post(address, {"reason": "The study\0 is over."}).status_code == 302
    assert PurposeEnd.objects.get().reason == "The study is over."


@pytest.mark.parametrize(
    ("connected", "kept"), [("fe80::1%eth0", "fe80::1"), ("203.0.113.7", "203.0.113.7"), ("203.0.113.7:80", None)]
)
def test_an_address_of_this_network_is_kept_without_its_zone(rf, connected, kept):
    """PostgreSQL's inet knows no zones."""
    assert client_ip(rf.get("/", REMOTE_ADDR=connected, HTTP_X_FORWARDED_FOR="198.51.100.1")) == kept


def test_only_asking_for_the_page_of_deletion_never_uses_up_tries(client, contributor):
    cache.clear()
    assert {client.head("/me/delete/").status_code for _ in range(15)} == {200}
    cache.clear()


# --- Other people's ids --------------------------------------------------------------------------


def test_another_persons_ids_open_nothing_and_change_nothing(client, contributor):
    consent = make_consent()
    image = make_image(consent)
    request = desk.open_request(kind="access", contributor=consent.contributor)
    for name, key in (
        ("photo_original", image.pk),
        ("photo_thumb", image.pk),
        ("receipt_json", consent.pk),
        ("receipt_pdf", consent.pk),
        ("depicted_received", request.pk),
    ):
        assert client.get(reverse(name, args=[key])).status_code == 404, name
    for field in ("photo", "erase", "keep"):
        assert client.post("/me/photos/remove/", {field: image.pk}).status_code == 404
    client.post("/me/withdraw/", {"consent": consent.pk})
    client.post("/me/photos/erase/")
    assert client.post("/me/data/download", {"reference": request.pk}).status_code == 302
    client.post("/depicted/", {"reference": request.pk, "name": "X", "email": "x@example.org", "words": "me"})
    request.refresh_from_db()
    assert (request.answered_at, request.kind, request.details) == (None, "access", "")
    assert not Removal.objects.exists()
    assert not Withdrawal.objects.exists()


@pytest.mark.parametrize("address", ["//evil.example/", "/\\evil.example", "https:evil.example", "\t//evil.example"])
def test_next_leads_nowhere_else(client, contributor, address):
    assert client.get("/me/about/", {"next": address}).headers["Location"] == "/me/"


# --- Frozen, and sent again ----------------------------------------------------------------------


def test_a_frozen_photograph_that_is_sent_again_is_frozen_too():
    picture = jpeg(person=901, shot=1)
    consent = make_consent()
    request = hold(make_image(consent, picture=picture))
    again, elsewhere = make_image(consent, picture=picture), make_image(make_consent(), picture=picture)
    held = set(freezes.held_images(request).values_list("pk", flat=True))
    assert {again.pk, elsewhere.pk} < held
    assert not Image.objects.with_live_basis().filter(pk__in=held).exists()


def test_copies_go_on_once_the_desk_lets_all_go():
    picture = jpeg(person=902, shot=1)
    consent = make_consent()
    request = hold(original := make_image(consent, picture=picture))
    again = make_image(consent, picture=picture)
    freezes.lift_freezes(request=request, images=[original.pk, again.pk])
    Image.objects.filter(pk=again.pk).update(next_attempt_at=timezone.now())
    pipeline.advance(again.pk)
    again.refresh_from_db()
    assert again.status == ImageStatus.DUPLICATE


def test_a_copy_that_the_desk_let_go_is_not_frozen_again():
    picture = jpeg(person=903, shot=1)
    request = hold(make_image(picture=picture))
    copy = make_image(picture=picture)
    freezes.lift_freezes(request=request, images=[copy.pk])
    Image.objects.filter(pk=copy.pk).update(next_attempt_at=timezone.now())
    pipeline.advance(copy.pk)
    copy.refresh_from_db()
    assert copy.status == ImageStatus.ACCEPTED
    assert not freezes.frozen_images([copy.pk])


def test_nothing_that_a_contributor_presses_unfreezes(client, contributor):
    text = make_text(slug="portrait")
    consent = make_consent(contributor, text=text)
    image = make_image(consent)
    hold(image)
    presses = (
        ("/me/photos/remove/", {"keep": image.pk}),
        ("/me/withdraw/", {"consent": consent.pk, "aftermath": "keep"}),
        ("/me/withdraw/", {"consent": "all", "aftermath": "keep"}),
        ("/me/photos/erase/", {}),
    )
    for address, sent in presses:
        client.post(address, sent)
        make_consent(contributor, text=text)
        assert freezes.frozen_images([image.pk])
        for name in ("photo_thumb", "photo_original"):
            assert client.get(reverse(name, args=[image.pk])).status_code == 404
        packed = b"".join(client.post("/me/data/download").streaming_content)
        assert f"photographs/{image.pk}".encode() not in packed


# --- Old pages, sent late ------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["", "research"])
def test_an_old_page_of_withdrawal_says_that_it_was_signed_anew(client, contributor, purpose):
    text = make_text(slug="portrait")
    old = make_consent(contributor, text=text)
    withdrawals.withdraw(consent=old)
    new = make_consent(contributor, text=text)
    answer = client.post("/me/withdraw/", {"consent": old.pk, "purpose": purpose})
    assert "signed again since" in answer.content.decode()
    assert Consent.objects.live().filter(pk=new.pk).exists()
    assert client.post("/me/withdraw/", {"consent": new.pk, "purpose": purpose}).status_code == 302
    assert not Consent.objects.live("research").filter(contributor=contributor).exists()


# --- All at once ---------------------------------------------------------------------------------


def together(*works):
    """Run all of them at the same moment; what they raised."""
    start, raised = threading.Barrier(len(works)), []

    def run(work):
        start.wait(10)
        try:
            work()
        except Exception as error:  # whatever it is, the test names it
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return raised


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@at_once
def test_photographs_removed_by_many_at_once_are_removed_once():
    contributor = make_contributor()
    images = [make_image(make_consent(contributor)) for _ in range(2)]
    clients = [signed_in(contributor.user) for _ in range(5)]
    sent = {"photo": [image.pk for image in images]}
    assert together(*(lambda c=c: c.post("/me/photos/remove/", sent) for c in clients)) == []
    assert Removal.objects.count() == 2
    assert LedgerEntry.objects.filter(payload__contains="image.removed").count() == 2
    assert ErasureNote.objects.count() == 2


@at_once
def test_an_account_deleted_by_many_while_it_signs_is_deleted_once():
    contributor = make_contributor()
    text = make_text(slug="portrait")
    make_consent(contributor, text=text)
    works = [lambda: accounts.delete_account(contributor=contributor)] * 3
    raised = together(*works, lambda: make_consent(contributor, text=text))
    assert all(isinstance(error, services.Refused) for error in raised), raised
    assert not Consent.objects.live().filter(contributor=contributor).exists()
    assert not SignatureEvidence.objects.exists()
    assert not User.objects.filter(contributor=contributor).exists()
    assert LedgerEntry.objects.filter(payload__contains="account.deleted").count() == 1


@at_once
def test_the_desk_pressed_by_two_officers_decides_once():
    image = make_image()
    request = hold(image)
    clients = [signed_in(make_user("", PROTECTION_OFFICER)) for _ in range(4)]
    address = reverse("desk_request", args=[request.pk])
    sent = {"action": "erase", "everything": "on", "image": [image.pk]}
    assert together(*(lambda c=c: c.post(address, sent) for c in clients)) == []
    assert Removal.objects.count() == 1
    answers = [{"action": "answer", "answer-outcome": "done", "answer-answer": f"Answer {n}."} for n in range(4)]
    assert together(*(lambda c=c, a=a: c.post(address, a) for c, a in zip(clients, answers, strict=True))) == []
    assert LedgerEntry.objects.filter(payload__contains="request.answered").count() == 1


@at_once
def test_a_draft_published_by_many_at_once_is_published_once():
    manager = make_user("", DATA_MANAGER)
    draft = drafts.start_from_text(text=make_text(slug="portrait"), language="en", user=manager)
    clients = [signed_in(manager) for _ in range(4)]
    address = reverse("draft_publish", args=[draft.pk])
    assert together(*(lambda c=c: c.post(address) for c in clients)) == []
    assert FormText.objects.filter(version=draft.version).count() == 1


@at_once
def test_withdrawing_while_signing_anew_leaves_one_clear_answer():
    """Whichever comes first: the older consent is over, and nothing is half withdrawn."""
    contributor = make_contributor()
    text = make_text(slug="portrait")
    old = make_consent(contributor, text=text)
    works = [lambda: withdrawals.withdraw(consent=old), lambda: make_consent(contributor, text=text)]
    assert together(*works) == []
    assert not Consent.objects.live().filter(pk=old.pk).exists()
    withdrawn = Withdrawal.objects.filter(purpose=None).count()
    assert withdrawn == LedgerEntry.objects.filter(payload__contains="consent.withdrawn").count()
    assert withdrawn + Consent.objects.live().count() == Consent.objects.count()


# --- The database fails in the middle ------------------------------------------------------------


def counts():
    rows = (Withdrawal, Removal, Freeze, ErasureNote, LedgerEntry, RightsRequest, SignatureEvidence, Consent)
    return [model.objects.count() for model in rows]


@at_once
@pytest.mark.parametrize("step", ["withdraw", "withdraw_all", "remove", "delete", "erase"])
@pytest.mark.parametrize("nth", [1, 2])
def test_killed_in_the_middle_nothing_is_half_done(step, nth):
    """The nth ledger entry cannot be written: then nothing of the act is there, and doing it again does all of it."""
    contributor = make_contributor()
    text = make_text(slug="portrait")
    consents = [make_consent(contributor, text=text) for _ in range(2)]
    images = [make_image(consent) for consent in consents]
    request = hold(*images)
    steps = {
        "withdraw": lambda: withdrawals.withdraw(consent=consents[0]),
        "withdraw_all": lambda: withdrawals.withdraw_all(contributor=contributor),
        "remove": lambda: remove_images(images=images, cause="withdrawn"),
        "delete": lambda: accounts.delete_account(contributor=contributor),
        "erase": lambda: freezes.erase_frozen(request=request, images=[image.pk for image in images]),
    }
    before, left = counts(), [nth]

    def fail(execute, sql, params, many, context):
        if sql.startswith("INSERT INTO") and "consent_ledgerentry" in sql:
            left[0] -= 1
            if left[0] == 0:
                raise DatabaseError("the server is gone")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail), pytest.raises(DatabaseError):
        steps[step]()
    assert counts() == before
    assert Contributor.objects.get().user is not None
    steps[step]()
    assert counts() != before
