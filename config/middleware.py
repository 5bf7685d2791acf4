"""What stands before every request."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from consent import erasure_list
from consent.connections import give_back

LOOK_AGAIN = 10.0  # seconds: whoever asks meanwhile does not make us list the storage


class LongAnswers:
    """While the bytes of a long answer go out, which may take a slow line hours, others have our database connection.

    First of all middleware, so that theirs is done. An answer that asks the database while it is sent takes one again.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.streaming:
            give_back()
        return response


class LabellingAddress:
    """What comes in at LABELLING_URL is for the gateway to Label Studio; none of our pages is there.

    An origin of its own: whatever a script in Label Studio's page may do, it cannot read our pages.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.get_host() == urlsplit(settings.LABELLING_URL).netloc:
            request.urlconf = "config.labelling_urls"  # type: ignore[assignment]
        return self.get_response(request)


class ReplayGuard:
    """503 while the erasure list holds what this database lacks: a restored backup serves nothing before the replay.

    Asked at the first requests of a process until the answer is no; a backup is not restored under a running process.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.is_current = False
        self.look_at = 0.0

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not self.is_current and time.monotonic() >= self.look_at:
            self.is_current = not erasure_list.is_behind()
            self.look_at = time.monotonic() + LOOK_AGAIN
        return self.get_response(request) if self.is_current else _closed(request)


def _closed(request: HttpRequest) -> HttpResponse:
    response = render(request, "503.html", status=503)
    response["Retry-After"] = "60"
    response["Cache-Control"] = "no-store"
    return response
