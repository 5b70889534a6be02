"""Evidence that may be watched: false alarms stay under alpha however often one looks, and intervals hold all along."""

import math

import numpy as np
import pytest

from breakfix.statistics.exact import upper_bound
from breakfix.statistics.sequential import (
    bets,
    confidence_sequence,
    e_values_above,
    e_values_below,
    interval_now,
    more_needed,
    stops_at,
)

WORLDS = 1000


def binary(seed: int, n: int, rate: float) -> list[float]:
    return (np.random.default_rng(seed).random(n) < rate).astype(float).tolist()


def test_a_bet_cannot_be_expected_to_win_at_the_bound():
    """One value, whose mean is the bound: expected wealth 1; a higher mean loses, a lower one gains."""
    for rate, expected in ((0.2, 1.0), (0.3, 0.9), (0.1, 1.1)):
        mean = rate * e_values_below([1.0], 0.2)[0] + (1 - rate) * e_values_below([0.0], 0.2)[0]
        assert (mean == pytest.approx(1)) if rate == 0.2 else (mean < 1) == (expected < 1)


def test_wealth_is_the_mixture_of_constant_bets():
    fractions, weights = bets()
    odds = (1 - fractions * 0.3) / 0.7
    by_hand = float(np.sum(weights * fractions**2 * odds**5))
    assert weights.sum() == pytest.approx(1)
    assert e_values_below([0, 1, 0, 0, 1, 0, 0], 0.3)[-1] == pytest.approx(by_hand)
    assert e_values_above([1, 0, 1, 1, 0, 1, 1], 0.7)[-1] == pytest.approx(by_hand)


def test_the_order_decides_when_and_not_whether():
    values = binary(1, 300, 0.05)
    assert e_values_below(values, 0.1)[-1] == pytest.approx(e_values_below(sorted(values), 0.1)[-1])
    assert interval_now(values)[1:3] == pytest.approx(interval_now(sorted(values))[1:3])


@pytest.mark.parametrize(("rate", "bound", "side"), [(0.02, 0.1, "below"), (0.3, 0.1, "above"), (0.1, 0.1, None)])
def test_a_bound_is_decided_when_the_interval_leaves_it(rate: float, bound: float, side: str | None):
    values = binary(2, 1000, rate)
    stop = stops_at(values, bound)
    assert stop.side == side
    if stop.at is not None:
        before, now = interval_now(values[: stop.at - 1]), interval_now(values[: stop.at])
        assert before.low <= bound <= before.high
        assert now.high < bound if side == "below" else now.low > bound


def test_a_sequence_only_narrows_and_ends_no_wider_than_it_stands():
    values = binary(3, 400, 0.3)
    found = confidence_sequence(values)
    assert (np.diff(found.lows) >= 0).all() and (np.diff(found.highs) <= 0).all()
    assert found.lows[-1] >= interval_now(values).low and found.highs[-1] <= interval_now(values).high + 1e-12
    wide = confidence_sequence([4 * value for value in values], upper=4)
    assert wide.highs == pytest.approx(4 * found.highs) and wide.lows == pytest.approx(4 * found.lows)


def test_looking_costs_less_than_half_as_much_again_where_nothing_was_found():
    assert 1 < interval_now([0.0] * 100).high / upper_bound(0, 100, 0.975) < 1.5


def test_values_that_hardly_vary_are_known_sooner():
    even = interval_now([0.1] * 100)
    assert even.high - even.low < 0.5 * (interval_now(binary(4, 100, 0.1)).high - interval_now(binary(4, 100, 0.1)).low)


@pytest.mark.parametrize("values", [[], [0.5, 1.5], [-0.1], [math.nan], [[0.0, 1.0]]])
def test_unfit_values_are_refused(values):
    for ask in (lambda: e_values_below(values, 0.1), lambda: confidence_sequence(values), lambda: interval_now(values)):
        with pytest.raises(ValueError, match="one row of numbers from 0 to 1"):
            ask()


@pytest.mark.parametrize("bound", [0.0, 1.0, -0.1])
def test_a_bound_at_the_end_of_the_range_cannot_be_bet_on(bound: float):
    with pytest.raises(ValueError, match="a bound lies between 0 and 1"):
        stops_at([0.0], bound)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_false_alarms_stay_under_alpha_though_every_value_is_looked_at(rate: float):
    """1,000 worlds of 300 values at the bound itself: at most 2.5 % to either side, where a fixed test has far more."""
    draw = np.random.default_rng(5)
    worlds = (draw.random((WORLDS, 300)) < rate).astype(float)
    sides = [stops_at(row, rate).side for row in worlds.tolist()]
    slack = 3 * math.sqrt(0.025 * 0.975 / WORLDS)
    assert sides.count("below") / WORLDS <= 0.025 + slack and sides.count("above") / WORLDS <= 0.025 + slack
    counts, sizes = np.cumsum(worlds, axis=1), np.arange(1, 301)
    z = (counts / sizes - rate) / np.sqrt(rate * (1 - rate) / sizes)
    assert (np.abs(z[:, 29:]) > 1.959964).any(axis=1).mean() > 0.15, "what peeking does to a fixed test"


@pytest.mark.parametrize("rate", [0.05, 0.4])
def test_the_sequence_holds_the_truth_at_every_moment(rate: float):
    held = 0
    for seed in range(80):
        found = confidence_sequence(binary(seed, 100, rate))
        held += bool(((found.lows <= rate) & (found.highs >= rate)).all())
    assert held / 80 >= 0.95


def test_fractions_of_a_family_are_held_too():
    draw, held = np.random.default_rng(6), 0
    for _ in range(40):
        families = draw.binomial(4, draw.beta(1, 4, 60)) / 4
        found = confidence_sequence(families.tolist())
        held += bool(((found.lows <= 0.2) & (found.highs >= 0.2)).all())
    assert held / 40 >= 0.95


@pytest.mark.parametrize("seen", [0, 5, 20, 40, 48])
def test_how_many_more_are_needed_is_exact_where_all_are_alike(seen: int):
    stop = stops_at([0.0] * 60, 0.1).at
    assert stop == 49
    if seen:
        assert more_needed([0.0] * seen, 0.1, most=1000) == stop - seen
    assert more_needed([1.0 - 1.0] * seen, 0.1, most=3) <= 3


@pytest.mark.parametrize("rate", [0.02, 0.05])
def test_how_many_more_are_needed_is_about_right_on_average(rate: float):
    """The forecast after 40 values against what it then took, over many worlds: medians within a factor of two."""
    told, took = [], []
    for seed in range(120):
        values = binary(seed, 3000, rate)
        stop = stops_at(values, 0.1)
        if stop.side == "below" and stop.at is not None and stop.at > 40:
            told.append(more_needed(values[:40], 0.1, most=2000))
            took.append(stop.at - 40)
    assert len(told) > 60 and 0.5 < np.median(told) / np.median(took) < 2


def test_what_would_never_be_decided_needs_all_there_are():
    assert more_needed([0.0, 1.0] * 20, 0.1, most=500) == 500
    assert more_needed([0.0, 1.0] * 20, 0.0, most=500) == 500, "no rate lies below nought"
    assert more_needed([], 0.1, most=0) == 1
