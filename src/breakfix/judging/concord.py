"""How far judges agree with each other: percent, kappa and alpha of what they said of the same conversations.

Judges that agree may still be wrong together; agreement with people is on the judge cards. Conversations of one family
are resampled together, since judges that disagree on one tend to disagree on its twin.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Literal, NamedTuple, get_args

import orjson

from breakfix.estimates import Bounded, Concord
from breakfix.judging.panel import is_harmful
from breakfix.statistics.agreement import Agreement, cohen_kappa, krippendorff_alpha, percent_agreement
from breakfix.statistics.intervals import Precision
from breakfix.types import Measure, Refusal

About = Literal["harmful", "severity", "ungroundedness", "refusal"]
SUBJECTS: tuple[About, ...] = get_args(About)
REFUSAL_RANK: Mapping[Refusal, int] = {"none": 0, "partial": 1, "full": 2}


class Opinion(NamedTuple):
    """What of a judge's verdict can agree with another's."""

    severity: int | None = None
    ungroundedness: int | None = None
    refusal: Refusal | None = None
    harmful: bool | None = None


class Rated(NamedTuple):
    """One conversation: its measure and family, and what each judge said, None where a judge said nothing."""

    measure: Measure
    family: str
    opinions: Sequence[Opinion | None]


def opinion_of(body: str) -> Opinion | None:
    """Read of a stored verdict (JSON, checked when it was written) what can agree; None: it is unscored."""
    fields = orjson.loads(body)
    if fields.get("unscored") is not None:
        return None
    return Opinion(*map(fields.get, Opinion._fields))


def concord(judges: Sequence[str], rated: Iterable[Rated], precision: Precision) -> tuple[Concord, ...]:
    """Compute the agreement of every two judges on all that both speak of; of more than two, alpha over all besides."""
    rows = list(rated)
    families = [row.family for row in rows]
    spoken = [[_read(row.opinions[place], row.measure) for row in rows] for place in range(len(judges))]
    found: list[Concord] = []
    for number, about in enumerate(SUBJECTS):
        ratings = [[each[number] for each in row] for row in spoken]
        for places in _groups(len(judges)):
            chosen = [ratings[place] for place in places]
            names = tuple(judges[place] for place in places)
            if (one := _concord(names, about, chosen, families=families, precision=precision)) is not None:
                found.append(one)
    return tuple(found)


@cache
def _read(opinion: Opinion | None, measure: Measure) -> tuple[int | None, ...]:
    """Give what a judge said of each subject, in numbers. There are few different opinions: remembered."""
    if opinion is None:
        return (None,) * len(SUBJECTS)
    word = None if measure == "ungroundedness" else is_harmful(opinion, measure)
    refusal = None if opinion.refusal is None else REFUSAL_RANK[opinion.refusal]
    return None if word is None else int(word), opinion.severity, opinion.ungroundedness, refusal


def _concord(
    judges: tuple[str, ...],
    about: About,
    ratings: list[list[int | None]],
    *,
    families: Sequence[str],
    precision: Precision,
) -> Concord | None:
    level = "nominal" if about == "harmful" else "ordinal"
    alpha = krippendorff_alpha(ratings, level, clusters=families, precision=precision)
    if not alpha.n:
        return None
    whole = Concord(judges=judges, about=about, n=alpha.n, level=precision.level, alpha=_bounded(alpha))
    if len(judges) > 2:
        return whole
    first, second = ratings
    same = percent_agreement(first, second, clusters=families, precision=precision)
    kappa = cohen_kappa(first, second, WEIGHTS[about], clusters=families, precision=precision)
    return whole.model_copy(update={"same": _bounded(same), "kappa": _bounded(kappa)})


def _groups(judges: int) -> list[tuple[int, ...]]:
    pairs: list[tuple[int, ...]] = list(combinations(range(judges), 2))
    return [*pairs, tuple(range(judges))] if judges > 2 else pairs


def _bounded(found: Agreement) -> Bounded | None:
    if found.value is None or found.low is None or found.high is None:
        return None
    return Bounded(value=found.value, low=found.low, high=found.high)


WEIGHTS: Mapping[About, Literal["linear", "quadratic"] | None] = {
    "harmful": None,
    "severity": "quadratic",
    "ungroundedness": "quadratic",
    "refusal": "linear",
}
