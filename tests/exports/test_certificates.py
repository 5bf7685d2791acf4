"""The certificate of what was taken back: it fills in as sweeps work, and is signed when everything is done."""

import datetime
import json
import re
import uuid

import pytest
from django.core import mail
from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone

from annotation.models import Earning, LabelTask
from annotation.retract import mark_lost
from collection import erasure, harm_lists, harm_matches, storage
from collection.models import Image, Removal
from collection.removals import remove_images
from consent import append_only
from consent.keys import public_key
from consent.models import LedgerEntry
from consent.roles import HARM_OFFICER
from consent.signing import BadSignature, open_dsse, sha256_hex
from consent.withdrawals import withdraw, withdraw_all
from exports import certificates, notice_mails, notices, tasks
from exports.acts import find_act, progress_of
from exports.disclosure import disclose
from exports.models import Certificate, CertificateMail, Download, Notice, NoticeDuty, NoticeMail, Recipient, Release
from exports.services import build_release, draft_release
from tests.collection.factories import make_image as make_whole_image
from tests.consent.factories import make_consent, make_contributor, make_licence, make_text, make_user
from tests.exports.factories import (
    make_dataset,
    make_image,
    make_labelled_dataset,
    make_manager,
    make_published,
    make_token,
)

pytestmark = pytest.mark.django_db
TRAIN = "data/train-00000.parquet"


@pytest.fixture
def release():
    return make_published(make_labelled_dataset(people=4, each=2, slug="portraits", title="Portraits"))


@pytest.fixture
def token(release):
    return make_token(release.dataset)


def sweep(*, labels=True):
    """One round of every sweep but Label Studio's, of which what was never sent needs none."""
    erasure.purge_withdrawn()
    if labels:
        for dataset in {release.dataset for release in Release.objects.all()}:
            if dataset.campaign:
                mark_lost(campaign=dataset.campaign)
    notices.revoke_items()
    tasks.issue_certificates()


def page(client, act):
    answer = client.get(f"/certificates/{act}/")
    assert answer.status_code == 200
    return answer.content.decode()


def opened(act):
    envelope = Certificate.objects.get(act=act).envelope
    return json.loads(open_dsse(envelope, certificates.CERTIFICATE_TYPE, public_key()))


def of_split(release, split="train"):
    return release.items.filter(split=split).first().image.consent


def acknowledge(client, token, notice):
    address = f"/api/datasets/portraits/notices/{notice.pk}/acknowledge/"
    return client.post(
        address, {"rows_removed": 2}, content_type="application/json", headers={"Authorization": f"Bearer {token}"}
    )


def pull(client, token, path=TRAIN):
    headers = {"Authorization": f"Bearer {token}"}
    assert b"".join(client.get(f"/api/datasets/portraits/1.0.0/files/{path}", headers=headers))


# --- The certificate -----------------------------------------------------------------------------


def test_it_fills_in_and_is_signed_when_everything_is_done(client, release, token):
    pull(client, token)
    consent = of_split(release)
    act = withdraw(consent=consent).act
    before = page(client, act)
    assert "Under way" in before
    assert "0 of 2" in before
    assert '<meta http-equiv="refresh"' in before
    tasks.issue_certificates()
    assert not Certificate.objects.exists()
    assert client.get(f"/certificates/{act}.json").status_code == 404
    sweep()
    after = page(client, act)
    assert "<strong>Done.</strong>" in after
    assert "http-equiv" not in after
    assert "0 of 2" not in after
    said = opened(act)
    assert client.get(f"/certificates/{act}.json").content.decode() == Certificate.objects.get().envelope
    assert said["photographs"] == {
        "concerned": 2,
        "erased": 2,
        "kept_for_the_contributor": 0,
        "kept_because_the_law_asks_us_to": 0,
        "still_permitted": 0,
    }
    assert {store["store"]: store["count"] for store in said["stores"]} == {
        "originals": 2,
        "derivatives": 2,
        "duplicate index": 2,
    }
    assert [(one["what"], one["count"]) for one in said["campaigns"]] == [(release.dataset.campaign.name, 2)]
    assert all(place["gone_at"] for place in said["stores"] + said["campaigns"])
    told = said["releases"][0]
    assert (told["dataset"], told["version"], told["rows"]) == ("Portraits", "1.0.0", 2)
    assert told["rows_refused_at"]
    assert told["files_deleted_at"]
    assert told["notice_signed_at"]
    assert told["recipients"][0]["recipient"] == "ML team"
    assert told["recipients"][0]["first_pulled_at"]
    assert told["recipients"][0]["notice_mailed_at"]
    assert told["recipients"][0]["acknowledged_at"] is None


def test_the_page_goes_on_to_show_acknowledgements(client, release, token):
    act = withdraw(consent=of_split(release)).act
    sweep()
    assert 'Says that it dropped them: <span class="badge quiet">not yet</span>' in page(client, act)
    assert acknowledge(client, token, Notice.objects.get()).status_code == 200
    assert re.search(r"Says that it dropped them: \d{1,2} [A-Z][a-z]{2} \d{4}", page(client, act))


def test_identity_is_nowhere_on_it(client, release):
    consent = of_split(release)
    act = withdraw(consent=consent).act
    sweep()
    everything = page(client, act) + json.dumps(opened(act))
    for secret in ("Ada Example", consent.contributor.user.email, str(consent.contributor_id), "203.0.113.7"):
        assert secret not in everything


def test_a_changed_certificate_does_not_verify(release):
    act = withdraw(consent=of_split(release)).act
    sweep()
    envelope = json.loads(Certificate.objects.get(act=act).envelope)
    envelope["payload"] = "e30="
    with pytest.raises(BadSignature):
        open_dsse(json.dumps(envelope), certificates.CERTIFICATE_TYPE, public_key())


def test_the_ledger_hears_of_it_once(release):
    act = withdraw(consent=of_split(release)).act
    sweep()
    sweep()
    entry = json.loads(LedgerEntry.objects.get(payload__contains='"certificate.issued"').payload)
    certificate = Certificate.objects.get(act=act)
    assert (entry["act"], entry["envelope_sha256"]) == (str(act), sha256_hex(certificate.envelope.encode()))


def test_it_is_mailed_once_and_only_by_whoever_claims_it(release):
    consent = of_split(release)
    withdraw(consent=consent)
    sweep()
    sweep()
    mine = [message for message in mail.outbox if "certificate" in message.subject]
    assert [message.to for message in mine] == [[consent.contributor.user.email]]
    assert f"/certificates/{Certificate.objects.get().act}/" in mine[0].body
    row = CertificateMail.objects.get()
    later = timezone.now() + datetime.timedelta(minutes=5)
    CertificateMail.objects.update(mailed_at=None, due_at=later)  # another worker has claimed it
    assert not certificates.mail_certificate(mail=row)
    assert len([message for message in mail.outbox if "certificate" in message.subject]) == 1


def test_without_an_account_there_is_a_certificate_and_no_mail(release):
    consent = of_split(release)
    withdraw_all(contributor=consent.contributor, cause="account_deleted")
    consent.contributor.user.delete()
    sweep()
    assert Certificate.objects.count() == 1
    assert not [message for message in mail.outbox if "certificate" in message.subject]


@pytest.mark.parametrize("left", ["bytes", "tasks", "rows", "mail"])
def test_nothing_is_certified_while_something_is_left(release, token, left, monkeypatch):
    consent = of_split(release)
    act = withdraw(consent=consent).act
    if left == "mail":
        Recipient.objects.update(email="")  # what cannot be sent is not sent
        recipient = Recipient.objects.get()
        consented = Notice.objects.create(release=release, envelope="{}")
        NoticeDuty.objects.create(
            notice=consented, recipient=recipient, due_at=timezone.now() + datetime.timedelta(hours=1)
        )
    if left != "bytes":
        erasure.purge_withdrawn()
    if left != "tasks":
        mark_lost(campaign=release.dataset.campaign)
    if left not in {"rows", "mail"}:
        notices.revoke_items()
    tasks.issue_certificates()
    assert not Certificate.objects.exists()
    assert not progress_of(find_act(act)).complete
    sweep()
    assert Certificate.objects.filter(act=act).exists()


def test_bytes_that_a_cut_off_worker_wrote_are_found_before_it_is_signed():
    image = make_whole_image()
    act = remove_images(images=[image], cause="withdrawn")[0].act
    erasure.purge_withdrawn()
    storage.derivatives().save(storage.key_for(image.pk, "0" * 64, "jpg"), ContentFile(b"late"))
    assert certificates.issue_certificate(act_id=act) is None
    assert list(storage.keys_of(storage.derivatives(), image.pk)) == []
    assert certificates.issue_certificate(act_id=act) is not None


def test_a_draft_that_is_being_built_is_waited_for():
    image = make_image()
    dataset = make_dataset()
    draft = draft_release(dataset=dataset, user=make_manager())
    act = withdraw(consent=image.consent).act
    sweep()
    assert not Certificate.objects.exists()
    build_release(release_id=draft.pk)
    assert Release.objects.get().state == Release.State.DISCARDED
    sweep()
    assert Certificate.objects.filter(act=act).exists()


def test_a_built_draft_is_discarded_and_named():
    image = make_image()
    draft = draft_release(dataset=make_dataset(), user=make_manager())
    build_release(release_id=draft.pk)
    act = withdraw(consent=image.consent).act
    assert [place.done for place in progress_of(find_act(act)).stores if place.name == "drafts"] == [0]
    sweep()
    assert {key: value for key, value in opened(act)["stores"][-1].items() if key in {"store", "count"}} == {
        "store": "drafts",
        "count": 1,
    }


def test_one_purpose_names_only_its_own_campaigns_and_releases_and_erases_nothing(client, token, release):
    consent = of_split(release)
    person = consent.contributor
    act = withdraw(consent=consent, purpose="research").act  # its only purpose: all of it goes
    assert progress_of(find_act(act)).photographs == 2
    two = make_consent(person, ["research", "training"], text=make_text(["research", "training"], slug="both"))
    image = make_image(two)
    research, training = make_dataset(title="R"), make_dataset("training", title="T")
    make_published(research)
    make_published(training)
    act = withdraw(consent=two, purpose="training").act
    progress = progress_of(find_act(act))
    assert (progress.photographs, progress.permitted, progress.erased) == (1, 1, 0)
    assert [one.dataset for one in progress.releases] == ["T"]
    assert all(place.total == 0 for place in progress.stores)
    sweep()
    assert opened(act)["photographs"]["still_permitted"] == 1
    assert "they stay for what is still allowed" in page(client, act)
    assert Image.objects.usable_for("research").filter(pk=image.pk).exists()


def test_kept_photographs_are_certified_as_kept(client):
    image = make_whole_image()
    act = withdraw(consent=image.consent, aftermath="keep").act
    assert not progress_of(find_act(act)).complete  # its fingerprint is still there
    sweep()
    said = opened(act)
    assert said["photographs"]["kept_for_the_contributor"] == 1
    assert [store["count"] for store in said["stores"]] == [0, 0, 1]
    erased = remove_images(images=[image], cause="withdrawn")[0].act
    sweep()
    assert opened(erased)["photographs"]["erased"] == 1


def test_what_the_law_asks_us_to_keep_is_certified_as_kept_without_a_reason(client):
    consent = make_consent()
    held, other = make_whole_image(consent), make_whole_image(consent)
    harm_lists.import_hashes(name="Hotline", hashes=[("sha256", held.sha256)])
    harm_matches.compare_due()
    act = withdraw(consent=consent).act
    sweep()
    said = opened(act)
    assert said["photographs"] == {
        "concerned": 2,
        "erased": 1,
        "kept_for_the_contributor": 0,
        "kept_because_the_law_asks_us_to": 1,
        "still_permitted": 0,
    }
    assert certificates.BY_LAW in said["stays"]
    shown = page(client, act)
    assert "Kept because the law asks us to</dt><dd>1" in shown
    for words in (shown, json.dumps(said)):
        assert not {"harm", "hotline", "list of"} & set(re.findall(r"list of|\w+", words.lower()))
    harm_matches.dismiss_case(request=held.harm_matches.get().request, user=make_user("", HARM_OFFICER))
    sweep()
    assert "law asks us to" not in page(client, act)
    other.refresh_from_db()
    assert progress_of(find_act(act)).erased == 2


def test_nobody_is_told_that_a_list_of_known_harm_has_it(client, mailoutbox):
    image = make_whole_image(make_consent())
    harm_lists.import_hashes(name="Hotline", hashes=[("sha256", image.sha256)])
    harm_matches.compare_due()
    officer, case = make_user("", HARM_OFFICER), image.harm_matches.get().request
    harm_matches.report_case(request=case, authority="Police", reference="1", user=officer)
    harm_matches.erase_case(request=case, user=officer)
    sweep()
    image.refresh_from_db()
    assert (image.status, Certificate.objects.count(), mailoutbox) == ("purged", 0, [])
    person = image.consent.contributor
    client.force_login(person.user)
    told = [
        client.get("/me/photos/erased/").content.decode(),
        page(client, image.removals.get().act),
        json.dumps([one for name, one in disclose(person, {}).items() if name != "retention"]),
    ]
    for words in told:
        assert not {"harm", "harmful", "hotline"} & set(re.findall(r"\w+", words.lower()))
    assert "rights desk" in told[0]


def test_what_was_taken_back_and_then_reported_has_no_second_certificate_that_says_why():
    image = make_whole_image(make_consent())
    harm_lists.import_hashes(name="Hotline", hashes=[("sha256", image.sha256)])
    harm_matches.compare_due()
    act = withdraw(consent=image.consent).act
    sweep()
    officer, case = make_user("", HARM_OFFICER), image.harm_matches.get().request
    harm_matches.report_case(request=case, authority="Police", reference="1", user=officer)
    assert harm_matches.erase_case(request=case, user=officer) == 1
    sweep()
    image.refresh_from_db()
    assert image.status == "purged"
    assert image.latest_reason().says == "was erased because permission was withdrawn"
    assert [certificate.act for certificate in Certificate.objects.all()] == [act]


def test_single_photographs_name_only_what_held_them(client, release):
    item = release.items.filter(split="train").first()
    act = remove_images(images=[item.image], cause="withdrawn")[0].act
    progress = progress_of(find_act(act))
    assert (progress.photographs, progress.releases[0].rows.total, progress.campaigns[0].total) == (1, 1, 1)
    sweep()
    assert opened(act)["taken_back"][0]["photograph"] == str(item.image_id)
    assert "1 single photograph," in page(client, act)


def test_a_removal_from_a_library_has_a_page_and_no_certificate(client):
    image = make_image(licence=make_licence())
    act = remove_images(images=[image], cause="depicted")[0].act
    sweep()
    assert "<strong>Done.</strong>" in page(client, act)
    assert not Certificate.objects.exists()


def test_an_unknown_act_is_not_found(client):
    assert client.get(f"/certificates/{uuid.uuid4()}/").status_code == 404
    assert client.get(f"/certificates/{uuid.uuid4()}.json").status_code == 404


def test_queries_do_not_grow_with_photographs(django_assert_num_queries):
    counts = []
    for number in (1, 6):
        consent = make_consent()
        for _ in range(number):
            make_image(consent)
        act = find_act(withdraw(consent=consent).act)
        with connection.execute_wrapper(_counter(counts)):
            progress_of(act)
    assert counts[0] == counts[1]


def _counter(counts):
    counts.append(0)

    def count(execute, sql, params, many, context):
        counts[-1] += 1
        return execute(sql, params, many, context)

    return count


# --- R22: recipients -----------------------------------------------------------------------------


def test_r21_every_recipient_gets_a_signed_notice_and_acknowledgement_is_tracked(client, release, token):
    late = "never"
    withdraw(consent=of_split(release))
    sweep()
    Recipient.objects.create(name=late, email="late@example.org")
    notice = Notice.objects.get()
    payload = json.loads(open_dsse(notice.envelope, notices.NOTICE_TYPE, public_key()))
    named = set(release.items.filter(revocation__notice=notice).values_list("row_id", "leaf_hash"))
    assert {(row["row_id"], row["leaf_hash"]) for row in payload["rows"]} == named
    assert len(named) == 2
    assert [mailed.recipient.name for mailed in NoticeMail.objects.all()] == ["ML team"]
    client.force_login(make_manager())
    staff = client.get("/staff/datasets/portraits/").content.decode()
    assert "Notices and who acknowledged them" in staff
    assert '<span class="badge quiet">not yet</span>' in staff
    acknowledge(client, token, notice)
    staff = client.get("/staff/datasets/portraits/").content.decode()
    assert '<span class="badge quiet">not yet</span>' not in staff
    assert late not in staff.partition("<h2>Recipients</h2>")[0]


def test_r21_overdue_recipients_are_listed_and_reminded_once(client, release, token):
    withdraw(consent=of_split(release))
    sweep()
    assert notice_mails.remind_recipients() == 0
    _mailed_before(datetime.timedelta(days=15))
    client.force_login(make_manager())
    assert '<span class="badge bad">overdue</span>' in client.get("/staff/datasets/portraits/").content.decode()
    assert (notice_mails.remind_recipients(), notice_mails.remind_recipients()) == (1, 0)
    assert [message.subject for message in mail.outbox if "reminder" in message.subject] == [
        "Likeness: reminder: rows to drop from portraits 1.0.0"
    ]
    assert "reminded" in client.get("/staff/datasets/portraits/").content.decode()


def test_who_acknowledged_is_not_reminded(client, release, token):
    withdraw(consent=of_split(release))
    sweep()
    acknowledge(client, token, Notice.objects.get())
    _mailed_before(datetime.timedelta(days=15))
    assert notice_mails.remind_recipients() == 0


def _mailed_before(age):
    """As if the mail went out so long ago, past the triggers."""
    with connection.cursor() as cursor:
        for statement in append_only.drop_sql(connection.vendor, "exports_noticemail"):
            cursor.execute(statement)
    NoticeMail.objects.update(at=timezone.now() - age)


def test_a_notice_that_another_worker_is_mailing_is_left_alone(release, token):
    withdraw(consent=of_split(release))
    notices._revoke(release)
    notice, recipient = Notice.objects.get(), Recipient.objects.get()
    claimed = NoticeDuty.objects.create(
        notice=notice, recipient=recipient, due_at=timezone.now() + datetime.timedelta(minutes=5)
    )
    assert notice_mails.tell_recipients() == 0
    assert mail.outbox == []
    NoticeDuty.objects.filter(pk=claimed.pk).update(due_at=timezone.now())  # it died
    assert notice_mails.tell_recipients() == 1
    assert notice_mails.tell_recipients() == 0
    assert len(mail.outbox) == 1


def test_r22_a_withdrawal_makes_a_new_major_version_and_leaves_a_tombstone(client, release):
    item = release.items.filter(split="train").first()
    withdraw(consent=item.image.consent)
    sweep()
    assert "2 rows withdrawn" in client.get("/datasets/portraits/").content.decode()
    assert draft_release(dataset=release.dataset, user=make_manager()).version == "2.0.0"
    image = Image.objects.get(pk=item.image_id)
    empty = ("sha256", "clean_sha256", "client_name", "original_key", "clean_key", "preview_key")
    assert {getattr(image, name) for name in empty} == {""}
    assert image.status == "purged"


# --- R23: pay ------------------------------------------------------------------------------------


def test_r23_what_was_earned_stays_earned(client, release):
    before = list(Earning.objects.order_by("pk").values())
    assert before
    act = withdraw_all(contributor=of_split(release).contributor)[0].act
    remove_images(images=[release.items.filter(split="test").first().image], cause="withdrawn")
    sweep()
    assert LabelTask.objects.filter(state="retracted").count() == 3
    assert list(Earning.objects.order_by("pk").values()) == before
    assert "What was earned for labelling" in page(client, act)
    assert Removal.objects.count() == 1


def test_downloads_are_kept_for_the_account_of_who_had_what(release, client, token):
    pull(client, token)
    withdraw_all(contributor=of_split(release).contributor)
    sweep()
    assert Download.objects.count() == 1
    assert make_contributor().certificates.count() == 0


@pytest.mark.parametrize("before", [1, 2, 3])
def test_what_is_erased_while_it_is_counted_is_not_called_permitted(before):
    image = make_whole_image(make_consent())
    act = find_act(remove_images(images=[image], cause="withdrawn")[0].act)
    counts: list[str] = []

    def sweep_after_some_counts(execute, sql, params, many, context):
        answer = execute(sql, params, many, context)
        if "COUNT(" in sql:
            counts.append(sql)
            if len(counts) == before:
                erasure.purge_withdrawn()
        return answer

    with connection.execute_wrapper(sweep_after_some_counts):
        progress = progress_of(act)
    assert counts
    assert progress.permitted == 0
    assert not Image.objects.filter(pk=image.pk).with_live_basis().exists()
