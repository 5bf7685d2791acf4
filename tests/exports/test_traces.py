"""find_traces: after the whole walk and a withdrawal nothing is left but proof; whatever is planted is named."""

import hashlib
import json
import os
import tempfile
import zipfile

import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command

from annotation import tasks as annotation_tasks
from annotation.models import LabelProject, LabelTask
from collection import erasure, storage
from collection import tasks as collection_tasks
from collection.models import Fingerprint, Image, Resemblance, Word
from consent import tasks as consent_tasks
from consent.desk import open_request
from consent.models import LedgerEntry
from consent.withdrawals import withdraw
from exports import tasks as export_tasks
from exports.models import FilePurge, ReleaseFile
from exports.trace_stores import find_traces
from exports.traces import KNOWN, models_about_images, own_models
from tests.annotation.factories import make_annotator
from tests.collection.factories import make_image
from tests.consent.factories import make_consent
from tests.exports.factories import ALL_SPLITS, annotate, make_campaign, make_dataset, make_published, result

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_files_of_other_processes(monkeypatch, tmp_path_factory):
    """Drawn pictures have the same bytes everywhere: a killed build of another suite is a trace of ours."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("system")))


def walk():
    """An image that was uploaded, accepted, labelled, paid for and published, in a release with others."""
    campaign, worker = make_campaign(), make_annotator()
    images = [make_image() for _ in range(4)]
    for image in images:
        annotate(image, campaign, worker, result())
    make_published(make_dataset(campaign=campaign, pseudonym_key=ALL_SPLITS))
    return images[0]


def erase(image):
    withdraw(consent=image.consent)
    collection_tasks.purge_withdrawn()
    annotation_tasks.retract_withdrawn()
    export_tasks.revoke_items()
    consent_tasks.write_erasure_notes()
    export_tasks.issue_certificates()


@pytest.fixture
def gone():
    """The image as it was, with the hash of its pixels, after everything is erased."""
    image = walk()
    was = Image.objects.select_related("fingerprint").get(pk=image.pk)
    erase(image)
    return was


def left(asked):
    report = find_traces(str(asked))
    assert report is not None
    return {f"{trace.store}: {trace.place}" for trace in report.left}


def test_a_photograph_in_use_is_said_to_be_and_where():
    image = walk()
    report = find_traces(str(image.pk))
    assert "still in use" in report.standing[0]
    stores = {trace.store for trace in report.left}
    assert stores >= {"database", "originals", "derivatives", "releases"}
    places = {trace.place for trace in report.left}
    assert {"collection_image.id", "collection_fingerprint.image", "annotation_labeltask.image"} <= places
    assert left(image.sha256) == left(image.clean_sha256) == left(image.pk)


def test_after_the_walk_and_a_withdrawal_nothing_is_left(gone, capsys):
    for asked in (gone.pk, gone.sha256, gone.clean_sha256, gone.pk.hex.upper(), gone.fingerprint.pixels_sha256):
        assert left(asked) == set()
    call_command("find_traces", str(gone.pk))
    said = capsys.readouterr().out
    assert "is erased" in said
    assert "Nothing is left." in said
    for proof in ("collection_transition.image", "annotation_earning", "exports_item.image", "exports_revocation"):
        assert proof in said
    call_command("find_traces", gone.sha256, json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["asked"], told["left"]) == (gone.sha256, [])


def test_erasure_that_is_due_is_told_from_use():
    image = make_image()
    withdraw(consent=image.consent)
    assert "not erased yet" in find_traces(str(image.pk)).standing[0]


def test_exit_codes_and_bad_input(gone):
    with pytest.raises(CommandError, match="neither an image id nor a SHA-256") as bad:
        call_command("find_traces", "me.jpg")
    assert bad.value.returncode == 2
    storages["originals"].save(storage.key_for(gone.pk, gone.sha256, "jpg"), ContentFile(b"back"))
    with pytest.raises(CommandError, match="left in 1 places") as found:
        call_command("find_traces", str(gone.pk))
    assert found.value.returncode == 1
    storage.delete_all(gone)


# --- What is planted is found --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["originals", "derivatives", "evidence"])
def test_bytes_in_a_storage_are_found_by_id_and_by_hash(gone, name):
    storages[name].save(storage.key_for(gone.pk, gone.sha256, "jpg"), ContentFile(b"back"))
    for asked in (gone.pk, gone.sha256):
        assert any(place.startswith(f"{name}: ") for place in left(asked))
    storage.delete_all(gone)
    assert left(gone.pk) == set()


def test_a_release_file_that_came_back_is_found(gone):
    purge = FilePurge.objects.filter(file__path__startswith="rows/").get()
    row = {"original_sha256": gone.sha256}
    storages["releases"].save(purge.file.key, ContentFile(json.dumps(row).encode()))
    assert left(gone.sha256) == {f"releases: {purge.file.key}"}
    assert f"releases: {purge.file.key}" in left(gone.pk)
    storages["releases"].delete(purge.file.key)
    shard = ReleaseFile.objects.exclude(shard="").filter(release__items__image=gone, purge__isnull=False).first()
    storages["releases"].save(shard.key, ContentFile(b"bytes of it"))
    assert f"releases: {shard.key}" in left(gone.pk)


def test_rows_of_the_duplicate_index_are_found(gone):
    other = make_image()
    Word.objects.filter(fingerprint=other.pk).delete()
    Fingerprint.objects.filter(image=other).update(image=gone)
    Word.objects.create(fingerprint_id=gone.pk, word=7)
    Resemblance.objects.create(image=gone, original=other, kind="near", distance=3)
    index = ("fingerprint.image", "word.fingerprint", "resemblance.image")
    assert {f"database: collection_{place}" for place in index} <= left(gone.pk)


@pytest.mark.parametrize("asked", ["pk", "sha256"])
def test_any_column_of_any_table_is_searched(gone, asked):
    word = str(getattr(gone, asked))
    other = make_image()
    Image.objects.filter(pk=other.pk).update(client_name=f"copy of {word}.jpg", last_error=f"failed at {word}")
    assert {"database: collection_image.client_name", "database: collection_image.last_error"} <= left(word)


def test_the_same_bytes_sent_again_are_found(gone):
    again = make_image(make_consent())
    Image.objects.filter(pk=again.pk).update(sha256=gone.sha256)
    assert "database: collection_image.sha256" in left(gone.sha256)


def test_what_stays_on_purpose_is_no_leftover(gone):
    open_request(kind="depicted", name="A", email="a@example.org", details=f"its SHA-256 is {gone.sha256}")
    report = find_traces(gone.sha256)
    assert report.left == []
    assert any("REQUEST_DAYS" in trace.kept for trace in report.traces)
    assert LedgerEntry.objects.filter(payload__contains=str(gone.consent_id)).exists()


def test_a_zip_that_waits_is_opened(gone, tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("a.jpg", b"the picture")
    storages["imports"].save("waiting.zip", ContentFile((tmp_path / "z.zip").read_bytes()))
    assert left(hashlib.sha256(b"the picture").hexdigest()) == {"imports: waiting.zip: a.jpg"}
    storages["imports"].delete("waiting.zip")


def test_the_cache_is_searched(gone):
    cache.set("thumb", f"of {gone.pk}" * 3, 60)
    assert any(place.startswith("cache: ") for place in left(gone.pk))
    cache.clear()
    assert left(gone.pk) == set()


def test_what_cannot_be_read_is_said(gone):
    storages["imports"].save("broken.zip", ContentFile(b"PK no zip"))
    assert any("broken.zip" in remark and "not searched" in remark for remark in find_traces(gone.sha256).remarks)


def test_files_of_label_studio_are_searched(gone, settings, tmp_path):
    settings.LABEL_STUDIO_DATA_DIR = str(tmp_path)
    (tmp_path / "export").mkdir()
    asset = LabelTask.objects.get(image=gone).pk
    (tmp_path / "export" / "project-1-at-now.json").write_text(json.dumps({"data": {"asset_id": str(asset)}}))
    assert any(place.startswith("label studio files: ") for place in left(gone.pk))


def test_label_studio_that_does_not_answer_is_no_proof(gone, settings):
    LabelProject.objects.create(campaign=LabelTask.objects.get(image=gone).campaign, external_id=1)
    settings.LABEL_STUDIO_URL = "http://127.0.0.1:9"
    assert any("nobody can say" in place for place in left(gone.pk))


def test_temporary_files_are_searched_and_swept(gone, settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    (tmp_path / "abc.upload.jpg").write_bytes(b"x")
    half_built = tmp_path / "likeness-release-x"
    half_built.mkdir()
    (half_built / "rows.jsonl").write_text(gone.sha256)
    assert any(place.startswith("temporary files: ") for place in left(gone.sha256))
    assert erasure.remove_temporary() == 0, "somebody may be at work on them"
    for path in (half_built / "rows.jsonl", half_built, tmp_path / "abc.upload.jpg"):
        os.utime(path, (1, 1))
    assert erasure.remove_temporary() == 2
    assert left(gone.sha256) == set()
    assert list(tmp_path.iterdir()) == []


def test_the_systems_own_folder_is_never_swept(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    (tmp_path / "somebody").write_bytes(b"else")
    os.utime(tmp_path / "somebody", (1, 1))
    assert erasure.remove_temporary() == 0


# --- Nothing is forgotten ------------------------------------------------------------------------


def test_every_table_about_photographs_is_known():
    """A new one: say in exports.traces.KNOWN whether its rows stay on purpose, and erase it in erasure if not."""
    about = {model._meta.label_lower for model in models_about_images()}
    about |= {
        model._meta.label_lower
        for model in own_models()
        if any(
            "identifies the photograph" in why or "of a photograph" in why
            for why in getattr(model, "PERSONAL_DATA", {}).values()
        )
    }
    assert about - set(KNOWN) == set()
    assert {"collection.fingerprint", "annotation.earning", "exports.revocation"} <= about
