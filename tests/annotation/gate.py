"""A scripted annotator who labels through the gateway as Label Studio's page does, with Django's test client."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from annotation.models import Annotator
from tests.annotation.factories import good_result, make_annotator


class AtGateway:
    def __init__(self, annotator: Annotator | None = None) -> None:
        self.annotator = annotator or make_annotator()
        self.client = Client(headers={"host": urlsplit(settings.LABELLING_URL).netloc})
        self.client.force_login(self.annotator.user)

    def join(self) -> "AtGateway":
        """Open one's own page, which makes the account in Label Studio."""
        assert self.client.get("/work/", headers={"host": "testserver"}).status_code == 200
        self.annotator.refresh_from_db()
        return self

    def ask(self, method: str, path: str, body: Any = None, origin: str | None = None) -> HttpResponse:
        sent = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        headers = {"origin": settings.LABELLING_URL if origin is None else origin}
        return self.client.generic(method, path, headers=headers, **sent)

    def ask_all(self, calls: list[tuple[str, str]]) -> list[tuple[int, str]]:
        """Status and text of each of these calls; an empty object is sent where there is something to send."""
        return [self._told(*call) for call in calls]

    def _told(self, method: str, path: str) -> tuple[int, str]:
        answer = self.ask(method, path, {} if method in {"POST", "PUT", "PATCH"} else None)
        return answer.status_code, "" if getattr(answer, "streaming", False) else answer.content.decode()

    def next(self, project: int) -> HttpResponse:
        return self.ask("POST", f"/api/dm/actions?id=next_task&tabID=1&project={project}", {"project": str(project)})

    def annotate(self, task: int, **more: Any) -> HttpResponse:
        return self.ask("POST", f"/api/tasks/{task}/annotations", {"result": good_result(), "lead_time": 3.5, **more})


@contextmanager
def at_nginx(gateway: AtGateway, url: str) -> Iterator[AtGateway]:
    """The same annotator in front of an nginx at `url`."""
    session = gateway.client.cookies[settings.SESSION_COOKIE_NAME].value
    with httpx.Client(cookies={settings.SESSION_COOKIE_NAME: session}, timeout=60) as client:

        class AtNginx(AtGateway):
            def __init__(self) -> None:
                self.annotator = gateway.annotator

            def ask(self, method: str, path: str, body: Any = None, origin: str | None = None) -> httpx.Response:
                headers = {"Origin": settings.LABELLING_URL if origin is None else origin}
                return client.request(method, f"{url}{path}", json=body, headers=headers)

            def ask_all(self, calls: list[tuple[str, str]]) -> list[tuple[int, str]]:
                with ThreadPoolExecutor(8) as pool:
                    return list(pool.map(lambda call: self._told(*call), calls))

        yield AtNginx()
