import random

import pytest

from breakfix.statistics.intervals import (
    Precision,
    cluster_bootstrap_mean,
    end_elsewhere,
    mean_interval,
    normal_quantile,
    student_quantile,
    wilson,
)
from breakfix.statistics.sequential import interval_now


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_examples(k: int, n: int, low: float, high: float):
    assert wilson(k, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_symmetric_and_refuses_impossible_counts():
    low, high = wilson(3, 10)
    assert wilson(7, 10) == pytest.approx((1 - high, 1 - low))
    with pytest.raises(ValueError, match="no rate of 4 in 3"):
        wilson(4, 3)


@pytest.mark.parametrize(
    ("level", "freedom", "t"),
    [
        (0.95, 1, 12.7062),
        (0.95, 2, 4.30265),
        (0.95, 4, 2.77645),
        (0.95, 9, 2.26216),
        (0.99, 30, 2.75000),
        (0.9, 120, 1.65765),
    ],
)
def test_student_quantiles_are_those_of_the_tables(level: float, freedom: int, t: float):
    assert student_quantile(level, freedom) == pytest.approx(t, rel=1e-5)


def test_a_bootstrap_is_the_same_on_every_call_and_follows_its_seed():
    draw = random.Random(1)
    values, clusters = [draw.random() for _ in range(40)], [place // 2 for place in range(40)]
    first = cluster_bootstrap_mean(values, clusters, Precision(seed=1))
    assert first == cluster_bootstrap_mean(values, clusters, Precision(seed=1))
    assert first != cluster_bootstrap_mean(values, clusters, Precision(seed=2))


def test_equal_answers_within_families_widen_the_interval():
    values = [float(place % 10 < 5) for place in range(60)]
    alone = mean_interval(values, list(range(60)))
    together = mean_interval(sorted(values), [place // 3 for place in range(60)])
    assert alone.method == "wilson" and together.method == "cluster-bootstrap"
    assert together.high - together.low > 1.4 * (alone.high - alone.low)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_where_all_agree_each_family_counts_once_and_the_interval_does_not_collapse(value: float):
    interval = mean_interval([value] * 60, [place // 5 for place in range(60)])
    assert interval.method == "wilson-clusters"
    assert (interval.low, interval.high) == wilson(12 * value, 12)


@pytest.mark.parametrize("means", [[2] * 12, [2] * 30 + [1, 3, 3, 0]])
def test_where_nearly_all_families_are_alike_the_interval_does_not_collapse(means: list[float]):
    interval = mean_interval(means, list(range(len(means))), top=4)
    assert interval.method == "wilson-clusters"
    assert interval.low < interval.value - 0.5 and interval.high > interval.value + 0.5
    halves = mean_interval([0.0, 1.0] * 12, [place // 2 for place in range(24)])
    assert (halves.low, halves.high) == wilson(6, 12)


def test_one_failure_is_never_more_certain_than_none():
    clusters = [place // 5 for place in range(60)]
    highs = [mean_interval([1.0] * k + [0.0] * (60 - k), clusters).high for k in range(4)]
    assert highs == sorted(highs)


def test_a_mean_on_0_to_4_is_bounded_within_its_range():
    spread = mean_interval([0, 1, 2, 3, 4] * 12, list(range(60)), top=4)
    assert spread.method == "cluster-bootstrap" and 0 < spread.low < 2 < spread.high < 4
    flat = mean_interval([4.0] * 9, list(range(9)), top=4)
    assert flat.method == "wilson" and flat.high == 4 and 2 < flat.low < 4


@pytest.mark.parametrize(
    ("families", "size", "rate", "likeness"), [(20, 3, 0.3, 0.3), (12, 5, 0.1, 0.3), (60, 1, 0.05, 0.0)]
)
def test_intervals_cover_the_truth_about_as_often_as_they_say(families: int, size: int, rate: float, likeness: float):
    """300 worlds of families whose own rates vary (beta with intra-family correlation `likeness`)."""
    draw, covered = random.Random(7), 0
    for world in range(300):
        values: list[float] = []
        for _ in range(families):
            scale = (1 - likeness) / likeness if likeness else None
            own = draw.betavariate(rate * scale, (1 - rate) * scale) if scale else rate
            values += [float(draw.random() < own) for _ in range(size)]
        clusters = [place // size for place in range(families * size)]
        interval = mean_interval(values, clusters, Precision(resamples=400, seed=world))
        covered += interval.low <= rate <= interval.high
    assert covered / 300 >= 0.91


@pytest.mark.parametrize(("k", "there"), [(0, 20), (5, 20), (10, 10), (0, 100)])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_an_end_elsewhere_is_wilsons_of_as_many(k: int, there: int, level: float):
    widen = normal_quantile(level) / normal_quantile(0.95)
    found = end_elsewhere(k / 100, wilson(k, 100)[1], there / 100, widen=widen)
    assert found == pytest.approx(wilson(there, 100, level)[1])


@pytest.mark.parametrize(("k", "there"), [(0, 10), (5, 20), (10, 15), (30, 30)])
def test_an_end_elsewhere_is_about_a_confidence_sequences(k: int, there: int):
    early, late = (interval_now([1.0] * some * 4 + [0.0] * (100 - some) * 4) for some in (k, there))
    found = end_elsewhere(early.value, early.high, late.value, is_sequential=True)
    assert found == pytest.approx(late.high, abs=0.006)
