"""How often intervals hold the truth: what docs/methods.md claims. Run: python bench/coverage.py.

Intervals of one independent rate: their coverage is added up exactly over all counts, so there is no simulation error.
Clustered ones are simulated: families draw their own rate from a beta distribution with the given mean and intra-family
correlation, family sizes vary from 1 to twice their mean, and conversations are drawn from it.
"""

import argparse
import collections
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from breakfix.statistics.clusters import cluster_robust, cluster_symmetric
from breakfix.statistics.exact import clopper_pearson, lower_bound, rule_of_three, upper_bound
from breakfix.statistics.intervals import Precision, mean_interval, wilson
from breakfix.statistics.paired import paired_interval

DESIGNS = ((80, 1), (10, 3), (10, 6), (30, 3), (80, 3))
RATES = (0.02, 0.1, 0.3, 0.5)
CORRELATIONS = (0.05, 0.3, 0.8)


class Change(NamedTuple):
    """What happens between before and after."""

    rate: float
    """Harm before."""
    stays: float
    """Of what was harmful, the share that still is."""
    new: float
    """Of what was not, the share that is now."""


CHANGES = (Change(0.7, 0.2, 0.0), Change(0.3, 0.5, 0.0), Change(0.2, 0.8, 0.05), Change(0.1, 0.5, 0.1))
EXACT_RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
EXACT_SIZES = (20, 60, 200, 1000, 5000)


def upper_only(k: int, n: int) -> tuple[float, float]:
    return 0.0, upper_bound(k, n)


def lower_only(k: int, n: int) -> tuple[float, float]:
    return lower_bound(k, n), 1.0


def three(k: int, n: int) -> tuple[float, float]:
    """Bound by the rule of three where nothing was found, exactly where something was."""
    return 0.0, upper_bound(k, n) if k else rule_of_three(n)


RATE_METHODS: dict[str, Callable[[int, int], tuple[float, float]]] = {
    "wilson": wilson,
    "clopper-pearson": clopper_pearson,
    "upper bound": upper_only,
    "lower bound": lower_only,
    "rule of three": three,
}


def exact_coverage(bound: Callable[[int, int], tuple[float, float]], n: int, rate: float) -> float:
    """Add up how likely the counts are whose interval holds the rate; counts that cannot happen are left out."""
    k = np.arange(n + 1)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    chance = np.exp(factorials[n] - factorials[k] - factorials[n - k] + k * np.log(rate) + (n - k) * np.log1p(-rate))
    likely = k[chance > 1e-12].tolist()
    return float(sum(chance[one] for one in likely if bound(one, n)[0] <= rate <= bound(one, n)[1]))


def print_rates() -> None:
    print("one independent rate, exactly\nmethod lowest mean highest, and where it is lowest")
    for name, bound in RATE_METHODS.items():
        cells = [(exact_coverage(bound, n, rate), n, rate) for n in EXACT_SIZES for rate in EXACT_RATES]
        covered = [cell[0] for cell in cells]
        mean = sum(covered) / len(covered)
        print(
            f"{name:16s} {min(covered):6.4f} {mean:6.4f} {max(covered):6.4f} n={min(cells)[1]} rate={min(cells)[2]}",
            flush=True,
        )


def print_clusters(worlds: int) -> None:
    """Print the closed-form intervals beside the bootstrap, over the same designs."""
    print("\nclosed forms by cluster\nfamilies size rate correlation symmetric robust")
    for count, size in DESIGNS:
        for rate in RATES:
            for correlation in CORRELATIONS if size > 1 else (0.0,):
                draw, held = np.random.default_rng(3), [0, 0]
                for _ in range(worlds):
                    values, clusters = rows(draw, count, size, rate, correlation)
                    for place, interval in enumerate((cluster_symmetric, cluster_robust)):
                        found = interval(values, clusters)
                        held[place] += found.low <= rate <= found.high
                shares = [each / worlds for each in held]
                print(
                    f"{count:8d} {size:4d} {rate:4.2f} {correlation:11.2f} {shares[0]:6.3f} {shares[1]:6.3f}",
                    flush=True,
                )


def rows(
    draw: np.random.Generator, count: int, size: int, rate: float, correlation: float
) -> tuple[list[float], list[int]]:
    """Draw the conversations of one world and the family of each."""
    values, clusters = [], []
    for family, (members, own) in enumerate(families(draw, count, size, rate, correlation)):
        values += (draw.random(members) < own).astype(float).tolist()
        clusters += [family] * members
    return values, clusters


def families(
    draw: np.random.Generator, count: int, size: int, rate: float, correlation: float
) -> list[tuple[int, float]]:
    """Draw the size and the own rate of each family."""
    sizes = draw.integers(1, 2 * size, count) if size > 1 else np.ones(count, int)
    scale = (1 - correlation) / correlation if correlation else 0
    rates = draw.beta(rate * scale, (1 - rate) * scale, count) if correlation else np.full(count, rate)
    return list(zip(sizes.tolist(), rates.tolist(), strict=True))


def cover_rate(count: int, size: int, rate: float, correlation: float, worlds: int) -> tuple[float, float, str]:
    """Give coverage, mean width and the methods used."""
    draw, held, width = np.random.default_rng(1), 0, 0.0
    methods: collections.Counter[str] = collections.Counter()
    for world in range(worlds):
        values, clusters = rows(draw, count, size, rate, correlation)
        interval = mean_interval(values, clusters, Precision(resamples=1000, seed=world))
        held += interval.low <= rate <= interval.high
        width += interval.high - interval.low
        methods[interval.method] += 1
    used = ", ".join(f"{name} {times / worlds:.0%}" for name, times in methods.most_common())
    return held / worlds, width / worlds, used


def cover_difference(count: int, size: int, correlation: float, change: Change, worlds: int) -> float:
    """Give the coverage of the paired difference."""
    draw, held = np.random.default_rng(2), 0
    true = change.rate * (change.stays - 1) + (1 - change.rate) * change.new
    for world in range(worlds):
        before, after, clusters = [], [], []
        for family, (members, own) in enumerate(families(draw, count, size, change.rate, correlation)):
            early = (draw.random(members) < own).astype(float)
            before += early.tolist()
            after += (draw.random(members) < np.where(early > 0, change.stays, change.new)).astype(float).tolist()
            clusters += [family] * members
        low, high = paired_interval(before, after, clusters, Precision(resamples=1000, seed=world))
        held += low <= true <= high
    return held / worlds


def print_paired(worlds: int) -> None:
    """Print the coverage of paired differences over designs and changes."""
    print("\npaired difference\nfamilies size correlation rate stays new coverage")
    found: list[float] = []
    for count, size in DESIGNS:
        for correlation in CORRELATIONS if size > 1 else (0.0,):
            for change in CHANGES:
                found.append(cover_difference(count, size, correlation, change, worlds))
                what = f"{change.rate:4.2f} {change.stays:5.2f} {change.new:3.2f}"
                print(f"{count:8d} {size:4d} {correlation:11.2f} {what} {found[-1]:8.3f}", flush=True)
    print(f"{len(found)} cells: lowest {min(found):.3f}, mean {np.mean(found):.3f}, highest {max(found):.3f}")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--paired", action="store_true", help="paired differences alone")
    arguments = parser.parse_args()
    worlds = arguments.worlds
    if arguments.paired:
        print_paired(worlds)
        return
    print_rates()
    print_clusters(worlds)
    print("\nas scorecards have it\nfamilies size rate correlation coverage width methods")
    for count, size in DESIGNS:
        for rate in RATES:
            for correlation in CORRELATIONS if size > 1 else (0.0,):
                covered, width, used = cover_rate(count, size, rate, correlation, worlds)
                print(
                    f"{count:8d} {size:4d} {rate:4.2f} {correlation:11.2f} {covered:8.3f} {width:5.3f} {used}",
                    flush=True,
                )
    print_paired(worlds)


if __name__ == "__main__":
    main()
