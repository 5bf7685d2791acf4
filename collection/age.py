"""Age estimation: might somebody in this photograph be a minor, so that a person must look? A port with three adapters.

An estimate is no attribute of a person: it is compared here, in this file, and goes no further (R33).
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from collection import rekognition
from collection.vendors import Vendor

AgeEstimator = Vendor
YOUNGEST = 25  # whose estimated range begins below is looked at: estimates of adults err by several years


class HumanDesk:
    """The default. Nothing is called: contributors give their date of birth, and every reviewer can say "a minor?"."""

    name = "desk"
    price: Decimal | None = None

    def must_look(self, preview: bytes) -> bool:
        return False


class FakeAgeEstimator:
    """For tests and demos: `answer` is called with the preview."""

    name = "fake"

    def __init__(self, answer: Callable[[bytes], bool], price: str = "0.001") -> None:
        self.answer = answer
        self.price: Decimal | None = Decimal(price)

    def must_look(self, preview: bytes) -> bool:
        return self.answer(preview)


class RekognitionAgeEstimator:
    """Amazon Rekognition, DetectFaces: a person looks when any face's AgeRange begins below `youngest`."""

    name = "rekognition"

    def __init__(
        self, region: str, price: str = "0.001", youngest: int = YOUNGEST, endpoint_url: str = "", client: Any = None
    ) -> None:
        self.price: Decimal | None = Decimal(price)
        self._youngest = youngest
        self._client = client or rekognition.make_client(region, endpoint_url)

    def must_look(self, preview: bytes) -> bool:
        with rekognition.answers():
            answer = self._client.detect_faces(Image={"Bytes": preview}, Attributes=["AGE_RANGE"])
        return any(face["AgeRange"]["Low"] < self._youngest for face in answer["FaceDetails"])
