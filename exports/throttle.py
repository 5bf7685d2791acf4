"""How often strangers may send us something, or have us count something, without an account.

Per address in the cache, which all processes share and which forgets by itself: an address is personal data and has no
place in the database. Two requests in the same instant may count as one, so the limit for everybody together is counted
in the rows themselves.
"""

import datetime

from django.core.cache import cache
from django.utils import timezone
from django.utils.crypto import salted_hmac

from consent.models import RightsRequest

PER_HOUR = 5  # from one address
PER_DAY = 100  # from everybody
HOUR = 3600
COMPARED_PER_HOUR = 30  # pairs of releases, for everybody together: each takes a look at every label of both


def counted(key: str, *, seconds: int) -> int:
    """Count one more under this key, which is forgotten after so many seconds: how many there are now.

    Two at the same instant may count as one.
    """
    cache.add(key, 0, seconds)
    try:
        return cache.incr(key)
    except ValueError:  # the cache made room
        return 1


def may_compare() -> bool:
    """Count one more comparison of two releases; False if it is one too many in this hour."""
    return counted(f"compared-{timezone.now():%Y%m%d%H}", seconds=HOUR) <= COMPARED_PER_HOUR


def may_send(address: str) -> bool:
    """Count one more from this IP address; False if it is one too many."""
    now = timezone.now()
    key = salted_hmac("depicted", f"{address} {now:%Y-%m-%d %H}").hexdigest()
    sent = int(cache.get(key, 0)) + 1
    cache.set(key, sent, HOUR)
    day = RightsRequest.objects.filter(
        kind=RightsRequest.Kind.DEPICTED, received_at__gt=now - datetime.timedelta(days=1)
    )
    return sent <= PER_HOUR and day.count() < PER_DAY
