"""Promise 1: an image moves only along the table, only once, and only while its basis lives."""

import threading

import pytest
from django.db import IntegrityError, connection, transaction

from collection.models import MOVES, Image, ImageStatus, Transition
from consent.withdrawals import withdraw
from tests.collection.factories import make_image, receive
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent, make_licence

pytestmark = pytest.mark.django_db


def test_a_move_off_the_table_is_a_programming_error():
    image = receive(make_consent(), jpeg())
    with pytest.raises(ValueError, match="not a move"):
        Image.objects.move(image.pk, ImageStatus.RECEIVED, ImageStatus.ACCEPTED)


def test_every_move_leaves_a_transition():
    image = make_image()
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
    import datetime

    from django.utils import timezone

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
