"""Stage 5: a campaign starts, annotators join by invitation and label every task as Label Studio's page does."""

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx

from demo import cast
from demo.browser import Browser, Surprise
from demo.cast import Person
from demo.people import Place, done, option
from demo.progress import Counter

WEBHOOK_FIELDS = ("url", "send_payload", "send_for_all_actions", "headers", "actions", "project")


def start_campaign(manager: Browser) -> str:
    """Make the campaign and start it; the address of its page."""
    page = manager.get("/staff/campaigns/new/")
    fields: dict[str, Any] = cast.CAMPAIGN | {"purpose": option(page, "purpose", cast.PURPOSES["research"][0])}
    page = done(manager.fill(page, fields))
    if "/new/" in page.url:
        raise Surprise(f"The campaign was not made: {page.text[:400]}")
    done(manager.fill(page, {}, press=("action", "start")))
    return page.url


# --- Annotators ---------------------------------------------------------------------------------


@dataclass
class Annotator:
    """An annotator's browser: their pay page, and Label Studio at the labelling address."""

    person: Person
    here: Browser
    labelling: str
    labelled: int = 0
    images: dict[str, bytes] = field(default_factory=dict)  # what the labelling page showed, by address


def invite(manager: Browser, person: Person) -> None:
    """Staff invite somebody by mail."""
    done(manager.fill(manager.get("/staff/annotators/"), {"email": person.email}))


def join(place: Place, labelling: str, person: Person) -> Annotator:
    """Follow the mailed invitation and agree. Label Studio is never asked for an account: that is ours to keep."""
    here = Browser(place.web, person.name)
    page = here.get(place.mailbox.link(person.email, "/work/join/"))
    done(here.fill(page, {"password1": person.password, "agree": "on"}))
    return Annotator(person, here, labelling)


def balance(annotator: Annotator) -> Decimal:
    """What the pay page says is owed."""
    page = annotator.here.get("/work/")
    found = re.search(r"Balance: (\d+(?:\.\d+)?)", page.text)
    return Decimal(found.group(1)) if found else Decimal(0)


# --- Labelling ----------------------------------------------------------------------------------


def label_everything(annotator: Annotator, project: int, made: Counter) -> None:
    """Ask for the next task until there is none, look at the photograph, and submit, as Label Studio's page does."""
    link = f"{annotator.labelling}/projects/{project}/data?labeling=1"
    if link not in annotator.here.get("/work/").links:
        raise Surprise(f"The page of {annotator.person.name} has no link to {link}.")
    shown = annotator.here.get(link).response.text
    if "react-app" not in shown:
        raise Surprise(f"{link} is not Label Studio's page.")
    if found := re.search(r'(?:src|href)="https?://[^"]*react-app/[^"]*', shown):
        raise Surprise(f"{link} asks {found.group()}, where no browser of an annotator may go: it stays blank.")
    controls = patiently(annotator, "GET", f"/api/projects/{project}").json()["parsed_label_config"]
    while (answer := next_task(annotator, project)).status_code == 200:
        task = answer.json()
        look(annotator, task["data"]["image"])
        body = {"result": result(controls, annotator.person.name, task["id"]), "lead_time": 8.5}
        patiently(annotator, "POST", f"/api/tasks/{task['id']}/annotations", params={"project": project}, json=body)
        annotator.labelled += 1
        made.add()


def next_task(annotator: Annotator, project: int) -> httpx.Response:
    asked = {"id": "next_task", "tabID": 1, "project": project}
    return patiently(annotator, "POST", "/api/dm/actions", none=404, params=asked, json={"project": str(project)})


def patiently(annotator: Annotator, method: str, path: str, none: int = 0, **request: Any) -> httpx.Response:
    """One request of Label Studio's page, sent again if its SQLite was locked: a person presses the button again."""
    headers = {"Origin": annotator.labelling}
    for _ in range(5):
        answer = annotator.here.client.request(method, annotator.labelling + path, headers=headers, **request)
        if answer.status_code < 400 or answer.status_code == none:
            return answer
        if answer.status_code < 500:
            break
        time.sleep(0.5)
    raise Surprise(f"Label Studio answered {answer.status_code} to {method} {path}: {answer.text[:300]}")


def look(annotator: Annotator, address: str) -> None:
    """Fetch the photograph as Label Studio's page does; it must be for this annotator alone and cached nowhere."""
    shown = annotator.here.client.get(address, headers={"Referer": annotator.labelling + "/"})
    caching = shown.headers.get("cache-control", "")
    if shown.status_code != 200 or "no-store" not in caching or not address.startswith(annotator.labelling):
        raise Surprise(f"{address} answered {shown.status_code}, caching: {caching}")
    annotator.images[address] = shown.content


def result(controls: dict[str, Any], who: str, task: int) -> list[dict[str, Any]]:
    """An opinion for every control of the labelling config: much the same for all, with small differences."""
    taste = sum(map(ord, who)) % 3
    values: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "Rating": lambda control: {"rating": 2 + (task + (taste == task % 3)) % 4},
        "Choices": lambda control: {"choices": [control["labels"][(task + taste * task % 2) % len(control["labels"])]]},
        "RectangleLabels": lambda control: {
            "x": 28.0 + taste + task % 9, "y": 18.0 + taste, "width": 40.0, "height": 48.5 - taste, "rotation": 0,
            "rectanglelabels": control["labels"][:1],
        },
    }  # fmt: skip
    return [
        {
            "id": uuid.uuid4().hex[:10],
            "from_name": name,
            "to_name": control["to_name"][0],
            "type": control["type"].lower(),
            "origin": "manual",
            "value": values[control["type"]](control),
        }
        for name, control in controls.items()
    ]


# --- Label Studio's owner: what only the operator of the stack can see or break -------------------


class Owner:
    """Label Studio's API with the owner's token."""

    def __init__(self, label_studio: str, token: str) -> None:
        self.browser = Browser(label_studio, "owner")
        self.browser.client.headers["Authorization"] = f"Token {token}"

    def get(self, path: str, **params: Any) -> Any:
        return self.browser.client.get(path, params=params).raise_for_status().json()

    def project(self) -> int:
        """The newest project."""
        return max(int(project["id"]) for project in self.get("/api/projects/", page_size=100)["results"])

    def tasks(self, project: int) -> list[dict[str, Any]]:
        found = self.get("/api/tasks/", project=project, page_size=10_000, fields="task_only", include="id,data")
        tasks: list[dict[str, Any]] = found["tasks"]
        return tasks

    def annotations(self, project: int) -> int:
        return int(self.get(f"/api/projects/{project}/")["total_annotations_number"])

    def has_task(self, task: int) -> bool:
        return self.browser.client.get(f"/api/tasks/{task}/").status_code != 404

    def version(self) -> str:
        return str(self.get("/api/version")["release"])

    def switch_webhook(self, project: int, on: bool) -> None:
        """Make Label Studio drop its webhooks (they are never sent again), or send them."""
        for hook in self.get("/api/webhooks/", project=project):
            body = {name: hook[name] for name in WEBHOOK_FIELDS} | {"is_active": on}
            self.browser.client.patch(f"/api/webhooks/{hook['id']}/", json=body).raise_for_status()
