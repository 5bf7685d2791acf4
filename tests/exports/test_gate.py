"""The gate before publishing, and the signed exception from it."""

import json

import pytest
from django.db import IntegrityError, transaction

from consent import demographics, ledger
from consent.keys import public_key
from consent.models import LedgerEntry
from consent.refusals import Refused
from consent.signing import open_dsse, sha256_hex
from exports import gate
from exports.gate_exceptions import EXCEPTION_TYPE, drop_exception, sign_exception, write_exception
from exports.models import DeviationReport, GateException, Release
from exports.services import build_release, publish_release
from tests.exports.factories import (
    export_to,
    make_built,
    make_dataset,
    make_image,
    make_labelled_dataset,
    make_manager,
    make_published,
    make_rated_dataset,
)

pytestmark = pytest.mark.django_db
WORDS = {"reason": "Tone 9 was photographed outdoors,\nin the evening.", "owner": "Data lead"}


def card_of(release, folder):
    return (export_to(release, folder) / "README.md").read_text()


@pytest.fixture
def far(db):
    """A built release: photographs of tone 2 are rated 1.0, those of tone 9 are rated 0.75, 21 of each."""
    return make_built(make_rated_dataset({"2": 5, "9": 4}))


def test_publishing_refuses_groups_too_far_apart_and_names_them(far):
    with pytest.raises(Refused, match=r"quality by Skin tone \(Monk scale\): Tone 2 0\.250 above Tone 9"):
        publish_release(release=far, user=make_manager())
    far.refresh_from_db()
    assert far.state == "built"


def test_five_hundredths_and_groups_under_twenty_rows_pass():
    assert make_published(make_rated_dataset({"2": 5, "9": 5})).state == "published"
    few = make_published(make_rated_dataset({"2": 5, "9": 1}, people=6))  # 18 rows of each
    assert few.deviation_report.content["gate"]["verdict"] == "too few to tell"


def test_a_withheld_group_is_judged_and_not_named():
    release = make_built(make_rated_dataset({"2": 5, "9": 1}, people=4, each=5))
    [finding] = release.deviation_report.content["gate"]["over"]
    assert (finding["higher"], finding["lower"], finding["gap"]) == ("", "", "")
    with pytest.raises(Refused, match="a group that is not shown") as refused:
        publish_release(release=release, user=make_manager())
    assert "Tone" not in str(refused.value)


def test_two_attributes_together_are_judged():
    """Each tone has the same mean, and so has each gender; tone and gender together do not."""
    dataset = make_rated_dataset({"2": 5, "9": 1}, people=4, each=5, gender="woman")
    other = make_rated_dataset({"2": 1, "9": 5}, people=4, each=5, gender="man")
    for task in other.campaign.tasks.all():
        task.campaign = dataset.campaign
        task.save()
    over = make_built(dataset).deviation_report.content["gate"]["over"]
    assert [finding["columns"] for finding in over] == [["skin_tone", "gender"]]


@pytest.mark.parametrize("dataset", [lambda: make_dataset(), lambda: make_labelled_dataset(people=2)])
def test_every_release_states_that_the_gate_ran(dataset, tmp_path):
    made = dataset()
    make_image()
    release = make_published(made)
    assert release.deviation_report.content["gate"]["ran"] is True
    assert "Deviation gate: it ran" in card_of(release, tmp_path)
    payload = json.loads(LedgerEntry.objects.filter(payload__contains='"release.published"').get().payload)
    assert payload["gate"] == release.deviation_report.content["gate"]["verdict"]
    assert payload["deviation_report_sha256"] == sha256_hex(release.deviation_report.document.encode())


def test_nothing_is_published_without_a_report(far):
    Release.objects.filter(pk=far.pk).update(state="discarded")
    bare = Release.objects.create(
        dataset=far.dataset, definition=far.definition, number=9, version="9.0.0", snapshot_at=far.snapshot_at,
        drafted_by=far.drafted_by,
        state="built", sums_sha256="0" * 64, rows_root="0" * 64,
    )  # fmt: skip
    with pytest.raises(Refused, match="has no deviation report"):
        publish_release(release=bare, user=make_manager())


def test_a_signed_exception_opens_the_gate_and_is_carried(far, tmp_path):
    rows = list(far.items.order_by("position").values_list("leaf_hash", flat=True))
    writer, signer, publisher = make_manager(), make_manager(), make_manager()
    exception = write_exception(release=far, user=writer, **WORDS)
    with pytest.raises(Refused, match="too far apart"):  # written is not signed
        publish_release(release=far, user=publisher)
    draft = sign_exception(exception=exception, user=signer)
    build_release(release_id=draft.pk)
    draft.refresh_from_db()
    assert (draft.state, draft.version) == ("built", far.version)
    assert list(draft.items.order_by("position").values_list("leaf_hash", flat=True)) == rows
    for user, did in ((writer, "wrote"), (signer, "signed")):
        with pytest.raises(Refused, match=f"You {did} the exception"):
            publish_release(release=draft, user=user)
    published = publish_release(release=draft, user=publisher)
    card = card_of(published, tmp_path)
    assert "Reason: Tone 9 was photographed outdoors, in the evening. Owner: Data lead." in card
    assert "Tone 2 0.250 above Tone 9" in card
    exception.refresh_from_db()
    told = json.loads(open_dsse(exception.envelope, EXCEPTION_TYPE, public_key()))
    assert (told["reason"], told["signed_by"]) == (WORDS["reason"], signer.pk)
    assert told["report_sha256"] == far.deviation_report.sha256
    entries = " ".join(LedgerEntry.objects.values_list("payload", flat=True))
    assert f'"gate_exception_sha256":"{sha256_hex(exception.envelope.encode())}"' in entries
    assert '"kind":"gate.excepted"' in entries
    far.refresh_from_db()
    assert (far.state, far.files.filter(purge__isnull=True).count()) == ("discarded", 0)
    assert ledger.seal()


def test_an_exception_needs_three_people(far):
    writer = make_manager()
    exception = write_exception(release=far, user=writer, **WORDS)
    with pytest.raises(Refused, match="You wrote this exception"):
        sign_exception(exception=exception, user=writer)
    with pytest.raises(Refused, match="You drafted"):
        sign_exception(exception=exception, user=far.drafted_by)
    with pytest.raises(IntegrityError, match="four_eyes"), transaction.atomic():
        GateException.objects.filter(pk=exception.pk).update(
            signed_by=writer, signed_at=exception.written_at, envelope="{}"
        )
    signer = make_manager()
    draft = sign_exception(exception=exception, user=signer)
    build_release(release_id=draft.pk)
    for person, did in ((writer, "wrote"), (signer, "signed")):
        with pytest.raises(Refused, match=f"You {did} the exception"):
            publish_release(release=draft, user=person)
    assert publish_release(release=draft, user=make_manager()).published_at


def test_an_exception_covers_no_larger_gap_than_was_signed(far):
    """Between signing and building somebody changed their answer, and the gap of the new draft is larger."""
    exception = write_exception(release=far, user=make_manager(), **WORDS)
    draft = sign_exception(exception=exception, user=make_manager())
    document = far.deviation_report.document.replace('"gap":"0.2500"', '"gap":"0.2600"')
    DeviationReport.objects.create(release=draft, document=document, sha256=sha256_hex(document.encode()))
    build_release(release_id=draft.pk)
    with pytest.raises(Refused, match=r"0\.260 above"):
        publish_release(release=draft, user=make_manager())


@pytest.mark.parametrize("opens", [True, False])
def test_an_exception_about_a_withheld_group_covers_no_other_finding(opens):
    """Nobody who signs can see the gap: what they signed is this one finding, and no other of groups not shown."""
    dataset = make_rated_dataset({"2": 5, "9": 2}, people=4, each=7)
    release = make_built(dataset)
    draft = sign_exception(
        exception=write_exception(release=release, user=make_manager(), **WORDS), user=make_manager()
    )
    assert release.deviation_report.content["gate"]["over"][0]["gap"] == ""
    if not opens:  # somebody of the withheld group changed their answer meanwhile: another finding, not shown either
        person = demographics.Demographics.objects.filter(skin_tone="9").first().contributor
        demographics.save_answers(contributor=person, skin_tone="2")
    build_release(release_id=draft.pk)
    draft.refresh_from_db()
    assert (gate.refusal(draft) == "") is opens


def test_another_draft_needs_another_exception(far):
    sign_exception(exception=write_exception(release=far, user=make_manager(), **WORDS), user=make_manager())
    build_release(release_id=far.dataset.releases.order_by("-number").first().pk)
    later = make_built(far.dataset)
    with pytest.raises(Refused, match="too far apart"):
        publish_release(release=later, user=make_manager())


def test_an_unsigned_exception_can_be_dropped_and_a_signed_one_never_changes(far):
    first = write_exception(release=far, user=make_manager(), **WORDS)
    with pytest.raises(Refused, match="already"):
        write_exception(release=far, user=make_manager(), **WORDS)
    drop_exception(exception=first)
    with pytest.raises(Refused, match="Look at it again"):
        sign_exception(exception=first, user=make_manager())
    exception = write_exception(release=far, user=make_manager(), **WORDS)
    sign_exception(exception=exception, user=make_manager())
    with pytest.raises(Refused, match="it stays"):
        drop_exception(exception=exception)
    signed = GateException.objects.filter(pk=exception.pk)
    for change in (lambda: signed.update(reason="Because."), signed.delete):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()


def test_a_release_that_passes_takes_no_exception():
    release = make_built(make_labelled_dataset(people=2))
    with pytest.raises(Refused, match="needs no exception"):
        write_exception(release=release, user=make_manager(), **WORDS)


def test_a_lost_race_for_the_signature_changes_nothing(far):
    exception = write_exception(release=far, user=make_manager(), **WORDS)
    stale = GateException.objects.get(pk=exception.pk)
    sign_exception(exception=exception, user=make_manager())
    with pytest.raises(Refused, match="Somebody else signed"):
        sign_exception(exception=stale, user=make_manager())
    assert far.dataset.releases.count() == 2
