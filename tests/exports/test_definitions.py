"""What a data manager says a release holds: which photographs, labels, splits, sizes; and that it is frozen with it."""

import datetime
import io
from collections import Counter

import pytest
from django.core.files.storage import storages
from django.db import DatabaseError, transaction
from django.utils import timezone
from PIL import Image as Picture

from annotation.answers import Control
from collection.models import Image, ImageStatus, Transition
from consent import demographics
from consent.refusals import Refused
from exports import labels, selection, services, splits
from exports.definitions import current_definition, define
from exports.drafts import foresee
from exports.labels import Rules, consolidate
from exports.models import Definition, Split
from exports.pictures import Pictures, read_picture
from exports.preview import balance
from exports.selection import Candidate
from tests.collection.factories import make_call
from tests.consent.factories import make_consent, make_licence
from tests.exports.factories import (
    annotate,
    make_annotator,
    make_built,
    make_campaign,
    make_dataset,
    make_image,
    make_labelled_dataset,
    make_manager,
    make_published,
    result,
    rows_in,
)
from tests.exports.test_build import files_of, plan_bytes

pytestmark = pytest.mark.django_db


def change(dataset, *, targets=(), **fields):
    """A further definition that differs from the current one in these fields."""
    current = current_definition(dataset)
    values = {name: getattr(current, name) for name in Definition.FIELDS}
    return define(dataset=dataset, user=make_manager(), fields=values | fields, targets=targets)


def reasons(dataset, **fields):
    kept = []
    draft = foresee(change(dataset, **fields), timezone.now(), kept.extend)
    assert draft.total == Image.objects.count()
    assert draft.rows == len(kept)
    return dict(draft.left_out), {one.image.pk for one, _ in kept}


# --- Which photographs ---------------------------------------------------------------------------


def test_each_photograph_is_in_it_or_left_out_for_one_reason_and_all_add_up():
    dataset = make_dataset()
    call = make_call()
    wanted = make_image(call=call)
    make_image(make_consent(purposes=["marketing"]), call=call)
    make_image()  # of no call
    make_image(licence=make_licence())
    make_image(call=call, width=64, height=30)
    for status in ("received", "needs_review", "duplicate", "rejected"):
        make_image(status=status, call=call)
    left_out, kept = reasons(dataset, call=call, shorter_side=40)
    assert kept == {wanted.pk}
    assert left_out == {
        "basis does not cover research": 1, "of another call, or of none": 2, "shorter side under 40 pixels": 1,
        "received": 1, "needs review": 1, "duplicate": 1, "rejected": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "kept", "why"),
    [
        ({"basis": "consent"}, "c", "licensed, not contributed"),
        ({"basis": "licence"}, "wi", "contributed, not licensed"),
        ({"territory": "DE"}, "cw", "licence does not cover DE"),
        ({"territory": "IE"}, "cwi", None),
    ],
)
def test_by_basis_and_territory(fields, kept, why):
    dataset = make_dataset()
    images = {
        "c": make_image(make_consent()),
        "w": make_image(licence=make_licence(territory="WORLD")),
        "i": make_image(licence=make_licence(territory="GB,IE")),
    }
    left_out, found = reasons(dataset, **fields)
    assert found == {images[one].pk for one in kept}
    assert left_out == ({why: len(images) - len(kept)} if why else {})


def test_by_number_of_annotators_and_their_agreement():
    campaign, people = make_campaign(), [make_annotator() for _ in range(3)]
    make_image()  # nobody labels it
    once, torn, agreed = (make_image() for _ in range(3))
    annotate(once, campaign, people[0], result(5))
    for worker, stars in zip(people, (1, 5, 3), strict=True):
        annotate(torn, campaign, worker, result(stars))
        annotate(agreed, campaign, worker, result(4))
    dataset = make_dataset(campaign=campaign)
    assert reasons(dataset) == ({"no accepted label yet": 1}, {once.pk, torn.pk, agreed.pk})
    left_out, kept = reasons(dataset, least_annotators=2, least_agreement=80)
    assert kept == {agreed.pk}
    assert left_out == {
        "no accepted label yet": 1, "labelled by fewer than 2 annotators": 1, "annotators agree on less than 80 %": 1,
    }  # fmt: skip


def test_agreement_is_the_share_of_comparisons_that_say_the_same():
    alike, apart = result(4, "glasses", 10), result(4, "beard", 90)
    assert selection.agreement([alike]) == 1.0
    assert selection.agreement([alike, result(5, "glasses", 12)]) == 1.0
    assert selection.agreement([alike, apart]) == pytest.approx(1 / 3)  # the rating; not the choice, not the box


def test_what_became_of_a_photograph_after_the_snapshot_does_not_change_what_was_left_out():
    dataset = make_dataset()
    make_image()
    held = make_image(status="needs_review")
    now = timezone.now()
    later = now + datetime.timedelta(hours=1)
    before = foresee(current_definition(dataset), now).left_out
    Image.objects.filter(pk=held.pk).update(status=ImageStatus.REJECTED)
    Transition.objects.create(image=held, old="needs_review", new="rejected", at=later)
    assert foresee(current_definition(dataset), now).left_out == before == {"needs review": 1}
    assert foresee(current_definition(dataset), later).left_out == {"rejected": 1}


# --- Labels --------------------------------------------------------------------------------------


def test_several_answers_become_one_as_it_is_said():
    said = [result(1, "beard"), result(1, "beard"), result(5, "glasses")]
    said[0][1]["value"]["choices"] = ["beard", "glasses"]
    by_default = consolidate(said, 100, 100)
    assert (by_default["quality"], by_default["attributes"]) == ("2.3333", "beard|glasses")
    strict = consolidate(said, 100, 100, Rules(ratings="median", choices="unanimous"))
    assert (strict["quality"], strict["attributes"]) == ("1.0000", "")
    assert strict["face"] == by_default["face"]


def test_every_rule_that_a_definition_may_name_is_known():
    rules = [Rules(one, other) for one in Definition.Ratings.values for other in Definition.Choices.values]
    kinds = ("rating", "choices", "box", "point")
    assert {rule.of(Control("x", kind)) for rule in rules for kind in kinds} == set(labels._MERGE)


def test_only_the_labels_asked_for_are_in_it(tmp_path):
    dataset = make_labelled_dataset(people=4, each=1)
    change(dataset, controls=["quality"], ratings="median")
    release = make_built(dataset)
    files = files_of(release, tmp_path / "first")
    rows = rows_in(files)
    assert {name for row in rows for name in row["labels"]} == {"quality"}
    assert b"label_face" not in files["data/train-00000.parquet"]
    assert "the median of what annotators gave" in files["README.md"].decode()
    assert release.deviation_report.content["scores"] == ["quality"]


# --- Splits --------------------------------------------------------------------------------------


def test_other_shares_move_nothing_that_has_its_split():
    dataset = make_dataset()
    for _ in range(20):
        make_image()
    before = splits_of(make_published(dataset))
    change(dataset, train_percent=10, validation_percent=80)
    fresh = [make_image() for _ in range(30)]
    after = splits_of(make_published(dataset))
    assert {image: after[image] for image in before} == before
    assert [after[image.pk] for image in fresh].count("validation") > 15
    assert dict(Split.objects.values_list("image", "name")) == after


def splits_of(release):
    return dict(release.items.values_list("image", "split"))


def test_to_foresee_is_to_record_nothing():
    dataset = make_dataset()
    images = [Candidate(make_image()) for _ in range(5)]
    first, again = (list(splits.foresee(dataset, images, timezone.now(), Counter())) for _ in range(2))
    assert [candidate for candidate, _ in first] == images
    assert not Split.objects.exists()
    assert first == again


# --- Size ----------------------------------------------------------------------------------------


def test_photographs_are_made_smaller_with_the_places_in_them(tmp_path):
    dataset = make_labelled_dataset(people=4, each=1)
    large = files_of(make_built(dataset), tmp_path / "large")
    change(dataset, longest_side=64)  # what they have
    assert rows_in(files_of(make_built(dataset), tmp_path / "same")) == rows_in(large)
    change(dataset, longest_side=32)
    release = make_built(dataset)
    small = files_of(release, tmp_path / "small")
    assert plan_bytes(release, tmp_path / "again") == small
    for before, after in zip(rows_in(large), rows_in(small), strict=True):
        assert (after["width"], after["height"], after["format"]) == (32, 24, "jpg")
        assert after["original_sha256"] == before["original_sha256"]
        assert [float(side) * 2 for side in after["labels"]["face"]] == pytest.approx(
            [float(side) for side in before["labels"]["face"]]
        )
    image = release.items.first().image
    facts = Pictures(32, tmp_path).look(image)
    smaller = read_picture(tmp_path, image.pk.hex, facts.clean_key, facts.sha256)
    with Picture.open(io.BytesIO(smaller)) as picture:
        assert picture.size == (facts.width, facts.height) == (32, 24)


def test_stored_bytes_that_changed_are_not_made_smaller_either():
    dataset = make_labelled_dataset(people=2)
    change(dataset, longest_side=32)
    release = services.draft_release(dataset=dataset, user=make_manager())
    with open(storages["derivatives"].path(Image.objects.first().clean_key), "ab") as file:
        file.write(b"x")
    services.build_release(release_id=release.pk)
    release.refresh_from_db()
    assert release.state == "building"
    assert "not those that were sealed there" in release.last_error


# --- Frozen --------------------------------------------------------------------------------------


def test_a_definition_is_never_changed():
    definition = change(make_labelled_dataset(people=1), limits="Few people.")
    for spoil in (lambda rows: rows.update(limits=""), lambda rows: rows.delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            spoil(Definition.objects.filter(pk=definition.pk))


def test_a_release_keeps_the_definition_that_it_was_made_by(tmp_path):
    dataset = make_labelled_dataset(people=4, each=2)
    release = make_published(dataset)
    first = files_of(release, tmp_path / "first")
    change(dataset, controls=["quality"], longest_side=32, description="Something else.", ratings="median")
    release = type(release).objects.get(pk=release.pk)
    assert plan_bytes(release, tmp_path / "second") == first
    assert make_published(dataset).definition.number == 2


def test_saying_the_same_again_makes_no_further_definition():
    dataset = make_labelled_dataset(people=1)
    first = change(dataset, limits="Few people.")
    assert change(dataset, limits="Few people.").pk == first.pk
    assert change(dataset, targets=[{"gender": "woman", "people": 20}]).number == first.number + 1


# --- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"controls": ["hair"]}, "does not ask for “hair”"),
        ({"formats": ["coco"]}, "Choose the folder too"),
        ({"controls": ["quality"], "formats": ["folder", "coco"]}, "COCO files hold boxes and points"),
    ],
)
def test_what_cannot_be_made_is_refused(fields, why):
    with pytest.raises(Refused, match=why):
        change(make_labelled_dataset(people=1), **fields)


def test_without_a_campaign_there_are_no_files_of_labels():
    with pytest.raises(Refused, match="this dataset has none"):
        change(make_dataset(), formats=["folder", "label-studio"])


def test_the_database_refuses_what_makes_no_sense():
    dataset = make_dataset()
    for fields in (
        {"train_percent": 60, "validation_percent": 50}, {"train_percent": 0}, {"least_agreement": 80},
        {"ratings": "luck"}, {"basis": "none"}, {"least_annotators": 0},
    ):  # fmt: skip
        with pytest.raises(DatabaseError), transaction.atomic():
            Definition.objects.create(dataset=dataset, number=1, description="d", **fields)


# --- Balance -------------------------------------------------------------------------------------


def test_balance_is_told_in_fives_and_never_of_few_people():
    dataset = make_dataset()
    for gender, people in (("woman", 7), ("man", 4)):
        for _ in range(people):
            consent = make_consent()
            demographics.save_answers(contributor=consent.contributor, gender=gender)
            make_image(consent)
            make_image(consent)
    goals = [{"people": 20}, {"gender": "woman", "people": 10}, {"gender": "man", "people": 10}]
    images = Counter(Image.objects.values_list("subject", flat=True))
    rows = balance(change(dataset, targets=goals).goals(), images)
    told = {row.label: (row.people, row.photographs, row.share) for row in rows}
    assert told["Anyone"] == (10, 20, 50)  # of 11 people and 22 photographs
    assert told["Man"] == (None, None, None)
    assert told["Woman"] == (None, None, None)  # with everybody's number it would tell of the four men
    alone = balance(change(dataset, targets=goals[1:2]).goals(), images)
    assert [(row.people, row.photographs, row.share) for row in alone] == [(5, 10, 50)]
