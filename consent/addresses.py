"""The network address of whoever sent a request: evidence, so never what the sender claims about themselves."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_ip(request: HttpRequest) -> str | None:
    """The address that the outermost of our TRUSTED_PROXIES saw; without proxies, who is connected to us.

    Each proxy appends the address that it was called from to X-Forwarded-For; whatever stands before our proxies'
    entries was written by the sender and counts for nothing. None if there is no address (a socket on this machine).
    """
    connected = request.META.get("REMOTE_ADDR", "")
    proxies = settings.TRUSTED_PROXIES
    seen = [entry.strip() for entry in request.headers.get("X-Forwarded-For", "").split(",")]
    claimed = seen[-proxies] if 0 < proxies <= len(seen) else connected
    return _address(claimed) or _address(connected)


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))  # the zone of fe80::1%eth0 means something to us only
    except ValueError:
        return None
