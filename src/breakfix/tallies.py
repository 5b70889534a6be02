"""From single values to an estimate: a sum and a count a family, so that nothing is kept of single conversations."""

from collections.abc import Callable, Hashable, Mapping
from statistics import fmean as mean
from typing import TypeVar

from breakfix.estimates import HIGHER_IS_BETTER, Cell, Estimate
from breakfix.identity import seed_of
from breakfix.settings import MeasureSettings
from breakfix.statistics.intervals import FamilySums, Precision, sums_interval
from breakfix.statistics.sequential import interval_now
from breakfix.types import THRESHOLDS

D = TypeVar("D")


class Tally:
    """What one cell comes to so far."""

    __slots__ = ("families", "missing")

    def __init__(self) -> None:
        self.families = FamilySums()
        self.missing: dict[Hashable, int] = {}
        """Unscored conversations of each family that has any."""

    def add(self, family: str, value: float | None) -> None:
        """Count one conversation; None: unscored."""
        if value is None:
            self.missing[family] = self.missing.get(family, 0) + 1
        else:
            self.families.add(family, value)

    @property
    def unscored(self) -> int:
        """Count the unscored conversations."""
        return sum(self.missing.values())

    def by_family(self, guess: float, top: float) -> list[float]:
        """Give the mean of each family, with every unscored conversation of it counted as `guess`."""
        totals, sizes = self.families.totals, self.families.sizes
        means: list[float] = []
        for family in {**totals, **self.missing}:
            missing = self.missing.get(family, 0)
            total = totals.get(family, 0.0) + missing * guess
            means.append(min(top, total / (sizes.get(family, 0) + missing)))
        return means

    def __len__(self) -> int:
        return self.families.n + self.unscored

    def __eq__(self, other: object) -> bool:
        """Tell whether another holds the same values of the same families."""
        return isinstance(other, Tally) and self._content == other._content

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    @property
    def _content(self) -> tuple[dict[Hashable, int], dict[Hashable, float], dict[Hashable, int]]:
        return self.families.sizes, self.families.totals, self.missing


def first_alike(held: Mapping[Cell, D], size: Callable[[D], Hashable]) -> dict[Cell, Cell]:
    """Name for every cell the first that holds the same data, so that both are resampled alike.

    Pooled harm comes after the measures: where one measure is all that was pooled, it takes that one's resamples.
    `size` is any number that equal data share; only what is equal in it is compared.
    """
    seen: dict[Hashable, list[Cell]] = {}
    found: dict[Cell, Cell] = {}
    for cell in sorted(held, key=lambda each: each.measure == "harm"):
        known = seen.setdefault(size(held[cell]), [])
        twin = next((one for one in known if held[one] == held[cell]), None)
        if twin is None:
            known.append(cell)
        found[cell] = twin or cell
    return found


def estimates_of(tallies: Mapping[Cell, Tally], settings: MeasureSettings, *, seed: int = 0) -> list[Estimate]:
    """Give the estimate of every cell, in their order; cells that hold the same data get the same interval."""
    alike = first_alike(tallies, _size)
    return [estimate_of(cell, tally, settings, seed=seed, drawn_as=alike[cell]) for cell, tally in tallies.items()]


def _size(tally: Tally) -> tuple[int, int, float]:
    return len(tally), tally.families.n, tally.families.total


def estimate_of(
    cell: Cell, tally: Tally, settings: MeasureSettings, *, seed: int = 0, drawn_as: Cell | None = None
) -> Estimate:
    """Give the rate or mean of a cell with its interval and its bounds; without a scored value there is none.

    `drawn_as` names the cell whose resamples it takes, if not its own.
    """
    top, sums = cell.top, tally.families
    n, missing, total = sums.n, tally.unscored, sums.total
    good = top if cell.metric in HIGHER_IS_BETTER else 0.0
    is_watched = settings.stop_early and (cell.measure == "harm" or cell.measure in THRESHOLDS)
    best, worst = ((total + missing * guess) / (n + missing) for guess in (good, top - good))
    if is_watched:
        # Counted as the rate itself is: each family once, whatever its size.
        best, worst = (mean(tally.by_family(guess, top)) for guess in (good, top - good))
    shared: dict[str, object] = {
        **cell._asdict(), "level": settings.level, "n": n, "unscored": missing, "best": best, "worst": worst,
    }  # fmt: skip
    if n == 0:
        bare = {"value": None, "low": None, "high": None, "method": "none", "clusters": 0}
        return Estimate.model_validate({**shared, **bare})
    precision = Precision(settings.level, settings.bootstrap, seed_of(seed, *(drawn_as or cell)))
    if is_watched:
        shares = [min(top, total / sums.sizes[family]) for family, total in sums.totals.items()]
        interval = interval_now(shares, settings.level, top=top)
    else:
        interval = sums_interval(sums, precision, top=top)
    return Estimate.model_validate({**shared, **interval._asdict(), "clusters": len(sums)})
