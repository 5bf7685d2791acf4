"""What is foreseen of a release: counted photograph by photograph, and the same as what becomes of it."""

import re
import weakref
from decimal import Decimal

import pytest
from django.utils import timezone

from consent.withdrawals import withdraw
from exports import selection
from exports.definitions import current_definition
from exports.differences import difference
from exports.drafts import foresee
from tests.consent.factories import make_licence
from tests.exports.factories import (
    annotate,
    make_annotator,
    make_built,
    make_dataset,
    make_image,
    make_labelled_dataset,
    make_manager,
    make_published,
    result,
)
from tests.exports.test_costs import review
from tests.exports.test_definitions import change

pytestmark = pytest.mark.django_db


def add(dataset, **fields):
    image = make_image(**fields)
    annotate(image, dataset.campaign, make_annotator(), result())
    return image


@pytest.fixture
def earlier():
    """A release of ten photographs, since which one person withdrew, one row was relabelled, and two came."""
    earlier = make_published(make_labelled_dataset(people=5, each=2, slug="portraits"))
    dataset = earlier.dataset
    gone, *_, other = earlier.items.order_by("image__subject")
    withdraw(consent=gone.image.consent)
    annotate(other.image, dataset.campaign, make_annotator(), result(1, "hat"))
    add(dataset)
    add(dataset, licence=make_licence(price=Decimal(20)))
    return earlier


def test_what_is_foreseen_is_what_the_release_becomes(earlier):
    draft = foresee(current_definition(earlier.dataset), timezone.now())
    release = make_built(earlier.dataset)
    assert draft.step.change == difference(release=release, earlier=earlier).counts()
    assert draft.step.change == {"added": 2, "removed": 2, "relabelled": 1, "kept": 8}
    assert (draft.rows, draft.step.version) == (release.items.count(), release.version)
    assert draft.step.why == ("2 rows of 1.0.0 are not in it",)


def test_a_control_that_nobody_answered_before_is_another_column(earlier):
    change(earlier.dataset, controls=["quality"])
    later = make_published(earlier.dataset)
    change(earlier.dataset, controls=["quality", "attributes"])
    step = foresee(current_definition(earlier.dataset), timezone.now()).step
    assert step.why == ("its labels are other columns",)
    assert step.change["relabelled"] == later.items.count()


def test_photographs_are_let_go_once_they_were_looked_at(monkeypatch):
    monkeypatch.setattr(selection, "AT_ONCE", 2)
    dataset = make_dataset()
    for _ in range(20):
        make_image()
    make_published(dataset)
    seen, held = weakref.WeakSet(), []

    def see(some):
        seen.update(candidate for candidate, _ in some)
        held.append(len(seen))

    assert foresee(current_definition(dataset), timezone.now(), see).rows == 20
    assert len(held) == 10
    assert max(held) <= 6  # those shown, those before, those read next


def test_the_page_says_the_same_however_many_are_read_at_once(earlier, client, monkeypatch, settings):
    settings.REVIEW_HOURLY_COST = Decimal(36)
    goals = [{"people": 20}, {"photographs": 30}]
    change(earlier.dataset, targets=goals, shorter_side=40)
    add(earlier.dataset, height=30)
    for item in earlier.items.all()[:3]:
        review(item.image, 150)
    client.force_login(make_manager())
    pages = []
    for at_once in (1, 3, 2_000):
        monkeypatch.setattr(selection, "AT_ONCE", at_once)
        page = client.get("/staff/datasets/portraits/next/").content.decode()
        pages.append(re.sub('name="csrfmiddlewaretoken" value="[^"]*"|nonce="[^"]*"', "", page))
    assert pages[0] == pages[1] == pages[2]
    words = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", pages[0]))
    assert "10 photographs may go into it now, of 6 people." in words
    assert "Since 1.0.0: 2 rows more, 2 gone, 1 with other labels." in words
    assert "Of 13 photographs that were ever sent or imported, 10 would be in it, and these are not:" in words
    assert "Anyone 20 people wanted" in words
