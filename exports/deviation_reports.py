"""The deviation report of a release, made while it is built, and the one of all published releases each quarter.

A report is about whole groups by self-report; it is kept for good, with its hash in the ledger.
"""

import datetime
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from annotation.about_annotators import regions_in_a_word
from annotation.agreement import Pairs
from collection.models import DIMENSIONS
from consent import ledger
from consent.models import LedgerEntry
from consent.signing import canonical_json, sha256_hex, utc_text
from exports import deviation_tables
from exports.group_rows import STARS, rows_as_reported, rows_of, rows_of_images, scales
from exports.models import Dataset, DeviationReport, Release
from exports.pseudonyms import keyed
from exports.selection import Depicted
from exports.steady_tables import Shown, kept_back, tells

Document = dict[str, Any]
Columns = tuple[str, ...]


# --- Of a release --------------------------------------------------------------------------------


def make_report(*, release: Release, images: Iterable[Depicted]) -> DeviationReport:
    """The report of a release that holds these images. Made once: a build that starts again finds it."""
    if report := DeviationReport.objects.filter(release=release).first():
        return report
    pairs = Pairs()
    section = _section(release, rows_of_images(release, images, pairs.add))
    document = {"kind": "release", "snapshot_at": utc_text(release.snapshot_at), **section}
    if release.dataset.campaign:
        document["annotator_regions"] = regions_in_a_word(pairs)
    return _keep(document, release=release)


def _section(release: Release, rows: list[dict[str, Any]]) -> Document:
    scores = sorted(scales(release))
    total = (len(rows), len({row["subject"] for row in rows}))
    made = deviation_tables.tables(rows, scores, DIMENSIONS, STARS)
    dated = [{**table, "as_of": release.version} for table in made]
    held = _telling(release, [Shown(table, rows, total) for table in dated])
    before = _last_tables(release.dataset)
    shown = [
        before.get(columns_of(table)) or kept_back(table) if columns_of(table) in held else table for table in dated
    ]
    return {
        "dataset": release.dataset.slug,
        "title": release.dataset.title,
        "version": release.version,
        "rows": total[0],
        "people": total[1],
        "limits": deviation_tables.LIMITS,
        "scores": scores,
        "gate": deviation_tables.judge(
            rows, scores, DIMENSIONS, [table for table in dated if columns_of(table) not in held], _sealer(release)
        ),
        "tables": shown,
    }


def columns_of(table: Document) -> Columns:
    return tuple(table["columns"])


def _telling(release: Release, fresh: Collection[Shown]) -> set[Columns]:
    """The columns of those fresh tables that would tell of fewer than SMALL people beside any that was shown before.

    Of any dataset: two of them may hold the same people but for one. Each earlier release is looked at once.
    """
    held: set[Columns] = set()
    for earlier, made_at, section in _fresh_before(release):
        open_ones = [one for one in fresh if columns_of(one.table) not in held]
        theirs = {columns_of(table): table for table in section["tables"] if table["as_of"] == section["version"]}
        if not any(columns_of(one.table) in theirs for one in open_ones):
            continue
        rows, total = rows_as_reported(earlier, made_at), (section["rows"], section["people"])
        for one in open_ones:
            table = theirs.get(columns_of(one.table))
            if table and tells(one, Shown(table, rows, total), STARS):
                held.add(columns_of(one.table))
    return held


def _fresh_before(release: Release) -> Iterator[tuple[Release, datetime.datetime, Document]]:
    """Every earlier report of a release that was built, with when it was made: those of quarters repeat its tables."""
    reports = DeviationReport.objects.filter(release__items__isnull=False).exclude(release=release).distinct()
    for report in reports.select_related("release__dataset__campaign").order_by("pk").iterator():
        assert report.release is not None  # noqa: S101 -- it has items
        yield report.release, report.made_at, report.content


def _sealer(release: Release) -> Callable[[str], str]:
    """Makes of what the gate found in withheld groups a mark that only drafts of the same snapshot share."""
    return lambda found: keyed(release.dataset, "gate", f"{utc_text(release.snapshot_at)} {found}")


def _last_tables(dataset: Dataset) -> dict[tuple[str, ...], Document]:
    """What was shown of the dataset last, by columns: a table may be missing from a report and come back in a later."""
    reports = DeviationReport.objects.filter(Q(release__dataset=dataset) | ~Q(quarter="")).order_by("pk")
    return {
        tuple(table["columns"]): table
        for report in reports.iterator()
        for section in sections(report.content)
        if section["dataset"] == dataset.slug
        for table in section["tables"]
    }


def sections(document: Mapping[str, Any]) -> list[Document]:
    """The parts of a report that are about one release each."""
    return list(document["datasets"]) if document["kind"] == "quarter" else [dict(document)]


def _keep(document: Document, **about: Any) -> DeviationReport:
    text = canonical_json(document)
    try:
        with transaction.atomic():
            report = DeviationReport.objects.create(document=text, sha256=sha256_hex(text.encode()), **about)
            record_report(report)
            return report
    except IntegrityError:  # another worker was faster
        return DeviationReport.objects.get(**about)


def record_report(report: DeviationReport) -> LedgerEntry:
    """The ledger's entry for a report: the hash of its document."""
    if report.release is None:
        return ledger.append("deviation.reported", at=report.made_at, quarter=report.quarter, sha256=report.sha256)
    return ledger.append(
        "deviation.reported",
        at=report.made_at,
        dataset=report.release.dataset.slug,
        version=report.release.version,
        snapshot_at=report.release.snapshot_at,
        verdict=report.content["gate"]["verdict"],
        sha256=report.sha256,
    )


# --- Of a quarter --------------------------------------------------------------------------------


def report_quarter(*, today: datetime.date | None = None) -> DeviationReport | None:
    """The report of the last whole quarter over the newest release of each dataset that was published in or before it.

    Made if it is missing. It counts what may still be used now. None if nothing was published by then.
    """
    quarter = last_quarter(today or timezone.now().date())
    if report := DeviationReport.objects.filter(quarter=quarter).first():
        return report
    found = [_section_now(release) for release in _newest_releases(before=_end_of(quarter))]
    return _keep({"kind": "quarter", "quarter": quarter, "datasets": found}, quarter=quarter) if found else None


def _section_now(release: Release) -> Document:
    """The section of a published release at the end of a quarter: its own tables, and the gate on what is left of it.

    Tables of those who are left would tell, beside the release's own, who withdrew.
    """
    rows, scores = rows_of(release), sorted(scales(release))
    report = DeviationReport.objects.filter(release=release).first()
    section = report.content if report else _section(release, rows)
    gate = deviation_tables.judge(rows, scores, DIMENSIONS, [], _sealer(release))
    people = len({row["subject"] for row in rows})
    kept = {name: value for name, value in section.items() if name not in ("kind", "snapshot_at")}
    return {**kept, "rows": len(rows), "people": people, "gate": gate}


def last_quarter(today: datetime.date) -> str:
    """The last quarter that is over: "2026-Q3" in November 2026."""
    year, over = today.year, (today.month - 1) // 3
    return f"{year}-Q{over}" if over else f"{year - 1}-Q4"


def _end_of(quarter: str) -> datetime.datetime:
    """The moment at which a quarter is over (UTC)."""
    year, number = int(quarter[:4]), int(quarter[-1])
    return datetime.datetime(year + number // 4, number % 4 * 3 + 1, 1, tzinfo=datetime.UTC)


def _newest_releases(*, before: datetime.datetime) -> Iterator[Release]:
    for dataset in Dataset.objects.select_related("campaign").order_by("slug"):
        published = dataset.releases.filter(state=Release.State.PUBLISHED, published_at__lt=before)
        if newest := published.select_related("dataset__campaign").order_by("-number").first():
            yield newest


# --- Change --------------------------------------------------------------------------------------


def report_before(report: DeviationReport) -> DeviationReport | None:
    """What a report is held against: that of the last published release, or of the last quarter there was."""
    if report.release is None:
        return (
            DeviationReport.objects.filter(quarter__lt=report.quarter).exclude(quarter="").order_by("-quarter").first()
        )
    earlier = DeviationReport.objects.filter(
        release__dataset=report.release.dataset_id,
        release__state=Release.State.PUBLISHED,
        release__number__lt=report.release.number,
    )
    return earlier.order_by("-release__number").first()


def withdrawal_effect(release: Release) -> list[Document]:
    """The tables of one attribute as they are now: {"title", "lines": [{"label", "then", "now"}]} of shares.

    `lines` is None where fewer than SMALL people of a group left or came: the difference would tell who they are.
    """
    report = DeviationReport.objects.filter(release=release).first()
    if report is None:
        return []
    rows = rows_of(release, labels=False)  # this page is looked at: no label is asked for
    now = deviation_tables.tables(rows, [], DIMENSIONS, STARS)
    then = {columns_of(table): table for table in report.content["tables"]}
    return [
        deviation_tables.difference(table, then[columns_of(table)])
        for table in now
        if len(table["columns"]) == 1 and columns_of(table) in then
    ]
