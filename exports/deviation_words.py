"""A deviation report as pages and PDF say it: bars from 0 to 1, with words beside each. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.about_annotators import APART, FEWEST
from consent.suppression import SMALL
from exports.deviation import COMPARED_FROM, LARGEST_GAP
from exports.deviation_tables import difference
from exports.gate import VERDICTS, in_words

_MORE = f"more than {APART * 100:.0f} points more often than with those of another"
REGIONS = {
    "alike": f"Annotators do not agree with those of their own region {_MORE}.",
    "apart": f"Annotators agree with those of their own region {_MORE}: what a photograph is labelled depends on where "
    "its annotators live. A fairness analyst finds more with the campaign.",
    "too few to tell": "Whether annotators agree more with those of their own region cannot be told: a region counts "
    f"from {SMALL} people on who said that they live there, and {FEWEST} comparisons are needed.",
}
BADGES = {"passes": ("ok", "passes"), "too far apart": ("bad", "too far apart")}


@dataclass(frozen=True)
class Bar:
    """One group: a value and its 95 % interval, each from 0 to 1 as text, and the same in words."""

    label: str
    at: str
    low: str
    high: str
    words: str
    cells: tuple[str, ...]  # of the table

    @property
    def share(self) -> str:
        """The value in whole per cent."""
        return percent(self.at)

    @property
    def rounded(self) -> str:
        """The value to whole per cent, from 0 to 1."""
        return f"{float(self.at):.2f}"


@dataclass(frozen=True)
class Plot:
    """Bars of one table under each other, and what is to be said about them. `kind` is "share" or "mean"."""

    kind: str
    title: str
    heads: tuple[str, ...]
    bars: tuple[Bar, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Topic:
    """Everything about one attribute, or about two together."""

    title: str
    plots: tuple[Plot, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """Shares of one attribute then and now; `lines` is None if they are withheld."""

    title: str
    lines: tuple[tuple[str, str, str], ...] | None


@dataclass(frozen=True)
class Part:
    """What a report says about one release."""

    title: str
    rows: int
    people: int
    badge: tuple[str, str]  # CSS class, words
    verdict: str
    over: tuple[str, ...]
    largest: str
    topics: tuple[Topic, ...]
    pairs: tuple[Topic, ...]
    regions: str  # of annotators; empty if the report says nothing of them


def part(section: Mapping[str, Any]) -> Part:
    """One section of a report (`deviation_reports.sections`) in words."""
    gate = section["gate"]
    topics = [_topic(table, section) for table in section["tables"]]
    single = [len(table["columns"]) == 1 for table in section["tables"]]
    return Part(
        title=f"{section['title']} {section['version']}",
        rows=section["rows"],
        people=section["people"],
        badge=BADGES.get(gate["verdict"], ("quiet", gate["verdict"])),
        verdict=VERDICTS[gate["verdict"]],
        over=tuple(map(in_words, gate["over"])),
        largest=in_words(gate["largest"]) if gate["largest"] else "",
        topics=tuple(topic for topic, alone in zip(topics, single, strict=True) if alone),
        pairs=tuple(topic for topic, alone in zip(topics, single, strict=True) if not alone),
        regions=REGIONS.get(section.get("annotator_regions", ""), ""),
    )


def percent(share: str) -> str:
    """`34 %` of "0.3402"; `34.5 %` is more than such numbers can bear."""
    return f"{float(share):.0%}".replace("%", " %")


def changes(tables: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> list[Change]:
    """How the shares of one attribute changed since an earlier report's tables."""
    then = {tuple(table["columns"]): table for table in before}
    single = [table for table in tables if len(table["columns"]) == 1 and tuple(table["columns"]) in then]
    return [change(difference(dict(table), dict(then[tuple(table["columns"])]))) for table in single]


def change(found: Mapping[str, Any]) -> Change:
    """What `deviation_tables.difference` found, in per cent."""
    lines = found["lines"]
    if lines is None:
        return Change(found["title"], None)
    return Change(found["title"], tuple((line["label"], percent(line["then"]), percent(line["now"])) for line in lines))


# --- One table -----------------------------------------------------------------------------------


def _topic(table: Mapping[str, Any], section: Mapping[str, Any]) -> Topic:
    notes = []
    if table.get("kept_back"):
        notes.append(
            f"Not shown: beside the table of another dataset it would tell of fewer than {SMALL} people. The gate goes "
            "by its numbers all the same."
        )
    elif table["withheld"] is None:
        notes.append(f"Groups of fewer than {SMALL} people are withheld.")
    elif table["withheld"]:
        groups = "One group is" if table["withheld"] == 1 else f"{table['withheld']} groups are"
        notes.append(f"{groups} withheld: of fewer than {SMALL} people, or needed so that none can be worked out.")
    if table["as_of"] != section["version"]:
        notes.append(
            f"As of {table['as_of']}: since then something changed for fewer than {SMALL} people of a group, and newer "
            "numbers would tell of them. The gate goes by the newest ones."
        )
    scores = [_mean_plot(table, score) for score in table["scores"]]
    plots = () if table.get("kept_back") else (_share_plot(table), *scores)
    return Topic(table["title"], plots, tuple(notes))


def _share_plot(table: Mapping[str, Any]) -> Plot:
    reference = table["reference"]
    heads = ("Group", "Photographs", "People", "Share", "95 % interval", *(["Ratio"] if reference else []))
    notes = (f"The table gives each share's ratio to a reference: {reference}.",) if reference else ()
    return Plot("share", "Who is in it", heads, tuple(_share(line, reference) for line in table["lines"]), notes)


def _share(line: Mapping[str, Any], reference: str) -> Bar:
    low, high = line["share_interval"]
    ratio = f"{float(line['ratio']):.2f}" if line["ratio"] else "–"
    interval = f"{percent(low)} to {percent(high)}"
    counted = f"{line['n']:,} photographs of {line['people']:,} people"
    cells = (line["label"], f"{line['n']:,}", f"{line['people']:,}", percent(line["share"]), interval)
    return Bar(
        label=line["label"],
        at=line["share"],
        low=low,
        high=high,
        words=f"{percent(line['share'])}, {counted}",
        cells=(*cells, ratio) if reference else cells,
    )


def _mean_plot(table: Mapping[str, Any], score: str) -> Plot:
    told = [(line["label"], line["scores"][score]) for line in table["lines"] if score in line["scores"]]
    bars = tuple(_mean(label, said) for label, said in told if said["mean"])
    heads = ("Group", "Rated photographs", "Mean (0 to 1)", "95 % interval", "Compared", "Agreement (alpha)")
    return Plot("mean", f"Mean of {score}, from 0 to 1", heads, bars, tuple(_mean_notes(table["scores"][score])))


def _mean(label: str, said: Mapping[str, Any]) -> Bar:
    low, high = said["mean_interval"]
    mean, interval = f"{float(said['mean']):.2f}", f"{float(low):.2f} to {float(high):.2f}"
    alpha = f"{float(said['alpha']):.2f}" if said["alpha"] else "–"
    return Bar(
        label=label,
        at=said["mean"],
        low=low,
        high=high,
        words=f"{mean} (95 %: {interval})" + ("" if said["compared"] else ", not compared"),
        cells=(label, f"{said['n']:,}", mean, interval, "yes" if said["compared"] else "no", alpha),
    )


def _mean_notes(found: Mapping[str, Any]) -> list[str]:
    if not found["gaps"]:
        return [f"Nothing to compare: fewer than two groups shown here have {COMPARED_FROM} rated photographs."]
    worst = found["gaps"][0]
    allowed = "more than" if float(found["gap"]) > LARGEST_GAP else "within"
    notes = [
        f"Largest gap: {worst['higher']} {float(worst['gap']):.3f} above {worst['lower']}, {allowed} the "
        f"{LARGEST_GAP} allowed."
    ]
    if found["disparity"]:
        notes.append(f"The lowest mean is {float(found['disparity']):.1%} below the highest.".replace("%", " %"))
    return notes
