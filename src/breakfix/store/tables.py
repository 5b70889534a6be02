"""The tables of the store: one a noun, each row the noun's JSON beside the few columns that are searched.

Every row belongs to a run and has its own id, so that writing it a second time changes nothing.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Index, Integer, MetaData, PrimaryKeyConstraint, Table, Text

SCHEMA = 3
"""The version this code reads and writes; store/migrations.py brings older files up to it."""

metadata = MetaData()

meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

runs = Table("runs", metadata, Column("run", Text, primary_key=True), Column("body", Text, nullable=False))

ENDING = ("scenario_id", "target_id", "sample", "stopped", "failed", "users", "speakers")
"""How a conversation ended: in the index, so that counting never reads what was said (store/endings.py)."""


def _text(name: str, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _number(name: str, default: str | None = None) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=default)


def _rows(name: str, *columns: Column[Any], key: Sequence[str] = ("id",), index: Index | None = None) -> Table:
    """Lay out a table: the run that a row belongs to, what is searched, and the noun's JSON; `key` is within a run."""
    more = [PrimaryKeyConstraint("run", *key), *([index] if index is not None else [])]
    return Table(name, metadata, _text("run"), *columns, _text("body"), *more)


scenarios = _rows("scenarios", _text("id"), _text("measure"), _text("split"))

conversations = _rows(
    "conversations",
    _text("id"),
    _text("stage"),
    _text("purpose"),
    _text("scenario_id"),
    _text("target_id", ""),
    _number("sample", "0"),
    _text("stopped", ""),
    Column("failed", Text),
    _text("users", "live"),
    _text("speakers", ""),
    index=Index("conversations_endings", "run", "stage", "purpose", "id", *ENDING),
)

verdicts = _rows("verdicts", *map(_text, ("conversation_id", "judge_id")), key=("conversation_id", "judge_id"))

labels = _rows("labels", *map(_text, ("conversation_id", "by")), key=("conversation_id", "by"))

findings = _rows("findings", _text("id"), _number("round"), _number("rank"), _text("state"))

datasets = _rows("datasets", _text("id"), _text("created"))

checkpoints = _rows("checkpoints", _text("id"), _text("created"))

rounds = _rows("rounds", _number("round"), key=("round",))

openings = Table(
    "sealed_openings",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    _text("run"),
    _text("at"),
    _text("why"),
)

OF_A_RUN = (scenarios, conversations, verdicts, labels, findings, datasets, checkpoints, rounds, runs)
"""What goes when a run is deleted; the log of sealed openings stays."""
