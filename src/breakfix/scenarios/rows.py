"""Rows out of files: CSV, TSV, JSON in its several shapes, JSON lines, each also gzipped; and each row's place.

Nothing is skipped: what cannot be read is an error that names its row. This module knows nothing of sets or scenarios.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson

from breakfix.errors import DataError, unreadable
from breakfix.wording import kind_of

Row = dict[str, Any]
MAX_CELL = 1 << 24
TEXT = "prompt"
"""What a bare text in a JSON list or tree is called."""


class Place(NamedTuple):
    """Where a row stands, for an error text."""

    path: Path
    word: str
    """row, entry or line."""
    number: int

    def __str__(self) -> str:
        """Write it as in 'prompts.csv row 3'."""
        return f"{self.path} {self.word} {self.number}"


def rows_of(path: Path) -> list[tuple[Place, Row]]:
    """Read a file as placed rows. Raises DataError, also on a file without any row."""
    try:
        body = path.read_bytes()
        text = (gzip.decompress(body) if path.suffix == ".gz" else body).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {str(path)!r}: {unreadable(error)}.") from None
    suffix = Path(path.stem if path.suffix == ".gz" else path.name).suffix.lower()
    read = {".csv": _table_rows, ".tsv": _table_rows, ".json": _json_rows}.get(suffix, _line_rows)
    rows = list(read(text, path))
    if not rows:
        raise DataError(f"{path} holds no scenario: the file has no rows.")
    return rows


def _table_rows(text: str, path: Path) -> Iterator[tuple[Place, Row]]:
    csv.field_size_limit(MAX_CELL)
    delimiter = "\t" if ".tsv" in path.name.lower() else ","
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)  # a quote left open is an error
    place = Place(path, "row", 0)
    try:
        header = next(lines, list[str]())
        for cells in filter(None, lines):
            place = place._replace(number=place.number + 1)
            if len(cells) != len(header):
                raise DataError(f"{place}: {len(cells)} cells, but the header has {len(header)}. Correct that row.")
            yield place, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{place._replace(number=place.number + 1)}: {error}. Correct that row.") from None


def _json_rows(text: str, path: Path) -> Iterator[tuple[Place, Row]]:
    """Read a list, a tree of lists, parallel lists, an artefact with `jailbreaks`, or one JSON value a line."""
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and error.lineno > 1:
            return _line_rows(text, path)
        raise DataError(f"{path} line {error.lineno} is not valid JSON: {error.msg}. Correct that line.") from None
    entries = _entries(body)
    if entries is None:
        raise DataError(f"{path} must hold a JSON list of scenarios; or write one JSON object a line, as .jsonl.")
    return _placed(entries, path)


def _entries(body: Any) -> list[Any] | None:
    if isinstance(body, list):
        entries = cast("list[Any]", body)
        return [entries] if entries and all(map(_is_turn, entries)) else entries
    if not isinstance(body, dict):
        return None
    found = cast("dict[str, Any]", body)
    if isinstance(found.get("jailbreaks"), list):
        return found["jailbreaks"]
    if isinstance(found.get("instructions"), list):
        return _side_by_side(found)
    is_tree = found and all(isinstance(branch, dict) for branch in found.values())
    return list(_leaves(found)) if is_tree else None


def _is_turn(entry: Any) -> bool:
    return isinstance(entry, dict) and {"role", "content"} == set(cast("Row", entry))


def _side_by_side(columns: Mapping[str, Any]) -> list[Row]:
    """Turn lists of equal length into rows; "instructions" is called "instruction", and an empty list is no column."""
    lists = {name: cast("list[Any]", values) for name, values in columns.items() if isinstance(values, list)}
    length = len(lists["instructions"])
    filled = {name: values for name, values in lists.items() if len(values) == length}
    names = {"instructions": "instruction", "inputs": "input"}
    return [{names.get(name, name): values[n] for name, values in filled.items()} for n in range(length)]


def _leaves(tree: Mapping[str, Mapping[str, Any]]) -> Iterator[Any]:
    """Walk category -> subcategory -> list of texts; a text is numbered within its list."""
    for category, branches in tree.items():
        for branch, texts in branches.items():
            for number, text in enumerate(cast("list[Any]", texts) if isinstance(texts, list) else [texts], start=1):
                named = {"category": category.rstrip(": "), "subcategory": branch.rstrip(": "), "number": number}
                yield {**named, TEXT: text} if isinstance(text, str) else text


def _placed(entries: list[Any], path: Path) -> Iterator[tuple[Place, Row]]:
    for number, entry in enumerate(entries, start=1):
        place = Place(path, "entry", number)
        yield place, _as_row({TEXT: entry} if isinstance(entry, str) else entry, place)


def _line_rows(text: str, path: Path) -> Iterator[tuple[Place, Row]]:
    for number, line in enumerate(text.split("\n"), start=1):
        place = Place(path, "line", number)
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{place} is not valid JSON: {error.msg}. Correct that line.") from None
        yield place, _as_row(entry, place)


def _as_row(entry: Any, place: Place) -> Row:
    """Give an object as it is, and a list of messages as {"messages": [...]}."""
    turns = cast("list[Any]", entry) if isinstance(entry, list) else []
    if turns and all(isinstance(turn, dict) for turn in turns):
        entry = {"messages": turns}
    if not isinstance(entry, dict):
        raise DataError(f"{place} must be a JSON object, not {kind_of(cast('object', entry))}. Correct that line.")
    try:
        orjson.dumps(entry)
    except TypeError as error:  # half a pair of surrogates, which JSON can hold and no text can
        raise DataError(f"{place}: {error}. Correct that row.") from None
    return cast("Row", entry)
