"""A browser small enough to read: keeps cookies, follows redirects, fills in the forms that a page really has."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import urljoin

import httpx


class Surprise(Exception):
    """A page was not what a person would need there."""


class Field(NamedTuple):
    """One control of a form. `submitted` is what a browser would send if nobody touched it."""

    name: str
    kind: str
    value: str
    submitted: bool
    text: str = ""  # of an option or a radio button: what a person reads


@dataclass
class Form:
    action: str
    method: str
    fields: list[Field] = field(default_factory=list)

    def names(self) -> set[str]:
        return {entry.name for entry in self.fields}

    def options(self, name: str) -> dict[str, str]:
        """Of a select or a group of radio buttons: what is read → what is sent."""
        kinds = ("option", "radio")
        return {entry.text: entry.value for entry in self.fields if entry.name == name and entry.kind in kinds}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.ids: dict[str, str] = {}
        self._select = self._id = ""
        self._option: list[str] | None = None
        self._area: tuple[str, list[str]] | None = None
        self._chosen: tuple[str, bool] = ("", False)
        self._silent = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self._id = given.get("id", "")
        if tag in ("script", "style"):
            self._silent = True
        elif tag == "main":
            self.words.clear()  # what is around the main part says nothing of its own
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "img":
            self.pictures.append(given.get("src", ""))
        elif tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").lower()))
        elif self.forms:
            self._control(tag, given)

    def _control(self, tag: str, given: dict[str, str]) -> None:
        name = given.get("name", "")
        if tag == "input" and name:
            kind = given.get("type", "text")
            on = "checked" in given if kind in ("checkbox", "radio") else kind not in ("submit", "file", "image")
            self._add(Field(name, kind, given.get("value", "on" if kind == "checkbox" else ""), on))
        elif tag == "button" and name:
            self._add(Field(name, "submit", given.get("value", ""), False))
        elif tag == "select":
            self._select = name
        elif tag == "option":
            self._option, self._chosen = [], (given.get("value", ""), "selected" in given)
        elif tag == "textarea":
            self._area = (name, [])

    def _label_radio(self, words: str) -> None:
        """What follows a radio button inside its label is what a person reads there."""
        fields = self.forms[-1].fields if self.forms else []
        if fields and fields[-1].kind == "radio" and not fields[-1].text:
            fields[-1] = fields[-1]._replace(text=words)

    def _add(self, entry: Field) -> None:
        self.forms[-1].fields.append(entry)

    def handle_data(self, data: str) -> None:
        if self._area:
            self._area[1].append(data)
        elif self._option is not None:
            self._option.append(data)
        elif not self._silent and data.strip():
            self._label_radio(data.strip())
            self.words.append(data.strip())
            if self._id:
                self.ids.setdefault(self._id, data.strip())

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "main"):
            self._silent = tag == "main"
        elif tag == "textarea" and self._area:
            self._add(Field(self._area[0], "textarea", "".join(self._area[1]), True))
            self._area = None
        elif tag == "option" and self._option is not None:
            value, chosen = self._chosen
            self._add(Field(self._select, "option", value, chosen, "".join(self._option).strip()))
            self._option = None


class Page:
    """One answer: its status, address, words, links and forms."""

    def __init__(self, response: httpx.Response) -> None:
        self.status, self.url, self.response = response.status_code, str(response.url), response
        self._reader = _Reader()
        if "html" in response.headers.get("content-type", ""):
            self._reader.feed(response.text)
        self.forms, self.ids = self._reader.forms, self._reader.ids
        self.links = [urljoin(self.url, link) for link in self._reader.links]
        self.pictures = [urljoin(self.url, source) for source in self._reader.pictures]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._reader.words))

    def form_with(self, *names: str) -> Form:
        """The form that has all these controls."""
        for form in self.forms:
            if form.names().issuperset(names):
                return form
        raise Surprise(f"{self.url} ({self.status}) has no form with {', '.join(names)}. It reads: {self.text[:500]}")


class Browser:
    """One person's browser."""

    def __init__(self, base: str, name: str = "") -> None:
        self.base, self.name = base, name
        agent = {"User-Agent": "Mozilla/5.0 (Likeness demo)"}
        self.client = httpx.Client(base_url=base, follow_redirects=True, timeout=120, headers=agent)

    def get(self, address: str, expect: int = 200) -> Page:
        return self._page(self.client.get(address), expect)

    def fill(
        self, page: Page, fields: dict[str, Any], *, press: tuple[str, str] | None = None, files: Any = None,
        expect: int = 200,
    ) -> Page:  # fmt: skip
        """Fill in the form that has these fields and send it. A list ticks several boxes or options; None leaves a box
        unticked. `press` is the button; `files` as httpx takes them."""
        needed = [*fields, *([press[0]] if press else []), *({name for name, _ in files} if files else [])]
        return self.fill_form(page, page.form_with(*needed), fields, press=press, files=files, expect=expect)

    def fill_form(
        self, page: Page, form: Form, fields: dict[str, Any], *, press: tuple[str, str] | None = None,
        files: Any = None, expect: int = 200,
    ) -> Page:  # fmt: skip
        """`fill` for a form that was found in another way."""
        data: dict[str, list[str]] = {}
        for entry in form.fields:
            if entry.submitted and entry.name not in fields:
                data.setdefault(entry.name, []).append(entry.value)
        for name, value in fields.items():
            if value is not None:
                data[name] = [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]
        if press:
            data[press[0]] = [press[1]]
        address = urljoin(page.url, form.action)
        headers = {"Referer": page.url}
        return self._page(self.client.post(address, data=data, files=files, headers=headers), expect)

    def _page(self, response: httpx.Response, expect: int) -> Page:
        page = Page(response)
        if page.status != expect:
            raise Surprise(
                f"{response.request.method} {page.url} answered {page.status}, not {expect}: {page.text[:600]}"
            )
        return page
