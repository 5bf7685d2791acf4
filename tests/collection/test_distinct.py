"""What a reviewer told apart stays apart, until either end is erased."""

import pytest
from django.db import IntegrityError, transaction

from collection import fingerprints, pipeline
from collection.distinct import mark_distinct
from collection.erasure import purge_withdrawn
from collection.models import Distinct, ImageStatus, Resemblance
from collection.services import Refused
from consent.withdrawals import withdraw
from tests.collection.factories import make_image, receive
from tests.collection.pictures import encoded, portrait
from tests.consent.factories import make_consent, make_user

pytestmark = pytest.mark.django_db
ORIGINAL = portrait(3, 1)


def held_pair():
    original = make_image(picture=encoded(ORIGINAL, quality=90))
    taken = make_image(picture=encoded(ORIGINAL, quality=50))
    assert taken.status == ImageStatus.NEEDS_REVIEW
    return original, taken


def test_a_pair_told_apart_never_comes_up_again():
    original, taken = held_pair()
    reviewer = make_user("", "reviewer")
    for _ in range(2):  # two clicks are one word
        said = mark_distinct(image=taken, original=original, reviewer=reviewer)
    assert {said.first_id, said.second_id} == {original.pk, taken.pk}
    assert said.reviewer == reviewer
    assert not Resemblance.objects.exists()
    assert fingerprints.resembled(taken) == fingerprints.resembled(original) == {}


def test_only_the_pair_is_told_apart():
    original, taken = held_pair()
    mark_distinct(image=original, original=taken, reviewer=make_user("", "reviewer"))
    third = receive(make_consent(), encoded(ORIGINAL, quality=70))
    pipeline.advance(third.pk)
    assert {r.original_id for r in third.resembles.all()} == {original.pk, taken.pk}


def test_nothing_is_told_apart_from_itself():
    image = make_image()
    with pytest.raises(Refused, match="Choose two"):
        mark_distinct(image=image, original=image, reviewer=make_user("", "reviewer"))


def test_the_database_wants_the_smaller_id_first_and_each_pair_once():
    first, second = sorted((make_image(), make_image()), key=lambda image: image.pk)
    Distinct.objects.create(first=first, second=second)
    for one, other in ((second, first), (first, second)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Distinct.objects.create(first=one, second=other)


def test_it_is_erased_with_either_end():
    original, taken = held_pair()
    mark_distinct(image=taken, original=original, reviewer=make_user("", "reviewer"))
    withdraw(consent=original.consent)
    purge_withdrawn()
    assert not Distinct.objects.exists()
