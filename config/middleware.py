"""What stands before every request."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from consent import erasure_list


class ReplayGuard:
    """503 while the erasure list holds what this database lacks: a restored backup serves nothing before the replay.

    Asked at the first requests of a process until the answer is no; a backup is not restored under a running process.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.is_current = False

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not self.is_current:
            if erasure_list.is_behind():
                return render(request, "503.html", status=503)
            self.is_current = True
        return self.get_response(request)
