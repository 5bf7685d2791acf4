"""Which number a release gets (SemVer), and why.

Major: rows of the last release are gone or withdrawn, or its columns are other ones; minor: more rows, other labels,
further files; patch: only what the card says. Whoever reads shards by a fixed layout can go by the major number.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exports.differences import Ahead
from exports.models import Definition, Release, Revocation

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
    change: Mapping[str, int] | None  # rows added, removed, relabelled, kept since the one before; None for the first


def next_step(definition: Definition, ahead: Ahead | None) -> Step:
    """What a release by this definition is called; `ahead` was told all its photographs. None: it is the first."""
    if ahead is None:
        return Step("1.0.0", "first", (), None)
    previous, change = ahead.earlier, ahead.counts()
    major, minor, patch = (int(part) for part in previous.version.split("."))
    if why := [*_missing(previous, change), *_other_columns(ahead, definition)]:
        return Step(f"{major + 1}.0.0", "major", tuple(why), change)
    if why := _more(previous, definition, change):
        return Step(f"{major}.{minor + 1}.0", "minor", tuple(why), change)
    return Step(
        f"{major}.{minor}.{patch + 1}", "patch", ("same rows with the same labels; only its card is new",), change
    )


def _missing(previous: Release, change: Mapping[str, int]) -> list[str]:
    why = []
    if Revocation.objects.filter(item__release=previous).exists():
        why.append(f"rows of {previous.version} were withdrawn")
    if change["removed"]:
        why.append(f"{change['removed']} rows of {previous.version} are not in it")
    return why


def _other_columns(ahead: Ahead, definition: Definition) -> list[str]:
    then = ahead.earlier.definition
    before, now = then.values(*SCHEMA), definition.values(*SCHEMA)
    why = [words for name, words in SCHEMA.items() if before[name] != now[name]]
    if ahead.columns != ahead.columns_before:
        why.append("its labels are other columns")
    if set(then.formats) - set(definition.formats):
        why.append("a form of its files is given up")
    return why


def _more(previous: Release, definition: Definition, change: Mapping[str, int]) -> list[str]:
    why = []
    if change["added"]:
        why.append(f"{change['added']} more rows")
    if change["relabelled"]:
        why.append(f"{change['relabelled']} rows have other labels")
    if set(definition.formats) - set(previous.definition.formats):
        why.append("a further form of its files")
    return why
