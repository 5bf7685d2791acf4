"""Stage 1: staff publish a form and open a call; contributors register, confirm, choose, sign. All by web forms."""

import base64
import datetime
import hmac
import os
import re
import struct
import time
from pathlib import Path
from typing import NamedTuple

from demo import cast
from demo.browser import Browser, Page, Surprise
from demo.cast import Person
from demo.mailbox import Mailbox
from demo.stack import Stack

TOO_LATE = 3.0  # seconds of a half minute, in which the digits may change on the way


class Place(NamedTuple):
    """Where everything happens: the site's address and the mail folder."""

    web: str
    mailbox: Mailbox


def add_staff(stack: Stack) -> None:
    """Make the staff accounts: the only step that an operator does on the command line. They share one password."""
    commands = [("add_staff", one.email, "--role", role) for role, people in cast.STAFF.items() for one in people]
    stack.manage_at_once(commands, LIKENESS_PASSWORD=cast.STAFF_PASSWORD)


def sign_in(place: Place, person: Person) -> Browser:
    browser = Browser(place.web, person.name)
    page = browser.fill(browser.get("/accounts/login/"), {"login": person.email, "password": person.password})
    if "/accounts/login/" in page.url:
        raise Surprise(f"{person.email} could not sign in: {page.text[:300]}")
    return browser


def sign_in_staff(place: Place, person: Person) -> Browser:
    """Sign in and, where the installation asks for it, set up the second factor as a person with an app would."""
    browser = sign_in(place, person)
    page = browser.get("/staff/")
    if "/reauthenticate/" in page.url:
        page = browser.fill(page, {"password": person.password})
        secret = re.search(r"\b[A-Z2-7]{32}\b", page.text)
        if not secret:
            raise Surprise(f"{page.url} shows no secret for an authenticator app: {page.text[:300]}")
        if (left := 30 - time.time() % 30) < TOO_LATE:  # who sees the digits about to change waits for the next
            time.sleep(left)
        done(browser.fill(page, {"code": one_time_code(secret.group(), int(time.time()) // 30)}))
        page = browser.get("/staff/")
    if not page.url.endswith("/staff/"):
        raise Surprise(f"{person.email} does not come to the staff pages: {page.text[:300]}")
    return browser


def one_time_code(secret: str, counter: int) -> str:
    """The six digits that an authenticator app shows (RFC 4226, RFC 6238)."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", counter), "sha1")
    offset = digest[-1] & 15
    (number,) = struct.unpack(">I", digest[offset : offset + 4])
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"


# --- What staff set up --------------------------------------------------------------------------


def publish_form(manager: Browser) -> None:
    """Add the purposes and publish the form's text; a text that lacks what Art. 13 GDPR asks for is refused first."""
    for code, (name, description) in cast.PURPOSES.items():
        done(
            manager.fill(manager.get("/staff/purposes/new/"), {"code": code, "name": name, "description": description})
        )
    lacking = cast.FORM | {"complaint_body": "", "purposes": list(cast.PURPOSES)}
    page = manager.fill(manager.get("/staff/forms/new/"), lacking)
    if not page.url.endswith("/staff/forms/new/"):
        raise Surprise(f"A form text without an authority for complaints was published: {page.text[:300]}")
    done(manager.fill(page, cast.FORM | {"purposes": list(cast.PURPOSES)}))


def open_call(manager: Browser, most: int) -> None:
    page = manager.get("/staff/calls/new/")
    now = datetime.datetime.now(datetime.UTC)
    times = {
        "opens_at": f"{now - datetime.timedelta(minutes=5):%Y-%m-%d %H:%M}",
        "closes_at": f"{now + datetime.timedelta(days=365):%Y-%m-%d %H:%M}",
    }
    form = {"form": option(page, "form", cast.FORM["name"]), "max_per_person": max(100, most)}
    done(manager.fill(page, cast.CALL | times | form))


def option(page: Page, name: str, text: str) -> str:
    """The value of the option of a select, or of the radio button, whose words contain `text`."""
    for words, value in page.form_with(name).options(name).items():
        if text in words and value:
            return value
    raise Surprise(f"{page.url}: {name} does not offer “{text}”")


def done(page: Page) -> Page:
    """The page that follows a form that was taken; Surprise shows the errors if it was not."""
    if page.response.history or page.response.request.method == "GET":
        return page
    raise Surprise(f"{page.url} did not take the form: {page.text[:900]}")


# --- What contributors do -----------------------------------------------------------------------


def join(place: Place, person: Person, *, born: str, country: str) -> tuple[Browser, Page]:
    """Register, confirm the address from the mail, tell age and country. The page that answers the last step."""
    browser = Browser(place.web, person.name)
    browser.fill(browser.get("/accounts/signup/"), {"email": person.email, "password1": person.password})
    confirmation = browser.get(place.mailbox.link(person.email, "/accounts/confirm-email/"))
    confirm = next(form for form in confirmation.forms if "confirm-email" in form.action)
    browser.fill_form(confirmation, confirm, {})
    return browser, browser.fill(browser.get("/me/about/"), {"date_of_birth": born, "country": country})


def sign(browser: Browser, person: Person, purposes: tuple[str, ...]) -> None:
    """Read the form and sign it for some of its purposes. No box may be ticked beforehand."""
    page = browser.get(f"/sign/{cast.FORM['slug']}/")
    form = page.form_with("signer_name", "agree", *(f"purpose_{code}" for code in cast.PURPOSES))
    if ticked := [entry.name for entry in form.fields if entry.kind == "checkbox" and entry.submitted]:
        raise Surprise(f"{page.url} ticks {ticked} beforehand")
    filled = {f"purpose_{code}": "on" for code in purposes}
    filled |= {"signer_name": person.name, "agree": "on", "time_zone": "Europe/Dublin"}
    done(browser.fill(page, filled | answers(page, cast.UNDERSTOOD)))


def answers(page: Page, understood: tuple[str, ...]) -> dict[str, str]:
    """The answers to the questions of a form, chosen by what stands beside the buttons."""
    return {f"question_{number}": option(page, f"question_{number}", words) for number, words in enumerate(understood)}


def misunderstand(browser: Browser, person: Person, purposes: tuple[str, ...]) -> None:
    """Answer as somebody would who has not read the text: nothing is signed, and the page says why, kindly."""
    page = browser.get(f"/sign/{cast.FORM['slug']}/")
    filled = {f"purpose_{code}": "on" for code in purposes} | {"signer_name": person.name, "agree": "on"}
    wrong = {name: next(iter(page.form_with(name).options(name).values())) for name in ("question_1", "question_2")}
    again = browser.fill(page, filled | answers(page, cast.UNDERSTOOD) | wrong)
    if again.response.history or "whenever you like" in again.text or "choice of its own" not in again.text:
        raise Surprise(f"Wrong answers were signed, or not explained: {again.text[:600]}")


def join_and_sign(place: Place, index: int, person: Person) -> Browser:
    browser, page = join(place, person, born=f"{1960 + 3 * index}-0{1 + index % 9}-15", country=cast.COUNTRIES[index])
    done(page)
    if index == 0:
        misunderstand(browser, person, cast.CHOICES[index])
    sign(browser, person, cast.CHOICES[index])
    return browser


def refuse_minor(place: Place) -> str:
    """A seventeen-year-old registers and is refused; what the page said."""
    birthday = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=17 * 365 + 100)
    person = Person(cast.MINOR, "contributors.example")
    _, page = join(place, person, born=birthday.isoformat(), country="IE")
    found = re.search(r"[^.!?]*\b(at least|adult|18)\b[^.!?]*[.!?]", page.text)
    if page.response.history or not found:
        raise Surprise(f"A seventeen-year-old was not refused: {page.text[:400]}")
    return found.group().strip()


def save_receipts(browser: Browser, folder: Path) -> int:
    """Download every receipt that the contributor's page offers; how many. They appear when a task has issued them."""
    links = {link for link in browser.get("/me/").links if re.search(r"/me/receipts/[0-9a-f-]+\.(json|pdf)$", link)}
    folder.mkdir(parents=True, exist_ok=True)
    for link in links:
        (folder / os.path.basename(link)).write_bytes(browser.get(link).response.content)
    return sum(link.endswith(".json") for link in links)
