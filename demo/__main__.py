"""`python -m demo demo [--images FOLDER]`: the whole promise. `python -m demo run`: the stack stays up."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from demo import cast, datasets, people, walk
from demo.browser import Surprise
from demo.check import PROMISES, check_all
from demo.photographs import own_images
from demo.processes import ROOT, Stopped
from demo.progress import Progress
from demo.stack import LABEL_STUDIO_OWNER, bare_stack, write_environment
from demo.walk import Walk, at_once

STAGES = (
    ("start", "0. Starting Likeness and Label Studio", walk.begin),
    ("sign", "1. People register, confirm, read and sign", walk.sign),
    ("upload", "2. Photographs come in", walk.upload),
    ("library", "3. A library is imported under a licence", walk.library),
    ("pipeline", "4. The pipeline finishes, a reviewer settles what is held", walk.settle),
    ("label", "5. Three annotators and a campaign in Label Studio", walk.annotate),
    ("release", "6. Release 1 is built, pulled and verified", walk.publish),
    ("withdraw", "7. One contributor withdraws", walk.withdraw),
)
SMALL = ("start", "sign", "upload", "pipeline", "label")
EXPECTED = (Stopped, Surprise, TimeoutError, httpx.HTTPError)  # what has a message that a person can use


def demo(images: Path | None) -> int:
    own = own_images(images.resolve()) if images else []
    with bare_stack("demo") as stack:
        here = Walk(stack, Progress(), own)
        trouble = _walk(here, [name for name, _, _ in STAGES])
        promises = _not_reached(trouble)
        if not trouble:
            with here.progress.stage("check", "The ten promises, checked from outside"):
                save_receipts(here)
                promises = check_all(here)
        summary = summarize(here, promises)
        (stack.var / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
        print_table(here, summary, trouble)
        return 0 if all(promise["held"] for promise in promises) else 1


def _walk(here: Walk, names: list[str]) -> str:
    """Run the stages; what stopped them, in words, or nothing."""
    for name, title, work in STAGES:
        if name in names:
            try:
                with here.progress.stage(name, title):
                    work(here)
            except EXPECTED as error:
                return f"Stopped at “{title}”: {error}\nLogs: {here.stack.held.logs}"
    return ""


def _not_reached(trouble: str) -> list[dict[str, Any]]:
    return [
        {"number": number, "held": False, "evidence": f"not reached. {trouble}"}
        for number in range(1, len(PROMISES) + 1)
    ]


def save_receipts(here: Walk) -> None:
    """Every contributor downloads their receipts."""
    folder = here.stack.var / "receipts"
    folder.mkdir()

    def saved() -> bool:
        got: list[int] = at_once(lambda one: people.save_receipts(one, folder), here.browsers)
        return sum(got) >= len(here.browsers)

    here.progress.wait(saved, "receipts are issued", 60)


def summarize(here: Walk, promises: list[dict[str, Any]]) -> dict[str, Any]:
    """What var/demo/summary.json holds; a walk that stopped early leaves noughts."""
    count = here.records.one if here.stack.database.exists() else lambda sql: 0
    statuses = here.records.counts(walk.STATUSES) if here.project else {}
    outcome = here.outcome
    total = count("SELECT coalesce(sum(amount), 0) FROM annotation_earning") if here.project else 0
    return {
        "seconds": here.progress.seconds,
        "contributors": len(here.browsers),
        "consents": count("SELECT count(*) FROM consent_consent") if here.browsers else 0,
        "images": {"received": sum(statuses.values())}
        | {name: statuses.get(name, 0) for name in ("accepted", "duplicate", "rejected", "needs_review", "purged")},
        "label_studio": {
            "version": here.owner.version() if here.project else "",
            "tasks": len(here.owner.tasks(here.project)) if here.project else 0,
            "annotations": sum(one.labelled for one in here.annotators),
        },
        "earnings": {
            "annotations_paid": count(walk.PAID) if here.project else 0,
            "total": f"{float(total):.2f}",
            "currency": cast.CAMPAIGN["currency"],
        },
        "releases": [_release(one) for one in here.releases],
        "withdrawal": {
            "images": outcome.images,
            "seconds_to_refused": outcome.seconds_to_refused,
            "seconds_to_gone": outcome.seconds_to_gone,
            "label_tasks_left": outcome.label_tasks_left,
            "files_left": outcome.files_left,
        },
        "promises": promises,
    }


def _release(one: datasets.Release) -> dict[str, Any]:
    return {
        "dataset": one.dataset,
        "number": one.number,
        "items": len(one.rows()),
        "path": str(one.folder.relative_to(ROOT)),
        "sha256": one.sums(),
    }


def print_table(here: Walk, summary: dict[str, Any], trouble: str) -> None:
    print("\n" + "-" * 78)
    for name, title, _ in (*STAGES, ("check", "The ten promises", None)):
        if name in summary["seconds"]:
            print(f"{title:68} {summary['seconds'][name]:7.1f} s")
    print("-" * 78)
    images, earned, withdrawal = (summary[name] for name in ("images", "earnings", "withdrawal"))
    told = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in images.items() if name != "received")
    print(
        f"{summary['contributors']} contributors, {summary['consents']} consents, {images['received']} images: {told}"
    )
    print(f"{earned['annotations_paid']} annotations paid: {earned['total']} {earned['currency']}")
    refused, gone = withdrawal["seconds_to_refused"], withdrawal["seconds_to_gone"]
    print(f"withdrawal: refused after {refused} s, gone after {gone} s")
    for release in summary["releases"]:
        removed = f" ({len(here.first_rows)} before the withdrawal)" if release["number"] == 1 else ""
        print(f"release {release['number']}: {release['items']} rows{removed} in {release['path']}")
    kept, seconds = sum(promise["held"] for promise in summary["promises"]), time.monotonic() - here.progress.begun
    print(f"{kept} of {len(PROMISES)} promises held, after {seconds:.0f} s. Details: {here.stack.var / 'summary.json'}")
    for promise in summary["promises"]:
        if not promise["held"] and not trouble:
            print(f"  promise {promise['number']} BROKEN: {promise['evidence']}")
    if trouble:
        print(f"\n{trouble}")


# --- make run -----------------------------------------------------------------------------------


def run() -> int:
    with bare_stack("run") as stack:
        stack.extra["STAFF_MFA"] = "0"  # whoever looks around here need not fetch an authenticator app first
        stack.extra["REVIEW_UNDO_SECONDS"] = "20"  # time enough to try undo; the demo does not wait for it
        here = Walk(stack, Progress(), [], small=True)
        if trouble := _walk(here, list(SMALL)):
            print(trouble)
            return 1
        research = cast.PURPOSES["research"][0]
        dataset = datasets.add_dataset(here.manager, cast.ENGINEER, cast.DATASET, research, cast.CAMPAIGN["name"])
        print_logins(here, dataset)
        while True:
            time.sleep(1)
            stack.check()


def logins(contributor: cast.Person, dataset: str) -> list[tuple[str, cast.Person, str]]:
    """Everybody whom one can sign in as: role, person, and the page on which their work begins."""
    return [
        ("contributor", contributor, "/me/"),
        ("reviewer", cast.REVIEWER, "/staff/review/"),
        ("data manager", cast.MANAGER, "/staff/"),
        ("second manager", cast.SECOND_MANAGER, f"/staff/datasets/{dataset}/"),
        ("data-protection officer", cast.OFFICER, "/staff/desk/"),
        ("fairness analyst", cast.ANALYST, "/staff/reports/"),
        ("harm officer", cast.HARM_OFFICER, "/staff/desk/harm/"),
        *(("annotator", one, "/work/") for one in cast.ANNOTATORS),
    ]


def print_logins(here: Walk, dataset: datasets.Dataset) -> None:
    print("\n" + "-" * 120)
    for role, person, path in logins(here.contributors[0], dataset.slug):
        print(f"{role:24} {person.email:42} {person.password:18} {here.stack.web}{path}")
    print(f"{'ML engineer':24} token {dataset.token}")
    print(f"{'':24} .venv/bin/python -m exports.pull {dataset.slug} var/pulled --server {here.stack.web} --token TOKEN")
    environment = write_environment(here.stack).relative_to(ROOT)
    print(f"Commands: (. {environment}; .venv/bin/python manage.py find_duplicates FOLDER)")
    print(f"Annotators label at {here.stack.labelling}, where their page leads them.")
    owner = f"{LABEL_STUDIO_OWNER} {here.stack.label_studio_password}"
    print(f"Label Studio itself is for its administrator alone: {owner} {here.stack.label_studio}")
    print(f"Mail is in {here.stack.mail}, logs in {here.stack.held.logs}. Ctrl-C stops everything.", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo").add_argument("--images", type=Path, metavar="FOLDER")
    commands.add_parser("run")
    arguments = parser.parse_args()
    try:
        return demo(arguments.images) if arguments.command == "demo" else run()
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    except Stopped as stopped:
        print(stopped)
        return 1


if __name__ == "__main__":
    sys.exit(main())
