"""What time it is, as far as deleting goes. A wrong clock must not destroy anything.

The retention sweep notes the time as it goes by. A jump (a clock that was set, or a long shutdown) is believed only
after it has run steadily for a day: until then what destroys goes by the last time before the jump. Acts (withdrawals,
removals, ended purposes) need no clock and are carried out at once; who may read is always judged by the real time.
"""

import datetime
import logging

from django.conf import settings
from django.utils import timezone

from consent.models import Clock

logger = logging.getLogger(__name__)

CLOCK_JUMP = datetime.timedelta(hours=1)  # forwards: the sweeps run far more often
CLOCK_SKEW = datetime.timedelta(minutes=1)  # backwards: machines differ a little, and are set right a little
NOTED_EVERY = datetime.timedelta(minutes=1)


def trusted_now(now: datetime.datetime | None = None) -> datetime.datetime:
    """The time by which something may be destroyed: `now`, or earlier while the clock is not to be believed."""
    now = now or timezone.now()
    clock = Clock.objects.first()
    if clock is None:  # a fresh installation, which has nothing old
        return now
    believed = _before_jump(clock, now)
    return min(now, believed) if believed else now


def observe(now: datetime.datetime | None = None) -> Clock:
    """Note the time. Whoever is second in the same moment leaves it as it is."""
    now = now or timezone.now()
    clock, _ = Clock.objects.get_or_create(pk=1, defaults={"seen_at": now, "steady_since": now})
    jumped = _jumped(clock, now)
    if not jumped and now - clock.seen_at < NOTED_EVERY:
        return clock
    noted = {
        "seen_at": now,
        "steady_since": now if jumped else clock.steady_since,
        "before_jump": _before_jump(clock, now),
    }
    if Clock.objects.filter(pk=1, seen_at=clock.seen_at).update(**noted) and jumped:
        logger.error(
            "the clock jumped from %s to %s: nothing is deleted by date until it was steady", *_span(clock, now)
        )
    return Clock.objects.get(pk=1)


def _span(clock: Clock, now: datetime.datetime) -> tuple[str, str]:
    return clock.seen_at.isoformat(timespec="seconds"), now.isoformat(timespec="seconds")


def _jumped(clock: Clock, now: datetime.datetime) -> bool:
    return not -CLOCK_SKEW <= now - clock.seen_at <= CLOCK_JUMP


def _before_jump(clock: Clock, now: datetime.datetime) -> datetime.datetime | None:
    """The last time before the clock jumped; None while it is to be believed. The first of several jumps counts."""
    if _jumped(clock, now):
        return clock.before_jump or clock.seen_at
    settled = now - clock.steady_since >= datetime.timedelta(hours=settings.CLOCK_SETTLE_HOURS)
    return None if settled else clock.before_jump
