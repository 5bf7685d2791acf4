"""Going through a storage, on disk and on S3 alike."""

from django.core.files.base import ContentFile
from django.core.files.storage import storages

from consent.folders import list_folder, walk

KEYS = ["2025/12/31/a", "2026/01/01/b", "2026/01/02/c", "top"]


def filled():
    bucket = storages["erasures"]
    for key in KEYS:
        bucket.save(key, ContentFile(b"x"))
    return bucket


def test_every_key_is_found_in_order():
    assert list(walk(filled())) == KEYS
    assert list(walk(storages["erasures"], "2026/01")) == KEYS[1:3]
    assert list_folder(storages["erasures"], "2026") == (["01"], [])


def test_what_is_not_there_is_empty():
    assert list_folder(storages["erasures"], "nowhere") == ([], [])
    assert list(walk(storages["erasures"], "nowhere")) == []


def test_a_folder_that_is_not_entered_is_not_listed():
    bucket, listed = filled(), list[str]()

    def enter(folder: str) -> bool:
        listed.append(folder)
        return folder >= "2026"[: len(folder)]

    assert list(walk(bucket, enter=enter)) == KEYS[1:]
    assert "2025/12" not in listed
