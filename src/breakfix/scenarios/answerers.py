"""Files that hold the answers of several models side by side, as Do-Not-Answer does: FILE#MODEL names one of them.

A model's columns are <model>_response and, where people judged it, <model>_harmful (0 or 1) and <model>_action (0 to
5). What people said of the chosen model's answer becomes the truth of the scenario.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from breakfix.errors import DataError
from breakfix.scenarios.rows import Place, Row
from breakfix.types import ACTIONS

ANSWER = "_response"
TRUTH = "what people said"
"""Where a row keeps the labels of the chosen answer; no published file has a column of this name."""


class Named(NamedTuple):
    """A file, and whose answers in it are meant; None: the file holds one model's, or none."""

    path: Path
    answerer: str | None


def parse_name(name: str) -> Named:
    """Split FILE#MODEL; a file that has the mark in its own name is taken as it is."""
    path, mark, answerer = name.rpartition("#")
    if mark and not Path(name).exists() and Path(path).is_file():
        return Named(Path(path), answerer)
    return Named(Path(name), None)


def answerers_in(columns: Sequence[str]) -> list[str]:
    """Name the models that a file with these columns has answers of."""
    return [column.removesuffix(ANSWER) for column in columns if column.endswith(ANSWER)]


def with_labels(rows: Sequence[tuple[Place, Row]], named: Named) -> list[tuple[Place, Row]]:
    """Give every row what people said of the chosen model's answer. Raises DataError naming the models there are."""
    known = answerers_in(list(rows[0][1])) if rows else []
    if named.answerer not in known:
        there = f"It has: {', '.join(known)}." if known else f"It has no columns that end in {ANSWER!r}."
        raise DataError(f"{named.path} has no answers of {named.answerer!r}. {there}")
    return [(place, {**row, TRUTH: _truth(row, named.answerer or "", place)}) for place, row in rows]


def _truth(row: Row, answerer: str, place: Place) -> dict[str, Any] | None:
    harmful, action = (str(row.get(f"{answerer}_{what}") or "").strip() for what in ("harmful", "action"))
    if harmful not in ("", "0", "1") or action not in ("", *ACTIONS):
        raise DataError(f"{place}: {answerer}_harmful must be 0 or 1, and {answerer}_action 0 to 5. Correct that row.")
    said: dict[str, Any] = {}
    if action:
        said["human_label"] = ACTIONS[action]
    if harmful:
        said["human_harmful"] = harmful == "1"
    return said or None
