"""Edited copies in the collection: words name candidates, geometry decides (collection.copies, ADR 0018).

Comparing takes tens of milliseconds a pair, so it is done outside the transaction that settles what an image is a copy
of; that one only looks whether a candidate has come that was not compared yet.
"""

import json
import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from django.db import connection

from collection import storage
from collection.copies import verify, words
from collection.copies.votes import FAILURES, LEAST_VOTES, MOST_CANDIDATES, MOST_POSTINGS
from collection.distinct import distinct_from
from collection.models import COMPARED, Image, ImageQuerySet, Word
from collection.sealing import Altered

logger = logging.getLogger(__name__)

VOTED = 4 * MOST_CANDIDATES  # before those are left out with which nothing may be compared


@dataclass
class Look:
    """One picture that looks for what it is a copy of. `verdicts` are of the images (ids) that it was compared with."""

    preview: bytes
    image_id: uuid.UUID | None = None  # None: it is not in the collection
    verdicts: dict[uuid.UUID, verify.Verdict | None] = field(default_factory=dict)

    def describe(self) -> None:
        """Have it described now, rather than where it is first needed."""
        self.described  # noqa: B018  # cached

    @cached_property
    def described(self) -> verify.Described:
        return verify.describe(self.preview)

    @cached_property
    def _asked(self) -> list[int]:
        asked: list[int] = self.described.asked().tolist()
        return asked

    def not_compared(self) -> list[Image]:
        """Of the images that it may most likely be a copy of those that it was not compared with yet, best first.

        Whoever may look at them was asked just now: compare at once.
        """
        if verify.featureless(self.described):
            return []
        voted = [image_id for image_id in _voted_for(self._asked) if image_id != self.image_id]
        apart = distinct_from(self.image_id) if voted and self.image_id else set()
        waiting = [image_id for image_id in voted if image_id not in apart]
        if all(image_id in self.verdicts for image_id in waiting):
            return []
        there = {image.pk: image for image in _comparable(waiting)}
        likely = [there[image_id] for image_id in waiting if image_id in there][:MOST_CANDIDATES]
        return [image for image in likely if image.pk not in self.verdicts]

    def compare(self, images: Iterable[Image]) -> None:
        """Lay it over these images, until it has failed too often."""
        failures = 0
        for image in images:
            verdict = self._compare(image) if failures < FAILURES else None
            self.verdicts[image.pk] = verdict
            failures += verdict is None

    def _compare(self, image: Image) -> verify.Verdict | None:
        try:
            with storage.open_preview(image) as file:
                preview = file.read()
        except FileNotFoundError:  # purged just now
            return None
        except Altered as altered:  # a damaged photograph must not hold up those that look like it
            logger.error("image %s cannot be compared: %s", image.pk, altered)
            return None
        verdict = verify.compare(self.described, verify.describe_candidate(preview))
        return verdict if verdict and verdict.strict else None

    def copied(self) -> dict[uuid.UUID, verify.Verdict]:
        """The images that it is an edited copy of."""
        return {image_id: verdict for image_id, verdict in self.verdicts.items() if verdict}

    def make_findable(self) -> None:
        """Make it a candidate for later ones. Harmless to do twice."""
        if verify.featureless(self.described):
            return
        with connection.cursor() as cursor:
            key = Word._meta.get_field("fingerprint").get_db_prep_value(self.image_id, connection)
            cursor.execute(
                POST.format(numbers=NUMBERS[connection.vendor]), [key, _list(words.indexed(self.described.features))]
            )


# --- The index of words ---------------------------------------------------------------------------

# Lists of hundreds and thousands of numbers: one parameter instead of one each, and no object per row.
NUMBERS = {"sqlite": "SELECT value AS word FROM json_each(%s)", "postgresql": "SELECT unnest(%s::int[]) AS word"}
POST = """
    INSERT INTO collection_word (fingerprint_id, word) SELECT %s, word FROM ({numbers}) AS numbers WHERE true
    ON CONFLICT DO NOTHING"""
# However many images there are, no more is read than MOST_POSTINGS + 1 of each word: one that has them all is too
# common to say anything. PostgreSQL reads each word once; SQLite cannot join with a limit, and counts before it reads.
FEW = {
    "postgresql": """
        SELECT fingerprint_id FROM (
            SELECT fingerprint_id, count(*) OVER (PARTITION BY word) AS postings
            FROM ({numbers}) AS asked CROSS JOIN LATERAL (
                SELECT fingerprint_id FROM collection_word AS one WHERE one.word = asked.word LIMIT {most} + 1
            ) AS first_ones
        ) AS found
        WHERE postings <= {most}""",
    "sqlite": """
        SELECT fingerprint_id FROM ({numbers}) AS asked CROSS JOIN collection_word USING (word)
        WHERE (SELECT 1 FROM collection_word AS one WHERE one.word = asked.word LIMIT 1 OFFSET {most}) IS NULL""",
}
VOTE = "{few} GROUP BY fingerprint_id HAVING count(*) >= %s ORDER BY count(*) DESC, fingerprint_id LIMIT %s"


def _voted_for(asked: list[int]) -> list[uuid.UUID]:
    """Images with several of these words, those with the most first. A word of too many images says nothing."""
    few = FEW[connection.vendor].format(numbers=NUMBERS[connection.vendor], most=MOST_POSTINGS)
    with connection.cursor() as cursor:
        cursor.execute(VOTE.format(few=few), [_list(asked), LEAST_VOTES, VOTED])
        return [found if isinstance(found, uuid.UUID) else uuid.UUID(found) for (found,) in cursor]


def _list(numbers: list[int]) -> list[int] | str:
    return json.dumps(numbers) if connection.vendor == "sqlite" else numbers


# --- Who looks ------------------------------------------------------------------------------------


def find_known(preview: bytes) -> tuple[uuid.UUID, verify.Verdict] | None:
    """The image (id) of the collection that a picture from elsewhere is an edited copy of. Nothing of it is kept."""
    look = Look(preview)
    look.compare(look.not_compared())
    known = Image.objects.with_live_basis().filter(pk__in=look.copied()).values_list("pk", flat=True)
    return max(((pk, look.copied()[pk]) for pk in known), key=lambda found: found[1].score, default=None)


def look_for(image: Image) -> Look:
    """Begin to look for what an image of the collection is an edited copy of."""
    with storage.open_preview(image) as file:
        return Look(file.read(), image_id=image.pk)


def _comparable(image_ids: Iterable[uuid.UUID]) -> ImageQuerySet:
    """Those whose basis is in force. What the rights desk froze is compared too: its copies are frozen as well."""
    return Image.objects.entitled().filter(pk__in=list(image_ids), status__in=COMPARED)
