"""Tables of ratings, counted at once, against the same counted unit by unit."""

import random
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from breakfix.statistics.agreement import krippendorff_alpha
from breakfix.statistics.intervals import Precision
from breakfix.statistics.ratings import Sums, coded, coincidences, met_by_two

Ratings = list[list[int | None]]


def drawn(seed: int, raters: int, units: int = 120, values: int = 4) -> tuple[Ratings, list[str]]:
    draw = random.Random(seed)
    truth = [draw.randrange(values) for _ in range(units)]
    ratings = [
        [None if draw.random() < 0.2 else one if draw.random() < 0.7 else draw.randrange(values) for one in truth]
        for _ in range(raters)
    ]
    return ratings, [f"f{draw.randrange(units // 2)}" for _ in range(units)]


def pairs_of(unit: Sequence[int]) -> Counter[tuple[int, int]]:
    return Counter({pair: 1 for pair in [(unit[0], unit[1])]})


def coincidences_of(unit: Sequence[int]) -> dict[tuple[int, int], Fraction]:
    """Krippendorff's coincidences of one unit, by their definition."""
    table: dict[tuple[int, int], Fraction] = {}
    for place, one in enumerate(unit):
        for other in [*unit[:place], *unit[place + 1 :]]:
            table[one, other] = table.get((one, other), Fraction(0)) + Fraction(1, len(unit) - 1)
    return table


def slowly(ratings: Ratings, clusters: Sequence[Hashable], table_of: Callable[[Any], Any]) -> list[tuple[Any, int]]:
    """Every distinct table of a cluster and how often it occurs, in the order of the first."""
    grouped: dict[Hashable, Counter[tuple[int, int]]] = {}
    for *unit, group in zip(*ratings, clusters, strict=True):
        known = [one for one in unit if one is not None]
        if len(known) > 1:
            table = grouped.setdefault(group, Counter())
            for cell, weight in table_of(known).items():
                table[cell] += weight
    alike = Counter(tuple(sorted(table.items())) for table in grouped.values())
    return list(alike.items())


def shown(sums: Sums) -> list[tuple[Any, int]]:
    return [
        (
            tuple(
                ((sums.values[row], sums.values[column]), pytest.approx(float(table[row, column])))
                for row, column in sorted(zip(*np.nonzero(table), strict=True))
            ),
            count,
        )
        for table, count in zip(sums.tables, sums.counts, strict=True)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_what_two_said_is_counted_as_it_would_be_unit_by_unit(seed: int):
    ratings, clusters = drawn(seed, 2)
    found = met_by_two(coded(ratings, clusters, are_numbers=True))
    assert slowly(ratings, clusters, pairs_of) == shown(found)


@pytest.mark.parametrize("raters", [2, 3, 4, 5])
def test_coincidences_are_those_of_their_definition_and_equal_clusters_are_one(raters: int):
    ratings, clusters = drawn(raters, raters)
    assert slowly(ratings, clusters, coincidences_of) == shown(coincidences(coded(ratings, clusters, are_numbers=True)))


def test_values_and_clusters_of_units_that_one_alone_rated_count_nowhere():
    found = coded([[7, 1, 2, None], [None, 2, 1, None]], ["x", "b", "a", "c"], are_numbers=True)
    assert (found.n, found.values, found.clusters.tolist(), found.codes.tolist()) == (
        2,
        [1, 2],
        [0, 1],
        [[0, 1], [1, 0]],
    )


def test_nothing_rated_is_no_table():
    for ratings in ([], [[], []], [[None], [1]]):
        found = coded(ratings, None, are_numbers=True)
        assert found.n == 0 and coincidences(found).clusters == 0


def test_lists_of_different_length_and_words_where_numbers_must_be_are_refused():
    for ratings, clusters in (([[1], [1, 2]], None), ([[1], [1]], ["a", "b"])):
        with pytest.raises(ValueError, match="as many"):
            coded(ratings, clusters, are_numbers=True)
    with pytest.raises(ValueError, match="need numbers"):
        coded([["a"], ["b"]], None, are_numbers=True)


def test_a_hundred_thousand_units_take_a_moment():
    ratings, clusters = drawn(1, 2, units=100_000, values=8)
    began = time.process_time()
    found = krippendorff_alpha(ratings, "ordinal", clusters=clusters, precision=Precision(resamples=200))
    assert found.n > 60_000 and time.process_time() - began < 5
