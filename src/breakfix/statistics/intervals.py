"""Intervals for one rate or mean, from numbers alone.

A rate of independent conversations has a Wilson interval. Where several conversations share a family, families are
resampled instead; and where too few families differ for that to mean anything, a Wilson interval counts each family
once, so that scarce evidence never looks precise. docs/methods.md gives each formula with its source and the coverage
measured for it. This module knows nothing of scenarios or verdicts.
"""

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import NamedTuple

FEWEST_MIXED_CLUSTERS = 5
"""A bootstrap needs at least so many clusters with some of the thing counted, and as many not full of it."""
DRAWS_AT_ONCE = 200_000
"""Random indices held in memory at a time."""


class Precision(NamedTuple):
    """How sure an interval must be, and how it is resampled."""

    level: float = 0.95
    resamples: int = 2000
    seed: int = 0


USUAL = Precision()


class Interval(NamedTuple):
    """A value between its bounds, and the method that gave them."""

    value: float
    low: float
    high: float
    method: str


def normal_quantile(level: float) -> float:
    """Give z such that a standard normal lies within -z and z with probability `level`."""
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(k: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Bound a rate of k in n (Wilson 1927; Newcombe 1998a, method 3). Fractions are allowed, for effective counts."""
    if not 0 <= k <= n or n <= 0:
        raise ValueError(f"no rate of {k} in {n}")
    z = normal_quantile(level)
    rate = k / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return (0.0 if k == 0 else max(0.0, centre - half)), (1.0 if k == n else min(1.0, centre + half))


def student_quantile(level: float, freedom: int) -> float:
    """Give t such that Student's t lies within -t and t with probability `level` (Hill 1970, algorithm 396)."""
    tail = 1 - level
    if freedom == 1:
        return 1 / math.tan(tail * math.pi / 2)
    if freedom == 2:
        return math.sqrt(2 / (tail * (2 - tail)) - 2)
    a = 1 / (freedom - 0.5)
    b = 48 / (a * a)
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * freedom
    y = (d * tail) ** (2 / freedom)
    if y > 0.05 + a:
        x = -normal_quantile(level)
        y = x * x
        if freedom < 5:
            c += 0.3 * (freedom - 4.5) * (x + 0.6)
        c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y * y)
    else:
        poly = (
            1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3) + 0.5 / (freedom + 4)
        ) * y - 1
        y = poly * (freedom + 1) / (freedom + 2) + 1 / y
    return math.sqrt(freedom * y)


def cluster_bootstrap_mean(
    values: Sequence[float], clusters: Sequence[Hashable], precision: Precision = USUAL
) -> tuple[float, float]:
    """Bound a mean by resampling whole clusters (Davison and Hinkley 1997, section 3.8).

    Percentiles are taken a little further out, by Student's t over the number of clusters (Hesterberg 2015, section
    5.3), since few clusters understate their own spread. At least two clusters are needed.
    """
    import numpy as np

    totals, sizes = cluster_sums(values, clusters)
    count = len(totals)
    if count < 2:
        raise ValueError("a cluster bootstrap needs two clusters")
    total, size = np.asarray(totals, dtype=float), np.asarray(sizes, dtype=float)
    draw = np.random.default_rng(precision.seed)
    at_once = max(1, DRAWS_AT_ONCE // count)
    means: list[float] = []
    while len(means) < precision.resamples:
        chosen = draw.integers(0, count, size=(min(at_once, precision.resamples - len(means)), count))
        means.extend((total[chosen].sum(axis=1) / size[chosen].sum(axis=1)).tolist())
    reach = math.sqrt(count / (count - 1)) * student_quantile(precision.level, count - 1)
    tail = NormalDist().cdf(-reach)
    low, high = np.quantile(np.asarray(means), [tail, 1 - tail])
    return float(low), float(high)


def mean_interval(
    values: Sequence[float], clusters: Sequence[Hashable], precision: Precision = USUAL, *, top: float = 1.0
) -> Interval:
    """Bound the mean of values from 0 to `top` by the method that their clusters allow.

    wilson: values of 0 or `top` only and every cluster single. wilson-clusters: too few clusters differ, so each counts
    once (a mean is scaled to 0-1, whose variance p(1-p) bounds). cluster-bootstrap: all else.
    """
    n = len(values)
    mean = math.fsum(values) / n
    totals, sizes = cluster_sums(values, clusters)
    if len(totals) == n and all(value in (0, top) for value in values):
        low, high = wilson(mean / top * n, n, precision.level)
        return Interval(mean, low * top, high * top, "wilson")
    some = sum(total > 0 for total in totals)
    room = sum(total < top * size for total, size in zip(totals, sizes, strict=True))
    if min(some, room) < FEWEST_MIXED_CLUSTERS:
        share = min(1.0, max(0.0, mean / top))
        low, high = wilson(share * len(totals), len(totals), precision.level)
        return Interval(mean, low * top, high * top, "wilson-clusters")
    low, high = cluster_bootstrap_mean(values, clusters, precision)
    return Interval(mean, max(0.0, min(low, mean)), min(top, max(high, mean)), "cluster-bootstrap")


def cluster_sums(values: Sequence[float], clusters: Sequence[Hashable]) -> tuple[list[float], list[int]]:
    """Add up the values of each cluster, in order of first appearance, and count them."""
    totals: dict[Hashable, float] = {}
    sizes: dict[Hashable, int] = {}
    for value, cluster in zip(values, clusters, strict=True):
        totals[cluster] = totals.get(cluster, 0.0) + value
        sizes[cluster] = sizes.get(cluster, 0) + 1
    return list(totals.values()), list(sizes.values())
