"""Group reports against cases worked out by hand, and Wilson's interval against published ones."""

import random

import pytest

from exports.deviation import NOT_SAID, group_report, judged_gap, wilson_interval


def rows_of(group: str, scores: list[float], each: int = 1) -> list[dict]:
    """`each` rows in a row are of one person."""
    return [{"subject": f"{group}{index // each}", "tone": group, "score": score} for index, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("count", "total", "below", "above"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_published_intervals(count, total, below, above):
    """R. G. Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998)."""
    assert wilson_interval(count, total) == (pytest.approx(below, abs=5e-5), pytest.approx(above, abs=5e-5))


def test_three_groups_worked_out_by_hand():
    rows = [
        *rows_of("light", [0.9, 0.7] * 15),  # 30 rows, mean 0.8
        *rows_of("dark", [0.8, 0.7] * 10),  # 20 rows, mean 0.75
        *rows_of("medium", [0.5] * 19),  # one row too few to be compared
        *({"subject": f"x{index}", "tone": None, "score": 0.1} for index in range(31)),
    ]
    report = group_report(rows, "score", "tone", reference={"light": 0.6, "dark": 0.1})
    assert [line.group for line in report.lines] == ["dark", "light", "medium", NOT_SAID]
    dark, light, medium, not_said = report.lines
    assert (report.n, report.people) == (100, 100)
    assert (light.n, light.share, light.ratio, light.mean) == (30, 0.3, pytest.approx(0.5), pytest.approx(0.8))
    assert (dark.n, dark.share, dark.ratio, dark.mean) == (20, 0.2, pytest.approx(2.0), pytest.approx(0.75))
    assert [line.compared for line in report.lines] == [True, True, False, False]
    assert (medium.mean, not_said.ratio) == (pytest.approx(0.5), None)
    assert report.gap == pytest.approx(0.05)
    assert report.disparity == pytest.approx(1 - 0.75 / 0.8)
    assert report.passes  # 0.05 is not more than 0.05


def test_a_gap_over_five_hundredths_does_not_pass():
    report = group_report([*rows_of("a", [0.8] * 20), *rows_of("b", [0.74] * 20)], "score", "tone")
    assert (report.gaps[0].higher, report.gaps[0].lower) == ("a", "b")
    assert report.gap == pytest.approx(0.06)
    assert not report.passes


def test_small_groups_are_withheld_and_cannot_be_worked_out():
    rows = [*rows_of("a", [0.8] * 40), *rows_of("b", [0.8] * 30), *rows_of("c", [0.8] * 3)]
    report = group_report(rows, "score", "tone")
    shown = [line.group for line in report.lines if not line.withheld]
    assert shown == ["a"]  # c has 3 people, and 73 - 40 - 30 would say so
    assert all(line.n is None and line.mean is None for line in report.lines if line.withheld)


def test_many_rows_of_few_people_are_hidden_and_still_judged():
    rows = [*rows_of("a", [0.8] * 40), *rows_of("b", [0.8] * 40), *rows_of("c", [0.2] * 40, each=10)]
    report = group_report(rows, "score", "tone")
    assert "c" in {line.group for line in report.lines if line.withheld}
    assert "c" not in {name for gap in report.gaps for name in (gap.higher, gap.lower)}
    assert not report.passes


def test_people_are_resampled_and_not_rows():
    """Ten rows of each person, all alike: ten times as many rows tell no more."""
    chance = random.Random(3)
    means = [chance.random() for _ in range(30)]
    one_each = group_report(rows_of("a", means), "score", "tone").lines[0]
    ten_each = group_report(rows_of("a", [m for m in means for _ in range(10)], each=10), "score", "tone").lines[0]
    assert ten_each.mean == pytest.approx(one_each.mean)
    assert ten_each.mean_interval == pytest.approx(one_each.mean_interval)
    below, above = one_each.mean_interval
    error = 1.96 * (sum((m - one_each.mean) ** 2 for m in means) / 30) ** 0.5 / 30**0.5
    assert (one_each.mean - below, above - one_each.mean) == (pytest.approx(error, rel=0.1),) * 2


def test_intersections_and_rows_without_a_score():
    rows = [{"tone": "a", "gender": "w", "score": None}] * 6 + [{"tone": "a", "gender": "m", "score": 0.5}] * 6
    report = group_report(rows, "score", ("tone", "gender"))
    assert [(line.group, line.n, line.scored, line.mean) for line in report.lines] == [
        ("a × m", 6, 6, 0.5),
        ("a × w", 6, 0, None),
    ]
    assert (report.gap, report.passes) == (None, True)


def test_a_mean_of_few_people_is_withheld_in_a_large_group():
    """Six people, of whom four have a score: their mean would be about fewer than five."""
    rows = [*rows_of("a", [0.9] * 24, each=6), *rows_of("b", [0.9] * 24), {"subject": "x", "tone": "a", "score": None}]
    rows += [{"subject": "y", "tone": "a", "score": None}]
    few, many = group_report(rows, "score", "tone").lines
    assert (few.people, few.mean, few.mean_interval, few.compared) == (6, None, None, False)
    assert many.mean == pytest.approx(0.9)
    assert judged_gap([*rows, *rows_of("c", [0.1] * 20)], "score", "tone").lower == "c"


def test_a_score_outside_is_refused_and_nothing_is_nothing():
    with pytest.raises(ValueError, match="between 0 and 1, not 4"):
        group_report([{"tone": "a", "score": 4}], "score", "tone")
    assert group_report([], "score", "tone").lines == []
