import itertools
import math
import random
import time

import pytest

from breakfix.statistics.intervals import Precision
from breakfix.statistics.paired import (
    benjamini_hochberg,
    fisher_exact,
    holm,
    mcnemar_exact,
    mcnemar_mid_p,
    newcombe,
    newcombe_paired,
    paired_interval,
    paired_test,
    sign_flip,
)


@pytest.mark.parametrize(
    ("b", "c", "p"), [(1, 7, 0.0703125), (7, 1, 0.0703125), (0, 0, 1.0), (0, 6, 0.03125), (4, 4, 1.0)]
)
def test_mcnemar_is_the_exact_binomial(b: int, c: int, p: float):
    assert mcnemar_exact(b, c) == pytest.approx(p)


@pytest.mark.parametrize(
    ("late", "early", "low", "high"),
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090), ((10, 10), (0, 10), 0.6075, 1.0)],
)
def test_newcombe_gives_the_published_examples(late, early, low: float, high: float):
    assert newcombe(early, late) == pytest.approx((low, high), abs=5e-5)


def test_the_paired_interval_gives_the_published_example():
    """Bentur et al. 2009 as worked by Fagerland, Lydersen and Laake: 1, 1, 7, 12 gives -0.507 to -0.026."""
    assert newcombe_paired((1, 7, 1, 12)) == pytest.approx((-0.507, -0.026), abs=5e-4)


def test_sign_flip_of_single_pairs_is_mcnemar():
    before, after = [1] * 7 + [0] + [1] * 5, [0] * 7 + [1] + [1] * 5
    assert sign_flip(before, after, range(13)) == pytest.approx(mcnemar_exact(7, 1))
    assert paired_test(before, after, range(13)) == mcnemar_exact(7, 1)


def test_sign_flip_by_cluster_equals_full_enumeration():
    draw = random.Random(3)
    before, after = [draw.randrange(5) for _ in range(24)], [draw.randrange(4) for _ in range(24)]
    clusters = [place // 3 for place in range(24)]
    sums = [sum(after[place] - before[place] for place in range(24) if clusters[place] == one) for one in range(8)]
    flips = [
        abs(sum(s * v for s, v in zip(signs, sums, strict=True))) for signs in itertools.product((1, -1), repeat=8)
    ]
    expected = sum(flip >= abs(sum(sums)) for flip in flips) / len(flips)
    assert sign_flip(before, after, clusters) == pytest.approx(expected)


def test_families_that_move_together_are_weaker_evidence():
    before, after = [1.0] * 12, [0.0] * 12
    assert paired_test(before, after, range(12)) < 0.001
    assert paired_test(before, after, [place // 4 for place in range(12)]) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("ps", "adjusted"),
    [([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]), ([], []), ([0.7, 0.9], [1.0, 1.0])],
)
def test_holm_adjusts_stepwise(ps: list[float], adjusted: list[float]):
    assert holm(ps) == pytest.approx(adjusted)


def test_a_difference_never_collapses_to_a_point():
    clusters = [place // 4 for place in range(24)]
    low, high = paired_interval([1.0] * 24, [0.0] * 24, clusters)
    assert low == -1 and -0.75 < high < -0.3
    low, high = paired_interval([4.0] * 24, [0.0] * 24, clusters, top=4)
    assert low == -4 and high < 0


def test_mean_differences_are_bootstrapped_by_cluster():
    draw = random.Random(5)
    before = [float(draw.randrange(5)) for _ in range(90)]
    after = [max(0.0, value - draw.randrange(3)) for value in before]
    low, high = paired_interval(before, after, [place // 3 for place in range(90)], Precision(resamples=500), top=4)
    assert low < sum(after) / 90 - sum(before) / 90 < high < 0


def test_the_paired_interval_covers_the_truth_about_as_often_as_it_says():
    """400 worlds of 60 pairs: harmful before with 0.5; after, harmful with 0.2 or 0.05 as it was before."""
    draw, covered = random.Random(11), 0
    for _ in range(400):
        before = [float(draw.random() < 0.5) for _ in range(60)]
        after = [float(draw.random() < (0.2 if had else 0.05)) for had in before]
        low, high = paired_interval(before, after, range(60))
        covered += low <= 0.5 * 0.2 + 0.5 * 0.05 - 0.5 <= high
    assert covered / 400 >= 0.92


@pytest.mark.parametrize(
    ("before", "after", "p"), [((3, 4), (1, 4), 0.4857143), ((8, 10), (1, 6), 0.0349650), ((0, 5), (0, 7), 1.0)]
)
def test_fisher_gives_the_lady_tasting_tea_and_other_known_tables(before, after, p: float):
    assert fisher_exact(before, after) == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize(
    ("before", "after"),
    [((3, 17), (9, 15)), ((0, 40), (6, 35)), ((40, 40), (35, 35)), ((300, 1000), (251, 900)), ((4, 5000), (19, 5000))],
)
def test_fisher_gives_what_counting_all_tables_in_whole_numbers_does(before: tuple[int, int], after: tuple[int, int]):
    (had, tried), (has, retried) = before, after
    events = had + has
    ways = [
        math.comb(tried, k) * math.comb(retried, events - k)
        for k in range(max(0, events - retried), min(events, tried) + 1)
    ]
    seen = math.comb(tried, had) * math.comb(retried, has)
    exactly = sum(way for way in ways if way <= seen) / math.comb(tried + retried, events)
    assert fisher_exact(before, after) == pytest.approx(exactly, rel=1e-10)


def test_fisher_is_quick_on_large_tables():
    begun = time.perf_counter()
    assert 0 < fisher_exact((25_000, 50_000), (24_500, 50_000)) < 0.01
    assert fisher_exact((30_000, 50_000), (10_000, 50_000)) == 0.0
    assert time.perf_counter() - begun < 1


def test_equal_changes_in_all_families_leave_an_interval_of_some_width():
    families = ["a", "a", "b", "b", "c", "d", "e", "f"]
    low, high = paired_interval([1.0] * 8, [0.0] * 8, families)
    assert -1.0 <= low < high < -0.2


def test_nearly_equal_changes_in_all_families_do_too():
    low, high = paired_interval([1.0] * 40, [0.0] * 39 + [1.0], [place // 2 for place in range(40)])
    assert low < -0.99 and high > -0.9


@pytest.mark.parametrize(
    ("b", "c", "p"), [(1, 7, 0.0390625), (7, 1, 0.0390625), (0, 0, 1.0), (0, 6, 0.015625), (4, 4, 0.86328125)]
)
def test_the_mid_p_counts_half_of_what_was_seen(b: int, c: int, p: float):
    """Fagerland, Lydersen and Laake 2013: 1 and 7 changed, exact 0.070, mid-p 0.039."""
    assert mcnemar_mid_p(b, c) == pytest.approx(p)
    assert mcnemar_mid_p(b, c) <= mcnemar_exact(b, c)


def test_mcnemar_holm_and_benjamini_hochberg_are_statsmodels():
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    assert mcnemar_exact(3, 12) == pytest.approx(tables.mcnemar([[9, 3], [12, 4]], exact=True).pvalue)
    draw = random.Random(9)
    ps = [draw.random() ** 3 for _ in range(40)] + [0.02, 0.02]
    assert holm(ps) == pytest.approx(multitest.multipletests(ps, method="holm")[1])
    assert benjamini_hochberg(ps) == pytest.approx(multitest.multipletests(ps, method="fdr_bh")[1])


def test_intervals_and_tests_are_scipys():
    stats = pytest.importorskip("scipy.stats")
    for k, n, j, m in [(8, 30, 2, 28), (25, 25, 0, 30), (5000, 10_000, 4850, 10_000), (30, 10_000, 12, 10_000)]:
        p = stats.fisher_exact([[k, n - k], [j, m - j]]).pvalue
        assert fisher_exact((k, n), (j, m)) == pytest.approx(p, rel=1e-7)
    assert mcnemar_exact(3, 12) == pytest.approx(stats.binomtest(3, 15).pvalue)


@pytest.mark.parametrize(
    ("ps", "adjusted"), [([0.01, 0.04, 0.03, 0.005], [0.02, 0.04, 0.04, 0.02]), ([], []), ([0.7, 0.9], [0.9, 0.9])]
)
def test_benjamini_hochberg_adjusts_from_the_largest(ps: list[float], adjusted: list[float]):
    assert benjamini_hochberg(ps) == pytest.approx(adjusted)


def test_the_share_of_false_alarms_is_held():
    """300 searches of 40 true nulls and 10 real differences: false alarms among alarms stay at 5 % on average."""
    draw, shares = random.Random(6), []
    for _ in range(300):
        ps = [draw.random() for _ in range(40)] + [draw.random() * 0.002 for _ in range(10)]
        alarms = [place for place, p in enumerate(benjamini_hochberg(ps)) if p < 0.05]
        shares.append(sum(place < 40 for place in alarms) / max(1, len(alarms)))
    assert sum(shares) / len(shares) <= 0.055


def test_mcnemar_of_many_changes_is_exact_and_quick():
    # Two binomials of 10,200 fair coins: by the normal approximation with continuity correction p is about 0.0488.
    assert mcnemar_exact(5000, 5200) == pytest.approx(0.04878796312682245, rel=1e-12)
    assert mcnemar_mid_p(5000, 5200) < mcnemar_exact(5000, 5200)
    assert mcnemar_exact(0, 20_000) == 0.0
