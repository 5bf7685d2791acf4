"""What the server refuses is put together out of nothing else that lies on that disk."""

import pytest

from consent.withdrawals import withdraw
from exports import pull, verify
from exports.models import Acknowledgement
from exports.notices import revoke_items
from tests.exports.factories import annotate, make_annotator, make_image, make_published, result
from tests.exports.test_pull import ids, pulling, release, target
from tests.exports.test_tokens import end, expire
from tests.test_rights import freeze

__all__ = ("pulling", "release", "target")
pytestmark = pytest.mark.django_db(transaction=True)
SUMS = "SHA256SUMS"


def newer(release):
    """The next version: what `release` holds, and one more photograph."""
    annotate(make_image(), release.dataset.campaign, make_annotator(), result())
    return make_published(release.dataset)


def end_rights(item, how):
    """No sweep has run yet, so there is no notice."""
    if how == "withdrawn":
        withdraw(consent=item.image.consent)
    else:
        freeze(item.image)


@pytest.mark.parametrize("cease", [expire, end])
def test_what_was_withdrawn_leaves_a_copy_though_the_token_fetches_nothing_any_more(
    cease, pulling, release, target, pem, capsys
):
    assert pulling() == pull.OK
    item = release.items.filter(split="train").first()
    withdraw(consent=item.image.consent)
    revoke_items()
    cease()
    assert pulling() == pull.REFUSED
    assert item.row_id not in ids(target)
    assert verify.main([str(target), "--key", str(pem)]) == 0
    assert "Ask the data manager for a new one." in capsys.readouterr().err
    assert Acknowledgement.objects.count() == (cease is expire)


@pytest.mark.parametrize("how", ["withdrawn", "frozen"])
def test_what_the_server_refuses_is_not_put_together_out_of_another_version(how, pulling, release, target, capsys):
    assert pulling() == pull.OK
    newest = newer(release)
    end_rights(release.items.filter(split="train").first(), how)
    assert pulling() == pull.WITHDRAWN
    assert "may no longer be used" in capsys.readouterr().err
    assert not (target.parent / newest.version).exists()


def test_what_was_fetched_of_an_unfinished_copy_is_dropped_before_the_sweep(pulling, release, target):
    assert pulling() == pull.OK
    (target / SUMS).unlink()
    end_rights(release.items.filter(split="train").first(), "frozen")
    assert pulling() == pull.WITHDRAWN
    assert not target.exists()
