"""Removals are proof as well: verify_ledger compares their rows with the ledger (settings.LEDGER_PROOF)."""

import pytest
from django.db import connection

from collection.models import Removal
from collection.removals import remove_images
from consent import audit, ledger
from tests.collection.factories import make_image
from tests.consent.test_ledger import without_triggers  # noqa: F401  # a fixture

TAMPERING = {
    "taken out of the way": "DELETE FROM collection_removal",
    "made milder": "UPDATE collection_removal SET aftermath = 'keep'",
    "given to another image": "UPDATE collection_removal SET image_id = '{other}'",
}


@pytest.mark.django_db
@pytest.mark.parametrize("what", TAMPERING)
def test_r39_a_removal_changed_by_raw_sql_is_found_and_named(without_triggers, what):  # noqa: F811
    image, other = make_image(), make_image()
    since = ledger.seal()
    remove_images(images=[image], cause=Removal.Cause.WITHDRAWN)
    ledger.seal()
    assert list(audit.problems()) == list(audit.problems(since)) == []
    other_id = other.pk.hex if connection.vendor == "sqlite" else other.pk
    with connection.cursor() as cursor:
        cursor.execute(TAMPERING[what].format(other=other_id))
    for found in (list(audit.problems()), list(audit.problems(since))):
        assert any("(image.removed): the row that it tells of is gone, or was changed" in words for words in found)
