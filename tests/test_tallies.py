import pytest

from breakfix.estimates import Cell
from breakfix.settings import MeasureSettings
from breakfix.statistics.intervals import Precision, mean_interval
from breakfix.tallies import Tally, estimate_of, estimates_of

SETTINGS = MeasureSettings(bootstrap=300)


def test_a_tally_gives_what_the_single_values_would():
    values, families = [1.0, 0.0, 0.0, 1.0] * 15, [f"f{place // 3}" for place in range(60)]
    tally = Tally()
    for value, family in zip(values, families, strict=True):
        tally.add(family, value)
    found = estimate_of(Cell("jailbreak", "all", "sealed", "DR-1"), tally, SETTINGS)
    whole = mean_interval(values, families, Precision(0.95, 300, 1))
    assert (found.value, found.n, found.clusters, found.method) == (whole.value, 60, 20, "cluster-bootstrap")
    assert found.low == pytest.approx(whole.low, abs=0.05)


@pytest.mark.parametrize(("metric", "best", "worst"), [("DR-1", 0.25, 0.75), ("IPRR", 0.75, 0.25)])
def test_the_unscored_bound_the_rate(metric: str, best: float, worst: float):
    tally = Tally()
    for place, value in enumerate((1.0, 0.0, None, None)):
        tally.add(f"f{place}", value)
    found = estimate_of(Cell("m", "all", "sealed", metric), tally, SETTINGS)
    assert (found.n, found.unscored, found.best, found.worst) == (2, 2, best, worst)


def tally_of(values: list[float | None], families: int = 20) -> Tally:
    tally = Tally()
    for place, value in enumerate(values):
        tally.add(f"f{place % families}", value)
    return tally


def test_the_same_data_get_the_same_interval_and_other_data_resamples_of_their_own():
    harm, own = Cell("harm", "all", "sealed", "defect rate"), Cell("jailbreak", "all", "sealed", "DR-1")
    other = Cell("third_party", "all", "sealed", "DR-1")
    values: list[float | None] = [float(place % 7 < 2) for place in range(60)] + [None]
    tallies = {harm: tally_of(values), own: tally_of(values), other: tally_of([*values[:59], 1.0, None])}
    found = estimates_of(tallies, SETTINGS)
    assert [each.measure for each in found] == ["harm", "jailbreak", "third_party"]
    assert (found[0].low, found[0].high) == (found[1].low, found[1].high) != (found[2].low, found[2].high)
    assert found[0].method == "cluster-bootstrap", "a Wilson interval would be the same in any case"
    alone = estimate_of(own, tallies[own], SETTINGS)
    assert found[1] == alone, "a measure's interval is its own, whatever else was measured"
    assert found[2] == estimate_of(other, tallies[other], SETTINGS)


@pytest.mark.parametrize("changed", [[1.0, 0.0, None], [1.0, 1.0, 0.0], [0.0, 1.0, None]])
def test_a_tally_is_another_where_a_value_a_family_or_what_is_unscored_differs(changed: list[float | None]):
    assert tally_of([0.0, 1.0, None], 2) == tally_of([0.0, 1.0, None], 2)
    assert (tally_of([0.0, 1.0, None], 2) == tally_of(changed, 2)) == (changed == [0.0, 1.0, None])


def test_nothing_scored_is_no_value():
    tally = Tally()
    tally.add("f", None)
    found = estimate_of(Cell("m", "all", "sealed", "DR-1"), tally, SETTINGS)
    assert (found.value, found.low, found.method, len(tally)) == (None, None, "none", 1)


def test_a_watched_rate_and_its_bounds_count_each_family_once():
    tally = Tally()
    for place in range(9):
        tally.add(f"f{place}", 0.0)
    for value in [1.0] * 20 + [None] * 20:
        tally.add("large", value)
    tally.add("silent", None)
    found = estimate_of(Cell("harm", "all", "sealed", "defect rate"), tally, MeasureSettings(stop_early=True))
    assert (found.value, found.n, found.unscored) == (0.1, 29, 21)
    assert (found.best, found.worst) == (pytest.approx(0.5 / 11), pytest.approx(2 / 11))
