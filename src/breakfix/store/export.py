"""Rows of a run as files: JSONL, CSV or Parquet, streamed, so that a long run needs no more memory than a short one.

A row is a noun's own fields. In CSV and Parquet what is nested (turns, truth) is JSON text. In CSV a text that a
spreadsheet would take for a formula has a ' before it (OWASP, CSV Injection): a model may have written it.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import orjson

from breakfix.errors import DataError, MissingExtra, unwritable
from breakfix.estimates import Label
from breakfix.files import draft_of
from breakfix.store.store import Store
from breakfix.types import Checkpoint, Conversation, Dataset, Finding, Noun, Scenario, Verdict

RowKind = Literal["scenarios", "conversations", "verdicts", "labels", "findings", "datasets", "checkpoints"]
FileFormat = Literal["jsonl", "csv", "parquet"]
ROWS_AT_ONCE = 1000
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""With what a cell begins that a spreadsheet computes."""

KINDS: dict[RowKind, tuple[type[Noun], Callable[[Store, str], Iterable[Noun]]]] = {
    "scenarios": (Scenario, lambda store, run: store.scenarios(run)),
    "conversations": (Conversation, lambda store, run: store.conversations(run)),
    "verdicts": (Verdict, lambda store, run: store.verdicts(run)),
    "labels": (Label, lambda store, run: store.labels(run)),
    "findings": (Finding, lambda store, run: store.findings(run)),
    "datasets": (Dataset, lambda store, run: store.datasets(run)),
    "checkpoints": (Checkpoint, lambda store, run: store.checkpoints(run)),
}


def export_rows(store: Store, run: str, kind: RowKind, *, path: Path, form: FileFormat) -> int:
    """Write one kind of rows to a file; gives their number. The file appears whole or not at all."""
    store.run(run)
    noun, read = KINDS[kind]
    rows = (each.model_dump(mode="json") for each in read(store, run))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(path) as draft:
            return WRITERS[form](rows, list(noun.model_fields), draft)
    except OSError as error:
        raise DataError(f"Cannot write {str(path)!r}: {unwritable(error, 'name another file with --to')}") from None


def _write_jsonl(rows: Iterator[dict[str, Any]], fields: list[str], path: Path) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps({name: row[name] for name in fields}, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def _write_csv(rows: Iterator[dict[str, Any]], fields: list[str], path: Path) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(fields)
        for row in rows:
            table.writerow([_flat(row[name]) for name in fields])
            count += 1
    return count


def _write_parquet(rows: Iterator[dict[str, Any]], fields: list[str], path: Path) -> int:
    try:
        arrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise MissingExtra("pyarrow", "parquet", "Parquet export") from None
    # One type for each column, decided before the first row: text, so that pieces of a long run always agree.
    schema = arrow.schema([(name, arrow.string()) for name in fields])
    count = 0
    with parquet.ParquetWriter(path, schema) as file:
        while piece := list(islice(rows, ROWS_AT_ONCE)):
            columns = [[_text(row[name]) for row in piece] for name in fields]
            file.write_table(arrow.table(columns, schema=schema))
            count += len(piece)
    return count


def _flat(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


WRITERS: dict[FileFormat, Callable[[Iterator[dict[str, Any]], list[str], Path], int]] = {
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "parquet": _write_parquet,
}
