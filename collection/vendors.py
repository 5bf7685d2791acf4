"""Asking a vendor about a photograph: chosen by settings, one call at a time, within a monthly cap.

Only the preview's bytes are sent. The answer is whether a person must look, nothing else; it is kept as that.
Whoever is killed between the call and the note asks once more.
"""

import datetime
import logging
from decimal import Decimal
from typing import Any, Protocol

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.module_loading import import_string

from collection.models import Image, ImageStatus, VendorCall

logger = logging.getLogger(__name__)

Kind, Outcome = VendorCall.Kind, VendorCall.Outcome
ANSWERED = (Outcome.PASSED, Outcome.DESK)
BUDGET_LOCK = 0x4C49434F  # one number for the whole installation: PostgreSQL's advisory lock


class VendorError(Exception):
    """The vendor gave no answer. `retry`: another try may help."""

    def __init__(self, message: str, *, retry: bool) -> None:
        super().__init__(message)
        self.retry = retry


class Vendor(Protocol):
    """What collection.moderation and collection.age have in common."""

    name: str
    price: Decimal | None  # of one call, in settings.VENDOR_CURRENCY; None: nothing is called

    def must_look(self, preview: bytes) -> bool:
        """Whether a person must look at this JPEG. Raises VendorError."""


def vendor_for(kind: str) -> Vendor:
    """The one that the settings name: {"BACKEND": dotted path, "OPTIONS": {…}}."""
    chosen: dict[str, Any] = {Kind.MODERATION: settings.MODERATION, Kind.AGE: settings.AGE_ESTIMATION}[Kind(kind)]
    vendor: Vendor = import_string(chosen["BACKEND"])(**chosen["OPTIONS"])
    return vendor


def ask(*, kind: str, image: Image, preview: bytes, last_try: bool) -> str:
    """Why a person must look at this photograph; empty if nobody has to. Call it outside of any transaction.

    Raises VendorError while another try may help and this is not the last one; after that the desk looks.
    """
    vendor = vendor_for(kind)
    if vendor.price is None:
        return ""
    if answer := VendorCall.objects.filter(image=image, kind=kind, outcome__in=ANSWERED).first():
        return _why(answer)
    call = _reserve(kind, image, vendor.name, vendor.price)
    if call is None:
        return "the monthly cap for vendors is reached"
    try:
        call.outcome = Outcome.DESK if vendor.must_look(preview) else Outcome.PASSED
    except VendorError as error:
        VendorCall.objects.filter(pk=call.pk).update(outcome=Outcome.FAILED, cost=0)
        if error.retry and not last_try:
            raise
        logger.warning("image %s: %s gave no answer, the desk looks: %s", image.pk, vendor.name, error)
        return "the vendor could not be asked"
    _note(call)
    return _why(call)


def _why(call: VendorCall) -> str:
    return "the vendor asks for a look" if call.outcome == Outcome.DESK else ""


def _reserve(kind: str, image: Image, name: str, price: Decimal) -> VendorCall | None:
    """A row that counts as spent before the call is made; None at the cap. One lock, so that no two fit in one gap."""
    with transaction.atomic():
        if connection.vendor == "postgresql":  # SQLite's IMMEDIATE transactions exclude others as it is
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [BUDGET_LOCK])
        if spent_this_month() + price > settings.VENDOR_MONTHLY_CAP:
            return None
        return VendorCall.objects.create(image=image, kind=kind, vendor=name, cost=price)


def _note(call: VendorCall) -> None:
    try:
        with transaction.atomic():
            VendorCall.objects.filter(pk=call.pk).update(outcome=call.outcome)
    except IntegrityError:
        logger.info("%s: another worker noted the answer first", call)
    VendorCall.objects.filter(pk=call.pk, image__status=ImageStatus.PURGED).update(image=None)


def spent_this_month(now: datetime.datetime | None = None) -> Decimal:
    """What calls have cost since the first of this month (UTC)."""
    start = (now or timezone.now()).astimezone(datetime.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return VendorCall.objects.filter(at__gte=start).aggregate(sum=Sum("cost"))["sum"] or Decimal(0)
