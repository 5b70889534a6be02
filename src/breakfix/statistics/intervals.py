"""Intervals for one rate or mean, from numbers alone.

A rate of independent conversations has a Wilson interval. Where several conversations share a family, families are
resampled instead; and where too few families differ for that to mean anything, a Wilson interval counts each family
once, so that scarce evidence never looks precise. docs/methods.md gives each formula with its source and the coverage
measured for it. This module knows nothing of scenarios or verdicts.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from statistics import NormalDist
from typing import NamedTuple

FEWEST_APART = 5
"""A bootstrap needs at least so many clusters whose mean is another than the commonest one."""
DRAWS_AT_ONCE = 200_000
"""Random counts held in memory at a time."""


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


class FamilySums:
    """What the values of each cluster add up to, and how many there are: all that an interval of a mean needs."""

    __slots__ = ("sizes", "totals")

    def __init__(self) -> None:
        self.totals: dict[Hashable, float] = {}
        self.sizes: dict[Hashable, int] = {}

    def add(self, cluster: Hashable, value: float) -> None:
        """Count one value."""
        self.totals[cluster] = self.totals.get(cluster, 0.0) + value
        self.sizes[cluster] = self.sizes.get(cluster, 0) + 1

    def __len__(self) -> int:
        return len(self.totals)

    @property
    def n(self) -> int:
        """Count the values."""
        return sum(self.sizes.values())

    @property
    def total(self) -> float:
        """Add up all values."""
        return math.fsum(self.totals.values())


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


def end_elsewhere(value: float, end: float, there: float, *, widen: float = 1.0, is_sequential: bool = False) -> float:
    """Give the upper end that a rate's interval would have about `there`, were the evidence what it is about `value`.

    A rate of 0.2 varies more than one of 0, so an interval cannot be shifted from one to the other as it is. Evidence
    is z²/n, read off Wilson's formula; for a confidence sequence the divergence (Kullback-Leibler) of value and end.
    `widen` multiplies z. For a lower end give the complements of all three.
    """
    if end >= 1 or there >= 1:
        return 1.0
    if is_sequential:
        return _end_by_divergence(there, widen**2 * _divergence(value, end))
    z2 = widen**2 * (end - value) ** 2 / (end * (1 - end)) if end > 0 else 0.0
    return (there + z2 / 2 + math.sqrt(z2 * there * (1 - there) + z2 * z2 / 4)) / (1 + z2)


def _divergence(rate: float, other: float) -> float:
    """Give the Kullback-Leibler divergence of two rates; infinite where `other` rules out what `rate` allows."""
    parts = ((rate, other), (1 - rate, 1 - other))
    return sum(p * (math.log(p / q) if q > 0 else math.inf) for p, q in parts if p > 0)


def _end_by_divergence(rate: float, evidence: float) -> float:
    low, high = rate, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _divergence(rate, middle) < evidence else (low, middle)
    return high


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
    return _bootstrap(sums_of(values, clusters), precision)


def _bootstrap(sums: FamilySums, precision: Precision) -> tuple[float, float]:
    """Resample clusters by their sums. Equal ones are drawn together, by how many of each a resample has."""
    import numpy as np

    count = len(sums)
    if count < 2:
        raise ValueError("a cluster bootstrap needs two clusters")
    pairs = np.column_stack([list(sums.totals.values()), list(sums.sizes.values())])
    kinds, repeats = np.unique(pairs, axis=0, return_counts=True)
    draw = np.random.default_rng(precision.seed)
    at_once = max(1, DRAWS_AT_ONCE // len(kinds))
    means: list[float] = []
    while len(means) < precision.resamples:
        chosen = draw.multinomial(count, repeats / count, size=min(at_once, precision.resamples - len(means)))
        drawn = chosen @ kinds
        means.extend((drawn[:, 0] / drawn[:, 1]).tolist())
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
    return sums_interval(sums_of(values, clusters), precision, top=top)


def sums_interval(sums: FamilySums, precision: Precision = USUAL, *, top: float = 1.0) -> Interval:
    """Do as `mean_interval`, from what the values of each cluster add up to, so that no value need be kept."""
    mean = sums.total / sums.n
    if len(sums) == sums.n and all(total in (0, top) for total in sums.totals.values()):
        low, high = wilson(sums.total / top, sums.n, precision.level)
        return Interval(mean, low * top, high * top, "wilson")
    if are_alike(total / sums.sizes[cluster] for cluster, total in sums.totals.items()):
        share = min(1.0, max(0.0, mean / top))
        low, high = wilson(share * len(sums), len(sums), precision.level)
        return Interval(mean, low * top, high * top, "wilson-clusters")
    low, high = _bootstrap(sums, precision)
    return Interval(mean, max(0.0, min(low, mean)), min(top, max(high, mean)), "cluster-bootstrap")


def are_alike(means: Iterable[float]) -> bool:
    """Tell whether clusters differ too little in their means for a bootstrap, which would look surest just there."""
    counts = Counter(means)
    return counts.total() - max(counts.values()) < FEWEST_APART


def sums_of(values: Iterable[float], clusters: Iterable[Hashable]) -> FamilySums:
    """Add up the values of each cluster, in order of first appearance, and count them."""
    sums = FamilySums()
    for value, cluster in zip(values, clusters, strict=True):
        sums.add(cluster, value)
    return sums


def cluster_sums(values: Sequence[float], clusters: Sequence[Hashable]) -> tuple[list[float], list[int]]:
    """Add up the values of each cluster, in order of first appearance, and count them."""
    sums = sums_of(values, clusters)
    return list(sums.totals.values()), list(sums.sizes.values())
