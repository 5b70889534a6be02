"""Correct a rate for the errors of who judged it, with the noise of the correction in the interval.

Two ways. `rogan_gladen` needs the judge's sensitivity and specificity, with the counts they come from; the labels may
be of other conversations, so long as the judge errs on those as it does here. `ppi` (prediction-powered inference)
needs labels for a random sample of the very rows that are estimated, and then assumes nothing of the judge at all.
Where the labels cannot carry a correction the answer says so instead of giving a number that looks sure.
docs/methods.md gives each formula with its source and measured coverage. This module knows nothing of judges.
"""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from breakfix.statistics.intervals import (
    USUAL,
    Precision,
    mean_interval,
    normal_quantile,
    student_quantile,
)
from breakfix.wording import counted

FEWEST_LABELS = 50
"""Below so many independent labels `ppi` does not lean on the judge: its tuned weight and variance are too unsure."""
FEW_CONTROLS = 10
"""With fewer labels than this on either side, a sensitivity or specificity is hardly known; said, not refused."""


class Counts(NamedTuple):
    """How many of n rows the judge called positive; fractions are allowed, for effective counts."""

    positives: float
    n: float


class Confusion(NamedTuple):
    """Labelled rows by what the judge said of them: true and false positives, false and true negatives."""

    tp: float
    fp: float
    fn: float
    tn: float

    @property
    def labels(self) -> int:
        """Give the number of labelled rows."""
        return round(sum(self))


class Labelled(NamedTuple):
    """Labelled rows: the judge's value and the label of each, and its cluster where rows share them."""

    judged: Sequence[float]
    labels: Sequence[float]
    clusters: Sequence[Hashable] = ()


class Unlabelled(NamedTuple):
    """Rows that only the judge has seen."""

    judged: Sequence[float]
    clusters: Sequence[Hashable] = ()


class Corrected(NamedTuple):
    """A corrected value between its bounds. All three are None where nothing can be said; `caveat` then says why."""

    value: float | None
    low: float | None
    high: float | None
    level: float
    method: str
    """rogan-gladen, ppi++, labels-<interval method> (the labels alone), or none."""
    n: int
    """Rows that the estimate speaks of."""
    labels: int
    """Labelled rows it rests on."""
    caveat: str | None = None


def rogan_gladen(counts: Counts, labelled: Confusion, *, level: float = 0.95) -> Corrected:
    """Correct a judge's rate by its sensitivity and specificity (Rogan and Gladen 1978), each as unsure as it is.

    The interval is that of Lang and Reiczigel (2014), which carries the noise of the rate and of both error rates.
    Where the judge is not shown to be better than chance (the interval of sensitivity + specificity - 1 reaches 0),
    there is no correction, and value and bounds are None. Raises ValueError for impossible counts.
    """
    if not 0 <= counts.positives <= counts.n or counts.n <= 0 or min(labelled) < 0:
        raise ValueError(f"no rate of {counts.positives} in {counts.n} with labels {tuple(labelled)}")
    n, of_positive, of_negative = round(counts.n), labelled.tp + labelled.fn, labelled.tn + labelled.fp
    nothing = Corrected(None, None, None, level, "none", n, labelled.labels)
    if min(of_positive, of_negative) <= 0:
        side = "positive" if of_positive <= 0 else "negative"
        return nothing._replace(caveat=f"no labelled {side}: the judge's error there is unknown")
    z = normal_quantile(level)
    sensitivity, sensitivity_noise = _shrunk(labelled.tp, of_positive, 1.0)
    specificity, specificity_noise = _shrunk(labelled.tn, of_negative, 1.0)
    rate, rate_noise = _shrunk(counts.positives, counts.n, z * z / 2)
    youden = sensitivity + specificity - 1
    plain = labelled.tp / of_positive + labelled.tn / of_negative - 1
    if min(plain, youden - z * math.sqrt(sensitivity_noise + specificity_noise)) <= 0:
        return nothing._replace(caveat="the judge is not shown to be better than chance")
    centre = (rate + specificity - 1) / youden
    noise = rate_noise + centre**2 * sensitivity_noise + (1 - centre) ** 2 * specificity_noise
    shift = 2 * z * z * (centre * sensitivity_noise - (1 - centre) * specificity_noise)
    reach = z * math.sqrt(noise) / youden
    value = min(1.0, max(0.0, (counts.positives / counts.n + labelled.tn / of_negative - 1) / plain))
    low, high = max(0.0, min(centre + shift - reach, value)), min(1.0, max(centre + shift + reach, value))
    return Corrected(value, low, high, level, "rogan-gladen", n, labelled.labels, _few(of_positive, of_negative))


def ppi(labelled: Labelled, unlabelled: Unlabelled, *, precision: Precision = USUAL, top: float = 1.0) -> Corrected:
    """Estimate the mean label, from 0 to `top`, of all rows from few labels and many judged rows (PPI++).

    The labelled rows must be a random sample of the rows in question. The judge's weight is tuned (Angelopoulos, Duchi
    and Zrnic 2023); the variance gets one made-up row of each extreme, since few labels can by chance all agree; rows
    of one cluster count together. With fewer than `FEWEST_LABELS` independent labels, or a judge too weak for so few
    (Mani et al. 2025), the labels alone are used, and the caveat says so. Raises ValueError for unfit rows.
    """
    _check(labelled, unlabelled, top)
    n, many = len(labelled.labels), len(unlabelled.judged)
    own = labelled.clusters or [("labelled", place) for place in range(n)]
    independent = len(set(own))
    weak = _too_weak(labelled, independent, many)
    if weak:
        alone = mean_interval(labelled.labels, own, precision, top=top)
        value, low, high, method = alone
        return Corrected(value, low, high, precision.level, f"labels-{method}", n, n, f"{weak}: the labels alone")
    others = unlabelled.clusters or [("unlabelled", place) for place in range(many)]
    value, spread = _powered(labelled, unlabelled, (own, others), top)
    reach = student_quantile(precision.level, independent - 1) * spread
    value = min(top, max(0.0, value))
    low, high = max(0.0, value - reach), min(top, value + reach)
    return Corrected(value, low, high, precision.level, "ppi++", n + many, n)


def tuned_weight(labelled: Labelled, unlabelled: Unlabelled) -> float:
    """Give the weight of the judge, 0 to 1, that makes the variance least (PPI++, example 6.1: a mean)."""
    everything = [*labelled.judged, *unlabelled.judged]
    varied = _covariance(everything, everything)
    if varied == 0:
        return 0.0
    together = _covariance(labelled.judged, labelled.labels)
    return min(1.0, max(0.0, together / varied / (1 + len(labelled.labels) / len(unlabelled.judged))))


def _powered(
    labelled: Labelled, unlabelled: Unlabelled, clusters: tuple[Sequence[Hashable], Sequence[Hashable]], top: float
) -> tuple[float, float]:
    """Give the PPI++ estimate and its standard error, from what each cluster contributes to the estimate."""
    import numpy as np

    weight = tuned_weight(labelled, unlabelled)
    judged, labels = np.asarray(labelled.judged, float), np.asarray(labelled.labels, float)
    others = np.asarray(unlabelled.judged, float)
    left = labels - weight * judged
    made_up = np.array([0.0, top, -weight * top, top - weight * top])
    heft = len(left) / len(set(clusters[0]))  # of a made-up row: that of a cluster
    size = len(left) + heft * len(made_up)
    middle = float(np.sum(left) + heft * np.sum(made_up)) / size
    pulls: dict[Hashable, float] = {}
    contributed = np.concatenate([(left - middle) / size, weight * (others - others.mean()) / len(others)])
    for cluster, pull in zip([*clusters[0], *clusters[1]], contributed.tolist(), strict=True):
        pulls[cluster] = pulls.get(cluster, 0.0) + pull
    variance = math.fsum(pull * pull for pull in pulls.values()) * len(pulls) / (len(pulls) - 1)
    variance += float(np.sum((heft * (made_up - middle)) ** 2)) / size**2
    return float(left.mean()) + weight * float(others.mean()), math.sqrt(variance)


def _too_weak(labelled: Labelled, independent: int, many: int) -> str | None:
    if independent < FEWEST_LABELS:
        return f"{counted(independent, 'independent label')}, fewer than {FEWEST_LABELS}"
    if many < 2:
        return "no unlabelled rows"
    judged, labels = labelled.judged, labelled.labels
    spread = math.sqrt(_covariance(judged, judged) * _covariance(labels, labels))
    if spread == 0:
        return "all labels, or all of the judge's values, are alike"
    likeness = _covariance(judged, labels) / spread
    if likeness < 1 / math.sqrt(independent - 2):
        return f"judge and labels correlate by {likeness:.2f} only, too little for {independent} labels"
    return None


def _covariance(one: Sequence[float], other: Sequence[float]) -> float:
    import numpy as np

    early, late = np.asarray(one, float), np.asarray(other, float)
    return float(np.sum((early - early.mean()) * (late - late.mean()))) / (len(early) - 1)


def _check(labelled: Labelled, unlabelled: Unlabelled, top: float) -> None:
    pairs = (
        (labelled.judged, labelled.labels),
        *((o.judged, o.clusters) for o in (labelled, unlabelled) if o.clusters),
    )
    if not labelled.labels or any(len(one) != len(other) for one, other in pairs):
        raise ValueError("every labelled row needs its judge's value and its label, and every row its cluster or none")
    if any(not 0 <= value <= top for value in (*labelled.judged, *labelled.labels, *unlabelled.judged)):
        raise ValueError(f"values must lie from 0 to {top:g}")


def _shrunk(successes: float, n: float, pseudo: float) -> tuple[float, float]:
    """Give a rate and its variance with `pseudo` successes and as many failures added."""
    size = n + 2 * pseudo
    rate = (successes + pseudo) / size
    return rate, rate * (1 - rate) / size


def _few(of_positive: float, of_negative: float) -> str | None:
    sides = (("labelled positive", of_positive), ("labelled negative", of_negative))
    few = [counted(max(1, round(n)), side) for side, n in sides if n < FEW_CONTROLS]
    return f"only {' and '.join(few)}: the judge's error there is hardly known" if few else None
