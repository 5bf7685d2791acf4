"""The staff pages and the public page of a dataset, as people use them."""

import re

import pytest
from botocore.exceptions import ClientError
from django.core.files.storage import Storage, storages

from consent.models import User
from consent.withdrawals import withdraw
from exports import tasks
from exports.forms import DatasetForm
from exports.models import Dataset, Release
from tests.consent.factories import make_consent, make_purpose, make_user
from tests.exports.factories import make_built, make_campaign, make_image, make_manager, make_published

pytestmark = pytest.mark.django_db

FIELDS = {
    "slug": "portraits",
    "title": "Portraits",
    "description": "For research.",
    "purpose": "research",
    "campaign": "",
    "terms": "CC-BY-4.0",
}


def test_from_dataset_to_published_release(client):
    make_purpose("research")
    consent = make_consent()
    make_image(consent)
    make_image(make_consent(purposes=["marketing"]))
    drafter, publisher = make_manager(), make_manager()
    client.force_login(drafter)
    page = client.post("/staff/datasets/new/", FIELDS, follow=True)
    assert page.redirect_chain == [("/staff/datasets/portraits/", 302)]
    page = client.get("/staff/datasets/portraits/next/")
    assert "<strong>1</strong> photograph may go into it now" in page.content.decode()
    assert '<td>basis does not cover research</td><td class="number">1</td>' in page.content.decode()
    page = client.post("/staff/datasets/portraits/next/", {"action": "draft"}, follow=True)
    assert "1.0.0 is being built" in page.content.decode()
    tasks.build_due()
    release = Release.objects.get()
    assert "A second person publishes it." in client.get("/staff/datasets/portraits/").content.decode()
    page = client.post(f"/staff/releases/{release.pk}/publish/", follow=True)
    assert "Ask a second person" in page.content.decode()
    client.force_login(publisher)
    assert "Publish 1.0.0" in client.get("/staff/datasets/portraits/").content.decode()
    page = client.post(f"/staff/releases/{release.pk}/publish/", follow=True)
    assert "Release 1.0.0 is published." in page.content.decode()
    client.logout()
    assert "complete" in client.get("/datasets/portraits/").content.decode()
    withdraw(consent=consent)
    assert "1 row withdrawn" in client.get("/datasets/portraits/").content.decode()
    tasks.revoke_items()
    assert "Notices" in client.get("/datasets/portraits/").content.decode()


class Unreachable(Storage):
    """An S3 that refuses: what S3Storage raises then is no OSError."""

    def _open(self, name, mode="rb"):
        raise ClientError({"Error": {"Code": "SlowDown", "Message": "Please reduce your request rate."}}, "GetObject")


@pytest.mark.parametrize("why", ["refused", "lost"])
def test_a_card_that_cannot_be_read_hides_neither_the_page_nor_the_button(why, client, settings, caplog):
    make_image()
    release = make_built(_dataset())
    if why == "refused":
        backend = f"{__name__}.Unreachable"
        settings.STORAGES = settings.STORAGES | {"releases": {"BACKEND": backend}}
    else:
        storages["releases"].delete(release.files.get(path="README.md").key)
    client.force_login(make_manager())
    page = client.get("/staff/datasets/portraits/").content.decode()
    assert "Its card cannot be read from storage now." in page
    assert "Publish 1.0.0" in page
    assert "the card of portraits 1.0.0 cannot be read" in caplog.text
    page = client.post(f"/staff/releases/{release.pk}/publish/", follow=True)
    assert "Release 1.0.0 is published." in page.content.decode()


def test_a_draft_of_nothing_is_a_message(client):
    make_purpose("research")
    client.force_login(make_manager())
    client.post("/staff/datasets/new/", FIELDS)
    page = client.post("/staff/datasets/portraits/next/", {"action": "draft"}, follow=True)
    assert "No image may go into Portraits now" in page.content.decode()
    page = client.post("/staff/datasets/portraits/next/", {"action": "dance"}, follow=True)
    assert "no such action" in page.content.decode()


def test_labels_made_for_another_purpose_are_refused(client):
    make_purpose("marketing")
    client.force_login(make_manager())
    page = client.post("/staff/datasets/new/", {**FIELDS, "purpose": "marketing", "campaign": make_campaign().pk})
    assert "It labels for Research, not for Marketing" in page.content.decode()
    assert not Dataset.objects.exists()


def test_a_token_is_shown_once(client):
    make_image()
    dataset = make_published(_dataset()).dataset
    client.force_login(make_manager())
    fields = {"name": "ML", "email": "ml@example.org", "dataset": dataset.pk}
    page = client.post("/staff/recipients/new/", fields)
    token = re.search(r'id="token">([^<]+)<', page.content.decode())[1]
    assert "no-store" in page["Cache-Control"]
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/datasets/portraits/", headers=headers).json()["latest"] == "1.0.0"
    assert token not in client.get("/staff/recipients/new/").content.decode()


def _dataset():
    return Dataset.objects.create(slug="portraits", title="P", description="d", purpose=make_purpose("research"))


@pytest.mark.parametrize(
    "path", ["datasets/", "datasets/new/", "datasets/portraits/", "recipients/new/", "releases/1/publish/"]
)
def test_staff_pages_are_for_data_managers(path, client):
    _dataset()
    method = client.post if "publish" in path else client.get
    assert method(f"/staff/{path}").url.startswith("/accounts/login/")
    client.force_login(make_user("", "reviewer"))
    assert method(f"/staff/{path}").status_code == 403
    client.force_login(make_manager())
    assert method(f"/staff/{path}").status_code == (404 if "publish" in path else 200)
    assert User.objects.count() == 2


def test_terms_hold_no_second_line():
    make_purpose("research")
    about = {"slug": "faces", "title": "Faces", "description": "Faces.", "purpose": "research"}
    assert not DatasetForm({**about, "terms": "mit\nlicense_link: http://evil.example"}).is_valid()
    assert DatasetForm({**about, "terms": "CC-BY-4.0"}).is_valid()


def test_the_pull_program_is_handed_out_whole(client):
    answer = client.get("/pull.py")
    assert answer["Content-Type"] == "text/x-python; charset=utf-8"
    compile(answer.content, "pull.py", "exec")
    assert b"from consent" not in answer.content
    assert answer.content.startswith(b"# /// script")
