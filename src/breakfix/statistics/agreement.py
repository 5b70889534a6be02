"""Agreement of judges with each other and with people, from their ratings alone.

Chance-corrected coefficients are ratios of an observed to an expected disagreement, both sums over units, so one
bootstrap serves all: units (or clusters of them) are drawn anew and their tables summed. A coefficient that is not
defined (everybody always said the same) is None, never 1; nor is a kappa with a rater who always said the same, which
is 0 whatever the other said. This module knows nothing of verdicts or judges.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from breakfix.statistics.correction import Confusion
from breakfix.statistics.intervals import USUAL, Precision, mean_interval, student_quantile, wilson
from breakfix.statistics.ratings import Sums, coded, coincidences, met_by_two

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    Statistic = Callable[[Array], Array]

Weights = Literal["linear", "quadratic"]
Level = Literal["nominal", "ordinal", "interval"]
FEWEST_DISAGREEING = 10
"""With fewer clusters that hold a disagreement, or an agreement, a bootstrap collapses: Wilson's bounds then."""
DRAWN_AT_ONCE = 500_000
T = TypeVar("T", bound=Hashable)


class Agreement(NamedTuple):
    """A coefficient between its bounds. None: it is not defined for these ratings."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    """Units that two raters or more have rated."""
    level: float
    method: str


def confusion(said: Sequence[bool], truth: Sequence[bool]) -> Confusion:
    """Count a judge's yes and no against the truth."""
    pairs = Counter(zip(said, truth, strict=True))
    return Confusion(pairs[True, True], pairs[True, False], pairs[False, True], pairs[False, False])


def sensitivity(
    said: Sequence[bool],
    truth: Sequence[bool],
    *,
    clusters: Sequence[Hashable] | None = None,
    precision: Precision = USUAL,
) -> Agreement:
    """Give the share of true cases that were called so. n counts the true cases."""
    return _right_where(True, said, truth, clusters=clusters, precision=precision)


def specificity(
    said: Sequence[bool],
    truth: Sequence[bool],
    *,
    clusters: Sequence[Hashable] | None = None,
    precision: Precision = USUAL,
) -> Agreement:
    """Give the share of false cases that were not called true. n counts the false cases."""
    return _right_where(False, said, truth, clusters=clusters, precision=precision)


def _right_where(
    wanted: bool,
    said: Sequence[bool],
    truth: Sequence[bool],
    *,
    clusters: Sequence[Hashable] | None,
    precision: Precision,
) -> Agreement:
    of = clusters or range(len(said))
    among = [(one is wanted, group) for one, true, group in zip(said, truth, of, strict=True) if true is wanted]
    return _share([float(is_right) for is_right, _ in among], [group for _, group in among], precision)


def percent_agreement(
    a: Sequence[T | None],
    b: Sequence[T | None],
    *,
    clusters: Sequence[Hashable] | None = None,
    precision: Precision = USUAL,
) -> Agreement:
    """Give the share (0-1) of units that both rated alike; a unit that one did not rate (None) is left out."""
    pairs = _both(a, b, clusters)
    return _share([float(first == second) for first, second, _ in pairs], [of for *_, of in pairs], precision)


def cohen_kappa(
    a: Sequence[T | None],
    b: Sequence[T | None],
    weights: Weights | None = None,
    *,
    clusters: Sequence[Hashable] | None = None,
    precision: Precision = USUAL,
) -> Agreement:
    """Give Cohen's kappa of two raters (Cohen 1960), or weighted by distance (Cohen 1968); None in a list: not rated.

    kappa = 1 - observed / expected disagreement, the expected one from each rater's own margins. With weights the
    ratings must be numbers, and distance is |i - j| or (i - j)². Where one rater always said the same, kappa would be 0
    (and so would its bounds) whatever the other said: it is None. Bounds: see `_bounded`.
    """
    found = coded((a, b), clusters, are_numbers=weights is not None)
    pairs = _both(a, b, clusters)
    if pairs and min(len({first for first, *_ in pairs}), len({second for _, second, _ in pairs})) == 1:
        return Agreement(None, None, None, found.n, precision.level, "none")
    distance = _distances(found.values, {"linear": 1, "quadratic": 2}[weights] if weights else 0)

    def kappa(tables: "Array") -> "Array":
        total = tables.sum((1, 2))
        expected = tables.sum(2)[:, :, None] * tables.sum(1)[:, None, :] / total[:, None, None]
        return _ratio((tables * distance).sum((1, 2)), (expected * distance).sum((1, 2)))

    return _bounded(met_by_two(found), kappa, found.n, precision)


def krippendorff_alpha(
    ratings: Sequence[Sequence[T | None]],
    level: Level = "nominal",
    *,
    clusters: Sequence[Hashable] | None = None,
    precision: Precision = USUAL,
) -> Agreement:
    """Give Krippendorff's alpha (2011; 2004, chapter 11) of `ratings[rater][unit]`, None where a rater gave none.

    alpha = 1 - observed / expected disagreement over the coincidences of values within units; units with one rating
    count nowhere. For ordinal and interval ratings the values must be numbers. Bounds: see `_bounded`.
    """
    found = coded(ratings, clusters, are_numbers=level != "nominal")
    fixed = None if level == "ordinal" else _distances(found.values, 2 if level == "interval" else 0)

    def alpha(tables: "Array") -> "Array":
        margins = tables.sum(2)
        total = margins.sum(1)
        distance = _ordinal_distances(margins) if fixed is None else fixed
        expected = margins[:, :, None] * margins[:, None, :] / (total - 1)[:, None, None]
        return _ratio((tables * distance).sum((1, 2)), (expected * distance).sum((1, 2)))

    return _bounded(coincidences(found), alpha, found.n, precision)


# ── shares ──


def _share(right: Sequence[float], clusters: Sequence[Hashable], precision: Precision) -> Agreement:
    if not right:
        return Agreement(None, None, None, 0, precision.level, "none")
    found = mean_interval(right, clusters, precision)
    return Agreement(found.value, found.low, found.high, len(right), precision.level, found.method)


# ── coefficients ──


def _both(
    a: Sequence[T | None], b: Sequence[T | None], clusters: Sequence[Hashable] | None
) -> list[tuple[T, T, Hashable]]:
    of = clusters or range(len(a))
    return [
        (first, second, group)
        for first, second, group in zip(a, b, of, strict=True)
        if first is not None and second is not None
    ]


def _distances(values: Sequence[Hashable], power: int) -> "Array":
    """Give the distance of every two values: 0 or 1 (power 0), or their difference to that power."""
    import numpy as np

    if power == 0:
        return 1.0 - np.eye(len(values))
    numbers = np.asarray(values, dtype=float)
    return np.abs(numbers[:, None] - numbers[None, :]) ** power


def _ordinal_distances(margins: "Array") -> "Array":
    """Square how many ratings lie between two values, each end counted half (Krippendorff 2011, step D)."""
    middle = margins.cumsum(1) - margins / 2
    return (middle[:, :, None] - middle[:, None, :]) ** 2


def _ratio(observed: "Array", expected: "Array") -> "Array":
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - observed / expected, np.nan)


def _bounded(sums: Sums, statistic: "Statistic", n: int, precision: Precision) -> Agreement:
    """Bound a coefficient by resampling clusters, percentiles expanded as in `cluster_bootstrap_mean`.

    Where fewer than ten clusters hold a disagreement (or an agreement), or all but so few are equal, a bootstrap would
    look surest where least is known: the share of clusters with a disagreement is then bounded by Wilson, and the
    expected disagreement held fixed.
    """
    import numpy as np

    if n == 0:
        return Agreement(None, None, None, 0, precision.level, "none")
    counts = np.asarray(sums.counts, dtype=float)
    whole = (sums.tables * counts[:, None, None]).sum(0)[None]
    value = float(statistic(whole)[0])
    if math.isnan(value):
        return Agreement(None, None, None, n, precision.level, "none")
    alike = np.trace(sums.tables, axis1=1, axis2=2)
    mixed = int(counts[sums.tables.sum((1, 2)) > alike].sum())
    unlike = sums.clusters - int(counts.max())
    if min(mixed, int(counts[alike > 0].sum()), unlike) < FEWEST_DISAGREEING:
        low, high = _by_wilson(value, mixed, whole[0], clusters=sums.clusters, level=precision.level)
        return Agreement(value, low, high, n, precision.level, "wilson-disagreement")
    low, high = _by_bootstrap(sums, statistic, precision)
    return Agreement(value, min(low, value), max(high, value), n, precision.level, "cluster-bootstrap")


def _by_wilson(value: float, mixed: int, whole: "Array", *, clusters: int, level: float) -> tuple[float, float]:
    """Move a coefficient as the bounds on the share of disagreeing clusters do.

    Of what a disagreement weighs, few of them tell little: towards the lower bound it weighs at least, and towards the
    upper one at most, what one by chance does.
    """
    low_share, high_share = wilson(mixed, clusters, level)
    total = float(whole.sum())
    by_chance = 1 / (1 - float((whole.sum(0) * whole.sum(1)).sum()) / (total * total))
    seen = (1 - value) * clusters / mixed if mixed else by_chance
    return max(-1.0, 1 - high_share * max(seen, by_chance)), 1 - low_share * min(seen, by_chance)


def _by_bootstrap(sums: Sums, statistic: "Statistic", precision: Precision) -> tuple[float, float]:
    import numpy as np

    total = sums.clusters
    draw = np.random.default_rng(precision.seed)
    shares = np.asarray(sums.counts, dtype=float) / total
    flat = sums.tables.reshape(len(shares), -1)
    size = len(sums.values)
    at_once = max(1, DRAWN_AT_ONCE // max(len(shares), size * size))
    found: list[float] = []
    while len(found) < precision.resamples:
        some = min(at_once, precision.resamples - len(found))
        drawn = draw.multinomial(total, shares, size=some) @ flat
        found.extend(statistic(drawn.reshape(some, size, size)).tolist())
    defined = np.asarray([each for each in found if not math.isnan(each)])
    reach = math.sqrt(total / (total - 1)) * student_quantile(precision.level, total - 1)
    tail = NormalDist().cdf(-reach)
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
