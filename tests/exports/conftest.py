"""One release on disk, made once: checks of copies need no database."""

import shutil
from pathlib import Path

import pytest
from django.db import transaction

from consent.keys import public_key
from consent.signing import public_pem
from consent.withdrawals import withdraw
from exports import pull
from exports.models import Format, Notice
from exports.notices import revoke_items
from tests.exports.factories import define_forms, export_to, make_labelled_dataset, make_published


class _Undo(Exception):
    pass


@pytest.fixture(scope="session")
def exported(django_db_setup, django_db_blocker, tmp_path_factory):
    """(folder of a release, its notices by number after one of four people withdrew)."""
    folder = tmp_path_factory.mktemp("exported")
    with django_db_blocker.unblock():
        try:
            with transaction.atomic():
                dataset = make_labelled_dataset(people=5, each=2, slug="portraits")
                define_forms(dataset, *Format)
                release = make_published(dataset)
                export_to(release, folder)
                withdraw(consent=release.items.filter(split="train").first().image.consent)
                revoke_items()
                notices = {notice.pk: notice.envelope for notice in Notice.objects.all()}
                raise _Undo
        except _Undo:
            return folder, notices


@pytest.fixture
def pem(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text(public_pem(public_key()))
    return path


@pytest.fixture
def copy(exported, tmp_path):
    """A fresh copy of the release, as pulled."""
    return shutil.copytree(exported[0], tmp_path / "portraits" / "1.0.0")


@pytest.fixture
def notices(exported):
    return exported[1]


@pytest.fixture
def updated(copy, notices):
    """A copy to which the notices were applied."""
    return applied(copy, notices)


def applied(copy, notices):
    rows = {
        number: pull._notice_rows(text, number, "portraits", "1.0.0", public_key()) for number, text in notices.items()
    }
    pull.apply_to_copy(copy, notices, rows, public_key())
    return copy


def killed_before(name, pulling, monkeypatch):
    """A pull that is killed just before the file of this name takes its place."""
    replace = Path.replace

    def die(self, other):
        if self.name == name:
            raise KeyboardInterrupt
        return replace(self, other)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            pulling()
