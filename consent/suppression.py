"""Small cells: which numbers of a table must not be shown, so that nobody is singled out. Pure; no Django."""

from collections.abc import Collection, Hashable, Mapping, Sequence

SMALL = 5  # a group of fewer people is never shown


def withheld(counts: Sequence[int]) -> frozenset[int]:
    """Indexes of the counts to withhold from a table whose total is shown.

    Those under SMALL; and, if the total would give them away, the smallest of the others too, with all that are as
    small. So what is withheld is always "every count up to some number": any two of them could be exchanged, and as
    they are not all the same, none can be worked out. The one exception is `is_given_away`.
    """
    hidden = {index for index, count in enumerate(counts) if count < SMALL}
    while hidden and len(hidden) < len(counts) and _is_telling([counts[index] for index in hidden]):
        level = min(count for index, count in enumerate(counts) if index not in hidden)
        hidden |= {index for index, count in enumerate(counts) if count == level}
    return frozenset(hidden)


def is_given_away(counts: Sequence[int]) -> bool:
    """True if withholding all of it does not help: every count is as large as a small one can be, or there is one."""
    return len(withheld(counts)) == len(counts) and _is_telling(counts)


def _is_telling(hidden: Sequence[int]) -> bool:
    """Their sum, which follows from the total, tells them: one alone, few people together, or all at the limit."""
    return len(hidden) < 2 or sum(hidden) < SMALL or all(count == SMALL - 1 for count in hidden)


def showable(groups: Sequence[Collection[Hashable]], people: Mapping[Hashable, int]) -> list[bool]:
    """Which of several groups, that may overlap or lie in one another, can be shown with their number of people.

    A group is a collection of cells: the smallest groups that anybody can belong to, of which no two overlap; `people`
    says how many belong to each. One after the other, a group is shown if every region into which the groups shown so
    far and itself cut one another holds at least SMALL people, and no group withheld so far contains it (as a large
    part, it would say why that one is withheld). Whatever is worked out from the numbers shown is then about regions of
    that size, and what is not shown keeps several possible values. Order `groups` from the broad to the narrow, and
    never by how many people they have: then the choice gives nothing away either.
    """
    regions: list[set[Hashable]] = []
    hidden: list[set[Hashable]] = []
    taken: set[Hashable] = set()
    shown = []
    for group in map(set, groups):
        cut = [part for region in regions for part in (region & group, region - group) if part]
        outside = group - taken
        cut += [outside] if outside else []
        large = all(sum(people.get(cell, 0) for cell in part) >= SMALL for part in cut)
        shown.append(large and not any(group <= other for other in hidden))
        if shown[-1]:
            regions, taken = cut, taken | group
        else:
            hidden.append(group)
    return shown
