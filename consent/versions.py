"""Which version a text may have: MAJOR.MINOR.PATCH, where a new MAJOR means that signers are asked again."""

import re
from collections.abc import Collection
from typing import Any

from consent.models import ConsentForm, FormText, PurposeEnd
from consent.refusals import Refused

VERSION = re.compile(r"([1-9]\d{0,4})\.(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,4})", re.ASCII)
# What a signer must be asked about again, and how a refusal calls it.
MATERIAL = {
    "purposes": "what the photographs may be used for",
    "recipients": "who receives the data",
    "retention_days": "how long the photographs are kept",
}
# What every language of one version must say alike, and how a refusal calls it.
NEUTRAL = {
    "purposes": "purposes",
    "retention_days": "how long it is kept",
    "storage_locations": "where it is stored",
    "data_categories": "categories of data",
    "jurisdiction": "jurisdiction",
    "controller_name": "controller",
    "controller_address": "the controller's address",
    "contact": "contact",
}
UNORDERED = ("purposes", "recipients", "storage_locations", "data_categories")
Said = dict[str, Any]


def parse_version(version: str) -> tuple[int, int, int]:
    """(major, minor, patch). Refused unless it is three numbers, the first of them at least 1."""
    if not (found := VERSION.fullmatch(version)):
        raise Refused("A version is three numbers with dots between them, such as 1.0.0 for the first one.")
    major, minor, patch = found.groups()
    return int(major), int(minor), int(patch)


def said_by(text: FormText) -> Said:
    """What a published text says, in the form that the functions here compare."""
    fields = {*MATERIAL, *NEUTRAL} - {"purposes"}
    return {**{name: getattr(text, name) for name in fields}, "purposes": [p.pk for p in text.purposes.all()]}


def changes(old: Said, new: Said, fields: Collection[str] = tuple(MATERIAL)) -> list[str]:
    """Which of `fields` differ; the order of a list does not count."""
    return [name for name in fields if _comparable(name, old[name]) != _comparable(name, new[name])]


def _comparable(name: str, value: Any) -> Any:
    return sorted(value) if name in UNORDERED else value


def refuse_bad_version(form: ConsentForm, version: str, language: str, new: Said) -> None:
    """Refused if `new` may not be published as this version of `form`: says which version to use, or what to mend."""
    number = parse_version(version)
    published = sorted(form.texts.prefetch_related("purposes"), key=_number)
    _refuse_older(published, number, version, language)
    same_major = [text for text in published if text.major == number[0]]
    _refuse_disagreement([text for text in same_major if text.version == version], new)
    if same_major:
        _refuse_material_change(same_major, language, new)


def _number(text: FormText) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", text.version))  # older texts have versions of any form


def _refuse_older(published: list[FormText], number: tuple[int, int, int], version: str, language: str) -> None:
    mine = [text for text in published if text.language == language]
    if any(text.version == version for text in mine):
        raise Refused(f"Version {version} ({language}) of this form is already published. Choose a new version.")
    if mine and _number(mine[-1]) > number:
        raise Refused(f"Version {mine[-1].version} ({language}) is published already. Choose a higher one than that.")
    newest = max((text.major for text in published), default=0)
    if newest > number[0]:
        raise Refused(f"People already sign version {newest} of this form. Call this text {newest}.0.0 or higher.")


def _refuse_disagreement(siblings: list[FormText], new: Said) -> None:
    for sibling in siblings:
        if differing := changes(said_by(sibling), new, tuple(NEUTRAL)):
            names = ", ".join(NEUTRAL[name] for name in differing)
            raise Refused(
                f"Version {sibling.version} in another language ({sibling.language}) says something else about: "
                f"{names}. Say the same in every language of a version."
            )


def _refuse_material_change(same_major: list[FormText], language: str, new: Said) -> None:
    mine = [text for text in same_major if text.language == language]
    old = (mine or same_major)[-1]
    said = said_by(old)
    said["purposes"] = sorted(set(said["purposes"]) - _ended())  # what has ended ended for everybody: nothing to ask
    changed = changes(said, new)
    if not mine and len(said["recipients"]) == len(new["recipients"]):  # the same ones, in other words
        changed = [name for name in changed if name != "recipients"]
    if changed:
        names = ", and ".join(MATERIAL[name] for name in changed)
        raise Refused(
            f"Compared with version {old.version} ({old.language}), this one changes {names}. People who signed must "
            f"be asked again, so it needs a new first number: call it {old.major + 1}.0.0."
        )


def _ended() -> set[str]:
    return set(PurposeEnd.objects.values_list("purpose", flat=True))
