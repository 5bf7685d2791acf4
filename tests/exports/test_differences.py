"""What changed between two releases, row by row."""

import pytest
import time_machine

from consent.refusals import Refused
from consent.withdrawals import withdraw
from exports import throttle
from exports.differences import count_difference, difference
from exports.pseudonyms import keyed
from tests.exports.factories import (
    annotate,
    make_annotator,
    make_built,
    make_image,
    make_labelled_dataset,
    make_published,
    make_token,
    result,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def three(db):
    """Releases with one person gone, one photograph new, one photograph rated again; and what is expected of them."""
    dataset = make_labelled_dataset(people=4, each=2, slug="portraits")
    first = make_published(dataset)
    images = [item.image for item in first.items.order_by("image__received_at")]
    gone, again = images[0], images[-1]
    withdraw(consent=gone.consent)
    new = make_image()
    annotate(new, dataset.campaign, make_annotator(), result(3))
    second = make_published(dataset)
    annotate(again, dataset.campaign, make_annotator(), result(1))
    third = make_published(dataset)

    def rows(*found):
        return sorted(keyed(dataset, "row", image.pk) for image in found)

    lost = [image for image in images if image.consent_id == gone.consent_id]
    return (first, second, third), (rows(new), rows(*lost), rows(again))


def test_rows_added_removed_and_relabelled(three):
    (first, second, third), (new, gone, again) = three
    step = difference(release=second, earlier=first)
    assert (step.added, step.removed, step.relabelled, step.kept) == (new, gone, [], 6)
    step = difference(release=third, earlier=second)
    assert (step.added, step.removed, step.relabelled, step.kept) == ([], [], again, 7)
    leap = difference(release=third, earlier=first)
    assert (leap.added, leap.removed, leap.relabelled, leap.kept) == (new, gone, again, 6)


def test_only_an_earlier_release_of_the_same_dataset_is_compared(three):
    (first, second, _), _ = three
    with pytest.raises(Refused, match="Choose one that is"):
        difference(release=first, earlier=second)
    other = make_built(make_labelled_dataset(people=2))
    with pytest.raises(Refused, match="Choose one that is"):
        difference(release=second, earlier=other)


def test_the_api_names_rows_to_recipients_and_the_page_counts_them_for_everybody(client, three):
    (first, second, third), (new, gone, again) = three
    assert (first.version, second.version, third.version) == ("1.0.0", "2.0.0", "2.1.0")
    headers = {"Authorization": f"Bearer {make_token(first.dataset)}"}
    said = client.get("/api/datasets/portraits/2.1.0/since/1.0.0/", headers=headers).json()
    assert said == {
        "version": "2.1.0", "since": "1.0.0", "added": new, "removed": gone, "relabelled": again, "kept": 6,
    }  # fmt: skip
    assert client.get("/api/datasets/portraits/1.0.0/since/2.1.0/", headers=headers).status_code == 404
    assert client.get("/api/datasets/portraits/2.1.0/since/1.0.0/").status_code == 401
    for _ in range(2):  # the second time from what was counted before
        page = client.get("/datasets/portraits/2.1.0/since/1.0.0/").content.decode()
        assert "<dt>Rows added</dt><dd>1</dd>" in page
        assert "6, of which 1 with other labels" in page
        assert 'href="/datasets/portraits/2.1.0/since/2.0.0/"' in page
        assert not [row for row in new + gone + again if row in page]
    assert client.get("/datasets/portraits/1.0.0/since/2.1.0/").status_code == 404
    assert "/datasets/portraits/2.1.0/since/2.0.0/" in client.get("/datasets/portraits/").content.decode()


def test_strangers_cannot_have_every_pair_compared(client, three, monkeypatch):
    """Each comparison looks at every label of two releases; what was counted before is shown without."""
    monkeypatch.setattr(throttle, "COMPARED_PER_HOUR", 1)
    with time_machine.travel("2030-01-01T12:00:00Z", tick=False):
        pages = [f"/datasets/portraits/{pair}/" for pair in ("2.1.0/since/1.0.0", "2.1.0/since/2.0.0")]
        assert [client.get(page).status_code for page in pages] == [200, 429]
        assert client.get(pages[0]).status_code == 200
        assert "Open this page again in the next hour" in client.get(pages[1]).content.decode()
    with time_machine.travel("2030-01-01T13:00:00Z", tick=False):
        assert client.get(pages[1]).status_code == 200


def test_what_is_not_published_is_not_compared(client, three):
    draft = make_built(three[0][0].dataset)
    assert client.get(f"/datasets/portraits/{draft.version}/since/1.0.0/").status_code == 404


def test_counts_are_those_of_the_rows(three):
    (first, _, third), _ = three
    assert count_difference(release=third, earlier=first) == {"added": 1, "removed": 2, "relabelled": 1, "kept": 6}
