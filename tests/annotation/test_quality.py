"""Krippendorff's alpha against his own examples (Computing Krippendorff's Alpha-Reliability, 2011), Dawid and Skene's
estimates against the tables of their paper (Applied Statistics 28, 1979)."""

import random
from collections import Counter
from decimal import Decimal
from itertools import product

import numpy as np
import pytest

from annotation.quality import alpha_interval, alpha_of_units, box_overlap, dawid_skene, is_same, krippendorff_alpha

_ = None
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]


@pytest.mark.parametrize(
    ("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)]
)
def test_published_example(level, alpha):
    assert krippendorff_alpha(PUBLISHED, level) == pytest.approx(alpha, abs=0.0005)


@pytest.mark.parametrize(
    ("first", "second", "alpha"),
    [("0100000010", "1110010000", 0.095), ("aabbdcccedda", "babbbccceddd", 0.692)],
)
def test_published_two_observers_without_gaps(first, second, alpha):
    assert krippendorff_alpha([list(first), list(second)], "nominal") == pytest.approx(alpha, abs=0.0005)


def test_units_of_one_kind_may_be_counted_together():
    ratings = [row + row[5:6] for row in PUBLISHED]  # twice what annotators do not agree on
    kinds = Counter(tuple(sorted(v for v in unit if v is not None)) for unit in zip(*ratings, strict=True))
    assert kinds[1, 2, 3, 4] == 2
    for level in ("nominal", "ordinal", "interval", "ratio"):
        alpha = alpha_of_units(((Counter(unit), times) for unit, times in sorted(kinds.items())), level)
        assert alpha == pytest.approx(krippendorff_alpha(ratings, level), abs=1e-12)


def test_full_agreement_is_one():
    assert krippendorff_alpha([[1, 2, 3], [1, 2, 3]], "interval") == 1


@pytest.mark.parametrize("ratings", [[], [[1, 2]], [[1, None], [None, 2]], [[3, 3], [3, 3]]])
def test_nothing_to_compare(ratings):
    assert krippendorff_alpha(ratings, "nominal") is None


def test_ratio_of_zeros_and_unknown_level():
    assert krippendorff_alpha([[0, 1], [0, 0]], "ratio") is not None
    with pytest.raises(ValueError, match="nominal, ordinal, interval, ratio"):
        krippendorff_alpha(PUBLISHED, "cubic")


# Their table 1: 45 patients; what anaesthetist 1 said each of three times, then what 2, 3, 4 and 5 said once.
ANAESTHETISTS = (
    "1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223 "
    "2322223 4444444 2223343 1111111 2223212 1211111 1112111 1111111 1111111 "
    "2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111 2322222 "
    "1111111 1111111 1121121 1111111 3333233 1111111 2222222 2223232 4334343 "
    "2212232 2323233 3333432 1111111 1111111 1212111 2322222 1211111 2222222"
)


def anaesthetists() -> list[tuple[int, int, int]]:
    who = (1, 1, 1, 2, 3, 4, 5)
    return [
        (patient, observer, int(said))
        for patient, answers in enumerate(ANAESTHETISTS.split(), 1)
        for observer, said in zip(who, answers, strict=True)
    ]


def test_dawid_and_skene_published_example():
    found = dawid_skene(anaesthetists())
    assert [found.prior[label] for label in (1, 2, 3, 4)] == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=0.005)
    first = [[found.error_rates[1][true][given] for given in (1, 2, 3, 4)] for true in (1, 2, 3, 4)]
    assert first == [
        pytest.approx(row, abs=0.005)
        for row in ([0.89, 0.11, 0, 0], [0.07, 0.88, 0.05, 0], [0, 0.34, 0.66, 0], [0, 0, 0.56, 0.44])
    ]
    assert found.posterior[1][1] == pytest.approx(1)
    assert max(found.posterior[2], key=found.posterior[2].__getitem__) == 4  # the majority said 3
    for row in (found.prior, *found.posterior.values()):
        assert sum(row.values()) == pytest.approx(1)


def test_dawid_and_skene_find_who_swaps_two_labels():
    """A thousand units; two observers are right nine times in ten, one always says the opposite."""
    chance = random.Random(7)
    truth = [chance.random() < 0.3 for _ in range(1000)]
    rows = [
        (unit, observer, true if chance.random() < 0.9 else not true)
        for (unit, true), observer in product(enumerate(truth), ("good", "better"))
    ]
    rows += [(unit, "swapper", not true) for unit, true in enumerate(truth)]
    found = dawid_skene(rows)
    assert found.error_rates["swapper"][True][False] > 0.95
    assert found.prior[True] == pytest.approx(sum(truth) / 1000, abs=0.02)
    wrong = sum((found.posterior[unit][True] > 0.5) != true for unit, true in enumerate(truth))
    assert wrong < 20  # majority vote: the swapper spoils every unit in which one of the others errs


def test_dawid_and_skene_of_little():
    assert dawid_skene([]).posterior == {}
    alone = dawid_skene([("a", "one", "x")])
    assert (alone.prior, alone.posterior) == ({"x": 1.0}, {"a": {"x": 1.0}})
    many = dawid_skene([("a", "one", "x")] * 5000 + [("a", "two", "y"), ("b", "two", "y")])
    assert many.posterior["a"]["x"] + many.posterior["a"]["y"] == pytest.approx(1)  # no underflow


# --- The interval of alpha -----------------------------------------------------------------------


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_the_interval_is_that_of_alphas_of_drawn_units(level):
    """Beside the same done by hand: draw units, compute alpha of them, take the middle 95 %."""
    units = list(zip(*PUBLISHED, strict=True))
    paired = [unit for unit in units if sum(value is not None for value in unit) > 1]
    generator = np.random.default_rng(3)
    alphas = []
    for _ in range(400):
        drawn = [paired[n] for n in generator.integers(len(paired), size=len(paired))]
        if (alpha := krippendorff_alpha(list(zip(*drawn, strict=True)), level)) is not None:
            alphas.append(alpha)
    by_hand = np.percentile(alphas, (2.5, 97.5))
    assert alpha_interval(PUBLISHED, level, draws=400, seed=3) == pytest.approx(tuple(by_hand))


def test_the_interval_is_narrow_where_there_is_much():
    few = [[1, 2, 3, 4, 1, 2], [1, 2, 3, 4, 1, 1]]
    low, high = alpha_interval(few, "nominal")
    many = [row * 50 for row in few]
    lower, higher = alpha_interval(many, "nominal")
    assert low < lower < krippendorff_alpha(many, "nominal") < higher <= high
    assert alpha_interval([[1, 1], [1, 1]], "nominal") is None
    assert alpha_interval([], "nominal") is None


# --- Saying the same -----------------------------------------------------------------------------


def test_overlap_of_boxes_by_hand():
    assert box_overlap([0, 0, 10, 10], [0, 0, 10, 10]) == 1
    assert box_overlap([0, 0, 10, 10], [5, 0, 10, 10]) == pytest.approx(50 / 150)
    assert box_overlap([0, 0, 10, 10], [10, 0, 10, 10]) == 0
    assert box_overlap([0, 0, 10, 10], [2, 2, 5, 5]) == pytest.approx(0.25)
    speck = [Decimal(0), Decimal(0), Decimal("1e-200"), Decimal("1e-200")]
    assert box_overlap(speck, speck) == 1


@pytest.mark.parametrize(
    ("kind", "a", "b", "same"),
    [
        ("rating", 3, 4, True),
        ("rating", 3, 5, False),
        ("choices", ["glasses"], ["glasses"], True),
        ("choices", ["glasses"], ["beard", "glasses"], False),
        ("box", [0, 0, 10, 10], [0, 0, 10, 5], True),
        ("box", [0, 0, 10, 10], [0, 0, 10, 4], False),
        ("point", [10, 10], [13, 14], True),
        ("point", [10, 10], [14, 14], False),
    ],
)
def test_whether_two_answers_say_the_same(kind, a, b, same):
    assert is_same(kind, a, b) is same
    assert is_same(kind, b, a) is same
