"""A scripted annotator who labels through the gateway as Label Studio's page does, with Django's test client."""

import json
from typing import Any
from urllib.parse import urlsplit

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

    def next(self, project: int) -> HttpResponse:
        return self.ask("POST", f"/api/dm/actions?id=next_task&tabID=1&project={project}", {"project": str(project)})

    def annotate(self, task: int, **more: Any) -> HttpResponse:
        return self.ask("POST", f"/api/tasks/{task}/annotations", {"result": good_result(), "lead_time": 3.5, **more})
