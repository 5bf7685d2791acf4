"""Files of releases that were deleted and lie in storage again: who looks for them, and that nothing else goes."""

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils import timezone

from collection.models import Image
from consent.withdrawals import withdraw
from exports import services, tasks
from exports.assembly import SUMS
from exports.models import FilePurge, Release, ReleaseFile
from exports.notices import revoke_items
from exports.release_files import storage_key
from exports.services import build_release, draft_release, publish_release
from tests.collection.test_storage import moto_server, s3
from tests.exports.factories import make_built, make_labelled_dataset, make_manager, make_published
from tests.exports.test_build import Killed

__all__ = ("moto_server",)
pytestmark = pytest.mark.django_db


@pytest.fixture(params=["files", "s3"])
def storage(request, settings):
    if request.param == "s3":
        server = request.getfixturevalue("moto_server")
        names = {"access_key": "distinct", "secret_key": "keys"}
        options = {"bucket_name": s3(server, **names).bucket_name, "endpoint_url": server, **names}
        there = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
        settings.STORAGES = {**settings.STORAGES, "releases": there}
    return storages["releases"]


def there(storage, keys):
    return sorted(key for key in set(keys) if storage.exists(key))


def keys(**files):
    return ReleaseFile.objects.filter(**files).values_list("key", flat=True)


def test_the_beat_table_has_the_look():
    assert settings.CELERY_BEAT_SCHEDULE[tasks.delete_files_again.name]["schedule"] == 3600


def test_what_a_builder_stored_that_came_late_and_was_killed_is_found(storage, monkeypatch):
    """It stood still while another built, the release was published, and one withdrew; it was killed at its end."""
    release = draft_release(dataset=make_labelled_dataset(people=6, each=1), user=make_manager())
    save, begun, published = type(storage).save, [], []

    def save_late(self, name, content, **kwargs):
        begun.append(name)
        if len(begun) == 1:
            Release.objects.filter(pk=release.pk).update(next_attempt_at=timezone.now())
            build_release(release_id=release.pk)
            published.append(publish_release(release=Release.objects.get(), user=make_manager()))
            withdraw(consent=Image.objects.first().consent)
            revoke_items()
        saved = save(self, name, content, **kwargs)
        if published and name.endswith(SUMS):
            raise Killed
        return saved

    with monkeypatch.context() as patch:
        patch.setattr(type(storage), "save", save_late)
        with pytest.raises(Killed):
            build_release(release_id=release.pk)
    gone = keys(purge__isnull=False)
    assert there(storage, gone) == sorted(gone) != []
    revoke_items()  # the sweep that tells recipients has done its part
    assert there(storage, gone) == sorted(gone)
    tasks.delete_files_again()
    assert there(storage, gone) == []
    kept = keys(purge__isnull=True)
    assert there(storage, kept) == sorted(kept) != []


def test_what_lies_under_a_release_that_was_given_up_is_found_and_what_it_shared_stays(storage):
    dataset = make_labelled_dataset(people=4)
    published = make_published(dataset)
    given_up = make_built(dataset)
    services.discard_release(release=given_up, reason="Nobody wants it.")
    shared = keys(release=given_up, key__in=keys(release=published))
    late = [storage_key(given_up, path) for path in ("data/train-00000.parquet", "README.md")]
    for key in late:
        storage.save(key, ContentFile(b"by a builder that was killed long after"))
    Release.objects.filter(pk=given_up.pk).update(next_attempt_at=timezone.now() - 2 * services.LEASE)
    revoke_items()
    assert there(storage, late) == sorted(late)
    tasks.delete_files_again()
    assert there(storage, late) == []
    assert FilePurge.objects.filter(file__key__in=shared).count() == len(shared) > 0
    assert there(storage, keys(release=published)) == sorted(keys(release=published))


def test_a_copy_of_its_own_beside_the_shared_one_is_found(storage):
    """A late builder no longer finds the earlier file to share, since that was deleted."""
    dataset = make_labelled_dataset(people=4)
    make_published(dataset)
    later = make_published(dataset)
    shared = later.files.exclude(shard="").exclude(key__startswith=storage_key(later, "")).first()
    withdraw(consent=later.items.filter(shard=shared.shard).first().image.consent)
    revoke_items()
    own = storage_key(later, shared.path)
    storage.save(own, ContentFile(b"stored anew"))
    tasks.delete_files_again()
    assert there(storage, [own, shared.key]) == []


def test_a_release_that_is_being_built_and_one_that_waits_keep_theirs(storage):
    waiting = make_built(make_labelled_dataset(people=4))
    building = draft_release(dataset=make_labelled_dataset(people=4), user=make_manager())
    begun = storage_key(building, "data/train-00000.parquet")
    storage.save(begun, ContentFile(b"half a release"))
    tasks.delete_files_again()
    assert there(storage, [begun, *keys(release=waiting)]) == sorted([begun, *keys(release=waiting)])


def test_a_file_that_cannot_be_deleted_keeps_nobody_from_the_others(storage, monkeypatch):
    given_up = [make_built(make_labelled_dataset(people=4)) for _ in range(2)]
    for release in given_up:
        services.discard_release(release=release, reason="Nobody wants it.")
    revoke_items()
    late = [storage_key(release, "README.md") for release in given_up]
    for key in late:
        storage.save(key, ContentFile(b"late"))
    delete = type(storage).delete

    def refuse_first(self, name):
        if name == late[0]:
            raise PermissionError(name)
        delete(self, name)

    monkeypatch.setattr(type(storage), "delete", refuse_first)
    tasks.delete_files_again()
    assert there(storage, late) == late[:1]
