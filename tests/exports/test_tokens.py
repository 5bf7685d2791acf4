"""A token that somebody else may have seen is ended before it expires, by the staff or by its holder."""

import pytest
from django.core import mail
from django.utils import timezone

from consent.withdrawals import withdraw
from exports.models import AccessToken
from exports.notices import revoke_items
from exports.tokens import end_token
from tests.exports.factories import make_labelled_dataset, make_manager, make_published, make_token

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
    assert "The token of ML team opens nothing any more." in page
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


def test_only_data_managers_end_tokens_of_others(client, dataset):
    make_token(dataset)
    row = AccessToken.objects.get()
    assert client.post(f"/staff/tokens/{row.pk}/end/").status_code in (302, 403)
    row.refresh_from_db()
    assert row.ended_at is None


def test_whoever_has_copies_is_told_of_notices_all_the_same(client, dataset):
    make_token(dataset)
    end_token(token=AccessToken.objects.get(), by=None)
    withdraw(consent=dataset.releases.get().items.first().image.consent)
    revoke_items()
    assert [message.to for message in mail.outbox] == [["ml@example.org"]]
