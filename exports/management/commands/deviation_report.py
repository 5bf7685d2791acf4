"""manage.py deviation_report: how a release's scores differ between groups of people."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exports.deviation import COMPARED_FROM, LARGEST_GAP, GroupLine, GroupReport, Interval
from exports.group_rows import reports_of
from exports.models import Release

BAD_INPUT, DEVIATES = 2, 1
HEAD = ("group", "rows", "people", "share", "95 %", "mean", "95 %", "compared")


class Command(BaseCommand):
    help = (
        "Compares the rated scores of a release between groups by self-report. Groups of fewer than five people are "
        f"withheld. Exit code 0: no two groups of at least {COMPARED_FROM} rated rows lie more than {LARGEST_GAP} "
        "apart; 1: some do; 2: there is no such release."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("release", metavar="DATASET@VERSION")
        parser.add_argument("--json", action="store_true", help="the same as one JSON list")

    def handle(self, *args: Any, release: str, **options: Any) -> None:
        slug, _, version = release.partition("@")
        found = Release.objects.filter(dataset__slug=slug, version=version).select_related("dataset__campaign").first()
        if found is None:
            raise CommandError(f"There is no release {release}. Name one as portraits@1.0.0.", returncode=BAD_INPUT)
        reports = reports_of(found)
        if options["json"]:
            self.stdout.write(json.dumps([asdict(report) for report in reports], indent=1, ensure_ascii=False))
        else:
            self.stdout.write("\n\n".join(map(_text, reports)) or "Nothing in this release is rated.")
        if failed := [f"{report.score} by {report.group}" for report in reports if not report.passes]:
            raise CommandError(f"Groups lie too far apart: {', '.join(failed)}.", returncode=DEVIATES)


def _text(report: GroupReport) -> str:
    rows = [HEAD, *(_cells(line) for line in report.lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    verdict = "passes" if report.passes else "DOES NOT PASS"
    gap = f"largest gap {report.gap:.3f}" if report.gap is not None else "nothing to compare"
    return "\n".join([f"{report.score} by {report.group}: {verdict}, {gap}", *table])


def _cells(line: GroupLine) -> tuple[str, ...]:
    if line.withheld:
        return (line.group, "withheld", *[""] * (len(HEAD) - 2))
    mean = "" if line.mean is None else f"{line.mean:.3f}"
    return (
        line.group, str(line.n), str(line.people), f"{line.share:.1%}", _interval(line.share_interval), mean,
        _interval(line.mean_interval), "yes" if line.compared else "no",
    )  # fmt: skip


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f}–{interval[1]:.3f}"
