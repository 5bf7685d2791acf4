"""Stages 2 to 4: photographs are uploaded, a library is imported, the desk settles what is held."""

import collections
import datetime
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from demo import cast
from demo.browser import Browser, Page, Surprise
from demo.cast import Person
from demo.people import Place, done, join, option
from demo.photographs import BAD_FILES, Photo
from demo.progress import Counter

TURNED_DOWN = {"dark", *BAD_FILES}  # kinds of files that are never accepted
TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".heic": "image/heic"}


class Upload(NamedTuple):
    """What the site answered to one file."""

    photo: Photo
    image_id: str  # empty: refused at the door
    message: str


def upload(browser: Browser, photos: list[Photo], sent: Counter) -> list[Upload]:
    """Send files one after the other through the call's upload form, as its page does."""
    address = f"/calls/{cast.CALL['slug']}/upload/"
    page = browser.get(address)
    token = next(entry.value for entry in page.form_with("photos").fields if entry.name == "csrfmiddlewaretoken")
    answers = []
    for photo in photos:
        answers.append(_send(browser, address, token, photo))
        sent.add()
    return answers


def refuse_unsigned(place: Place) -> str:
    """Somebody who registered but did not sign tries to upload; what the site says."""
    person = Person(cast.SIGNED_UP_ONLY, "contributors.example")
    browser, page = join(place, person, born="1990-05-05", country="IE")
    token = next(entry.value for form in page.forms for entry in form.fields if entry.name == "csrfmiddlewaretoken")
    answer = browser.client.post(
        f"/calls/{cast.CALL['slug']}/upload/",
        data={"csrfmiddlewaretoken": token},
        files=[("photos", ("me.jpg", b"never looked at", "image/jpeg"))],
        headers={"Referer": page.url},
    )
    said = re.search(r"[^.!?]*\b(sign|permission|consent)[^.!?]*[.!?]", Page(answer).text)
    if not said:
        raise Surprise(f"An upload without a consent was answered with {answer.status_code}: {Page(answer).text[:300]}")
    return said.group().strip()


def _send(browser: Browser, address: str, token: str, photo: Photo) -> Upload:
    kind = TYPES.get(photo.path.suffix.lower(), "application/octet-stream")
    with photo.path.open("rb") as file:
        answer = browser.client.post(
            address,
            data={"csrfmiddlewaretoken": token},
            files=[("photos", (photo.name, file, kind))],
            headers={"Accept": "application/json", "Referer": browser.base + address},
        )
    if "json" not in answer.headers.get("content-type", ""):
        raise Surprise(f"Uploading {photo.name} was answered with {answer.status_code}: {Page(answer).text[:300]}")
    (told,) = answer.json()["files"]
    return Upload(photo, told["image_id"] or "", told["message"])


def reason_told(browser: Browser, photo: Photo) -> str:
    """What the contributor's page says of a file that was turned down after it had arrived."""
    page = browser.get("/me/photos/")
    said = re.search(rf"{re.escape(photo.name)} Sent [^.]+? UTC (It .+?) Where it went", page.text)
    if not said:
        raise Surprise(f"{page.url} does not say why {photo.name} ({photo.kind}) was turned down")
    return said.group(1)


# --- The library --------------------------------------------------------------------------------


def add_licence(manager: Browser, title: str, ends_on: datetime.date) -> None:
    """Record a licence for research that began last year."""
    today = datetime.datetime.now(datetime.UTC).date()
    fields = cast.LICENCE | {
        "title": title,
        "purposes": ["research"],
        "starts_on": (today - datetime.timedelta(days=365)).isoformat(),
        "ends_on": ends_on.isoformat(),
        "model_release": "on",
    }
    evidence = [("evidence", ("contract.txt", f"Licence contract: {title}\n".encode(), "text/plain"))]
    done(manager.fill(manager.get("/staff/licences/new/"), fields, files=evidence))


def import_library(manager: Browser, licence: str, archive: Path) -> Page:
    """Import a library under the licence of this title; the page that answers: a report, or why not."""
    page = manager.get("/staff/libraries/new/")
    with archive.open("rb") as file:
        return manager.fill(
            page,
            {"licence": option(page, "licence", licence)},
            files=[("archive", (archive.name, file, "application/zip"))],
        )


def refuse_expired(manager: Browser, licence: str, archive: Path) -> str:
    """Try to import under a licence that has ended; what the site says."""
    page = import_library(manager, licence, archive)
    said = re.search(r"The licence [^!?]*? nothing can be imported[^.!?]*[.!?]", page.text)
    if not said:
        raise Surprise(f"An import under an expired licence was answered with: {page.text[:400]}")
    return said.group().strip()


# --- The desk -----------------------------------------------------------------------------------


@dataclass
class Desk:
    """What the reviewer decided, and how often."""

    decisions: collections.Counter[str]
    looked_at: int


def settle_all(reviewer: Browser) -> Desk:
    """Look at everything that is held and decide: dark ones are rejected, copies duplicates, others accepted."""
    desk = Desk(collections.Counter(), 0)
    while held := _held(reviewer):
        for address in held:
            desk.decisions[_settle(reviewer, address)] += 1
            desk.looked_at += 1
    return desk


def _held(reviewer: Browser) -> list[str]:
    links = reviewer.get("/staff/review/").links
    return sorted({link for link in links if re.search(r"/staff/review/[0-9a-f-]{36}/$", link)})


def _settle(reviewer: Browser, address: str) -> str:
    page = _take(reviewer, address)
    preview = next((source for source in page.pictures if source.endswith("/preview")), "")
    if not reviewer.client.get(preview).headers.get("content-type", "").startswith("image/"):
        raise Surprise(f"{address} shows no picture")
    decision = "accept"
    if re.search(r"\bdark", page.text, re.IGNORECASE):
        decision = "reject"
    elif re.search(r"resembl|mirror|same photograph|looks like|copy", page.text, re.IGNORECASE):
        decision = "duplicate"
    fields = {"note": f"Demo: {decision}"} | ({"reason": "bad_light"} if decision == "reject" else {})
    done(reviewer.fill(page, fields, press=("decision", decision)))
    return decision


def _take(reviewer: Browser, address: str) -> Page:
    """The page of a case that is this reviewer's: after a decision the next case is theirs already."""
    page = reviewer.get(address)
    for form in page.forms:
        if form.action.endswith("/take/"):
            return reviewer.fill_form(page, form, {})
    return page
