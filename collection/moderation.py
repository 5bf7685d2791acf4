"""Moderation: must a person look at this photograph because of what it shows? A port with three adapters.

No adapter says *what* it saw: that decides nothing here, and would be said about a person.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from collection import rekognition
from collection.vendors import Vendor

Moderator = Vendor


class HumanDesk:
    """The default. Nothing is called: people look when a call wants every photograph looked at."""

    name = "desk"
    price: Decimal | None = None

    def must_look(self, preview: bytes) -> bool:
        return False


class FakeModerator:
    """For tests and demos: `answer` is called with the preview."""

    name = "fake"

    def __init__(self, answer: Callable[[bytes], bool], price: str = "0.001") -> None:
        self.answer = answer
        self.price: Decimal | None = Decimal(price)

    def must_look(self, preview: bytes) -> bool:
        return self.answer(preview)


class RekognitionModerator:
    """Amazon Rekognition, DetectModerationLabels: a person looks when it names any label at this confidence."""

    name = "rekognition"

    def __init__(
        self, region: str, price: str = "0.001", min_confidence: float = 60, endpoint_url: str = "", client: Any = None
    ) -> None:
        self.price: Decimal | None = Decimal(price)
        self._min_confidence = min_confidence
        self._client = client or rekognition.make_client(region, endpoint_url)

    def must_look(self, preview: bytes) -> bool:
        with rekognition.answers():
            answer = self._client.detect_moderation_labels(Image={"Bytes": preview}, MinConfidence=self._min_confidence)
        return bool(answer["ModerationLabels"])
