"""Drafting, building and publishing a release."""

import datetime
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import DatabaseError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from markdown_it import MarkdownIt

from collection import erasure, freezes, workplaces
from collection.models import Image, Removal
from collection.removals import remove_images
from consent import desk
from consent.withdrawals import withdraw
from exports import assembly, provenance, services, shard_files, shards, splits
from exports.card import plain
from exports.definitions import current_definition, define
from exports.models import DeviationReport, FilePurge, Format, Item, Release, ReleaseFile, Split
from exports.notices import revoke_items
from exports.pictures import Pictures
from exports.plans import Plan
from exports.preview import look_ahead
from exports.services import Refused, build_release, draft_release, publish_release
from exports.shard_files import Layout
from exports.shards import PATHS
from tests.consent.factories import make_consent, make_licence
from tests.exports.factories import (
    annotate,
    export_to,
    make_annotator,
    make_built,
    make_campaign,
    make_dataset,
    make_image,
    make_labelled_dataset,
    make_manager,
    make_published,
    result,
    rows_in,
)

pytestmark = pytest.mark.django_db


def files_of(release, folder):
    export_to(release, folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def plan_bytes(release, folder, second=None):
    """Build the files again, from nothing but the database and the clean images."""
    sized = folder.with_name(f"{folder.name}-sized")
    sized.mkdir()
    plan = Plan.begin(folder.with_name(f"{folder.name}.sqlite"))
    summary = services.plan_release(release, plan, Pictures(release.definition.longest_side, sized))
    layout = assembly.layout_of(release, plan, summary, folder, sized)
    shard_files.make_folders(layout)
    if second:  # it writes all but the last shard
        last = folder.with_name(f"{plan.shards[-1]}.begun")
        last.touch()
        second.begin(layout)
        second.finish()
        last.unlink()
    assembly.write_files(release, plan, summary, release.checkpoint, layout, second)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_snapshot_gives_the_same_bytes(tmp_path):
    dataset = make_labelled_dataset()
    release = make_built(dataset)
    first = files_of(release, tmp_path / "first")
    # What happens after the snapshot does not matter.
    late = make_image()
    annotate(late, dataset.campaign, make_annotator(), result())
    annotate(release.items.first().image, dataset.campaign, make_annotator(), result(1))
    assert plan_bytes(release, tmp_path / "second") == first
    assert len(first) == 15


def test_a_plan_asks_the_database_as_often_for_many_as_for_few(tmp_path):
    """Nothing is asked for each row, person or basis."""
    dataset, asked = make_labelled_dataset(people=2, each=1), []
    for folder in (tmp_path / "first", tmp_path / "few", tmp_path / "many"):  # the first finds no split recorded
        folder.mkdir()
        release = draft_release(dataset=dataset, user=make_manager())
        with CaptureQueriesContext(connection) as queries, closing(Plan.begin(folder / "plan.sqlite")) as plan:
            services.plan_release(release, plan, Pictures(None, folder))
            splits.record(dataset, plan.splits())
            provenance.attest(release, plan)
            asked.append((len(plan), len(queries)))
        services.discard_release(release=release, reason="another is next")
        for _ in range(6):
            annotate(make_image(), dataset.campaign, make_annotator(), result())
    assert [rows for rows, _ in asked] == [2, 8, 14]
    assert asked[1][1] == asked[2][1]


def test_what_came_before_is_asked_as_often_for_many_as_for_few(tmp_path):
    """By the build of the next release and by its page: nothing is asked for each row of the release before."""
    dataset, asked = make_labelled_dataset(people=2, each=1), []
    for folder in (tmp_path / "few", tmp_path / "many"):
        folder.mkdir()
        rows = make_published(dataset).items.count()
        release = draft_release(dataset=dataset, user=make_manager())
        with CaptureQueriesContext(connection) as planned, closing(Plan.begin(folder / "plan.sqlite")) as plan:
            services.plan_release(release, plan, Pictures(None, folder))
        with CaptureQueriesContext(connection) as foreseen:
            look_ahead(current_definition(dataset), timezone.now())
        asked.append((rows, len(planned), len(foreseen)))
        services.discard_release(release=release, reason="another is next")
        for _ in range(6):
            annotate(make_image(), dataset.campaign, make_annotator(), result())
    assert [rows for rows, *_ in asked] == [2, 8]
    assert asked[0][1:] == asked[1][1:]


def test_whoever_goes_through_the_rows_of_a_plan_keeps_the_lease(tmp_path):
    release, beats = draft_release(dataset=make_labelled_dataset(people=3, each=1), user=make_manager()), []
    with closing(Plan.begin(tmp_path / "plan.sqlite", lambda: beats.append(1))) as plan:
        services.plan_release(release, plan, Pictures(None, tmp_path))
        planned = len(beats)
        assert planned >= 6  # each row is added, and looked at again
        services.record_plan(release, plan)
        assert len(beats) >= planned + 6  # its split is recorded, and it goes into the report
        planned = len(beats)
        assert len(list(plan.entries())) == 3
        assert len(beats) == planned + 3


@pytest.mark.django_db(transaction=True)
def test_a_lease_that_cannot_be_kept_while_others_write_is_kept_afterwards():
    """SQLite lets nobody write who is in the middle of reading what somebody else has written to since."""
    release = draft_release(dataset=make_labelled_dataset(people=4, each=1), user=make_manager())
    rows = Image.objects.order_by("pk").iterator(1)
    next(rows)
    with ThreadPoolExecutor(1) as another:
        another.submit(write_elsewhere).result()
    services._keep_lease(release)
    assert len(list(rows)) == 3
    services._keep_lease(release)
    release.refresh_from_db()
    assert release.next_attempt_at > timezone.now()


def write_elsewhere():
    Image.objects.update(last_error="somebody was here")
    connections.close_all()


# --- In two processes ----------------------------------------------------------------------------


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of two rows, so that a few photographs make several."""
    monkeypatch.setattr(shards, "MOST_ROWS", 2)


def planned_layout(folder):
    """A plan in every form, and how its shards are to be written."""
    dataset = make_labelled_dataset(people=6)
    define(dataset=dataset, user=make_manager(), fields={"formats": list(Format)}, targets=[])
    release = draft_release(dataset=dataset, user=make_manager())
    plan = Plan.begin(folder / "plan.sqlite")
    summary = services.plan_release(release, plan, Pictures(None, folder))
    layout = assembly.layout_of(release, plan, summary, folder / "files", folder)
    shard_files.make_folders(layout)
    return plan, layout


def test_a_second_process_writes_what_this_one_would(small_shards, tmp_path):
    plan, layout = planned_layout(tmp_path)
    here = shard_files.write_shards(layout, plan)
    elsewhere = replace(layout, folder=str(tmp_path / "elsewhere" / "files"))
    shard_files.make_folders(elsewhere)
    with shard_files.Second(tmp_path) as second:
        second.begin(elsewhere)
        assert sorted(second.finish(), key=lambda built: (built.shard, built.path)) == here
    assert len(plan.shards) > 3
    for built in here:
        assert Path(elsewhere.folder, built.path).read_bytes() == Path(layout.folder, built.path).read_bytes()


def test_two_processes_write_each_shard_once(small_shards, tmp_path):
    plan, layout = planned_layout(tmp_path)
    with shard_files.Second(tmp_path) as second:
        second.begin(layout)
        built = shard_files.write_shards(layout, plan, second)
    assert sorted(one.path for one in built) == sorted(
        PATHS[form].format(shard) for form in layout.forms for shard in plan.shards
    )


def test_what_a_second_process_cannot_read_is_said_here(small_shards, tmp_path):
    plan, layout = planned_layout(tmp_path)
    (_, _, clean_key), *_ = plan.rows_of(plan.shards[0])
    storages["derivatives"].delete(clean_key)
    with shard_files.Second(tmp_path) as second:
        second.begin(layout)
        with pytest.raises(RuntimeError, match="FileNotFoundError"):
            second.finish()


def test_a_second_process_that_is_killed_is_said_to_be(tmp_path):
    with shard_files.Second(tmp_path) as second:
        second._process.kill()
        second._process.wait()
        second.begin(Layout("", "", "", [], [], {}))
        with pytest.raises(RuntimeError, match="status -9"):
            second.finish()


def test_a_second_process_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_files, "LONGEST_SILENCE", 0.0)
    monkeypatch.setattr(shard_files, "WAIT", 0.01)
    with shard_files.Second(tmp_path) as second:
        os.kill(second._process.pid, signal.SIGSTOP)
        second.begin(Layout("", "", "", [], [], {}))
        with pytest.raises(RuntimeError, match="hangs"):
            second.finish()


def test_a_second_process_that_is_not_told_what_to_write_is_not_waited_for(tmp_path):
    with shard_files.Second(tmp_path) as second, pytest.raises(RuntimeError, match="was not told which"):
        second.finish()


def test_a_second_process_whose_parent_is_gone_writes_nothing(small_shards, tmp_path):
    _, layout = planned_layout(tmp_path)
    told = json.dumps({"parent": os.getppid(), "layout": asdict(layout)})  # which started us, not it
    started = [sys.executable, "-c", shard_files.STARTED]
    done = subprocess.run(started, input=told, cwd=settings.BASE_DIR, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert not [path for path in Path(layout.folder).rglob("*") if path.is_file()]


def test_a_large_release_is_built_by_two_processes(small_shards, monkeypatch):
    release = draft_release(dataset=make_labelled_dataset(people=6), user=make_manager())
    photographs = Image.objects.count()
    monkeypatch.setattr(services, "SHARED_FROM", photographs)
    assert not services._is_large(release)
    monkeypatch.setattr(services, "SHARED_FROM", photographs - 1)
    assert services._is_large(release)
    release.attempts = 3
    assert not services._is_large(release)  # twice it failed: there may be no memory for a second process
    build_release(release_id=release.pk)  # where the second process is told nothing, this fails
    release.refresh_from_db()
    assert (release.state, release.last_error) == (Release.State.BUILT, "")


def build_large(monkeypatch, meanwhile):
    """Build a release by two processes, with `meanwhile` in the folder at work before anything is recorded."""
    monkeypatch.setattr(services, "SHARED_FROM", 0)
    recorded = services.record_plan

    def later(release, plan):
        deadline = time.monotonic() + 60
        while not list(plan.path.parent.glob("*.begun")):
            assert time.monotonic() < deadline, "the second process does not begin before the plan is recorded"
        meanwhile(release, plan)
        return recorded(release, plan)

    monkeypatch.setattr(services, "record_plan", later)
    release = draft_release(dataset=make_labelled_dataset(people=6), user=make_manager())
    build_release(release_id=release.pk)
    release.refresh_from_db()
    return release


def test_shards_are_written_before_the_plan_is_recorded(small_shards, monkeypatch):
    left = []
    release = build_large(monkeypatch, lambda release, plan: left.append(workplaces.remove_left()))
    assert (release.state, release.last_error) == (Release.State.BUILT, "")
    assert left == [0]


def test_a_plan_that_cannot_be_recorded_leaves_nothing_of_what_was_written(small_shards, monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "sealed_checkpoint", lambda release: None)
    folders = []
    release = build_large(monkeypatch, lambda release, plan: folders.append(plan.path.parent))
    assert "being sealed" in release.last_error
    assert not folders[0].exists()
    assert not Item.objects.exists()
    monkeypatch.undo()
    Release.objects.update(next_attempt_at=timezone.now())
    build_release(release_id=release.pk)
    release.refresh_from_db()
    assert plan_bytes(release, tmp_path / "again") == files_of(release, tmp_path / "built")


def test_a_release_is_the_same_whoever_writes_its_shards(small_shards, tmp_path):
    dataset = make_labelled_dataset(people=6)
    define(dataset=dataset, user=make_manager(), fields={"formats": list(Format)}, targets=[])
    release = make_built(dataset)
    first = files_of(release, tmp_path / "first")
    with shard_files.Second(tmp_path) as second:
        assert plan_bytes(release, tmp_path / "second", second) == first


def test_a_second_process_starts_without_the_code_of_label_studio():
    """It takes half a second and 50 MB to load."""
    told = shard_files.STARTED.replace("shard_files.serve(); os._exit(0)", "import sys; print(list(sys.modules))")
    loaded = subprocess.run(
        [sys.executable, "-c", told], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    ).stdout
    assert "'exports.writers'" in loaded
    assert "label_studio_sdk" not in loaded


class Killed(BaseException):
    """What SIGKILL is to a process, for one call."""


@pytest.mark.parametrize("at", range(0, 15, 4))
def test_a_build_that_was_killed_starts_again_and_gives_the_same_bytes(at, tmp_path, monkeypatch):
    dataset = make_labelled_dataset(people=6, each=1)
    release = draft_release(dataset=dataset, user=make_manager())
    storage, saved = storages["releases"], []
    save = type(storage).save

    def save_or_die(self, name, content, **kwargs):
        if len(saved) == at:
            raise Killed
        saved.append(name)
        return save(self, name, content, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(type(storage), "save", save_or_die)
        with pytest.raises(Killed):
            build_release(release_id=release.pk)
    assert not Item.objects.exists()
    Release.objects.filter(pk=release.pk).update(next_attempt_at=timezone.now())  # the lease of the killed one is over
    build_release(release_id=release.pk)
    release.refresh_from_db()
    assert release.state == "built"
    assert files_of(release, tmp_path / "first") == plan_bytes(release, tmp_path / "second")
    assert release.attestations.count() == 6


def test_a_builder_that_comes_late_puts_nothing_back(monkeypatch):
    """It stood still while another built, the release was published, and one withdrew."""
    release = draft_release(dataset=make_labelled_dataset(people=6, each=1), user=make_manager())
    storage = storages["releases"]
    save, stood_still = type(storage).save, []

    def save_late(self, name, content, **kwargs):
        if not stood_still:
            stood_still.append(name)
            Release.objects.filter(pk=release.pk).update(next_attempt_at=timezone.now())
            build_release(release_id=release.pk)
            publish_release(release=Release.objects.get(), user=make_manager())
            withdraw(consent=Image.objects.first().consent)
            revoke_items()
        return save(self, name, content, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(type(storage), "save", save_late)
        build_release(release_id=release.pk)
    purged = list(FilePurge.objects.values_list("file__key", flat=True))
    assert purged
    assert not [key for key in purged if storage.exists(key)]
    assert all(storage.exists(file.key) for file in ReleaseFile.objects.filter(purge=None))


def test_a_build_under_way_is_left_alone():
    release = draft_release(dataset=make_labelled_dataset(people=1), user=make_manager())
    Release.objects.filter(pk=release.pk).update(next_attempt_at=timezone.now() + services.LEASE)
    build_release(release_id=release.pk)
    release.refresh_from_db()
    assert (release.state, release.attempts) == ("building", 0)


def test_a_failed_build_is_noted_and_tried_again():
    dataset = make_labelled_dataset(people=2)
    release = draft_release(dataset=dataset, user=make_manager())
    image = Image.objects.first()
    with storages["derivatives"].open(image.clean_key) as file:
        content = file.read()
    storages["derivatives"].delete(image.clean_key)
    build_release(release_id=release.pk)
    release.refresh_from_db()
    assert release.state == "building"
    assert "FileNotFoundError" in release.last_error
    assert release.next_attempt_at > timezone.now()
    path = storages["derivatives"].path(image.clean_key)
    with open(path, "wb") as file:
        file.write(content)
    Release.objects.filter(pk=release.pk).update(next_attempt_at=timezone.now())
    build_release(release_id=release.pk)
    release.refresh_from_db()
    assert release.state == "built"


def test_bytes_that_are_not_those_accepted_are_not_released():
    release = draft_release(dataset=make_labelled_dataset(people=2), user=make_manager())
    with open(storages["derivatives"].path(Image.objects.first().clean_key), "ab") as file:
        file.write(b"x")
    build_release(release_id=release.pk)
    release.refresh_from_db()
    assert release.state == "building"
    assert "not those that were sealed there" in release.last_error


def test_only_images_whose_basis_covers_the_purpose_are_in():
    dataset = make_dataset("research")
    covered = make_image(make_consent(purposes=["research", "marketing"]))
    licensed = make_image(licence=make_licence())
    make_image(make_consent(purposes=["marketing"]))
    make_image(licence=make_licence(purposes=["marketing"]))
    withdrawn = make_consent()
    make_image(withdrawn)
    withdraw(consent=withdrawn)
    past = timezone.now().date() - datetime.timedelta(days=9)
    make_image(licence=make_licence(starts=past, ends=past))
    make_image(status="needs_review")
    release = make_built(dataset)
    assert {item.image_id for item in release.items.all()} == {covered.pk, licensed.pk}


def test_an_image_without_labels_is_left_out_of_a_labelled_dataset():
    dataset = make_labelled_dataset(people=1, each=1)
    make_image()
    assert make_built(dataset).items.count() == 1


def test_a_draft_without_any_image_says_why():
    dataset = make_dataset("research")
    make_image(make_consent(purposes=["marketing"]))
    with pytest.raises(Refused, match="1: basis does not cover research"):
        draft_release(dataset=dataset, user=make_manager())


def test_rights_lost_while_drafted_discard_the_release():
    dataset = make_labelled_dataset(people=2)
    release = draft_release(dataset=dataset, user=make_manager())
    withdraw(consent=Image.objects.first().consent)
    build_release(release_id=release.pk)
    release.refresh_from_db()
    assert release.state == "discarded"
    assert "Draft again" in release.last_error
    assert not Split.objects.exists()
    assert not DeviationReport.objects.exists()


@pytest.mark.parametrize("each", [1, 2])
def test_what_is_erased_between_two_attempts_is_in_no_report(each, monkeypatch):
    """The first recorded a report and attestations and failed; what is erased is no candidate of the second."""
    release = draft_release(dataset=make_labelled_dataset(people=3, each=each), user=make_manager())

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(services, "write_files", fail)
    build_release(release_id=release.pk)
    monkeypatch.undo()
    report = DeviationReport.objects.get(release=release)
    assert report.content["rows"] == 3 * each
    remove_images(images=Image.objects.order_by("pk")[:1], cause=Removal.Cause.WITHDRAWN)
    assert erasure.purge_withdrawn() == 1
    Release.objects.update(next_attempt_at=timezone.now())
    build_release(release_id=release.pk)
    release.refresh_from_db()
    assert (release.state, release.last_error) == (
        "discarded", "Photographs were erased while it was built. Draft again."
    )  # fmt: skip


def test_rights_are_looked_at_again_before_any_photograph_is_read(small_shards, monkeypatch):
    """The second process reads as soon as it is told to begin."""
    monkeypatch.setattr(services, "SHARED_FROM", 0)
    release = draft_release(dataset=make_labelled_dataset(people=6), user=make_manager())
    withdraw(consent=Image.objects.first().consent)
    told = []
    monkeypatch.setattr(shard_files.Second, "begin", lambda second, layout: told.append(layout))
    build_release(release_id=release.pk)
    release.refresh_from_db()
    assert (release.state, told) == ("discarded", [])


def test_four_eyes():
    dataset = make_labelled_dataset(people=2)
    release = make_built(dataset)
    with pytest.raises(Refused, match="second person"):
        publish_release(release=release, user=release.drafted_by)
    publish_release(release=release, user=make_manager())
    assert release.state == "published"


def test_the_database_refuses_one_pair_of_eyes():
    release = make_built(make_labelled_dataset(people=2))
    with pytest.raises(DatabaseError), transaction.atomic():
        Release.objects.filter(pk=release.pk).update(
            state="published", published_by=release.drafted_by, published_at=timezone.now()
        )


def test_rights_lost_between_build_and_publication_refuse_it():
    release = make_built(make_labelled_dataset(people=3))
    withdraw(consent=release.items.first().image.consent)
    with pytest.raises(Refused, match=r"2 rows of .* may no longer be used"):
        publish_release(release=release, user=make_manager())
    release.refresh_from_db()
    assert release.state == "built"


def test_the_sweep_discards_an_unpublished_release_with_its_bytes():
    release = make_built(make_labelled_dataset(people=3))
    keys = [file.key for file in release.files.all()]
    withdraw(consent=release.items.first().image.consent)
    revoke_items()
    release.refresh_from_db()
    assert release.state == "discarded"
    assert not [key for key in keys if storages["releases"].exists(key)]
    assert FilePurge.objects.filter(file__release=release).count() == len(keys)


def test_a_release_that_is_given_up_while_its_bytes_are_stored_leaves_none(monkeypatch):
    release = draft_release(dataset=make_labelled_dataset(people=3), user=make_manager())
    storage = storages["releases"]
    save, stored = storage.save, []

    def save_late(key, content):
        if not stored:
            services.discard_release(release=release, reason="Nobody wants it.")
        stored.append(save(key, content))
        return stored[-1]

    monkeypatch.setattr(storage, "save", save_late)
    build_release(release_id=release.pk)
    release.refresh_from_db()
    assert release.state == "discarded"
    assert stored
    assert not [key for key in stored if storage.exists(key)]
    (again,) = [save(key, ContentFile(b"a builder that was killed then")) for key in stored[:1]]
    revoke_items()
    assert not storage.exists(again)


def test_a_release_waits_while_the_rights_desk_holds_a_row():
    release = make_built(make_labelled_dataset(people=3))
    image = release.items.first().image
    request = desk.open_request(kind="depicted", details="That is me.")
    freezes.freeze_images(images=[image.pk], request=request)
    revoke_items()
    release.refresh_from_db()
    assert release.state == "built"
    with pytest.raises(Refused, match=r"1 rows of .* held by the rights desk"):
        publish_release(release=release, user=make_manager())
    freezes.lift_freezes(request=request, images=[image.pk])
    assert publish_release(release=release, user=make_manager()).state == "published"


def test_a_release_goes_when_a_held_row_is_erased():
    release = make_built(make_labelled_dataset(people=3))
    image = release.items.first().image
    request = desk.open_request(kind="depicted", details="That is me.")
    freezes.freeze_images(images=[image.pk], request=request)
    freezes.erase_frozen(request=request, images=[image.pk])
    revoke_items()
    release.refresh_from_db()
    assert release.state == "discarded"


def test_a_published_release_never_changes():
    release = make_published(make_labelled_dataset(people=2))
    for change in ({"version": "9.0.0"}, {"state": "discarded"}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Release.objects.filter(pk=release.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        release.items.all().delete()
    with pytest.raises(Refused, match="it is published"):
        publish_release(release=release, user=make_manager())


def test_version_numbers():
    dataset = make_dataset()
    consent = make_consent()
    make_image(consent)
    make_image()
    assert make_published(dataset).version == "1.0.0"
    make_image()
    assert make_published(dataset).version == "1.1.0"
    withdraw(consent=consent)
    third = make_published(dataset)
    assert (third.version, third.items.count()) == ("2.0.0", 2)


def test_a_new_draft_replaces_one_that_waits():
    dataset = make_labelled_dataset(people=2)
    first, second = make_built(dataset), make_built(dataset)
    first.refresh_from_db()
    assert (first.state, second.state, second.version) == ("discarded", "built", "1.0.0")
    draft_release(dataset=dataset, user=make_manager())
    with pytest.raises(Refused, match="being built"):
        draft_release(dataset=dataset, user=make_manager())


def test_documents_state_computed_numbers(tmp_path):
    dataset = make_labelled_dataset(people=4, each=2)
    files = files_of(make_built(dataset), tmp_path)
    document = json.loads(files["croissant.json"])
    assert document["rai:annotationsPerItem"] == "3"
    assert document["rai:dataCollection"].startswith("8 photographs of 4 persons: 8 under a consent.")
    assert any("(ordinal) of quality" in line for line in document["rai:dataAnnotationAnalysis"])
    card = files["README.md"].decode()
    assert card.count("\n## ") == 7
    assert "3 paid annotators made 24 annotations" in card


def test_two_datasets_cannot_be_joined(tmp_path):
    campaign = make_campaign()
    worker = make_annotator()
    for _ in range(5):
        annotate(make_image(), campaign, worker, result())
    texts = []
    for name in ("one", "two"):
        files = files_of(make_built(make_dataset(campaign=campaign)), tmp_path / name)
        texts.append(rows_in(files))

    def ids(records):
        people = {record["subject"] for record in records} | {record["row_id"] for record in records}
        bases = {record["basis"]["id"] for record in records}
        return people | bases | {said["annotator"] for record in records for said in record["annotations"]}

    assert not ids(texts[0]) & ids(texts[1])
    raw = json.dumps(texts)
    for image in Image.objects.all():
        for secret in (image.pk, image.consent_id, image.consent.contributor_id, worker.pk):
            assert str(secret) not in raw
            assert secret.hex not in raw


def test_of_two_drafts_at_the_same_moment_one_is_refused(monkeypatch):
    dataset = make_labelled_dataset(people=4, each=1)
    draft_release(dataset=dataset, user=make_manager())
    Release.objects.update(state=Release.State.BUILT)
    monkeypatch.setattr("exports.services.discard_release", lambda **told: False)  # the other one is not seen yet
    with pytest.raises(Refused, match="same moment"):
        draft_release(dataset=dataset, user=make_manager())


@pytest.mark.parametrize(
    "typed",
    [
        "## Uses", "Uses\n---", "Uses\n===", "Uses\n-", "Uses\n- ", "```\nopen", "  ~~~", "<!-- hidden", "<div>",
        "> ## Uses", "- # Uses", "1. # Uses", "- 2) > ## Uses", "- ```",
    ],
)  # fmt: skip
def test_nothing_typed_begins_a_section_or_hides_one(typed):
    shown = MarkdownIt("commonmark").render(f"{plain(typed)}\n\n## Gate\n\nIt failed.")
    assert shown.endswith("<h2>Gate</h2>\n<p>It failed.</p>\n")
    assert shown.count("<h") == 1
    assert "<!--" not in shown


def test_lists_and_links_that_somebody_typed_stay():
    typed = "- one, *more*\n- two: https://example.org\n\na < b - c"
    assert plain(typed) == typed
