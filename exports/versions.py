"""Which number a release gets (SemVer), and why.

Major: rows of the last release are gone or withdrawn, or its columns are other ones; minor: more rows, other labels,
further files; patch: only what the card says. Whoever reads shards by a fixed layout can go by the major number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.answers import Control, answered
from exports.differences import Difference, foreseen, said_of
from exports.models import Definition, Release, Revocation
from exports.selection import Candidate, Said

# What makes other columns, or the same ones mean something else.
SCHEMA = {
    "ratings": "ratings are consolidated in another way",
    "choices": "choices are consolidated in another way",
    "longest_side": "the photographs have another size",
}


@dataclass(frozen=True)
class Step:
    """The number of a release, what it says ("first", "major", "minor" or "patch"), and why."""

    version: str
    kind: str
    why: tuple[str, ...]
    difference: Difference | None  # since the release before; None for the first one


def next_step(previous: Release | None, definition: Definition, candidates: Sequence[Candidate]) -> Step:
    """What a release of these images by this definition is called after `previous`."""
    if previous is None:
        return Step("1.0.0", "first", (), None)
    said = said_of(previous)
    change = foreseen(candidates=candidates, rules=definition.rules, earlier=previous, said=said)
    major, minor, patch = (int(part) for part in previous.version.split("."))
    if why := [*_missing(previous, change), *_other_columns(previous, said, definition, candidates)]:
        return Step(f"{major + 1}.0.0", "major", tuple(why), change)
    if why := _more(previous, definition, change):
        return Step(f"{major}.{minor + 1}.0", "minor", tuple(why), change)
    return Step(
        f"{major}.{minor}.{patch + 1}", "patch", ("same rows with the same labels; only its card is new",), change
    )


def _missing(previous: Release, change: Difference) -> list[str]:
    why = []
    if Revocation.objects.filter(item__release=previous).exists():
        why.append(f"rows of {previous.version} were withdrawn")
    if change.removed:
        why.append(f"{len(change.removed)} rows of {previous.version} are not in it")
    return why


def _other_columns(
    previous: Release, said: Mapping[Any, Sequence[Said]], definition: Definition, candidates: Sequence[Candidate]
) -> list[str]:
    before, now = previous.definition.values(*SCHEMA), definition.values(*SCHEMA)
    why = [words for name, words in SCHEMA.items() if before[name] != now[name]]
    columns = answered(said.result for one in candidates for said in one.said)
    if columns != _columns_of(previous, said):
        why.append("its labels are other columns")
    if set(previous.definition.formats) - set(definition.formats):
        why.append("a form of its files is given up")
    return why


def _columns_of(release: Release, said: Mapping[Any, Sequence[Said]]) -> list[Control]:
    images = release.items.values_list("image_id", flat=True)
    return answered(one.result for image in images for one in said.get(image, ()))


def _more(previous: Release, definition: Definition, change: Difference) -> list[str]:
    why = []
    if change.added:
        why.append(f"{len(change.added)} more rows")
    if change.relabelled:
        why.append(f"{len(change.relabelled)} rows have other labels")
    if set(definition.formats) - set(previous.definition.formats):
        why.append("a further form of its files")
    return why
