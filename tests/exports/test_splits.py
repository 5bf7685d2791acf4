"""Nobody, and no near-duplicate, is in two splits; an image never changes its split."""

from collections import Counter

import pytest
from django.utils import timezone

from collection.models import Resemblance
from exports import splits
from exports.models import Split
from exports.selection import Candidate
from tests.consent.factories import make_consent
from tests.exports.factories import make_dataset, make_image

pytestmark = pytest.mark.django_db


def assign(dataset, images):
    foreseen = splits.foresee(dataset, map(Candidate, images), timezone.now(), Counter())
    found = {candidate.image.pk: name for candidate, name in foreseen}
    splits.record(dataset, ((image.hex, name) for image, name in found.items()))
    return found


def resemble(image, original):
    Resemblance.objects.create(image=image, original=original, kind="near", distance=3)


def image_in(dataset, name):
    """A new person's image that the dataset has put into this split."""
    while True:
        image = make_image()
        if splits.name_for(dataset, image.subject) == name:
            assign(dataset, [image])
            return image


def test_a_person_is_in_one_split():
    dataset = make_dataset()
    consents = [make_consent() for _ in range(12)]
    images = [make_image(consent) for consent in consents for _ in range(3)]
    assigned = assign(dataset, images)
    for consent in consents:
        assert len({assigned[image.pk] for image in images if image.consent == consent}) == 1


def test_persons_who_resemble_each_other_are_in_one_split_also_through_a_third():
    dataset = make_dataset()
    images = [make_image() for _ in range(12)]
    hidden = make_image()
    for image in images:
        resemble(hidden, image)
    assert len(set(assign(dataset, images).values())) == 1


def test_an_image_keeps_its_split_when_others_come():
    dataset = make_dataset()
    images = [make_image() for _ in range(10)]
    before = assign(dataset, images)
    after = assign(dataset, images + [make_image() for _ in range(10)])
    assert {pk: after[pk] for pk in before} == before


def test_a_newcomer_joins_the_recorded_split_of_what_it_resembles():
    dataset = make_dataset()
    for name in splits.NAMES:
        recorded, newcomer = image_in(dataset, name), make_image()
        resemble(newcomer, recorded)
        assert assign(dataset, [recorded, newcomer]) == {recorded.pk: name, newcomer.pk: name}


def test_a_newcomer_that_joins_two_splits_is_left_out():
    dataset = make_dataset()
    one, other, newcomer = image_in(dataset, "train"), image_in(dataset, "test"), make_image()
    resemble(newcomer, one)
    resemble(newcomer, other)
    assert assign(dataset, [one, other, newcomer]) == {one.pk: "train", other.pk: "test"}
    assert not Split.objects.filter(image=newcomer).exists()


def test_recorded_images_found_alike_later_keep_only_one_split():
    dataset = make_dataset()
    one, other = image_in(dataset, "train"), image_in(dataset, "test")
    resemble(one, other)
    assert assign(dataset, [one, other]) == {one.pk: "train"}
    assert set(Split.objects.values_list("image", "name")) == {(one.pk, "train"), (other.pk, "test")}


def test_two_datasets_split_differently():
    images = [make_image() for _ in range(30)]
    assert assign(make_dataset(), images) != assign(make_dataset(), images)


def test_shares_are_as_said():
    dataset = make_dataset()
    names = [splits.name_for(dataset, str(number)) for number in range(4000)]
    assert abs(names.count("train") / 4000 - 0.70) < 0.03
    assert abs(names.count("test") / 4000 - 0.15) < 0.03


def test_a_split_that_another_build_recorded_meanwhile_begins_the_build_anew():
    dataset, image = make_dataset(), make_image()
    splits.record(dataset, [(image.pk.hex, "train")])
    splits.record(dataset, [(image.pk.hex, "train")])
    with pytest.raises(RuntimeError, match="other splits"):
        splits.record(dataset, [(image.pk.hex, "test")])
    assert [split.name for split in Split.objects.all()] == ["train"]
