"""Single photographs are taken back; keep or erase; what their owner still sees."""

import datetime
import json
import shutil
import threading
import uuid

import pytest
from django.core.files.storage import storages
from django.db import connection
from django.utils import timezone

from collection import erasure, storage
from collection.models import Fingerprint, Freeze, Image, ImageStatus, Removal
from collection.removals import removal_facts, remove_images
from consent.ledger import payload_text
from consent.models import Consent, ErasureNote, LedgerEntry, RightsRequest, Withdrawal
from consent.questions import questions_of
from consent.signing import file_sha256
from consent.withdrawals import withdraw
from tests.collection.factories import make_image
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent, make_contributor, make_text

pytestmark = pytest.mark.django_db


@pytest.fixture
def consent(client):
    consent = make_consent(purposes=["research", "training"])
    client.force_login(consent.contributor.user)
    return consent


def page(client, address="/me/photos/"):
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def doors(client, image):
    """Status of every way in which its owner may look at a photograph."""
    found = set()
    for what in ("thumb", "original"):
        answer = client.get(f"/me/photos/{image.pk}/{what}")
        found.add(answer.status_code)
        b"".join(answer)  # read to the end, it is closed
    return found


def keys(image):
    return [key for bucket in (storage.originals(), storage.derivatives()) for key in storage.keys_of(bucket, image.pk)]


# --- The service ---------------------------------------------------------------------------------


def test_a_removed_photograph_is_refused_at_once_and_its_neighbour_is_not():
    image = make_image()
    other = make_image(image.consent)
    made = remove_images(images=[image], cause="withdrawn")
    assert set(Image.objects.usable_for("research")) == {other}
    assert [row.image for row in made] == [image]
    entry = LedgerEntry.objects.get(payload__contains='"image.removed"')
    assert entry.payload == payload_text(removal_facts(made[0]))
    note = json.loads(ErasureNote.objects.get().payload)
    assert (note["kind"], note["image_id"], note["id"]) == ("removal", str(image.pk), str(made[0].pk))
    assert set(note) >= {"cause", "aftermath", "act", "request_id", "made_at"}


def test_removing_twice_keeps_the_first_removal():
    images = [make_image() for _ in range(2)]
    first = remove_images(images=images[:1], cause="withdrawn", aftermath="keep")
    again = remove_images(images=images, cause="withdrawn", aftermath="keep", act=uuid.uuid4())
    assert [row for row in again if row.image == images[0]] == first
    assert Removal.objects.count() == 2


def test_erasing_after_keeping_is_a_further_act_and_keeping_after_erasing_is_not():
    image = make_image()
    kept = remove_images(images=[image], cause="withdrawn", aftermath="keep")[0]
    assert erasure.purge_withdrawn() == 0
    erased = remove_images(images=[image], cause="withdrawn")[0]
    assert (kept.aftermath, erased.aftermath, Removal.objects.count()) == ("keep", "erase", 2)
    assert kept.act != erased.act
    assert remove_images(images=[image], cause="withdrawn", aftermath="keep") == [erased]
    assert erasure.purge_withdrawn() == 1
    assert keys(image) == []


@pytest.mark.django_db(transaction=True)
def test_pressed_by_many_at_once_each_photograph_is_removed_once():
    consent = make_consent()
    images = [make_image(consent) for _ in range(3)]
    done = []

    def press():
        try:
            done.append(len(remove_images(images=images, cause="withdrawn")))
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [3] * 5
    assert Removal.objects.count() == LedgerEntry.objects.filter(payload__contains='"image.removed"').count() == 3


# --- R03: as easy as signing ---------------------------------------------------------------------


class Person:
    """A client that counts its requests."""

    def __init__(self, client):
        self.client, self.requests = client, 0

    def get(self, address):
        self.requests += 1
        return self.client.get(address)

    def post(self, address, fields):
        self.requests += 1
        return self.client.post(address, fields)


def signed_fields(form):
    """What a browser sends when everything is ticked and answered."""
    fields = {field.html_name: field.value() or "" for field in form.hidden_fields()}
    fields |= {name: "on" for name in form.fields if name.startswith("purpose_")}
    answers = {f"question_{number}": asked.right for number, asked in enumerate(questions_of(form.text))}
    return {**fields, **answers, "signer_name": "Ada Example", "agree": "on"}


@pytest.mark.parametrize(
    ("page_shown", "sent_to", "left"),
    [
        ("/me/withdraw/", "/me/withdraw/", 0),  # everything
        ("/me/withdraw/", "/me/withdraw/", 1),  # one purpose
        ("/me/photos/", "/me/photos/remove/", 1),  # a single photograph
    ],
)
def test_r03_withdrawing_takes_no_more_requests_than_signing(client, page_shown, sent_to, left):
    """Signing is one page and one button, and so is each way of taking back. Nobody asks for a reason."""
    contributor, text = make_contributor(), make_text(["research", "training"], slug="faces")
    client.force_login(contributor.user)
    signer, leaver = Person(client), Person(client)
    signer.post("/sign/faces/", signed_fields(signer.get("/sign/faces/").context["form"]))
    consent = Consent.objects.get()
    image = make_image(consent)
    fields = {"consent": str(consent.pk), "purpose": "training" if left else ""}
    fields = {"photo": str(image.pk)} if "photos" in page_shown else fields
    shown = leaver.get(page_shown).content.decode()
    assert all(f'value="{value}"' in shown for value in fields.values())
    assert "<textarea" not in shown
    assert leaver.post(sent_to, fields)["Location"].startswith("/certificates/")
    assert leaver.requests <= signer.requests == 2
    assert Consent.objects.live().count() == left
    assert not Image.objects.usable_for("training").exists()
    assert text.form.current_text() == text


def test_r03_every_signed_in_page_leads_to_it(client, consent):
    for address in ("/me/", "/me/photos/", "/calls/", f"/sign/{consent.text.form.slug}/", "/accounts/email/"):
        assert 'href="/me/withdraw/"' in page(client, address), address


# --- The pages -----------------------------------------------------------------------------------


def test_several_are_ticked_and_go_with_one_button(client, consent):
    images = [make_image(consent) for _ in range(3)]
    answer = client.post("/me/photos/remove/", {"photo": [images[0].pk, images[1].pk], "aftermath": "erase"})
    act = Removal.objects.values_list("act", flat=True).distinct().get()
    assert answer["Location"] == f"/certificates/{act}/"
    again = client.post("/me/photos/remove/", {"photo": [images[0].pk, images[1].pk], "aftermath": "erase"})
    assert again["Location"] == answer["Location"]
    assert Removal.objects.count() == 2
    assert doors(client, images[0]) == {404}
    assert doors(client, images[2]) == {200}


@pytest.mark.parametrize("button", ["erase", "keep"])
def test_each_photograph_has_its_own_buttons(client, consent, button):
    image, ticked = make_image(consent), make_image(consent)
    # In another form than the tick boxes: Enter on one of them must not press this button.
    assert f'form="one" name="{button}" value="{image.pk}"' in page(client)
    client.post("/me/photos/remove/", {button: image.pk, "photo": [ticked.pk], "aftermath": "erase"})
    assert [(row.image, row.aftermath) for row in Removal.objects.all()] == [(image, button)]


def test_ticking_nothing_takes_nothing_back(client, consent):
    make_image(consent)
    answer = client.post("/me/photos/remove/", {"aftermath": "erase"}, follow=True)
    assert "did not tick any" in answer.content.decode()
    assert not Removal.objects.exists()


@pytest.mark.parametrize("name", ["photo", "erase", "keep"])
@pytest.mark.parametrize("value", ["other", "nonsense", "unknown"])
def test_other_peoples_photographs_are_not_found(client, consent, name, value):
    own, other = make_image(consent), make_image()
    sent = {"other": other.pk, "nonsense": "nonsense", "unknown": uuid.uuid4()}[value]
    data = {name: [sent, own.pk] if name == "photo" else sent}
    assert client.post("/me/photos/remove/", data).status_code == 404
    assert not Removal.objects.exists()
    assert client.get(f"/me/photos/{other.pk}/original").status_code == 404


def test_an_unknown_aftermath_changes_nothing(client, consent):
    image = make_image(consent)
    assert client.post("/me/photos/remove/", {"photo": [image.pk], "aftermath": "sell"}).status_code == 404
    answer = client.post("/me/withdraw/", {"consent": consent.pk, "purpose": "", "aftermath": "sell"})
    assert "did not find" in answer.content.decode()
    assert not Removal.objects.exists()
    assert not Withdrawal.objects.exists()


@pytest.mark.parametrize("whole", [True, False])
def test_kept_photographs_are_there_for_their_owner_alone_until_they_erase_them(client, consent, whole):
    image, picture = make_image(consent, picture=jpeg(7, 7)), jpeg(7, 7)
    if whole:
        client.post("/me/withdraw/", {"consent": consent.pk, "purpose": "", "aftermath": "keep"})
    else:
        client.post("/me/photos/remove/", {"photo": [image.pk], "aftermath": "keep"})
    assert not Image.objects.with_live_basis().exists()
    assert erasure.purge_withdrawn() == 0
    assert not Fingerprint.objects.exists()
    assert b"".join(client.get(f"/me/photos/{image.pk}/original")) == picture
    assert doors(client, image) == {200}
    assert "kept for you alone" in page(client)
    client.force_login(make_contributor().user)
    assert doors(client, image) == {404}
    client.force_login(consent.contributor.user)
    assert "1 photograph for you alone" in page(client, "/me/withdraw/")
    answer = client.post("/me/photos/erase/")
    assert answer["Location"].startswith("/certificates/")
    assert doors(client, image) == {404}
    assert erasure.purge_withdrawn() == 1
    assert keys(image) == []
    assert Image.objects.get().status == ImageStatus.PURGED


def test_a_photograph_on_hold_is_not_shown_to_its_owner_either(client, consent):
    image = make_image(consent)
    request = RightsRequest.objects.create(kind="depicted", due_at=timezone.now() + datetime.timedelta(days=30))
    Freeze.objects.create(image=image, request=request)
    assert doors(client, image) == {404}
    remove_images(images=[image], cause="withdrawn", aftermath="keep")
    assert doors(client, image) == {404}


def test_taking_back_one_of_several_purposes_erases_nothing(client, consent):
    image = make_image(consent)
    assert "nothing is erased" in page(client, "/me/withdraw/")
    client.post("/me/withdraw/", {"consent": consent.pk, "purpose": "training", "aftermath": "erase"})
    assert erasure.purge_withdrawn() == 0
    assert doors(client, image) == {200}
    assert not Image.objects.usable_for("training").exists()
    assert Image.objects.usable_for("research").get() == image


def test_the_page_names_each_form_once_and_every_purpose_that_is_still_allowed(client):
    person, text = make_contributor(), make_text(["research", "training"], slug="faces")
    make_consent(person, ["training"], text=text)
    newest = make_consent(person, ["research"], text=text)
    client.force_login(person.user)
    html = page(client, "/me/withdraw/")
    assert html.count("Take back all of this") == 1
    assert str(newest.pk) in html
    for code in ("research", "training"):
        assert f'name="purpose" value="{code}"' in html
    client.post("/me/withdraw/", {"consent": newest.pk, "purpose": "training"})
    assert not Consent.objects.live("training").exists()


def test_pressing_everything_twice_leads_to_the_same_certificate(client, consent):
    first = client.post("/me/withdraw/", {"consent": "all", "purpose": ""})
    assert client.post("/me/withdraw/", {"consent": "all", "purpose": ""})["Location"] == first["Location"]
    assert first["Location"] in page(client, "/me/withdraw/")
    assert first["Location"] in page(client, "/me/")


# --- R19: nothing is left ------------------------------------------------------------------------


def test_r19_no_store_holds_an_erased_photograph(consent):
    """Every byte in every storage is looked at, for the hash and for the picture itself."""
    for name in ("originals", "derivatives"):  # where other tests leave the same pictures
        shutil.rmtree(storages[name].location, ignore_errors=True)
    gone, stays = make_image(consent), make_image(consent)
    hashes = {gone.sha256, gone.clean_sha256}
    assert hashes & set(all_hashes())
    remove_images(images=[gone], cause="withdrawn")
    withdraw(consent=make_image().consent)
    assert erasure.purge_withdrawn() == 2
    assert hashes & set(all_hashes()) == set()
    assert {stays.sha256, stays.clean_sha256} <= set(all_hashes())
    assert set(Image.objects.filter(sha256__in=hashes)) == set()
    assert Fingerprint.objects.get().image == stays


def all_hashes():
    for name in ("originals", "derivatives", "releases"):
        yield from hashes_below(storages[name], "")


def hashes_below(bucket, folder):
    try:
        folders, names = bucket.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        yield name.partition(".")[0]  # photographs are sealed, and named by the SHA-256 of what is inside
        with bucket.open(f"{folder}/{name}".lstrip("/")) as file:
            yield file_sha256(file)
    for name in folders:
        yield from hashes_below(bucket, f"{folder}/{name}".lstrip("/"))
