"""My photos: for every photograph where it stands, who saw it, what holds it, who pulled that, what was paid."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation.handout_models import ImageView
from annotation.models import LabelTask
from collection.erasure import purge_withdrawn
from collection.models import Removal
from collection.pipeline import advance
from collection.removals import remove_images
from consent.withdrawals import withdraw
from exports.history import histories
from exports.models import Dataset
from exports.notices import revoke_items
from tests.annotation.factories import make_annotator
from tests.collection.factories import make_image as make_whole_image
from tests.collection.factories import receive
from tests.collection.pictures import encoded, portrait
from tests.consent.factories import make_consent, make_contributor
from tests.exports.factories import (
    annotate,
    make_campaign,
    make_dataset,
    make_image,
    make_published,
    make_token,
    result,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def consent(client):
    consent = make_consent()
    client.force_login(consent.contributor.user)
    return consent


def page(client, query=""):
    answer = client.get(f"/me/photos/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def labelled(consent, campaign, count=1, workers=1):
    """Photographs that were shown to and labelled by these annotators."""
    people = [make_annotator() for _ in range(workers)]
    for _ in range(count):
        image = make_image(consent)
        for person in people:
            annotate(image, campaign, person, result())
        ImageView.objects.create(task=LabelTask.objects.get(image=image), served=True)
        ImageView.objects.create(task=LabelTask.objects.get(image=image), served=False)
    return image


def pull(client, dataset, path):
    address = f"/api/datasets/{dataset.slug}/1.0.0/files/{path}"
    assert b"".join(client.get(address, headers={"Authorization": f"Bearer {make_token(dataset)}"}))


def test_it_tells_campaigns_releases_pulls_and_pay(client, consent):
    campaign = make_campaign(name="Quality of light")
    labelled(consent, campaign, workers=3)
    dataset = make_dataset(campaign=campaign, title="Faces at noon", slug="faces")
    make_published(dataset)
    before = page(client)
    assert "Quality of light: 1 time," in before
    assert "Faces at noon</a> 1.0.0" in before
    assert '<span class="badge ok">in it</span>' in before
    assert "Fetched by nobody yet" in before
    assert "0.3000 EUR" in before
    assert "Paid to people for labelling it" in before
    pull(client, dataset, dataset.releases.get().files.get(path__startswith="rows/").path)
    assert "Fetched by ML team" in page(client)
    withdraw(consent=consent)
    assert '<span class="badge quiet">dropped</span>' in page(client)  # at once, before any sweep
    revoke_items()
    assert '<span class="badge quiet">dropped</span>' in page(client)


def test_files_of_other_rows_are_not_told_as_pulled(client, consent):
    image = labelled(consent, make_campaign())
    dataset = make_dataset(slug="faces", campaign=image.label_tasks.get().campaign)
    release = make_published(dataset)
    pull(client, dataset, "README.md")
    assert "Fetched by nobody yet" in page(client)
    held = histories([image.pk])[image.pk].held
    assert [(one.version, one.dropped, one.pulls) for one in held] == [(release.version, False, ())]


def test_it_says_why_a_photograph_was_turned_down_and_how_to_do_better(client, consent):
    make_whole_image(consent, picture=encoded(portrait(size=(400, 500))))
    assert "It is too small. Please send it as large as the camera took it" in page(client)


def test_what_is_still_being_checked_is_shown_too(client, consent):
    image = receive(consent, encoded(portrait(3, 3)))
    assert "being checked" in page(client)
    advance(image.pk)
    assert "accepted" in page(client)


def test_it_shows_only_ones_own(client, consent):
    other = make_whole_image()
    assert str(other.pk) not in page(client)
    assert "have not sent any" in page(client)
    client.force_login(make_contributor().user)
    assert str(other.pk) not in page(client)


def test_erased_ones_are_one_line_and_a_page_of_where_they_went(client, consent):
    released = labelled(consent, make_campaign())
    make_published(make_dataset(campaign=released.label_tasks.get().campaign))
    gone = [released, make_image(consent), make_image(consent)]
    remove_images(images=gone, cause=Removal.Cause.WITHDRAWN)
    left = make_image(consent)
    assert purge_withdrawn() == 3
    before = page(client)
    assert "3 photographs were erased." in before
    assert before.count("<li class=") == 1
    assert str(left.pk) in before
    erased = page(client, "erased/")
    assert (erased.count("<li class="), erased.count("permission was withdrawn")) == (3, 3)
    assert str(left.pk) not in erased
    assert '<span class="badge quiet">dropped</span>' in erased


def test_only_who_has_something_to_withdraw_is_led_there(client, consent):
    assert "Changed your mind about all of them?" in page(client)
    withdraw(consent=consent)
    assert "Changed your mind about all of them?" not in page(client)


def test_it_is_paged_by_48(client, consent):
    images = [make_image(consent) for _ in range(50)]
    first, second = page(client), page(client, "?page=2")
    assert "50 photographs" in first
    assert "Page 1 of 2" in first
    assert (first.count("<li class="), second.count("<li class=")) == (48, 2)
    shown = first + second
    assert all(str(image.pk) in shown for image in images)


def test_the_number_of_queries_does_not_grow_with_photographs(client, consent):
    campaign = make_campaign()
    labelled(consent, campaign, workers=2)
    make_published(make_dataset(campaign=campaign))
    counted = []
    page(client)  # the first request of a process asks more: config.middleware.ReplayGuard
    for more in (0, 20):
        if more:
            labelled(consent, campaign, count=more, workers=2)
            make_published(Dataset.objects.get())
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page(client)
        counted.append(len(queries))
    assert counted[0] == counted[1]
    assert counted[0] < 30


def test_sums_of_pay_are_exact(consent):
    image = labelled(consent, make_campaign(rate=Decimal("0.1")), workers=3)
    assert histories([image.pk])[image.pk].paid == {"EUR": Decimal("0.3000")}
