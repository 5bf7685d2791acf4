"""The tables of a deviation report: what is withheld, also across tables and reports, and what the gate calls them."""

from collections import Counter
from itertools import product

import pytest

from exports.deviation_tables import difference, judge, large_answers, tables

ATTRIBUTES = ("skin_tone", "gender")


def people(tone, gender, number, each=2, stars=(5, 5)):
    """Rows of so many people who say the same, each photograph rated by two annotators."""
    score = (sum(stars) / 2 - 1) / 4
    said = {"skin_tone": tone, "gender": gender, "quality": score}
    ratings = {"quality": {"ann": stars[0], "bob": stars[1]}}
    return [
        {"subject": f"{tone}{gender}{person}", **said, "stars": ratings}
        for person in range(number)
        for _ in range(each)
    ]


def by_columns(rows):
    return {tuple(table["columns"]): table for table in tables(rows, ["quality"], ATTRIBUTES, "stars")}


def test_a_table_says_who_is_in_it_and_how_they_are_rated():
    rows = people("2", "woman", 10, stars=(5, 4)) + people("9", "woman", 10, stars=(3, 3)) + people("9", "man", 20)
    tone = by_columns(rows)["skin_tone",]
    light, dark = tone["lines"]
    assert (light["label"], light["n"], light["people"], light["share"]) == ("Tone 2", 20, 10, "0.2500")
    assert light["ratio"] == "2.5000"  # of a tenth
    assert light["scores"]["quality"]["mean"] == "0.8750"
    assert (dark["share"], tone["scores"]["quality"]["gap"]) == ("0.7500", "0.0417")
    assert tone["scores"]["quality"]["disparity"] == "0.0476"  # 1 − 0.8333 / 0.875
    assert not [value for value in _leaves(tone) if isinstance(value, float)]  # canonical JSON has none


def _leaves(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if inner is None else [leaf for one in inner for leaf in _leaves(one)]


def test_agreement_is_told_per_group():
    rows = people("2", "", 5, stars=(5, 5)) + people("2", "", 5, stars=(1, 1)) + people("9", "", 5, stars=(5, 1))
    rows += people("9", "", 5, stars=(1, 5))
    agreed, at_odds = (line["scores"]["quality"]["alpha"] for line in by_columns(rows)["skin_tone",]["lines"])
    assert agreed == "1.0000"
    assert float(at_odds) < 0


def test_withheld_groups_have_no_name():
    rows = people("2", "woman", 40) + people("9", "woman", 30) + people("5", "woman", 3)
    tone = by_columns(rows)["skin_tone",]
    assert [line["label"] for line in tone["lines"]] == ["Tone 2"]
    assert tone["withheld"] == 2
    assert not [leaf for leaf in _leaves(tone) if leaf in ("5", "9", "Tone 5", "Tone 9")]


def test_a_table_that_gives_itself_away_does_not_say_how_many_it_withholds():
    tone = by_columns(people("2", "woman", 4) + people("9", "woman", 4))["skin_tone",]
    assert (tone["lines"], tone["withheld"]) == ([], None)


def test_two_attributes_are_shown_when_every_combination_is_large():
    rows = [row for tone, gender in product("29", ("woman", "man")) for row in people(tone, gender, 6)]
    both = by_columns(rows)["skin_tone", "gender"]
    assert [line["label"] for line in both["lines"]] == [
        "Tone 2 × Man", "Tone 2 × Woman", "Tone 9 × Man", "Tone 9 × Woman",
    ]  # fmt: skip
    assert ("skin_tone", "gender") not in by_columns(rows + people("2", "", 2))  # 14 - 6 - 6 would tell of two


@pytest.mark.parametrize(
    ("small", "kept"),
    [
        (("5", "woman"), ({"2", "7", "9"}, {"woman", "man"})),
        (("2", "other"), ({"7", "9"}, {"woman", "man"})),
        ((None, None), ({"2", "7", "9"}, {"man"})),
    ],
)
def test_no_small_combination_is_left_in_any_sum(small, kept):
    """Eight people each of three tones and two genders, five women and five others without a tone, and three people."""
    cells = {**dict.fromkeys(product("279", ("woman", "man")), 8), (None, "woman"): 5, (None, None): 5, small: 3}
    everybody = [cell for cell, count in cells.items() for _ in range(count)]
    said = tuple({cell[at] for cell in everybody} - {None} for at in (0, 1))
    found = large_answers(everybody, said)
    pooled = Counter(tuple(one if one in found[at] else None for at, one in enumerate(cell)) for cell in everybody)
    assert min(pooled.values()) >= 5
    assert found == kept


def test_an_answer_withheld_alone_is_withheld_together():
    rows = [row for tone, gender in product("29", ("woman", "man")) for row in people(tone, gender, 6)]
    everybody = [(row["skin_tone"], row["gender"]) for row in rows]
    assert large_answers(everybody, ({"2"}, {"woman", "man"}))[0] == {"2"}


def test_a_difference_that_would_tell_of_fewer_than_five_has_no_lines():
    before = by_columns(people("2", "woman", 20) + people("9", "man", 20))["skin_tone",]
    one_more = by_columns(people("2", "woman", 21) + people("9", "man", 20))["skin_tone",]
    five_more = by_columns(people("2", "woman", 25) + people("9", "man", 20))["skin_tone",]
    another_photograph = by_columns([*people("2", "woman", 20), *people("2", "woman", 1, 1), *people("9", "man", 20)])
    assert difference(one_more, before)["lines"] is None
    assert difference(another_photograph["skin_tone",], before)["lines"] is None
    assert difference(five_more, before)["lines"][0] == {"label": "Tone 2", "then": "0.5000", "now": "0.5556"}
    five_left = by_columns(people("2", "woman", 5) + people("9", "man", 20))["skin_tone",]
    none_shown = by_columns(people("2", "woman", 4) + people("9", "man", 20))["skin_tone",]
    assert none_shown["lines"] == []
    assert difference(none_shown, five_left)["lines"] is None  # that it vanished would tell that one left


def test_verdicts():
    def verdict(rows, scores=("quality",)):
        return judge(rows, scores, ATTRIBUTES, list(by_columns(rows).values()))["verdict"]

    alike = people("2", "woman", 10) + people("9", "woman", 10)
    assert verdict(alike) == "passes"
    assert verdict(alike, ()) == "nothing rated"
    assert verdict(people("2", "woman", 9) + people("9", "woman", 9)) == "too few to tell"
    assert verdict(alike + people("5", "man", 10, stars=(4, 4))) == "too far apart"
