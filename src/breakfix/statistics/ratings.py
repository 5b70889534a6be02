"""Ratings as numbers, and the tables that coefficients of agreement are made of: how often which values met.

Everything is counted in whole numbers at once, a family (cluster) at a time, so that a hundred thousand conversations
take a moment, and clusters that are equal are known to be so. This module knows nothing of verdicts or judges.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    Whole = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

T = TypeVar("T", bound=Hashable)


class Coded(NamedTuple):
    """Ratings of the units that two raters or more have rated."""

    codes: "Whole"
    """(raters, units): which of the values; -1: not rated."""
    clusters: "Whole"
    """The number of each unit's cluster, in the order of their first units."""
    values: Sequence[Hashable]

    @property
    def n(self) -> int:
        """Count the units."""
        return len(self.clusters)


class Sums(NamedTuple):
    """What a coefficient is made of: a table for every distinct cluster, and how often it occurs."""

    tables: "Array"
    """(distinct clusters, k, k)."""
    counts: Sequence[int]
    values: Sequence[Hashable]
    """The k values that the tables are over, in order."""

    @property
    def clusters(self) -> int:
        """Count the clusters."""
        return sum(self.counts)


def coded(ratings: Sequence[Sequence[T | None]], clusters: Sequence[Hashable] | None, *, are_numbers: bool) -> Coded:
    """Number the values, in their order, and the clusters of `ratings[rater][unit]`.

    Raises ValueError for lists of different length, and for values that are no numbers where they must be.
    """
    import numpy as np

    of = clusters or range(len(ratings[0]) if ratings else 0)
    if any(len(row) != len(of) for row in ratings):
        raise ValueError("there must be as many ratings of every rater as there are units, and as many clusters")
    seen = list(dict.fromkeys(one for row in ratings for one in row if one is not None))
    index: dict[T | None, int] = {one: place for place, one in enumerate(seen)}
    index[None] = -1
    codes = np.asarray([[index[one] for one in row] for row in ratings], dtype=np.int64).reshape(len(ratings), len(of))
    units: list[int] = np.flatnonzero((codes >= 0).sum(0) > 1).tolist()
    codes = codes[:, units]
    met: list[int] = np.unique(codes[codes >= 0]).tolist()
    values = _ordered([seen[place] for place in met], are_numbers)
    order = {one: place for place, one in enumerate(values)}
    ordered = np.asarray([*(order.get(one, -1) for one in seen), -1], dtype=np.int64)
    places: dict[Hashable, int] = {}
    numbers = [places.setdefault(of[unit], len(places)) for unit in units]
    return Coded(ordered[codes], np.asarray(numbers, dtype=np.int64), values)


def met_by_two(found: Coded) -> Sums:
    """Count for every cluster how often the first rater said one value and the second another."""
    import numpy as np

    cells = found.codes[0] * len(found.values) + found.codes[1]
    return _sums(found.values, found.clusters, cells, np.ones(found.n, dtype=np.int64))


def coincidences(found: Coded) -> Sums:
    """Add up every ordered pair of ratings of a unit, each weighing 1 / (ratings - 1).

    Whole multiples of the least common part are added, so that equal clusters come out equal to the last digit.
    """
    import numpy as np

    others = np.maximum(1, (found.codes >= 0).sum(0) - 1)
    parts = math.lcm(*np.unique(others).tolist())
    clusters, cells, weights = (np.empty(0, dtype=np.int64) for _ in range(3))
    for first, second in permutations(found.codes, 2):
        both = np.flatnonzero((first >= 0) & (second >= 0))
        clusters = np.concatenate([clusters, found.clusters[both]])
        cells = np.concatenate([cells, first[both] * len(found.values) + second[both]])
        weights = np.concatenate([weights, parts // others[both]])
    return _sums(found.values, clusters, cells, weights, parts=parts)


def _sums(values: Sequence[Hashable], clusters: "Whole", cells: "Whole", weights: "Whole", *, parts: int = 1) -> Sums:
    """Add up the weights of each cluster's cells, and count equal clusters once: most are alike."""
    import numpy as np

    size = len(values)
    if not len(cells):
        return Sums(np.zeros((0, size, size)), [], values)
    keys, where = np.unique(clusters * (size * size) + cells, return_inverse=True)
    totals = np.bincount(where.reshape(-1), weights=weights)
    of, flat = np.divmod(keys, size * size)
    starts: list[int] = np.flatnonzero(np.diff(of, prepend=-1)).tolist()
    ends = [*starts[1:], len(keys)]
    alike = Counter((flat[a:b].tobytes(), totals[a:b].tobytes()) for a, b in zip(starts, ends, strict=True))
    tables = np.zeros((len(alike), size * size))
    for place, (cells_of, totals_of) in enumerate(alike):
        tables[place, np.frombuffer(cells_of, dtype=np.int64)] = np.frombuffer(totals_of, dtype=np.float64) / parts
    return Sums(tables.reshape(-1, size, size), list(alike.values()), values)


def _ordered(values: Sequence[T], are_numbers: bool) -> list[T]:
    if are_numbers and not all(isinstance(value, int | float) for value in values):
        raise ValueError("weighted, ordinal and interval agreement need numbers")
    key: Callable[[Any], Any] = float if are_numbers else repr
    return sorted(values, key=key)
