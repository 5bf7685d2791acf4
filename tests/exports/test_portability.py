"""My data (access, portability, correction, objection), and “I am in a photo I did not agree to”."""

import datetime
import hashlib
import io
import json
import re
import uuid
import zipfile

import pytest
from django.core.cache import cache
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from PIL import Image as Picture
from PIL import ImageOps

from annotation.about_annotators import save_answers
from annotation.disputes import dispute_annotation
from annotation.handout_models import ImageView
from annotation.intake import record_annotation
from annotation.languages import set_languages
from annotation.models import LabelTask
from annotation.payouts import give_payee
from collection import freezes, pipeline, storage
from collection.models import FaceMark, Image, ImageStatus, Removal, ReviewDecision, ReviewNote, VendorCall
from consent import desk
from consent.keys import public_key
from consent.models import Demographics, LedgerEntry, RightsRequest
from consent.receipts import issue_due, open_receipt
from consent.roles import REVIEWER
from consent.withdrawals import withdraw
from exports.models import Notice, Release
from exports.notices import revoke_items
from exports.throttle import PER_HOUR
from tests.annotation import payout_factories
from tests.annotation.factories import make_annotator, make_campaign, make_pushed_task, remote
from tests.collection.factories import make_image, receive
from tests.collection.pictures import encoded, jpeg, portrait, with_exif
from tests.consent.factories import make_consent, make_contributor, make_user
from tests.exports import factories

pytestmark = pytest.mark.django_db
PAGE = "/depicted/"


@pytest.fixture(autouse=True)
def _fresh_counts():
    cache.clear()


def download(client, **fields):
    answer = client.post("/me/data/download", fields)
    return zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))


# --- My data -------------------------------------------------------------------------------------


@pytest.fixture
def pulled(client):
    """A photograph of a contributor that was labelled, released and pulled."""
    dataset = factories.make_labelled_dataset(people=4, each=1)
    release = factories.make_published(dataset)
    token = factories.make_token(dataset)
    item = release.items.filter(split="train").first()
    image = item.image
    ImageView.objects.create(task=image.label_tasks.get(), served=True)
    file = release.files.filter(shard=item.shard).first()
    path = f"/api/datasets/{dataset.slug}/{release.version}/files/{file.path}"
    assert fetched(client, path, token) == 200
    return image


def fetched(client, path, token):
    """The status of one request of a recipient."""
    answer = client.get(path, headers={"Authorization": f"Bearer {token}"})
    if answer.streaming:
        b"".join(answer.streaming_content)  # to its end, or the file stays open
    return answer.status_code


def test_r17_access_says_data_purposes_recipients_retention_and_source(client):
    consent = make_consent(purposes=("research", "product"))
    person = consent.contributor
    image = make_image(consent, picture=jpeg(person=3))
    Demographics.objects.create(contributor=person, gender="woman", delete_on="2030-01-01")
    issue_due()
    withdraw(consent=consent, purpose="product")
    client.force_login(person.user)
    data = json.loads(download(client).read("data.json"))
    assert data["account"]["email"] == person.user.email
    assert data["about_you"]["date_of_birth"] == "1990-05-17"
    assert data["demographics"]["gender"] == "woman"
    [signed] = data["consents"]
    assert {purpose["code"]: purpose["allowed_now"] for purpose in signed["purposes"]} == {
        "research": True,
        "product": False,
    }
    assert "Your photographs may be used for research." in [purpose["description"] for purpose in signed["purposes"]]
    assert signed["recipients"] == ["Research teams under contract"]
    assert signed["kept_for_days"] == 1095
    assert signed["signature"][0]["ip"] == "203.0.113.7"
    assert len(signed["withdrawals"]) == 1
    [photo] = data["photographs"]
    assert (photo["id"], photo["status"]) == (str(image.pk), "accepted")
    assert [change["new"] for change in photo["changes"]][-1] == "accepted"
    assert data["source"]
    assert len(data["retention"]) > 5
    assert data["controllers"][0]["contact"] == "privacy@example.org"


def test_r17_access_says_what_somebody_who_labels_was_paid_and_where(client, settings):
    settings.PAYER = payout_factories.PAYER
    person = make_contributor()
    annotator = make_annotator(7, person.user)
    payout_factories.earn(annotator, "31.0001")
    payout_factories.give(annotator, "-1", reason="Paid twice")
    give_payee(annotator=annotator, details=payout_factories.details())
    payout_factories.make_run()
    refused = record_annotation(
        task=make_pushed_task(make_campaign(images=1, sample_size=1)), remote=remote(7, result=[])
    )
    dispute_annotation(annotation=refused, annotator=annotator, words="I saw it.")
    save_answers(annotator=annotator, region="europe")
    set_languages(annotator=annotator, codes=["ga"])
    client.force_login(person.user)
    [told] = json.loads(download(client).read("data.json"))["labelling_for_pay"]
    assert told["bank_details"][0]["iban"] == payout_factories.IBAN
    assert told["corrections"][0]["reason"] == "Paid twice"
    assert told["disputes"][0]["words"] == "I saw it."
    assert (told["languages"], told["about_you"]["region"]) == (["ga"], "europe")
    assert told["work_terms"][0]["version"] == 1
    [payment] = told["payments"]
    assert (payment["amount"], payment["paid_to"][0]["name"]) == ("30.00", "Ada Ní Bhriain")
    assert [change["new"] for change in payment["changes"]] == ["prepared", "sent"]


def test_r17_access_says_what_checks_measured_and_what_people_and_services_decided(client):
    consent = make_consent()
    exif = Picture.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2023:07:29 11:42:07"  # when it was taken
    image = make_image(consent, picture=encoded(portrait(3, 1), exif=exif))
    FaceMark.objects.create(image=image, kind="cover", x=0.1, y=0.2, w=0.1, h=0.1, actor="user:1")
    VendorCall.objects.create(image=image, kind="moderation", vendor="Amazon Rekognition", cost="0.001", outcome="desk")
    reviewer = make_user("reviewer@example.org", REVIEWER)
    decision = ReviewDecision.objects.create(
        image=image,
        reviewer=reviewer,
        kind="accept",
        queue="held",
        claimed_at=timezone.now(),
        takes_effect_at=timezone.now() + datetime.timedelta(minutes=1),
        seconds=3,
    )
    ReviewNote.objects.create(decision=decision, text="Red scarf.")
    make_image(consent, picture=jpeg(person=4))  # nobody decided on that one
    client.force_login(consent.contributor.user)
    content = download(client).read("data.json").decode()
    photo, other = json.loads(content)["photographs"]
    assert photo["taken_in"] == "2023-07-01"
    assert photo["what_checks_measured"]["measures"] == image.screening.measures
    assert photo["what_checks_measured"]["faces"] == image.screening.faces
    [mark], [asked], [decided] = (
        photo[name] for name in ("faces_decided_on", "asked_of_outside_services", "decided_by_reviewers")
    )
    assert (mark["kind"], mark["x"]) == ("cover", 0.1)
    assert (asked["vendor"], asked["outcome"]) == ("Amazon Rekognition", "desk")
    assert (decided["kind"], decided["became"], decided["note"]) == ("accept", "waits to take effect", "Red scarf.")
    assert other["what_checks_measured"]["measures"]
    assert (other["faces_decided_on"], other["decided_by_reviewers"]) == ([], [])
    assert "reviewer@example.org" not in content  # who decided is not about the photograph


def test_r17_access_names_who_saw_and_who_pulled_each_photograph(client, pulled):
    client.force_login(pulled.consent.contributor.user)
    data = json.loads(download(client).read("data.json"))
    [photo] = data["photographs"]
    assert photo["shown_to_people_who_label"][0]["times"] == 1
    [held] = photo["releases"]
    assert held["version"] == "1.0.0"
    assert held["fetched_by"][0]["recipient"] == "ML team"
    assert photo["paid_for_labelling_it"] == {"EUR": "0.3000"}


def test_r18_the_copy_to_take_along_is_json_and_the_original_photographs(client):
    consent = make_consent()
    pictures = [jpeg(person=person) for person in (4, 5)]
    images = [make_image(consent, picture=picture) for picture in pictures]
    make_image(make_consent(), picture=jpeg(person=6))  # somebody else's
    issue_due()
    client.force_login(consent.contributor.user)
    archive = download(client)
    assert archive.testzip() is None
    photographs = [name for name in archive.namelist() if name.startswith("photographs/")]
    assert {archive.read(name) for name in photographs} == set(pictures)
    named = {photo["id"]: photo["file"] for photo in json.loads(archive.read("data.json"))["photographs"]}
    for image, picture in zip(images, pictures, strict=True):
        assert archive.read(named[str(image.pk)]) == picture
    assert open_receipt(archive.read(f"receipts/receipt-{consent.pk}.json"), public_key())
    assert archive.read(f"receipts/signed-text-{consent.pk}.pdf").startswith(b"%PDF")
    assert "data.json" in archive.read("README.txt").decode()


def test_frozen_and_withdrawn_photographs_are_listed_without_a_file(client):
    consent = make_consent()
    frozen, gone, seen = (make_image(consent, picture=jpeg(person=person)) for person in (7, 8, 9))
    freezes.freeze_images(images=[frozen.pk], request=desk.open_request(kind="depicted"))
    Removal.objects.create(image=gone, cause="withdrawn")
    client.force_login(consent.contributor.user)
    archive = download(client)
    listed = {photo["id"]: photo for photo in json.loads(archive.read("data.json"))["photographs"]}
    assert set(listed) == {str(image.pk) for image in (frozen, gone, seen)}
    assert [name for name in archive.namelist() if name.startswith("photographs/")] == [listed[str(seen.pk)]["file"]]
    assert listed[str(frozen.pk)]["held_by_the_rights_desk"]
    assert (listed[str(frozen.pk)]["file"], listed[str(gone.pk)]["file"]) == (None, None)


def test_r16_each_download_is_an_answered_request_and_nothing_of_it_is_kept(client, mailoutbox):
    person = make_consent().contributor
    client.force_login(person.user)
    before = {name: list(walk(storages[name])) for name in ("originals", "derivatives", "releases", "evidence")}
    page = client.get("/me/data/").content.decode()
    reference = re.search(r'name="reference" value="([0-9a-f-]+)"', page)[1]
    download(client, reference=reference)
    download(client, reference=reference)  # pressed twice
    [request] = RightsRequest.objects.all()
    assert (request.kind, request.outcome, str(request.pk)) == ("access", "done", reference)
    assert request.answered_at is not None
    desk.mail_due()
    assert mailoutbox == []  # there is nothing to tell
    assert before == {name: list(walk(storages[name])) for name in before}
    assert "You downloaded everything yourself" in client.get("/me/data/").content.decode()


def walk(storage, folder=""):
    try:
        folders, names = storage.listdir(folder)
    except FileNotFoundError:
        return
    yield from (f"{folder}/{name}" for name in names)
    for inner in folders:
        yield from walk(storage, f"{folder}/{inner}".lstrip("/"))


def test_a_download_with_somebody_elses_reference_is_refused(client):
    theirs = desk.open_request(kind="access", contributor=make_contributor())
    client.force_login(make_contributor().user)
    answer = client.post("/me/data/download", {"reference": str(theirs.pk)}, follow=True)
    assert "Please open the page again" in answer.content.decode()
    theirs.refresh_from_db()
    assert theirs.answered_at is None


@pytest.mark.parametrize(
    ("question", "fields", "kind"),
    [
        ("correct", {"about": "Country", "words": "France"}, "rectification"),
        ("object", {"words": "My employer must not see me."}, "objection"),
        ("ask", {"kind": "portability", "words": "Send it to them."}, "portability"),
        ("ask", {"kind": "erasure", "words": "Erase this."}, "erasure"),
    ],
)
def test_r16_what_contributors_ask_shows_its_date_and_then_its_answer(client, question, fields, kind):
    person = make_contributor()
    client.force_login(person.user)
    sent = {**fields, "reference": str(uuid.uuid4())}
    for _ in range(2):  # pressed twice
        assert client.post(f"/me/data/{question}/", sent).status_code == 302
    [request] = RightsRequest.objects.all()
    assert (request.kind, request.contributor) == (kind, person)
    page = client.get("/me/data/").content.decode()
    assert f"answer by {request.due_at.day} {request.due_at:%B %Y}" in page
    assert fields["words"] in page
    desk.answer_request(request=request, outcome="done", answer="We did as you asked.", user=person.user)
    assert "We did as you asked." in client.get("/me/data/").content.decode()


def test_my_data_is_for_its_owner(client):
    theirs = desk.open_request(kind="objection", contributor=make_contributor(), details="A secret of theirs")
    assert client.get("/me/data/").status_code == 302
    client.force_login(make_contributor().user)
    page = client.get("/me/data/").content.decode()
    assert str(theirs.pk) not in page
    assert "A secret of theirs" not in page
    assert client.get("/me/data/nothing/").status_code == 404
    assert client.get("/me/data/download").status_code == 405


# --- I am in a photo -----------------------------------------------------------------------------


def report(client, **fields):
    sent = {"name": "Ben Example", "email": "ben@example.org", "reference": str(uuid.uuid4()), **fields}
    return client.post(PAGE, sent, follow=True)


def live(image):
    return Image.objects.with_live_basis().filter(pk=image.pk).exists()


def file(content, name="me.jpg"):
    return SimpleUploadedFile(name, content)


@pytest.fixture
def image():
    return make_image(picture=jpeg(person=11))


COPIES = {
    "the file itself": lambda: jpeg(person=11),
    "smaller": lambda: encoded(portrait(11).resize((240, 300)), quality=70),
    "mirrored": lambda: encoded(ImageOps.mirror(portrait(11)), "PNG"),
    "another format": lambda: encoded(portrait(11), "WEBP", quality=80),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_of_a_photograph_freezes_it_on_receipt(client, image, copy):
    other = make_image(picture=jpeg(person=12))
    sent = COPIES[copy]()
    assert report(client, photo=file(sent)).status_code == 200
    assert not live(image)
    assert live(other)
    [request] = RightsRequest.objects.all()
    assert (request.kind, request.email, request.contributor) == ("depicted", "ben@example.org", None)
    assert hashlib.sha256(sent).hexdigest() in request.details


def test_the_stripped_copy_that_datasets_carry_is_recognised(client, image):
    with storage.open_clean(image) as stored:
        report(client, photo=file(stored.read()))
    assert not live(image)


@pytest.mark.parametrize("name", ["id", "sha256", "clean_sha256", "link"])
def test_a_photograph_that_is_named_is_frozen(client, name):
    image = make_image(picture=with_exif(portrait(13)))
    assert image.sha256 != image.clean_sha256
    make_campaign()
    task = LabelTask.objects.get(image=image)
    clues = {
        "id": f"It is {image.pk}.",
        "sha256": image.sha256.upper(),
        "clean_sha256": f"sha256:{image.clean_sha256}",
        "link": f"https://likeness.example/images/{task.view_key}/",
    }
    report(client, clues=clues[name])
    assert not live(image)


def test_a_row_of_a_dataset_is_frozen_with_its_copies(client):
    release = factories.make_published(factories.make_labelled_dataset(people=4, each=1))
    item = release.items.first()
    report(client, clues=f"row {item.row_id}")
    assert not live(item.image)
    assert live(release.items.last().image)


def test_copies_of_what_is_named_are_frozen_too(client, image):
    consent = image.consent
    copy = make_image(consent, picture=encoded(portrait(11), quality=60))
    assert copy.resembles.get().original == image
    report(client, clues=str(copy.pk))
    assert not live(image)


def test_a_copy_that_is_settled_while_the_request_comes_in_is_frozen_too(client, image):
    """It is settled as late as it can be: the locks that keep others out are what the request takes next."""
    late = receive(image.consent, encoded(portrait(11), quality=60))
    done: list[str] = []

    def settle_before_the_request_is_written(execute, sql, params, many, context):
        if sql.startswith("INSERT") and "consent_rightsrequest" in sql and not done:
            done.append(sql)
            pipeline.advance(late.pk)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(settle_before_the_request_is_written):
        report(client, photo=file(jpeg(person=11)))
    assert done
    late.refresh_from_db()
    assert late.status == ImageStatus.DUPLICATE
    assert not live(image)
    assert not live(late)


def test_nothing_is_looked_up_before_the_lock(client, image):
    # On SQLite the transaction itself is the lock: it lets one write at a time.
    lock = "pg_advisory_xact_lock" if connection.vendor == "postgresql" else "SAVEPOINT"
    with CaptureQueriesContext(connection) as queries:
        report(client, photo=file(jpeg(person=11)), clues=str(image.pk))
    said = [query["sql"] for query in queries]
    locked = next(number for number, sql in enumerate(said) if lock in sql)
    assert locked < next(number for number, sql in enumerate(said) if 'FROM "collection_fingerprint"' in sql)


def test_the_answer_is_the_same_whether_or_not_we_have_it(client, image):
    pages = []
    for copy in (jpeg(person=11), jpeg(person=99)):
        answer = report(client, photo=file(copy))
        reference = answer.redirect_chain[-1][0].split("/")[-2]
        pages.append(answer.content.decode().replace(reference, "REFERENCE"))
    minutes = re.compile(r"\d\d:\d\d UTC")
    assert minutes.sub("", pages[0]) == minutes.sub("", pages[1])
    assert "You hear from us by mail by" in pages[0]
    assert not live(image)
    assert [request.freezes.count() for request in RightsRequest.objects.order_by("received_at")] == [1, 0]


def test_nothing_of_the_copy_is_stored(client, image):
    before = {name: list(walk(storages[name])) for name in ("originals", "derivatives", "evidence")}
    images = Image.objects.count()
    report(client, photo=file(jpeg(person=11)))
    assert before == {name: list(walk(storages[name])) for name in before}
    assert Image.objects.count() == images


def test_sent_twice_it_is_one_request(client, image):
    sent = {"clues": str(image.pk), "reference": str(uuid.uuid4())}
    for _ in range(2):
        assert report(client, **sent).status_code == 200
    assert RightsRequest.objects.count() == 1
    assert image.freezes.count() == 1
    again = report(client, **{**sent, "clues": "another one"}).content.decode()
    assert "open the page again" in again


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "which photograph you mean"),
        ({"words": "It is me.", "email": "nobody"}, "valid email"),
        ({"photo": file(b"this is a letter")}, "not a picture that we can read"),
        ({"photo": file(jpeg(person=3)[:2000])}, "not complete"),
        ({"photo": file(b"\xff\xd8\xff" + b"0" * (10 * 1024 * 1024))}, "larger than 10 MB"),
    ],
)
def test_what_cannot_be_used_is_said(client, fields, says):
    assert says in report(client, **fields).content.decode()
    assert not RightsRequest.objects.exists()


def test_words_alone_are_a_request(client):
    assert report(client, words="I am the one with the hat.").status_code == 200
    assert RightsRequest.objects.get().details == "I am the one with the hat."


def test_too_many_from_one_address_are_asked_to_write_by_mail(client, image):
    for _ in range(PER_HOUR):
        assert report(client, words="Again.").status_code == 200
    answer = report(client, clues=str(image.pk))
    assert answer.status_code == 429
    assert "write to us by mail" in answer.content.decode()
    assert "privacy@example.org" in answer.content.decode()
    assert RightsRequest.objects.count() == PER_HOUR
    assert live(image)
    sent = {"name": "C", "email": "c@example.org", "words": "Hello.", "reference": str(uuid.uuid4())}
    assert client.post(PAGE, sent, REMOTE_ADDR="198.51.100.9").status_code == 302  # somebody else


def test_too_many_from_everybody_are_asked_to_write_by_mail(client):
    for _ in range(100):
        desk.open_request(kind="depicted", email="x@example.org")
    assert report(client, words="One more.").status_code == 429
    assert RightsRequest.objects.count() == 100


def test_strangers_leave_no_identity_in_the_ledger(client, image):
    report(client, clues=str(image.pk))
    payloads = " ".join(LedgerEntry.objects.values_list("payload", flat=True))
    assert "ben@example.org" not in payloads
    assert "Ben Example" not in payloads
    assert "127.0.0.1" not in payloads


# --- A freeze and releases -----------------------------------------------------------------------


def test_a_frozen_row_stops_its_file_signs_no_notice_and_is_served_again(client):
    dataset = factories.make_labelled_dataset(people=4, each=1)
    release = factories.make_published(dataset)
    token = factories.make_token(dataset)
    item = release.items.first()
    shard = release.files.filter(shard=item.shard).first()

    def fetch():
        return fetched(client, f"/api/datasets/{dataset.slug}/{release.version}/files/{shard.path}", token)

    assert fetch() == 200
    report(client, clues=item.row_id)
    assert fetch() == 410
    revoke_items()
    assert not Notice.objects.exists()
    assert not shard.release.items.filter(revocation__isnull=False).exists()
    request = RightsRequest.objects.get()
    freezes.lift_freezes(request=request, images=[item.image_id])
    assert fetch() == 200
    assert Release.objects.get(pk=release.pk).state == Release.State.PUBLISHED


def test_pictures_of_the_size_of_a_stamp_are_compared_too(client, image):
    small = Picture.open(io.BytesIO(jpeg(person=11))).resize((96, 120))
    report(client, photo=file(encoded(small, quality=80)))
    assert not live(image)
