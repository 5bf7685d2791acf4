"""Agreement by group of subjects and region of annotators, held against what can be worked out by hand."""

from exports.region_agreement import agreement_by_region

NORTH, SOUTH = {f"n{at}": "north" for at in range(5)}, {f"s{at}": "south" for at in range(5)}


def rows(tone, people, north, south):
    """A photograph each; `north` and `south` say for a person's number and an annotator's what was rated."""
    for person in range(people):
        said = {f"n{at}": north(person, at) for at in range(5)} | {f"s{at}": south(person, at) for at in range(5)}
        yield {"subject": f"{tone}-{person}", "skin_tone": tone, "stars": {"quality": said}}


def found(made, regions):
    return agreement_by_region(list(made), "quality", "skin_tone", "stars", regions)


def test_a_region_that_agrees_and_one_that_does_not():
    made = rows("9", 6, north=lambda person, at: 1 + person % 5, south=lambda person, at: 1 + (person + at) % 5)
    alpha = found(made, NORTH | SOUTH)
    assert alpha["9", "north"] == 1
    assert alpha["9", "south"] < 0
    assert set(alpha) == {("9", "north"), ("9", "south")}


def test_few_annotators_and_few_people_are_left_out():
    four = {name: region for name, region in NORTH.items() if name != "n4"}
    alpha = found(rows("9", 6, lambda person, at: person % 5, lambda person, at: person % 5), four | SOUTH)
    assert set(alpha) == {("9", "south")}  # four of the north, and one who did not say
    assert found(rows("9", 4, lambda person, at: 1, lambda person, at: 1), NORTH | SOUTH) == {}


def test_who_did_not_say_where_they_are_from_is_in_no_region():
    alpha = found(rows("", 6, lambda person, at: person % 5, lambda person, at: person % 5), NORTH)
    assert alpha == {("not said", "north"): 1}
