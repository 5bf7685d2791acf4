"""README.md: the release for people. A Hugging Face header, then a datasheet in seven sections, from data."""

import json
import re
from collections.abc import Sequence

from annotation.answers import Control
from exports import gate
from exports.croissant import MIME, consolidation, licence_url, missing
from exports.models import Definition, Format, Release
from exports.summary import Summary
from exports.writers import NUMBERS, TEXTS, column

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"))
# What opens a block in Markdown that may reach beyond its line, or makes a heading, also within the items of a list.
BEGINS_BLOCK = re.compile(r"^((?:\s|(?:[-+*]|\d{1,9}[.)])(?=\s+\S))*+)([#>=`~-])")
BEGINS_HTML = re.compile(r"<(?=[a-zA-Z/!?])")
FEATURES = {
    "rating": ["dtype: float64"],
    "choices": ["dtype: string"],
    "box": ["list: float32", "length: 4"],
    "point": ["list: float32", "length: 2"],
}


def write(release: Release, summary: Summary) -> bytes:
    """README.md as bytes."""
    return (_header(release, summary) + _body(release, summary)).encode()


def _header(release: Release, summary: Summary) -> str:
    title, terms = json.dumps(release.dataset.title, ensure_ascii=False), release.dataset.terms
    own = terms.startswith("LicenseRef-")
    licence = ["license: other", f"license_name: {terms.lower()}", f"license_link: {licence_url(release)}"]
    lines = [
        f"pretty_name: {title}",
        *(licence if own else [f"license: {terms.lower()}"]),
        "language:\n- en",
        f"size_categories:\n- {_size(summary.rows)}",
        "annotations_creators:\n- crowdsourced" if summary.annotations else "annotations_creators:\n- no-annotation",
        "source_datasets:\n- original",
        "tags:\n- croissant\n- consented",
        "configs:\n- config_name: default\n  default: true\n  data_files:",
        *(f"  - split: {name}\n    path: data/{name}-*.parquet" for name in summary.splits),
        "dataset_info:\n  config_name: default\n  features:",
        *_features(summary.controls),
    ]
    return "---\n" + "\n".join(lines) + "\n---\n"


def _size(rows: int) -> str:
    return next((name for limit, name in SIZES if rows < limit), "n>10M")


def _features(controls: Sequence[Control]) -> list[str]:
    columns = {"image": ["dtype: image"]}
    columns |= {name: ["dtype: string"] for name in TEXTS} | {name: ["dtype: int32"] for name in NUMBERS}
    columns |= {column(control): FEATURES[control.kind] for control in controls}
    return ["\n".join([f"  - name: {name}", *(f"    {line}" for line in lines)]) for name, lines in columns.items()]


def _body(release: Release, summary: Summary) -> str:
    sections = {
        "Motivation": _motivation(release, summary),
        "Composition": _composition(release, summary),
        "Collection process": _collection(summary),
        "Preprocessing, cleaning, labelling": _labelling(release, summary),
        "Uses": _uses(release),
        "Distribution": _distribution(release),
        "Maintenance": _maintenance(release, summary),
    }
    text = "".join(f"\n## {title}\n\n{content}\n" for title, content in sections.items())
    head = f"Version {release.version}, as of {release.snapshot_at.date().isoformat()}."
    return f"# {release.dataset.title}\n\n{head}\n{text}"


def _motivation(release: Release, summary: Summary) -> str:
    purpose = release.dataset.purpose
    return (
        f"{plain(release.definition.description)}\n\nMade for one purpose, {purpose.name}: {purpose.description} "
        f"Responsible: {', '.join(summary.controllers).rstrip('.')}."
    )


def _composition(release: Release, summary: Summary) -> str:
    splits = "".join(f"| {name} | {n} |\n" for name, n in summary.splits.items())
    train, validation, test = release.definition.shares
    return (
        f"{summary.rows} photographs of {summary.subjects} persons "
        f"({', '.join(MIME[ext] for ext in summary.formats)}).\n\n| split | rows |\n|---|---|\n{splits}\n"
        f"Of the persons {train} in a hundred go to train, {validation} to validation and {test} to test, by a salted "
        "hash. Nobody is in two splits, and neither are near-duplicates. A photograph never changes its split. "
        f"Subjects are pseudonyms of this dataset only.\n\nAsked for: {'; '.join(asked_for(release.definition))}. "
        f"{missing(summary)}"
    )


def asked_for(definition: Definition) -> list[str]:
    """Which photographs a definition asks for, in words."""
    words = [
        f"photographs of the call “{definition.call}”" if definition.call else definition.get_basis_display().lower()
    ]
    if definition.territory:
        words.append(f"good for {definition.territory}")
    if definition.shorter_side:
        words.append(f"at least {definition.shorter_side} pixels on the shorter side")
    if definition.dataset.campaign:
        words.append(f"labelled by at least {definition.least_annotators}")
    if definition.least_agreement:
        words.append(f"annotators agree on at least {definition.least_agreement} % of comparisons")
    return words


def _collection(summary: Summary) -> str:
    bases = ", ".join(f"{n} under a {kind}" for kind, n in summary.bases.items())
    texts = f" Texts signed: {', '.join(summary.texts)}." if summary.texts else ""
    terms = f" Licence terms: {', '.join(summary.terms)}." if summary.terms else ""
    return (
        f"Received from {summary.received[0]} to {summary.received[1]}; {bases}.{texts}{terms} "
        "rows/ names the basis of each row, attestations.jsonl proves what each basis covered."
    )


def _labelling(release: Release, summary: Summary) -> str:
    definition = release.definition
    clean = "Photographs were turned upright, stripped of all metadata, re-encoded and freed of duplicates."
    if definition.longest_side:
        clean += f" Those with more than {definition.longest_side} pixels on the longer side were made smaller (JPEG)."
    if not summary.annotations:
        return f"{clean} Labels: not applicable, this dataset has no labelling campaign."
    agreement = "".join(f"\n- {line}" for line in summary.agreement)
    return (
        f"{clean} {summary.annotators} paid annotators made {summary.annotations} annotations in Label Studio, "
        f"{summary.per_item} per image. {consolidation(definition)}\n{agreement}"
    )


def _uses(release: Release) -> str:
    limits = f"\n\nKnown limits: {plain(release.definition.limits)}" if release.definition.limits else ""
    return (
        f"Only for {release.dataset.purpose.name.lower()}, and never to find out who a person is. No balance across "
        f"groups is claimed: contributors chose themselves.{limits}\n\n{gate.card_text(release)}"
    )


def _distribution(release: Release) -> str:
    forms = ", ".join(["Parquet", *(Format(one).label.partition(":")[0] for one in release.definition.formats)])
    return (
        f"Terms: {release.dataset.terms}. Forms: {forms}. Each recipient has a token and pulls with `pull.py`; "
        "`verify.pyz` checks a copy without any access to us. The server hands out both."
    )


def _maintenance(release: Release, summary: Summary) -> str:
    said = [
        "People may withdraw at any time. Recipients then get a signed notice; the next pull takes the rows out of the "
        "copy, and the next release is a new major version without them."
    ]
    if release.previous and (change := summary.change):
        said.append(
            f"Since {release.previous.version}: {change['added']} rows added, {change['removed']} removed, "
            f"{change['relabelled']} with other labels, {change['kept']} kept."
        )
    if release.notes:
        said.append(f"Notes of this release: {plain(release.notes)}")
    return "\n\n".join(said)


def plain(text: str) -> str:
    """What somebody typed, in which nothing begins a section of the card or hides what comes after it.

    Lists, links and emphasis stay; headings, quotations, fences and HTML are shown as they were typed. Browsers send
    lines that end in CR LF; a card has one kind of line end.
    """
    return "\n".join(BEGINS_HTML.sub(r"\\<", BEGINS_BLOCK.sub(r"\1\\\2", line)) for line in text.splitlines())
