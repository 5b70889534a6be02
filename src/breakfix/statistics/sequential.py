"""Evidence that may be watched while it comes in: valid at every moment, whenever and why ever one stops.

A gambler who bets that a mean lies below a bound can expect to win nothing if it does not; so wealth (an e-value) is
evidence, and may be looked at as often as one likes (Ville's inequality). Bets are spread over a fixed set of fractions
(diversified Kelly betting, Waudby-Smith and Ramdas 2024), half of the error is spent on each side, and the means that
neither side has ruled out are a confidence sequence. The order of values does not matter for where it stands in the
end, only for when it got there. Values must be independent, or each have the mean in question given those before: rows
of one family are one value, their mean. docs/methods.md has the formulas and what simulation shows of them.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from breakfix.statistics.intervals import Interval

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

METHOD = "confidence-sequence"
HALVINGS = 40
AT_ONCE = 2_000_000
"""Numbers held in memory at a time."""


class Running(NamedTuple):
    """Bounds after each value, each at least as tight as the one before: numpy arrays."""

    lows: "Numbers"
    highs: "Numbers"


class Stop(NamedTuple):
    """When a bound was decided (how many values it took), and how; both None where it was not."""

    at: int | None
    side: Literal["below", "above"] | None


def e_values_below(values: Sequence[float], bound: float) -> "Numbers":
    """Give the running evidence that the mean of values from 0 to 1 lies below `bound`: e-values, 1 at first.

    If it does not, the chance that any of them ever reaches 1 / alpha is at most alpha. Raises ValueError.
    """
    import numpy as np

    return np.exp(_log_evidence(_checked(values), bound))


def e_values_above(values: Sequence[float], bound: float) -> "Numbers":
    """Give the running evidence that the mean of values from 0 to 1 lies above `bound`, as `e_values_below`."""
    import numpy as np

    return np.exp(_log_evidence(1 - _checked(values), 1 - bound))


def stops_at(values: Sequence[float], bound: float, level: float = 0.95) -> Stop:
    """Tell when the mean was first shown to lie below or above `bound`; wrong with at most (1 - level) / 2 each way."""
    import numpy as np

    row = _checked(values)
    enough = math.log(2 / (1 - level))
    below = np.flatnonzero(_log_evidence(row, bound) >= enough)
    above = np.flatnonzero(_log_evidence(1 - row, 1 - bound) >= enough)
    first = [int(times[0]) + 1 if len(times) else None for times in (below, above)]
    if first[0] is not None and (first[1] is None or first[0] <= first[1]):
        return Stop(first[0], "below")
    return Stop(first[1], "above") if first[1] is not None else Stop(None, None)


def confidence_sequence(
    values: Sequence[float], level: float = 0.95, *, lower: float = 0.0, upper: float = 1.0
) -> Running:
    """Bound the mean of values from `lower` to `upper` after each of them; all bounds hold together with `level`.

    Takes time in proportion to the values times the different ones among them. Raises ValueError for values outside.
    """
    import numpy as np

    row = (_checked(values, lower, upper) - lower) / (upper - lower)
    highs = np.minimum.accumulate(_highs(row, level))
    lows = np.maximum.accumulate(1 - _highs(1 - row, level))
    return Running(lower + lows * (upper - lower), lower + highs * (upper - lower))


def interval_now(values: Sequence[float], level: float = 0.95, *, top: float = 1.0) -> Interval:
    """Bound the mean of values from 0 to `top` as a confidence sequence stands after the last, in whatever order.

    Valid when the number of values was decided by looking at them. Wider than an interval for a number fixed before.
    """
    row = _checked(values, 0.0, top) / top
    high, low = float(_highs(row, level, last=True)[0]), 1 - float(_highs(1 - row, level, last=True)[0])
    mean = math.fsum(values) / len(values)
    return Interval(mean, min(low * top, mean), max(high * top, mean), METHOD)


def more_needed(values: Sequence[float], bound: float, level: float = 0.95, *, most: int) -> int:
    """Guess how many more values show that the mean lies below `bound`, if they go on as they came: 1 to `most`.

    Each value to come adds to the log of every bet's wealth what a value of 0 or 1 drawn at the rate so far (of none,
    1/2) adds on average. A forecast, of no weight for what is decided. For a mean above give the complements of both.
    """
    import numpy as np

    if not 0 < bound < 1 or most <= 1:
        return max(1, most)
    rate = math.fsum(values) / len(values) if values else 0.5
    fractions, weights = bets()
    row = np.asarray(values, dtype=float)[:, None]
    with np.errstate(divide="ignore"):
        lost, won = np.log(fractions), np.log((1 - fractions * bound) / (1 - bound))
        gains = np.log(row * fractions + (1 - row) * (1 - fractions * bound) / (1 - bound))
    wealth, gain = gains.sum(0) + np.log(weights), (rate * lost if rate else 0.0) + (1 - rate) * won
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        is_enough = float(_log_sum(wealth + middle * gain)) >= math.log(2 / (1 - level))
        low, high = (low, middle) if is_enough else (middle, high)
    return high


def bets() -> tuple["Numbers", "Numbers"]:
    """Give the fractions of the bound that are bet on as the true mean, and their weights.

    Most weight lies about one half, where a rate well below the bound is; some at 0 and near 1, so that no rate is left
    out and long runs can still be told from the bound.
    """
    import numpy as np

    places = np.linspace(-4.0, 7.0, 45)
    weights = np.exp(-0.5 * places**2) + 0.05
    fractions = np.concatenate([[0.0], 1 / (1 + np.exp(-places))])
    return fractions, np.concatenate([[0.1], 0.9 * weights / np.sum(weights)])


def _log_evidence(row: "Numbers", bound: float) -> "Numbers":
    """Give the log of the mixed wealth after each value; each bet is on a mean of `fraction` times the bound."""
    import numpy as np

    if not 0 < bound < 1:
        raise ValueError(f"a bound lies between 0 and 1, not {bound:g}")
    fractions, weights = bets()
    with np.errstate(divide="ignore"):
        gains = np.log(row[:, None] * fractions + (1 - row[:, None]) * (1 - fractions * bound) / (1 - bound))
    return _log_sum(np.cumsum(gains, axis=0) + np.log(weights))


def _highs(row: "Numbers", level: float, *, last: bool = False) -> "Numbers":
    """Give, after each value or the last, the greatest mean that the bets from below have not ruled out, by halving.

    Wealth grows with the mean bet against, whatever the bet, so what is left is an interval.
    """
    import numpy as np

    known, which = np.unique(row, return_inverse=True)
    seen = np.cumsum(np.eye(len(known))[which.reshape(-1)], axis=0)
    seen = seen[-1:] if last else seen
    fractions, weights = bets()
    enough = math.log(2 / (1 - level)) - np.log(weights)
    portions = max(1, len(seen) * len(known) * len(fractions) // AT_ONCE)
    return np.concatenate([_halved(part, known, fractions, enough) for part in np.array_split(seen, portions)])


def _halved(seen: "Numbers", known: "Numbers", fractions: "Numbers", enough: "Numbers") -> "Numbers":
    import numpy as np

    low, high = np.zeros(len(seen)), np.ones(len(seen))
    for _ in range(HALVINGS):
        middle = ((low + high) / 2)[:, None, None]
        odds = (1 - fractions * middle) / (1 - middle)
        with np.errstate(divide="ignore", invalid="ignore"):
            gains = np.log(known[:, None] * fractions + (1 - known[:, None]) * odds)
            gained = np.where(seen[:, :, None] > 0, gains * seen[:, :, None], 0.0)
        is_out = _log_sum(np.sum(gained, axis=1) - enough) >= 0
        low, high = np.where(is_out, low, middle[:, 0, 0]), np.where(is_out, middle[:, 0, 0], high)
    return high


def _log_sum(logs: "Numbers") -> "Numbers":
    """Add up along the last axis what is given as logs."""
    import numpy as np

    most = np.max(logs, axis=-1, keepdims=True)
    return most[..., 0] + np.log(np.sum(np.exp(logs - most), axis=-1))


def _checked(values: Sequence[float], lower: float = 0.0, upper: float = 1.0) -> "Numbers":
    import numpy as np

    row = np.asarray(values, dtype=float)
    if row.ndim != 1 or not len(row) or not bool(np.all((row >= lower) & (row <= upper))):
        raise ValueError(f"values must be one row of numbers from {lower:g} to {upper:g}")
    return row
