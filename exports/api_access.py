"""Who may ask the recipients' API, and how often: a bearer token opens one dataset until it expires, and its notices
for good (docs/decisions/0039)."""

import base64
from typing import Any

from django.conf import settings
from django.http import Http404
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from consent.refusals import Refused
from exports.models import AccessToken, Recipient
from exports.throttle import counted

MINUTE = 60  # seconds


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer <token>`, or the token as the password of HTTP Basic: some tools know nothing else.

    The view's `takes` finds the token, or refuses it.
    """

    def authenticate(self, request: Request) -> tuple[Recipient, AccessToken] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "basic"):
            return None
        try:
            token = request.parser_context["view"].takes(
                text.strip() if scheme.lower() == "bearer" else _password(text)
            )
        except Refused as refusal:
            raise AuthenticationFailed(str(refusal)) from None
        return token.recipient, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _password(credentials: str) -> str:
    """What follows the user's name in the credentials of HTTP Basic; nothing if they are not in that form."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


class OfThisDataset(BasePermission):
    """The token is for the dataset in the address; for any other dataset there is nothing to see."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, AccessToken):
            return False
        if any("\0" in str(part) for part in view.kwargs.values()):  # PostgreSQL cannot be asked for it
            raise Http404
        if request.auth.dataset.slug != view.kwargs["slug"]:
            raise Http404
        return True


class AnyFormAsked(BaseContentNegotiation):
    """Answers are JSON and files are files, whatever a client says that it accepts: no pull fails over a header."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return next((parser for parser in parsers if parser.media_type == request.content_type.partition(";")[0]), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class PerMinute(BaseThrottle):
    """So many requests of one token in a minute by the clock: `settings.API_PER_MINUTE`, by the view's `costs`.

    Counted in the cache, where two requests at the same instant may count as one: it keeps a machine that runs wild
    from taking the others' turn, and promises no more.
    """

    def allow_request(self, request: Request, view: Any) -> bool:
        token: AccessToken = request.auth  # type: ignore[assignment]  # permissions come first
        key = f"api-{view.costs}-{token.pk}-{timezone.now():%Y%m%d%H%M}"
        most: int = settings.API_PER_MINUTE[view.costs]
        return counted(key, seconds=2 * MINUTE) <= most

    def wait(self) -> float:
        return MINUTE - timezone.now().second
