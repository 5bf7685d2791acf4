"""Stage 6: a dataset, its releases (drafted by one person, published by another), an engineer pulls and verifies."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from demo.browser import Browser, Surprise
from demo.cast import Person
from demo.people import done, option
from demo.progress import Progress
from demo.stack import Stack


@dataclass
class Dataset:
    """A dataset as the demo knows it: its address, and the engineer's token for it."""

    slug: str
    token: str


@dataclass
class Release:
    """One pulled release."""

    dataset: str
    version: str
    number: int
    folder: Path

    def rows(self) -> list[dict[str, Any]]:
        paths = sorted(self.folder.glob("rows/*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def sums(self) -> str:
        return hashlib.sha256((self.folder / "SHA256SUMS").read_bytes()).hexdigest()

    def texts(self) -> Iterator[tuple[str, bytes]]:
        """Every file and its bytes."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(self.folder)), path.read_bytes()


def add_dataset(manager: Browser, engineer: Person, about: dict[str, str], purpose: str, campaign: str) -> Dataset:
    """Make a dataset and the engineer's token for it, which is shown once."""
    page = manager.get("/staff/datasets/new/")
    fields = about | {"purpose": option(page, "purpose", purpose)}
    if campaign:
        fields["campaign"] = option(page, "campaign", campaign)
    done(manager.fill(page, fields))
    page = manager.get("/staff/recipients/new/")
    who = {"name": engineer.name, "email": engineer.email, "dataset": option(page, "dataset", about["title"])}
    token = manager.fill(page, who).ids.get("token", "")
    if not token:
        raise Surprise("No token was shown for the new recipient.")
    return Dataset(about["slug"], token)


def draft(drafter: Browser, dataset: Dataset) -> None:
    """A data manager drafts a release; the worker begins to build it."""
    page = done(drafter.fill(drafter.get(f"{_staff_page(dataset)}next/"), {}, press=("action", "draft")))
    if "is being built" not in page.text:
        raise Surprise(f"The draft was refused: {page.text[:600]}")


def publish(progress: Progress, drafter: Browser, publisher: Browser, dataset: Dataset) -> None:
    """When it is built, another data manager publishes it; whoever drafted it has no button for that."""
    address = _staff_page(dataset)
    progress.wait(lambda: bool(_publish_forms(publisher, address)), "the release is being built", 120)
    if _publish_forms(drafter, address):
        raise Surprise(f"{address} lets the person who drafted the release publish it.")
    built = publisher.get(address)
    (form,) = _publish_forms(publisher, address)
    published = publisher.fill_form(built, form, {})
    if "is published" not in published.text:
        raise Surprise(f"The release was not published: {published.text[:600]}")


def _staff_page(dataset: Dataset) -> str:
    return f"/staff/datasets/{dataset.slug}/"


def _publish_forms(browser: Browser, address: str) -> list[Any]:
    return [form for form in browser.get(address).forms if form.action.endswith("/publish/")]


def api(stack: Stack, dataset: Dataset, path: str) -> httpx.Response:
    """One request of the engineer's machine."""
    headers = {"Authorization": f"Bearer {dataset.token}"}
    return httpx.get(f"{stack.web}/api/datasets/{dataset.slug}/{path}", headers=headers, timeout=60)


def pull(stack: Stack, dataset: Dataset, folder: Path, key: Path) -> Release:
    """Run the pull command as the engineer does; the newest release."""
    newest = api(stack, dataset, "").raise_for_status().json()["releases"][0]
    pull_version(stack, dataset, "", folder, key)
    return Release(dataset.slug, newest["version"], newest["number"], folder / dataset.slug / newest["version"])


def pull_version(stack: Stack, dataset: Dataset, version: str, folder: Path, key: Path) -> str:
    """Pull one version, or the newest one if none is named; what the command said."""
    what = f"{dataset.slug}@{version}" if version else dataset.slug
    words: list[str | Path] = [what, folder, "--server", stack.web, "--token", dataset.token, "--key", key]
    code, said = stack.tool("exports.pull", *words)
    if code:
        raise Surprise(f"pull ended with {code}: {said[-1500:]}")
    return said


def verify(stack: Stack, folder: Path, key: Path) -> tuple[bool, str]:
    """Run the verify command, which needs neither us nor a network: whether it is content, and what it said."""
    code, said = stack.tool("exports.verify", folder, "--key", key)
    return code == 0, said


def fetch_key(stack: Stack) -> Path:
    """Our public key, as anybody gets it."""
    path = stack.var / "signing-public.pem"
    path.write_bytes(httpx.get(f"{stack.web}/keys/signing.pem", timeout=30).raise_for_status().content)
    return path
