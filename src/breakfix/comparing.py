"""Compare: several measurements from the store side by side, as a table, figures and files.

Two measurements of one target are also compared as before and after (compare.py). What was measured is read and scored
anew; nothing is asked of any model.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from breakfix.breakdowns import group_rows, histograms
from breakfix.conversations.frozen import compare_users
from breakfix.errors import DataError
from breakfix.identity import version
from breakfix.lineup import Candidate, corners_of, entrants_of, line_up, warnings_of
from breakfix.measured import Measurement, said_unfinished
from breakfix.report.lineup_files import write_lineup
from breakfix.report.published import published_about
from breakfix.settings import MeasureSettings
from breakfix.standings import Lineup

WEIGHTS = "weights"
"""The folder of a checkpoint's stage that holds what can be loaded."""


class Wanted(NamedTuple):
    """How to compare: under which settings, and with published numbers beside or not."""

    settings: MeasureSettings
    seed: int = 0
    published: bool = False


def side_by_side(measured: Sequence[Measurement], wanted: Wanted) -> Lineup:
    """Set measurements side by side. Raises DataError where they have no measure of the table."""
    candidates = _named(measured)
    rows = line_up(candidates, wanted.settings, seed=wanted.seed)
    if not rows:
        raise DataError(
            "None of these runs has scored a measure of the table. Look at what they hold: breakfix runs list"
        )
    scores = [one.scores for one in candidates]
    lineup = Lineup(
        title=f"{len(candidates)} models compared" if len(candidates) > 1 else "One model measured",
        date=datetime.now(UTC).date().isoformat(),
        version=version(),
        level=wanted.settings.level,
        entrants=entrants_of(candidates, rows),
        rows=rows,
        groups=group_rows(scores, wanted.settings, seed=wanted.seed),
        histograms=tuple(row for one in candidates for row in histograms(one.name, one.scores)),
        corners=corners_of(rows),
        published=published_about((row.measure, row.metric) for row in rows) if wanted.published else (),
    )
    unfinished = filter(None, (said_unfinished(one.card) for one in measured))
    return lineup.model_copy(update={"warnings": (*unfinished, *warnings_of(lineup), *_said_of_users(lineup))})


def _said_of_users(lineup: Lineup) -> list[str]:
    """Say of two what a comparison of live with frozen users allows, in the words that stand beside the pair."""
    kinds = [one.users for one in lineup.entrants]
    if len(kinds) != 2 or sum("frozen" in kind for kind in kinds) != 1:
        return []
    line = compare_users(*kinds)
    return [line] if line else []


def write_comparison(lineup: Lineup, folder: Path) -> list[Path]:
    """Write comparison.html, .md, .tex, .csv and .json into a folder. Raises DataError where it cannot be written."""
    try:
        return write_lineup(lineup, folder)
    except OSError as error:
        raise DataError(f"Cannot write to {str(folder)!r}: {error.strerror}. Give another folder with --out.") from None


def _named(measured: Sequence[Measurement]) -> list[Candidate]:
    """Name each by its target; where two share one, by run or stage as well."""
    targets = [_short(one) for one in measured]
    shared = [targets.count(name) > 1 for name in targets]
    stages = {one.card.stage for one in measured}
    runs = {one.card.run for one in measured}
    names = [
        _told_apart(one, name, with_run=is_shared and len(runs) > 1, with_stage=is_shared and len(stages) > 1)
        for one, name, is_shared in zip(measured, targets, shared, strict=True)
    ]
    return [Candidate(name, one.card, one.scores) for name, one in zip(names, measured, strict=True)]


def _short(one: Measurement) -> str:
    """Name a target by the end of its name: after the #, else after the last slash; a replayed file by its run.

    A checkpoint by run and stage, as it is named on the command line: all their folders end alike.
    """
    target = one.card.target
    if "#" in target:
        return target.rpartition("#")[2]
    if target.endswith(f"/{WEIGHTS}"):
        return f"{one.card.run}:{one.card.stage}"
    return one.card.run if target.startswith(("replay/", "scripted/")) else target.rpartition("/")[2] or one.card.run


def _told_apart(one: Measurement, name: str, *, with_run: bool, with_stage: bool) -> str:
    parts = ([one.card.run] if with_run else []) + ([one.card.stage] if with_stage else [])
    return f"{name} ({', '.join(parts)})" if parts else name
