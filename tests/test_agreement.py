"""Agreement coefficients: published values, hand-computed ones, and intervals that do not promise too much."""

import itertools
import random
from fractions import Fraction
from typing import Literal

import pytest

from breakfix.statistics.agreement import (
    cohen_kappa,
    confusion,
    krippendorff_alpha,
    percent_agreement,
    sensitivity,
    specificity,
)
from breakfix.statistics.correction import Confusion
from breakfix.statistics.intervals import Precision, wilson

FEW = Precision(resamples=400)
N = None
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]
"""Krippendorff 2011, Computing Krippendorff's alpha-reliability, example C: four observers, twelve units."""


def ratings_of(table: dict[tuple[int, int], int]) -> tuple[list[int], list[int]]:
    pairs = [pair for pair, count in table.items() for _ in range(count)]
    return [first for first, _ in pairs], [second for _, second in pairs]


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_krippendorff_s_own(level: str, published: float):
    found = krippendorff_alpha(KRIPPENDORFF, level, precision=FEW)  # pyright: ignore[reportArgumentType]
    assert found.value == pytest.approx(published, abs=6e-4)
    assert found.n == 11, "the unit that one observer rated alone counts nowhere"
    assert found.low is not None and found.high is not None and found.low <= found.value <= found.high


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        ({(1, 1): 20, (1, 0): 5, (0, 1): 10, (0, 0): 15}, Fraction(2, 5)),
        ({(1, 1): 45, (1, 0): 15, (0, 1): 25, (0, 0): 15}, Fraction(3, 23)),
        ({(1, 1): 25, (1, 0): 35, (0, 1): 5, (0, 0): 35}, Fraction(7, 27)),
    ],
)
def test_kappa_is_one_less_observed_over_expected_disagreement(table: dict[tuple[int, int], int], kappa: Fraction):
    assert cohen_kappa(*ratings_of(table), precision=FEW).value == pytest.approx(float(kappa))


@pytest.mark.parametrize(("weights", "power"), [("linear", 1), ("quadratic", 2)])
def test_weighted_kappa_is_what_its_definition_gives_pair_by_pair(weights: str, power: int):
    draw = random.Random(1)
    a = [draw.randint(0, 7) for _ in range(60)]
    b = [min(7, max(0, one + draw.choice((-2, -1, 0, 0, 1)))) for one in a]
    observed = sum(abs(i - j) ** power for i, j in zip(a, b, strict=True)) / len(a)
    expected = sum(abs(i - j) ** power for i, j in itertools.product(a, b)) / len(a) ** 2
    found = cohen_kappa(a, b, weights, precision=FEW)  # pyright: ignore[reportArgumentType]
    assert found.value == pytest.approx(1 - observed / expected)
    assert (found.n, found.method) == (60, "cluster-bootstrap")


def test_two_complete_raters_have_an_alpha_a_little_above_scott_s_pi():
    a, b = ratings_of({(1, 1): 20, (1, 0): 5, (0, 1): 10, (0, 0): 15})
    margin = Fraction(55, 100) ** 2 + Fraction(45, 100) ** 2
    pi = 1 - Fraction(3, 10) / (1 - margin)
    small_sample = 1 - (1 - pi) * Fraction(99, 100)
    assert krippendorff_alpha([a, b], precision=FEW).value == pytest.approx(float(small_sample))


def test_a_unit_that_one_did_not_rate_is_left_out():
    found = percent_agreement([1, N, 2, 3, N], [1, 1, 2, 4, N])
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)
    assert cohen_kappa([1, N, 2, 3], [1, 1, 2, N], precision=FEW).n == 2


def test_texts_can_be_rated_but_not_weighed():
    assert cohen_kappa(["full", "none"] * 10, ["full", "none"] * 10, precision=FEW).value == 1
    with pytest.raises(ValueError, match="numbers"):
        cohen_kappa(["full", "none"], ["full", "none"], "linear")
    with pytest.raises(ValueError, match="numbers"):
        krippendorff_alpha([["full", "none"], ["full", "none"]], "ordinal")


@pytest.mark.parametrize("same", [[], [3, 3, 3, 3]])
def test_what_is_not_defined_is_none(same: list[int]):
    for found in (cohen_kappa(same, same), krippendorff_alpha([same, same])):
        assert (found.value, found.low, found.high, found.method) == (None, None, None, "none")
    assert percent_agreement([], []).value is None


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_a_rater_who_always_says_the_same_has_no_kappa_and_no_sure_zero(weights: Literal["linear", "quadratic"] | None):
    varied, constant = [0, 1] * 200, [1] * 400
    for found in (cohen_kappa(varied, constant, weights), cohen_kappa(constant, varied, weights)):
        assert found[:4] == (None, None, None, 400)
    unmet = cohen_kappa([0, 1, 1, None], [None, 1, 0, 1], weights)
    assert (unmet.value, unmet.n) == (None, 2), "where both rated, the first said 1 only"


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        percent_agreement([1, 2], [1])


def test_full_agreement_on_few_units_is_not_shown_as_sure():
    few, many = (cohen_kappa([0, 1] * n, [0, 1] * n) for n in (5, 500))
    assert few.value == many.value == few.high == 1
    assert few.low == pytest.approx(1 - wilson(0, 10)[1] / 0.5)
    assert many.low is not None and many.low > 0.99
    assert few.method == "wilson-disagreement"


def test_large_clusters_that_all_hold_some_disagreement_say_much_unless_they_are_equal():
    one = ratings_of({(1, 1): 8, (1, 0): 2, (0, 1): 1, (0, 0): 9})
    other = ratings_of({(1, 1): 6, (1, 0): 4, (0, 1): 1, (0, 0): 9})
    clusters = [number // 20 for number in range(600)]
    mixed = cohen_kappa((one[0] + other[0]) * 15, (one[1] + other[1]) * 15, clusters=clusters)
    assert mixed.method == "cluster-bootstrap"
    assert 0.5 < (mixed.low or 0) < 0.6 < (mixed.high or 0) < 0.7
    assert cohen_kappa(one[0] * 30, one[1] * 30, clusters=clusters).method == "wilson-disagreement"


def test_repeated_units_of_one_cluster_count_as_less_evidence():
    a, b = ratings_of({(1, 1): 20, (1, 0): 8, (0, 1): 8, (0, 0): 20})
    alone = cohen_kappa(a, b)
    copied = cohen_kappa(a * 4, b * 4, clusters=list(range(len(a))) * 4)
    unaware = cohen_kappa(a * 4, b * 4)
    width = [(each.high or 0) - (each.low or 0) for each in (alone, copied, unaware)]
    assert width[1] == pytest.approx(width[0], rel=0.1)
    assert width[2] < 0.6 * width[0]


def test_a_judge_against_the_truth():
    said = [True, True, False, False, True, False]
    truth = [True, True, True, False, False, False]
    assert confusion([True, True, False], [False, False, True]) == Confusion(tp=0, fp=2, fn=1, tn=0)
    counts = confusion(said, truth)
    assert counts == Confusion(tp=2, fp=1, fn=1, tn=2)
    assert counts.labels == 6
    hit, spared = sensitivity(said, truth), specificity(said, truth)
    assert (hit.value, hit.n, spared.value, spared.n) == (pytest.approx(2 / 3), 3, pytest.approx(2 / 3), 3)
    assert (hit.low, hit.high) == pytest.approx(wilson(2, 3))
    assert sensitivity([False], [False]).value is None, "nothing true was there to find"


@pytest.mark.parametrize(("n", "slip"), [(40, 0.15), (150, 0.1)])
def test_intervals_cover_the_kappa_that_raters_have(n: int, slip: float):
    """Raters who each call a fair coin wrongly with probability `slip`: kappa is (1 - 2 slip)²."""
    draw = random.Random(3)
    true, held = (1 - 2 * slip) ** 2, 0
    worlds = 150
    for world in range(worlds):
        coins = [draw.random() < 0.5 for _ in range(n)]
        a, b = ([coin != (draw.random() < slip) for coin in coins] for _ in range(2))
        found = cohen_kappa(a, b, precision=Precision(resamples=300, seed=world))
        held += found.low is not None and found.high is not None and found.low <= true <= found.high
    assert 0.90 <= held / worlds <= 0.99
