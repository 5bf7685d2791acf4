"""Krippendorff's alpha against his own examples (Computing Krippendorff's Alpha-Reliability, 2011)."""

import pytest

from annotation.quality import krippendorff_alpha

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


def test_full_agreement_is_one():
    assert krippendorff_alpha([[1, 2, 3], [1, 2, 3]], "interval") == 1


@pytest.mark.parametrize("ratings", [[], [[1, 2]], [[1, None], [None, 2]], [[3, 3], [3, 3]]])
def test_nothing_to_compare(ratings):
    assert krippendorff_alpha(ratings, "nominal") is None


def test_ratio_of_zeros_and_unknown_level():
    assert krippendorff_alpha([[0, 1], [0, 0]], "ratio") is not None
    with pytest.raises(ValueError, match="nominal, ordinal, interval, ratio"):
        krippendorff_alpha(PUBLISHED, "cubic")
