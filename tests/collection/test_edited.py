"""Edited copies in the collection: found when they arrive and before a library is bought; forgotten with the image."""

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from PIL import Image as Pillow

from collection import best_copies, edited, erasure, freezes, pipeline, storage
from collection.distinct import mark_distinct
from collection.models import Image, ImageStatus, Resemblance, Word
from collection.reasons import describe
from consent import desk
from consent.models import RightsRequest
from consent.withdrawals import withdraw
from tests.collection.factories import advance_at_once, make_call, make_image, receive
from tests.collection.pictures import encoded, portrait
from tests.collection.test_find_duplicates import EDITS, SIZE
from tests.consent.factories import make_consent, make_user

pytestmark = pytest.mark.django_db
Kind = Resemblance.Kind


def shot(number: int = 1, person: int = 1) -> Pillow.Image:
    return portrait(person, number, SIZE).convert("RGB")


def as_jpeg(picture: Pillow.Image) -> bytes:
    return encoded(picture, quality=85)


CUT = as_jpeg(EDITS["cut"](shot()))


@pytest.mark.parametrize("edit", sorted({*EDITS} - {"shrunk"}))  # which is too small to be taken
def test_an_own_edited_copy_is_no_second_photograph(edit):
    consent = make_consent()
    original = make_image(consent, picture=as_jpeg(shot()))
    copy = make_image(consent, picture=as_jpeg(EDITS[edit](shot())))
    held = ImageStatus.NEEDS_REVIEW if edit == "mirrored" else ImageStatus.DUPLICATE
    assert (original.status, copy.status) == (ImageStatus.ACCEPTED, held)
    assert [link.original_id for link in copy.resembles.all()] == [original.pk]


def test_an_edited_copy_says_so():
    consent = make_consent()
    make_image(consent, picture=as_jpeg(shot()))
    [link] = make_image(consent, picture=CUT).resembles.all()
    assert link.kind == Kind.EDITED
    assert 0 <= link.distance < 128


def test_of_somebody_elses_it_is_a_case_for_the_desk():
    original = make_image(picture=as_jpeg(shot()))
    taken = make_image(picture=CUT)
    assert (taken.status, taken.latest_reason()) == (ImageStatus.NEEDS_REVIEW, describe("resembles_other_person"))
    assert [link.original_id for link in taken.resembles.all()] == [original.pk]


def test_other_shots_and_other_people_are_not_merged():
    consent = make_consent()
    made = [make_image(consent, picture=as_jpeg(shot(number))) for number in (1, 51, 101)]
    made += [make_image(picture=as_jpeg(shot(number, person))) for person in (2, 3) for number in (1, 51)]
    assert {image.status for image in made} == {ImageStatus.ACCEPTED}
    assert not Resemblance.objects.exists()


def test_a_pair_that_was_told_apart_is_not_compared_again():
    consent = make_consent()
    original = make_image(consent, picture=as_jpeg(shot()))
    copy = receive(consent, CUT)
    mark_distinct(image=copy, original=original, reviewer=make_user("", "reviewer"))
    pipeline.advance(copy.pk)
    copy.refresh_from_db()
    assert copy.status == ImageStatus.ACCEPTED


def test_what_was_withdrawn_is_not_looked_at_even_before_it_is_purged():
    first = make_image(picture=as_jpeg(shot()))
    withdraw(consent=first.consent)
    assert make_image(picture=CUT).status == ImageStatus.ACCEPTED


def test_an_edited_copy_of_a_frozen_photograph_is_frozen_too():
    original = make_image(picture=as_jpeg(shot()))
    request = desk.open_request(kind=RightsRequest.Kind.DEPICTED, contributor=None, details="That is me.")
    freezes.freeze_images(images=[original.pk], request=request)
    copy = make_image(picture=CUT)
    assert freezes.frozen_images([copy.pk]) == {copy.pk}


def test_its_words_go_with_the_photograph():
    image = make_image(picture=as_jpeg(shot()))
    other = make_image(picture=as_jpeg(shot(1, 2)))
    assert Word.objects.filter(fingerprint=image.pk).count() > 100
    withdraw(consent=image.consent)
    erasure.purge_withdrawn()
    assert set(Word.objects.values_list("fingerprint", flat=True)) == {other.pk}


def test_a_word_of_too_many_photographs_says_nothing(monkeypatch):
    monkeypatch.setattr(edited, "MOST_POSTINGS", 2)
    images = [make_image(picture=as_jpeg(shot(person, person))) for person in (4, 5, 6)]
    Word.objects.all().delete()
    common, rare = range(1, 6), range(6, 11)
    Word.objects.bulk_create(Word(word=word, fingerprint_id=image.pk) for image in images for word in common)
    Word.objects.bulk_create(Word(word=word, fingerprint_id=images[1].pk) for word in rare)
    assert edited._voted_for([*common]) == []
    assert edited._voted_for([*common, *rare]) == [images[1].pk]


def test_what_was_taken_in_before_there_were_words_is_made_findable(capsys):
    consent = make_consent()
    old = make_image(consent, picture=as_jpeg(shot()))
    damaged, gone = make_image(picture=as_jpeg(shot(2, 2))), make_image(picture=as_jpeg(shot(3, 3)))
    Word.objects.all().delete()
    with storage.derivatives().open(damaged.preview_key, "r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    withdraw(consent=gone.consent)
    call_command("index_words")
    assert "1 photographs looked at" in capsys.readouterr().out
    assert set(Word.objects.values_list("fingerprint_id", flat=True)) == {old.pk}
    assert make_image(consent, picture=CUT).status == ImageStatus.DUPLICATE
    call_command("index_words")
    assert "0 photographs looked at" in capsys.readouterr().out


def test_what_is_turned_down_leaves_no_words():
    consent = make_consent()
    original = make_image(consent, picture=as_jpeg(shot()))
    make_image(consent, picture=CUT)
    assert set(Word.objects.values_list("fingerprint", flat=True)) == {original.pk}


def test_a_candidate_that_comes_while_we_compare_is_compared_too(monkeypatch):
    """The other copy settles after we looked for candidates and before we hold the lock."""
    consent = make_consent()
    call = make_call(form=consent.text.form)
    slow, fast = (receive(consent, picture, call=call) for picture in (CUT, as_jpeg(shot())))
    compare = edited.Look.compare

    def let_the_other_pass(look: edited.Look, images: list[Image]) -> None:
        monkeypatch.undo()
        pipeline.advance(fast.pk)
        compare(look, images)

    monkeypatch.setattr(edited.Look, "compare", let_the_other_pass)
    pipeline.advance(slow.pk)
    slow.refresh_from_db()
    fast.refresh_from_db()
    assert (fast.status, slow.status) == (ImageStatus.ACCEPTED, ImageStatus.DUPLICATE)


def test_what_is_less_likely_than_the_first_candidates_sends_nobody_back(monkeypatch):
    """Else a large collection would be compared by the dozen, and the lock taken for each of them."""
    monkeypatch.setattr(edited, "MOST_CANDIDATES", 1)
    for person in (2, 3):
        make_image(picture=as_jpeg(shot(1, person)))
    look = edited.Look(as_jpeg(shot()))
    [likely] = look.not_compared()
    look.compare([likely])
    assert look.not_compared() == []


@pytest.mark.django_db(transaction=True)
def test_of_edited_copies_that_arrive_together_one_is_accepted():
    consent = make_consent()
    call = make_call(form=consent.text.form)
    pictures = [shot(), *(EDITS[name](shot()) for name in ("cut", "framed", "written"))]
    images = [receive(consent, as_jpeg(picture), call=call) for picture in pictures]
    advance_at_once(images)
    statuses = sorted(Image.objects.values_list("status", flat=True))
    assert statuses == [ImageStatus.ACCEPTED] + [ImageStatus.DUPLICATE] * 3


# --- The best copy -------------------------------------------------------------------------------


def test_a_better_copy_that_comes_later_is_named_and_not_swapped_in():
    consent = make_consent()
    worse = make_image(consent, picture=CUT)
    better = make_image(consent, picture=as_jpeg(shot()))
    worst = make_image(consent, picture=encoded(shot(), quality=30))
    worse.refresh_from_db()
    assert (worse.status, better.status) == (ImageStatus.ACCEPTED, ImageStatus.DUPLICATE)
    assert (better.latest_reason(), worst.latest_reason()) == (describe("better_copy"), describe("better_copy"))


def test_of_equally_many_pixels_the_one_with_more_bytes_is_better_then_the_earlier():
    consent = make_consent()
    first = make_image(consent, picture=as_jpeg(shot()))
    fine = make_image(consent, picture=encoded(shot(), quality=95))
    coarse = make_image(consent, picture=encoded(shot(), quality=40))
    again = make_image(consent, picture=as_jpeg(shot()))
    reasons = [image.latest_reason() for image in (fine, coarse, again)]
    assert reasons == [describe("better_copy"), describe("duplicate"), describe("duplicate")]
    assert [image.pk for image in best_copies.group_of(coarse)] == [fine.pk, first.pk, again.pk, coarse.pk]


def test_the_desk_sees_one_group_and_its_best_copy(client):
    original = make_image(picture=as_jpeg(shot()))
    consent = make_consent()
    taken = make_image(consent, picture=CUT)
    make_image(consent, picture=encoded(EDITS["cut"](shot()), quality=60))
    client.force_login(make_user("ann@example.org", "reviewer"))
    page = client.get(f"/staff/review/{taken.pk}/").content.decode()
    assert "We have this photograph 3 times" in page
    assert f'href="/staff/review/{original.pk}/">somebody else' in page
    withdraw(consent=original.consent)
    assert "We have this photograph 2 times" in client.get(f"/staff/review/{taken.pk}/").content.decode()


# --- Before a library is bought ------------------------------------------------------------------


def test_find_duplicates_says_which_files_the_collection_holds(tmp_path, capsys):
    original = make_image(picture=as_jpeg(shot()))
    withdrawn = make_image(picture=as_jpeg(shot(1, 2)))
    withdraw(consent=withdrawn.consent)
    files = {
        "same.jpg": as_jpeg(shot()),
        "small.jpg": as_jpeg(EDITS["shrunk"](shot())),
        "mirrored.jpg": as_jpeg(EDITS["mirrored"](shot())),
        "cut.jpg": CUT,
        "another_shot.jpg": as_jpeg(shot(51)),
        "withdrawn.jpg": as_jpeg(shot(1, 2)),
        "notes.jpg": b"no picture",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    before = (Image.objects.count(), Word.objects.count())
    call_command("find_duplicates", tmp_path, json=True)
    told = {row["path"]: row for row in json.loads(capsys.readouterr().out)}
    kinds = {name: told[name]["kind"] for name in files}
    assert kinds == {
        "same.jpg": "exact",
        "small.jpg": "near",
        "mirrored.jpg": "edited",
        "cut.jpg": "edited",
        "another_shot.jpg": None,
        "withdrawn.jpg": None,
        "notes.jpg": None,
    }
    assert {row["match"] for row in told.values() if row["kind"]} == {str(original.pk)}
    assert told["notes.jpg"]["error"] == "is not a picture that we can read (not_an_image)"
    assert (Image.objects.count(), Word.objects.count()) == before


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(CommandError, match="is no folder"):
        call_command("find_duplicates", tmp_path / "nothing")


def test_a_damaged_photograph_does_not_hold_up_its_copies(tmp_path, capsys):
    first = make_image(picture=as_jpeg(shot()))
    damaged = Path(storage.derivatives().path(first.preview_key))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    copy = make_image(picture=CUT)
    assert (copy.status, copy.attempts) == (ImageStatus.ACCEPTED, 0)
    withdraw(consent=copy.consent)
    (tmp_path / "cut.jpg").write_bytes(CUT)
    call_command("find_duplicates", tmp_path, json=True)
    assert json.loads(capsys.readouterr().out)[0]["kind"] is None
