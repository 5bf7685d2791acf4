"""manage.py find_traces: what is left of one photograph, in every store."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exports.trace_stores import find_traces
from exports.traces import Report, Trace

BAD_INPUT, LEFT = 2, 1


class Command(BaseCommand):
    help = (
        "Looks in every store for a photograph, by its id or by the SHA-256 of its bytes, and says what is left. "
        "Exit code 0: nothing, or only proof that is kept on purpose; 1: something is left; 2: neither id nor SHA-256."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("photograph", metavar="SHA256|IMAGE_ID")
        parser.add_argument("--json", action="store_true", help="the same as one JSON object")

    def handle(self, *args: Any, photograph: str, json: bool, **options: Any) -> None:
        report = find_traces(photograph)
        if report is None:
            raise CommandError(
                f"{photograph} is neither an image id nor a SHA-256 in hex (64 digits).", returncode=BAD_INPUT
            )
        self.stdout.write(_as_json(report) if json else _as_text(report))
        if report.left:
            raise CommandError(f"Something is left in {len(report.left)} places.", returncode=LEFT)


def _as_json(report: Report) -> str:
    return json.dumps({**asdict(report), "left": [asdict(trace) for trace in report.left]}, indent=2)


def _as_text(report: Report) -> str:
    kept = [trace for trace in report.traces if trace.kept]
    lines = [*report.standing] or ["No image here has this id or these bytes."]
    lines += ["", "Left:", *_table(report.left)] if report.left else ["", "Nothing is left."]
    lines += ["", "Proof, kept on purpose:", *_table(kept)] if kept else []
    return "\n".join([*lines, *report.remarks])


def _table(traces: list[Trace]) -> list[str]:
    widths = [max(len(trace.store) for trace in traces), max(len(trace.place) for trace in traces)]
    return [
        f"  {trace.store:{widths[0]}}  {trace.count:>5}  {trace.place:{widths[1]}}  {trace.kept}".rstrip()
        for trace in traces
    ]
