"""A token that somebody else may have seen is ended before it expires, by the staff or by its holder."""

import json

import pytest
from django.core import mail
from django.db.models import ProtectedError
from django.utils import timezone

from consent.keys import public_key
from consent.signing import open_dsse, sha256_hex
from consent.withdrawals import withdraw
from exports.api import NoticeAcknowledge, NoticeList, Token
from exports.api_access import BearerToken
from exports.models import AccessToken, Acknowledgement, Download, Notice, Recipient
from exports.notices import NOTICE_TYPE, revoke_items
from exports.tokens import end_token, find_token, issue_recipient_token, known_token, reporting_token, tokens_of
from exports.urls import urlpatterns
from tests.exports.factories import make_dataset, make_labelled_dataset, make_manager, make_published, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def dataset():
    return make_published(make_labelled_dataset(people=2, each=1, slug="portraits")).dataset


def ask(client, token, method="get", path=""):
    return getattr(client, method)(f"/api/datasets/portraits/{path}", headers={"Authorization": f"Bearer {token}"})


def test_the_staff_ends_one_token_and_no_other(client, dataset):
    token, other = make_token(dataset), make_token(dataset)
    client.force_login(make_manager())
    page = client.get("/staff/datasets/portraits/").content.decode()
    assert page.count(">End it now</button>") == 2
    row = AccessToken.objects.order_by("pk").first()
    page = client.post(f"/staff/tokens/{row.pk}/end/", follow=True).content.decode()
    assert "The token of ML team fetches nothing any more." in page
    assert page.count(">End it now</button>") == 1
    assert "had ended already" in client.post(f"/staff/tokens/{row.pk}/end/", follow=True).content.decode()
    client.logout()
    refused = ask(client, token)
    assert refused.status_code == 401
    today = f"{timezone.now():%Y-%m-%d}"
    assert refused.json()["detail"] == f"This token was ended on {today}. Ask the data manager for a new one."
    assert ask(client, other).status_code == 200


def test_its_holder_ends_it(client, dataset):
    token, other = make_token(dataset), make_token(dataset)
    assert ask(client, token, "delete", "token/").status_code == 204
    assert ask(client, token).status_code == 401
    assert ask(client, other).status_code == 200
    client.force_login(make_manager())
    assert "by its holder" in client.get("/staff/datasets/portraits/").content.decode()


def test_each_token_shows_when_it_was_used_last(client, dataset):
    used, idle = (issue_recipient_token(name="ML", email="ml@example.org", dataset=dataset) for _ in range(2))
    other = issue_recipient_token(name="Others", email="o@example.org", dataset=dataset)
    for token in (used, other):
        b"".join(ask(client, token, path="1.0.0/files/SHA256SUMS"))
    mine = Download.objects.get(recipient__name="ML")
    assert mine.token.token_sha256 == sha256_hex(used.encode())
    shown = {row.token_sha256: row.used_at for row in tokens_of(dataset)}
    assert shown[sha256_hex(used.encode())] == mine.at
    assert shown[sha256_hex(idle.encode())] is None
    client.force_login(make_manager())
    page = client.get("/staff/datasets/portraits/").content.decode()
    assert page.count("nothing yet") == 1
    with pytest.raises(ProtectedError):
        mine.token.delete()


def test_what_was_fetched_before_tokens_were_noted_is_not_called_nothing(client, dataset):
    old = issue_recipient_token(name="ML", email="ml@example.org", dataset=dataset)
    file = dataset.releases.get().files.first()
    at = Download.objects.create(recipient=Recipient.objects.get(), file=file).at
    new = issue_recipient_token(name="ML", email="ml@example.org", dataset=dataset)
    shown = {row.token_sha256: (row.used_at, row.unsure_at) for row in tokens_of(dataset)}
    assert shown[sha256_hex(old.encode())] == (None, at)
    assert shown[sha256_hex(new.encode())] == (None, None)
    client.force_login(make_manager())
    page = client.get("/staff/datasets/portraits/").content.decode()
    assert page.count("which one was not noted then") == page.count("nothing yet") == 1


def test_only_data_managers_end_tokens_of_others(client, dataset):
    make_token(dataset)
    row = AccessToken.objects.get()
    assert client.post(f"/staff/tokens/{row.pk}/end/").status_code in (302, 403)
    row.refresh_from_db()
    assert row.ended_at is None


def expire():
    AccessToken.objects.update(expires_at=timezone.now())


def end():
    end_token(token=AccessToken.objects.get(), by=None)


@pytest.mark.parametrize("cease", [expire, end])
def test_a_token_of_old_reads_the_notices_of_its_dataset_and_nothing_else(cease, client, dataset):
    """What a notice says is rows by keyed id, place and hash."""
    token = make_token(dataset)
    withdraw(consent=dataset.releases.get().items.first().image.consent)
    revoke_items()
    cease()
    [notice] = ask(client, token, path="notices/").json()["notices"]
    assert notice.keys() == {"id", "version", "envelope", "created_at"}
    said = json.loads(open_dsse(notice["envelope"], NOTICE_TYPE, public_key()))
    assert said.keys() == {"dataset", "version", "rows_root", "issued_at", "rows"}
    assert {name for row in said["rows"] for name in row} == {"row_id", "position", "leaf_hash"}
    others = [
        "", "1.0.0/", "1.0.0/files/SHA256SUMS", "1.0.0/files/data/test-00000.parquet", "1.0.0/croissant/",
        "1.0.0/balance/", "1.0.0/since/1.0.0/",
    ]  # fmt: skip
    assert {ask(client, token, path=path).status_code for path in others} == {401}
    make_dataset(slug="others")
    bearer = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/datasets/others/notices/", headers=bearer).status_code == 404
    assert not Download.objects.exists()


@pytest.mark.parametrize(("cease", "status"), [(expire, 200), (end, 401)])
def test_a_token_that_others_may_have_seen_reports_nothing_for_its_recipient(cease, status, client, dataset):
    token = make_token(dataset)
    withdraw(consent=dataset.releases.get().items.first().image.consent)
    revoke_items()
    cease()
    address = f"/api/datasets/portraits/notices/{Notice.objects.get().pk}/acknowledge/"
    bearer = {"Authorization": f"Bearer {token}"}
    answer = client.post(address, {"rows_removed": 1}, "application/json", headers=bearer)
    assert answer.status_code == status
    assert Acknowledgement.objects.count() == (status == 200)


def test_what_has_expired_can_still_be_ended(client, dataset):
    """For it still reports."""
    token = make_token(dataset)
    expire()
    client.force_login(make_manager())
    assert ">End it now</button>" in client.get("/staff/datasets/portraits/").content.decode()
    client.logout()
    assert ask(client, token, "delete", "token/").status_code == 204
    assert ask(client, token, "delete", "token/").status_code == 401  # it was ended


def test_every_address_of_a_dataset_wants_a_live_token_unless_it_is_said_here():
    views = [one.callback.view_class for one in urlpatterns if one.pattern.regex.pattern.startswith("^api/datasets")]
    assert len(views) > 5
    assert {view.authentication_classes for view in views} == {(BearerToken,)}
    lenient = {view: view.takes for view in views if view.takes != find_token}
    assert lenient == {NoticeList: known_token, NoticeAcknowledge: reporting_token, Token: reporting_token}


def test_whoever_has_copies_is_told_of_notices_all_the_same(client, dataset):
    make_token(dataset)
    end_token(token=AccessToken.objects.get(), by=None)
    withdraw(consent=dataset.releases.get().items.first().image.consent)
    revoke_items()
    assert [message.to for message in mail.outbox] == [["ml@example.org"]]
