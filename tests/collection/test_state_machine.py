"""Promise 1: an image moves only along the table, only once, and only while its basis lives."""

import datetime
import threading

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from collection import freezes, pipeline
from collection.models import MOVES, Image, ImageStatus, Removal, Transition
from collection.models.images import LIVE
from collection.removals import remove_images
from consent import desk
from consent.withdrawals import withdraw
from tests.collection.factories import make_image, receive
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent, make_licence

pytestmark = pytest.mark.django_db
MOST_STATEMENTS = 44  # from `received` to `accepted`, savepoints counted; 66 before they were looked at one by one


def test_a_move_off_the_table_is_a_programming_error():
    image = receive(make_consent(), jpeg())
    with pytest.raises(ValueError, match="not a move"):
        Image.objects.move(image.pk, ImageStatus.RECEIVED, ImageStatus.ACCEPTED)


def test_every_move_leaves_a_transition_and_a_photograph_costs_few_statements(django_assert_max_num_queries):
    image = receive(make_consent(), jpeg())
    with django_assert_max_num_queries(MOST_STATEMENTS):
        pipeline.advance(image.pk)
    steps = [(t.old, t.new) for t in image.transitions.order_by("pk")]
    assert steps == [("received", "sanitized"), ("sanitized", "screened"), ("screened", "accepted")]


def test_without_a_live_basis_nothing_moves_but_to_purged():
    consent = make_consent()
    image = receive(consent, jpeg())
    withdraw(consent=consent)
    assert not Image.objects.move(image.pk, ImageStatus.RECEIVED, ImageStatus.REJECTED)
    assert Transition.objects.filter(image=image).count() == 0
    assert Image.objects.get(pk=image.pk).status == ImageStatus.RECEIVED


def test_an_expired_licence_moves_nothing():
    day = datetime.timedelta(days=1)
    today = timezone.now().date()
    over = make_licence(starts=today - 9 * day, ends=today - day)
    image = Image.objects.create(licence=over, subject="x", external_id="1", byte_size=1)
    assert not Image.objects.move(image.pk, ImageStatus.RECEIVED, ImageStatus.REJECTED)


@pytest.mark.parametrize("basis", ["both", "neither"])
def test_the_database_wants_exactly_one_basis(basis):
    chosen = {"consent": make_consent(), "licence": make_licence()} if basis == "both" else {}
    with pytest.raises(IntegrityError), transaction.atomic():
        Image.objects.create(subject="x", byte_size=1, **chosen)


def test_the_database_refuses_an_image_past_received_that_is_not_stripped():
    image = receive(make_consent(), jpeg())
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE collection_image SET status = 'accepted' WHERE id = %s",
            [image.pk.hex if connection.vendor == "sqlite" else image.pk],
        )


def test_the_database_refuses_a_purged_image_that_still_holds_a_hash():
    image = receive(make_consent(), jpeg())
    with pytest.raises(IntegrityError), transaction.atomic():
        Image.objects.move(image.pk, ImageStatus.RECEIVED, ImageStatus.PURGED)


def test_everything_can_be_purged_and_nothing_comes_back():
    assert all(ImageStatus.PURGED in moves for status, moves in MOVES.items() if status != ImageStatus.PURGED)
    assert MOVES[ImageStatus.PURGED] == set()


@pytest.mark.django_db(transaction=True)
def test_of_many_who_move_at_once_one_wins():
    image = receive(make_consent(), jpeg())
    won: list[bool] = []

    def move() -> None:
        won.append(Image.objects.move(image.pk, ImageStatus.RECEIVED, ImageStatus.REJECTED, reason="broken"))
        connection.close()

    threads = [threading.Thread(target=move) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 5 + [True]
    assert Transition.objects.filter(image=image).count() == 1


def test_usable_only_for_what_was_granted():
    image = make_image(make_consent(purposes=("research", "evaluation")))
    assert Image.objects.usable_for("research").filter(pk=image.pk).exists()
    assert not Image.objects.usable_for("commercial").filter(pk=image.pk).exists()
    withdraw(consent=image.consent, purpose="evaluation")
    assert Image.objects.usable_for("research").filter(pk=image.pk).exists()
    assert not Image.objects.usable_for("evaluation").filter(pk=image.pk).exists()


def test_the_check_of_a_move_is_the_rights_check_at_every_moment():
    """Its text is written once (collection.models.prepared): whatever ends a right, both must say the same."""
    images = {name: receive(make_consent(), jpeg()) for name in ("live", "withdrawn", "frozen", "lifted", "removed")}
    for name, (starts, ends) in {"bought": (-9, 9), "over": (-9, -1), "later": (1, 9), "last day": (-9, 0)}.items():
        licence = make_licence(starts=days(starts).date(), ends=days(ends).date())
        images[name] = Image.objects.create(licence=licence, subject="x", external_id=name, byte_size=1)
    withdraw(consent=images["withdrawn"].consent)
    request = desk.open_request(kind="depicted", email="a@example.org")
    freezes.freeze_images(images=[images["frozen"].pk, images["lifted"].pk], request=request)
    freezes.lift_freezes(request=request, images=[images["lifted"].pk])
    remove_images(images=[images["removed"]], cause=Removal.Cause.WITHDRAWN)
    seen = set()
    for moment in (days(-2), timezone.now(), days(1), days(5), days(400)):
        checked, meant = Image.objects.filter(LIVE.at(moment)), Image.objects.with_live_basis(at=moment)
        assert set(checked) == set(meant)
        seen.add(frozenset(image.pk for image in meant))
    assert len(seen) >= 4  # the moments tell them apart
    now = {name for name, image in images.items() if Image.objects.live_now().filter(pk=image.pk)}
    assert now == {"live", "lifted", "bought", "last day"}


def days(count):
    return timezone.now() + datetime.timedelta(days=count)
