"""How often the intervals of scorecards hold the truth: what docs/methods.md claims. Run: python bench/coverage.py.

Families draw their own rate from a beta distribution with the given mean and intra-family correlation, family sizes
vary from 1 to twice their mean, and conversations are drawn from it.
"""

import argparse
import collections

import numpy as np

from breakfix.statistics.intervals import Precision, mean_interval
from breakfix.statistics.paired import paired_interval

DESIGNS = ((80, 1), (10, 3), (10, 6), (30, 3), (80, 3))
RATES = (0.02, 0.1, 0.3, 0.5)
CORRELATIONS = (0.05, 0.3, 0.8)


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
        values, clusters = [], []
        for family, (members, own) in enumerate(families(draw, count, size, rate, correlation)):
            values += (draw.random(members) < own).astype(float).tolist()
            clusters += [family] * members
        interval = mean_interval(values, clusters, Precision(resamples=1000, seed=world))
        held += interval.low <= rate <= interval.high
        width += interval.high - interval.low
        methods[interval.method] += 1
    used = ", ".join(f"{name} {times / worlds:.0%}" for name, times in methods.most_common())
    return held / worlds, width / worlds, used


def cover_difference(count: int, size: int, correlation: float, worlds: int) -> float:
    """Give the coverage of the paired difference where harm falls from 0.7 to 0.2 of what was harmful."""
    draw, held = np.random.default_rng(2), 0
    for world in range(worlds):
        before, after, clusters = [], [], []
        for family, (members, own) in enumerate(families(draw, count, size, 0.7, correlation)):
            early = (draw.random(members) < own).astype(float)
            before += early.tolist()
            after += (early * (draw.random(members) < 0.2)).tolist()
            clusters += [family] * members
        low, high = paired_interval(before, after, clusters, Precision(resamples=1000, seed=world))
        held += low <= 0.7 * 0.2 - 0.7 <= high
    return held / worlds


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=400)
    worlds = parser.parse_args().worlds
    print("families size rate correlation coverage width methods")
    for count, size in DESIGNS:
        for rate in RATES:
            for correlation in CORRELATIONS if size > 1 else (0.0,):
                covered, width, used = cover_rate(count, size, rate, correlation, worlds)
                print(
                    f"{count:8d} {size:4d} {rate:4.2f} {correlation:11.2f} {covered:8.3f} {width:5.3f} {used}",
                    flush=True,
                )
    print("\npaired difference\nfamilies size correlation coverage")
    for count, size in DESIGNS:
        for correlation in CORRELATIONS if size > 1 else (0.0,):
            print(
                f"{count:8d} {size:4d} {correlation:11.2f} {cover_difference(count, size, correlation, worlds):8.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
