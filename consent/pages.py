"""What the pages of all apps have in common."""

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

form_page = require_http_methods(["GET", "HEAD", "POST"])


def next_address(request: HttpRequest) -> str:
    """Where the person was going when we led them here; their own page otherwise."""
    address = request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    # `redirect` takes what has no slash for the name of a view.
    return address if safe and "/" in address else reverse("me")
