"""What a data manager does with calls: open, change, close early, say how many of whom."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from collection.models import DIMENSIONS, Call, Target
from collection.progress import label
from consent.demographics import ATTRIBUTES
from consent.refusals import Refused
from consent.suppression import SMALL

MOST_TARGETS = 60
GOALS = ("people", "photographs")


def open_call(*, fields: Mapping[str, Any], wanted: Iterable[Mapping[str, Any]] = ()) -> Call:
    """A new call with its targets. Refused says what is wrong with them."""
    call = Call(**fields)
    targets = _check_targets(call, wanted)
    with transaction.atomic():
        call.save()
        _replace_targets(call, targets)
    return call


def change_call(*, call: Call, fields: Mapping[str, Any], wanted: Iterable[Mapping[str, Any]] | None = None) -> Call:
    """Change a call and, unless `wanted` is None, its targets, as far as that breaks no promise."""
    with transaction.atomic():
        call = Call.objects.select_for_update(no_key=True).get(pk=call.pk)  # uploads wait, and see the new targets
        _refuse_broken_promises(call, fields)
        for name, value in fields.items():
            setattr(call, name, value)
        call.save()
        if wanted is not None:
            _replace_targets(call, _check_targets(call, wanted))
    return call


def close_call(*, call: Call) -> None:
    """Close a call before its time, for good. Refused if it is over already."""
    if not Call.objects.filter(pk=call.pk, closed_at__isnull=True, closes_at__gt=timezone.now()).update(
        closed_at=timezone.now()
    ):
        raise Refused("This call is closed already.")


def _refuse_broken_promises(call: Call, fields: Mapping[str, Any]) -> None:
    if call.is_over():
        raise Refused("This call is closed. Open a new one if you need more photographs.")
    changed = {name for name, value in fields.items() if getattr(call, name) != value}
    begun = call.opens_at <= timezone.now()
    if "form" in changed and call.images.exists():
        raise Refused("Photographs came in under the form of this call, so it stays. Open a new call for another form.")
    if begun and "slug" in changed:
        raise Refused("People may have the address of this call, so its short name stays.")
    if begun and "opens_at" in changed:
        raise Refused("This call is open already, so its opening stays as it is.")
    if begun and fields.get("closes_at", call.closes_at) < call.closes_at:
        raise Refused("People were told until when they can take part. Extend the call, or close it early.")
    if begun and fields.get("max_per_person", call.max_per_person) < call.max_per_person:
        raise Refused(f"People were told that they can send {call.max_per_person} photographs. Allow as many, or more.")


# --- Targets -------------------------------------------------------------------------------------


def _replace_targets(call: Call, targets: Sequence[Target]) -> None:
    """Those of the same group keep their row, and with it their place in the order in which they are shown."""
    kept = {_group(target): target for target in call.targets.all()}
    for target in targets:
        if same := kept.pop(_group(target), None):
            target.pk = same.pk
            target.save(update_fields=["people", "photographs"])
        else:
            target.save()
    Target.objects.filter(pk__in=[target.pk for target in kept.values()]).delete()


def _group(target: Target) -> tuple[str, ...]:
    return tuple(getattr(target, name) for name in DIMENSIONS)


def _check_targets(call: Call, wanted: Iterable[Mapping[str, Any]]) -> list[Target]:
    """The targets, not yet saved. Refused names the first thing that is wrong."""
    targets = [Target(call=call, **row) for row in wanted]
    if len(targets) > MOST_TARGETS:
        raise Refused(f"A call has {MOST_TARGETS} targets at most, so that people can still read them.")
    seen = set()
    for target in targets:
        _check_target(call, target)
        if _group(target) in seen:
            raise Refused(f"There are two targets for “{label(target)}”. Make one of them.")
        seen.add(_group(target))
    for parent in targets:
        _refuse_impossible_sum(parent, targets)
    return targets


def _check_target(call: Call, target: Target) -> None:
    for name, value in target.asks().items():
        if value not in ATTRIBUTES[name][1]:
            raise Refused(f"“{value}” is no answer to {ATTRIBUTES[name][0].lower()}. Choose one from the list.")
    name, people, photographs = label(target), target.people, target.photographs
    if people is None and photographs is None:
        raise Refused(f"Say how many people or photographs you want for “{name}”.")
    if people is not None and people < SMALL:
        raise Refused(
            f"“{name}”: ask for at least {SMALL} people. Fewer are never shown, so that nobody is singled out."
        )
    if photographs is not None and photographs < (people or 1):
        raise Refused(f"“{name}”: {people or 1} people give at least {people or 1} photographs.")
    if people is not None and photographs is not None and photographs > people * call.max_per_person:
        raise Refused(
            f"“{name}”: {people} people can send {people * call.max_per_person} photographs at most, as each may send "
            f"{call.max_per_person}. Ask for more people, or for fewer photographs."
        )


def _refuse_impossible_sum(parent: Target, targets: Sequence[Target]) -> None:
    """Groups inside another one, of which no two overlap, cannot want more than that one takes."""
    inside = defaultdict(list)
    for child in targets:
        if child is not parent and parent.asks().items() <= child.asks().items():
            inside[tuple(child.asks())].append(child)  # they ask for different answers to the same: none is in two
    for children in inside.values():
        for goal in GOALS:
            most, asked = getattr(parent, goal), sum(getattr(child, goal) or 0 for child in children)
            if most is not None and asked > most:
                raise Refused(
                    f"“{label(parent)}” ends at {most} {goal}, but the groups in it want {asked}: "
                    f"{', '.join(label(child) for child in children)}. Raise the one or lower the others."
                )
