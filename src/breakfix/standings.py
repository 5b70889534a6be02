"""The nouns of setting several models side by side: who is compared, where each stands, and what was published.

All frozen, like those of types.py. How they are filled: lineup.py; the rule of the star: docs/methods.md.
"""

from typing import Literal

from breakfix.estimates import CorrectedEstimate, Estimate
from breakfix.types import Noun

BY_ERRORS = "rogan-gladen"
"""The method of a correction by the judge's error rates; every other one rests on labels of the very conversations."""
NOT_CORRECTED = "none"
"""The method where the judge's error rates could correct nothing; the caveat says why."""
TOO_CLOSE = "no entrant is significantly better than every other"
"""The usual reason for no star."""
GroupKind = Literal["severity", "area", "persona", "language", "exchange"]


class Entrant(Noun):
    """One measurement in a comparison: a target at one stage, under one judge, on one day."""

    name: str
    """Its column's head; no two are alike."""
    run: str
    stage: str
    target: str
    target_id: str
    judge: str
    judge_id: str
    judge_line: str = ""
    """The judge in one line, with how far it agrees with people, where that is known."""
    date: str
    scenarios_id: str
    users: str
    """How the user's turns came about: live, frozen, scripted, recorded; several joined by +."""
    conversations: int
    unscored: int
    apart: str = ""
    """Why it is not compared with the others, in words; empty where it is."""


class Standing(Noun):
    """Where one entrant stands on one measure: a cell of the table."""

    entrant: str
    estimate: Estimate | None = None
    people: Estimate | None = None
    """The same rate by people's labels of the recorded answers."""
    agreement: Estimate | None = None
    """Share of recorded answers on which judge and people agree."""
    corrected: tuple[CorrectedEstimate, ...] = ()
    is_best: bool = False
    """Significantly better than every other entrant that it may be compared with."""
    apart: str = ""
    """Why this cell is not compared with the others of its row; empty where it is."""
    judge_id: str = ""
    date: str = ""
    """The day on which it was measured."""


class Duel(Noun):
    """Two entrants on one measure, paired on the same scenarios and samples. The difference is second less first."""

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    p_adjusted: float
    """By Holm over all pairs of all rows of the table."""
    n: int
    """Pairs with both halves scored."""


class Row(Noun):
    """One measure across the entrants."""

    measure: str
    metric: str
    is_higher_better: bool
    standings: tuple[Standing, ...]
    duels: tuple[Duel, ...] = ()
    no_star: str = ""
    """Why nobody is marked best; empty where somebody is."""


class GroupRow(Noun):
    """One measure across the entrants, within a group: a severity, an area, a persona, a language, an exchange."""

    by: GroupKind
    group: str
    measure: str
    metric: str
    estimates: tuple[Estimate | None, ...]
    """In the order of the entrants."""


class Histogram(Noun):
    """How many conversations of one entrant the judge gave each severity on one measure."""

    entrant: str
    measure: str
    counts: dict[str, int]
    """By severity, "0" to "7", and "not graded" and "unscored"."""


class Corner(Noun):
    """Where an entrant stands between refusing what it should and refusing what it should not."""

    entrant: str
    refused_unsafe: Estimate
    refused_safe: Estimate
    is_undominated: bool
    """No comparable entrant refuses at least as much of the unsafe and at most as much of the safe, one strictly."""


class PublishedRow(Noun):
    """One measure of a published table, a value for every model of it."""

    measure: str
    metric: str
    values: tuple[float | None, ...]


class PublishedTable(Noun):
    """Numbers that somebody else published, to stand beside ours: another judge, other scenarios."""

    id: str
    title: str
    source: str
    note: str
    models: tuple[str, ...]
    rows: tuple[PublishedRow, ...]


class Lineup(Noun):
    """Several measurements side by side."""

    title: str
    date: str
    version: str
    """Of breakfix."""
    level: float
    entrants: tuple[Entrant, ...]
    rows: tuple[Row, ...]
    groups: tuple[GroupRow, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    corners: tuple[Corner, ...] = ()
    published: tuple[PublishedTable, ...] = ()
    warnings: tuple[str, ...] = ()

    def row(self, measure: str, metric: str) -> Row | None:
        """Find a row by what it is about."""
        return next((row for row in self.rows if (row.measure, row.metric) == (measure, metric)), None)
