"""Before and after: tests and intervals for differences, from numbers alone.

All differences are after minus before. docs/methods.md gives each formula with its source. This module knows nothing
of scenarios or verdicts.
"""

import math
from collections.abc import Hashable, Sequence

from breakfix.statistics.intervals import (
    USUAL,
    Precision,
    are_alike,
    cluster_bootstrap_mean,
    cluster_sums,
    wilson,
)


def mcnemar_exact(b: int, c: int) -> float:
    """Test b pairs that changed one way against c that changed the other, two-sided and exact (McNemar 1947)."""
    changed = b + c
    if changed == 0:
        return 1.0
    tail, _ = _lower_tail(changed, min(b, c))
    return float(min(1.0, 2 * tail / 2**changed))


def mcnemar_mid_p(b: int, c: int) -> float:
    """Test as `mcnemar_exact`, counting half of what was seen itself: nearer to its level, on average below it.

    Fagerland, Lydersen and Laake (2013) recommend it where the exact test is too cautious; it may pass the level a
    little, so verdicts and gates use the exact one.
    """
    changed = b + c
    if changed == 0:
        return 1.0
    tail, last = _lower_tail(changed, min(b, c))
    if b == c:  # both tails hold it: less half of it once
        return 1 - last / 2 ** (changed + 1)
    return (2 * tail - last) / 2**changed


def _lower_tail(n: int, most: int) -> tuple[int, int]:
    """Add up C(n, k) for k to `most`, each from the one before, in whole numbers; give the sum and the last."""
    term = total = 1
    for k in range(most):
        term = term * (n - k) // (k + 1)
        total += term
    return total, term


def sign_flip(before: Sequence[float], after: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """Test paired whole numbers by swapping before and after within whole clusters: exact, two-sided.

    The null distribution of the summed difference is built by convolution, one cluster at a time (Fisher 1935; for
    clusters Gail et al. 1996). With one pair of 0/1 a cluster it is McNemar's exact test.
    """
    import numpy as np

    differences = [late - early for early, late in zip(before, after, strict=True)]
    if any(value != int(value) for value in differences):
        raise ValueError("sign_flip needs whole numbers")
    steps = [abs(int(total)) for total in cluster_sums(differences, clusters)[0] if total]
    observed = abs(int(sum(differences)))
    reach = sum(steps)
    if observed == 0 or reach == 0:
        return 1.0
    chance = np.zeros(2 * reach + 1)
    chance[reach] = 1.0
    for step in steps:
        moved = np.zeros_like(chance)
        moved[step:] += chance[: len(chance) - step]
        moved[: len(chance) - step] += chance[step:]
        chance = moved / 2
    return float(min(1.0, chance[: reach - observed + 1].sum() + chance[reach + observed :].sum()))


def fisher_exact(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Test two independent rates, each (k, n), two-sided: tables no likelier than the one seen (Fisher 1935).

    Each table's logarithm follows from its neighbour's by the ratio of hypergeometric terms; tables count as equally
    likely within one in ten million, as in R.
    """
    import numpy as np

    (had, tried), (has, retried) = before, after
    events = had + has
    first, last = max(0, events - retried), min(events, tried)
    k = np.arange(first, last, dtype=float)
    steps = np.log((tried - k) * (events - k)) - np.log((k + 1) * (retried - events + k + 1))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    chances = np.exp(logs - logs.max())
    return float(min(1.0, chances[logs <= logs[had - first] + 1e-7].sum() / chances.sum()))


def newcombe(before: tuple[float, float], after: tuple[float, float], level: float = 0.95) -> tuple[float, float]:
    """Bound the difference of two independent rates, each (k, n): Newcombe 1998b, method 10."""
    return _square_and_add(before, after, 0.0, level)


def newcombe_paired(table: tuple[float, float, float, float], level: float = 0.95) -> tuple[float, float]:
    """Bound the difference of two paired rates: Newcombe 1998c, method 10 (continuity-corrected phi).

    `table` counts pairs: in both, before only, after only, in neither.
    """
    both, early, late, neither = table
    n = both + early + late + neither
    product = (both + early) * (late + neither) * (both + late) * (early + neither)
    lean = both * neither - early * late
    if lean > 0:
        lean = max(0.0, lean - n / 2)
    phi = lean / math.sqrt(product) if product > 0 else 0.0
    return _square_and_add((both + early, n), (both + late, n), phi, level)


def paired_interval(
    before: Sequence[float],
    after: Sequence[float],
    clusters: Sequence[Hashable],
    precision: Precision = USUAL,
    *,
    top: float = 1.0,
) -> tuple[float, float]:
    """Bound the mean difference of values from 0 to `top` by the method that their clusters allow.

    Newcombe's paired interval where all are 0 or `top` and every cluster is single; else a cluster bootstrap of the
    differences; and where clusters changed too much alike for one, Newcombe's with each cluster counted once.
    """
    differences = [late - early for early, late in zip(before, after, strict=True)]
    totals, sizes = cluster_sums(differences, clusters)
    is_binary = all(value in (0, top) for value in (*before, *after))
    if len(totals) == len(differences) and is_binary:
        low, high = newcombe_paired(_pair_table(before, after), precision.level)
    elif not are_alike(total / size for total, size in zip(totals, sizes, strict=True)):
        return cluster_bootstrap_mean(differences, clusters, precision)
    elif is_binary:
        scale = len(totals) / len(differences)
        both, early, late, neither = (count * scale for count in _pair_table(before, after))
        low, high = newcombe_paired((both, early, late, neither), precision.level)
    else:
        effective, n = len(totals), len(differences)
        first, last = (min(1.0, math.fsum(side) / n / top) * effective for side in (before, after))
        low, high = newcombe((first, effective), (last, effective), precision.level)
    return low * top, high * top


def paired_test(before: Sequence[float], after: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """Give the exact two-sided p: McNemar where every cluster is one pair of 0 and 1, else the sign-flip by cluster."""
    single = len(set(clusters)) == len(clusters)
    if single and all(value in (0, 1) for value in (*before, *after)):
        _, early, late, _ = _pair_table(before, after)
        return mcnemar_exact(early, late)
    return sign_flip(before, after, clusters)


def holm(ps: Sequence[float]) -> list[float]:
    """Adjust p-values of one family, in the order given (Holm 1979): the chance of any false alarm is held."""
    order = sorted(range(len(ps)), key=lambda place: ps[place])
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Adjust p-values of one family, in the order given (Benjamini and Hochberg 1995).

    Held is the expected share of false alarms among all alarms, for independent or positively dependent tests: for
    searching many cells, where `holm` would hold the chance of any false alarm.
    """
    order = sorted(range(len(ps)), key=lambda place: ps[place], reverse=True)
    adjusted = [0.0] * len(ps)
    least = 1.0
    for passed, place in enumerate(order):
        least = min(least, ps[place] * len(ps) / (len(ps) - passed))
        adjusted[place] = least
    return adjusted


def _pair_table(before: Sequence[float], after: Sequence[float]) -> tuple[int, int, int, int]:
    pairs = [(early > 0, late > 0) for early, late in zip(before, after, strict=True)]
    return (
        pairs.count((True, True)),
        pairs.count((True, False)),
        pairs.count((False, True)),
        pairs.count((False, False)),
    )


def _square_and_add(
    before: tuple[float, float], after: tuple[float, float], phi: float, level: float
) -> tuple[float, float]:
    first, last = before[0] / before[1], after[0] / after[1]
    first_low, first_high = wilson(*before, level)
    last_low, last_high = wilson(*after, level)
    down, up = last - last_low, first_high - first
    rise, fall = last_high - last, first - first_low
    difference = last - first
    low = difference - math.sqrt(max(0.0, down * down - 2 * phi * down * up + up * up))
    high = difference + math.sqrt(max(0.0, rise * rise - 2 * phi * rise * fall + fall * fall))
    return max(-1.0, low), min(1.0, high)
