"""Read scenarios from published sets and from the user's own files.

A set is named by a path, or by its name under the folder that the environment variable BREAKFIX_DATA names. Every
scenario carries its source and licence, and opens with the published prompt word for word. A broken row is an error
that names it by number; nothing is skipped. A set that holds nothing for a measure gives an empty list.
"""

import csv
import difflib
import io
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from breakfix.errors import DataError
from breakfix.identity import digest
from breakfix.scenarios.sets import LAYOUTS, PROHIBITED, Layout, Row, prohibited_harm
from breakfix.types import MEASURES, Measure, Scenario

DATA_VARIABLE = "BREAKFIX_DATA"
ANSWER_FIELDS = ("completion", "response", "answer")
"""What a file of recorded answers holds beside the prompt; a replay reads it, a scenario does not."""
MAX_CELL = 1 << 24


class Place(NamedTuple):
    """Where a row stands, for an error text."""

    path: Path
    word: str
    """row, entry or line."""
    number: int

    def __str__(self) -> str:
        """Write it as in 'prompts.csv row 3'."""
        return f"{self.path} {self.word} {self.number}"


def read_published(name: str, measure: Measure, *, harms: Collection[str] | None = None) -> list[Scenario]:
    """Read the scenarios that a set (by name or path) holds for one measure. Raises DataError naming file and row.

    With `harms`, a row that names any other harm is refused.
    """
    found: dict[str, Scenario] = {}
    for path in find_files(name):
        for place, scenario in _scenarios_in(path, measure, set_name=name if name in LAYOUTS else None):
            if found.setdefault(scenario.id, scenario).objective != scenario.objective:
                raise DataError(f"{place}: the id {scenario.id!r} is there twice. Give it another.")
            if harms is not None and scenario.harm not in (*harms, "none"):
                near = difflib.get_close_matches(scenario.harm, list(harms), n=1, cutoff=0.4)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(harms))}."
                raise DataError(f"{place}: unknown harm {scenario.harm!r}. {hint}")
    return list(found.values())


def find_files(name: str) -> list[Path]:
    """Give the files of a set: a path as it is, or a published set's under BREAKFIX_DATA. Raises DataError."""
    if Path(name).is_file():
        return [Path(name)]
    if name not in LAYOUTS:
        raise DataError(f"No scenarios {name!r}: neither a file nor a known set. Known sets: {', '.join(LAYOUTS)}.")
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        raise DataError(
            f"The published set {name!r} is looked for in the folder that {DATA_VARIABLE} names, which is not set."
            " Set it, or give the path of a file."
        )
    files = sorted(Path(folder).glob(LAYOUTS[name].files))
    if not files:
        raise DataError(f"No file {LAYOUTS[name].files!r} of the set {name!r} under {DATA_VARIABLE} ({folder}).")
    return files


# ── rows ──


def rows_of(path: Path) -> list[tuple[Place, Row]]:
    """Read a CSV, TSV, JSON list or JSONL file as placed rows. Raises DataError, also on a file without any row."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}.") from None
    read = {".csv": _table_rows, ".tsv": _table_rows, ".json": _list_rows}.get(path.suffix.lower(), _line_rows)
    rows = list(read(text, path))
    if not rows:
        raise DataError(f"{path} holds no scenario: the file has no rows.")
    return rows


def _table_rows(text: str, path: Path) -> Iterator[tuple[Place, Row]]:
    csv.field_size_limit(MAX_CELL)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    header = next(lines, list[str]())
    for number, cells in enumerate((cells for cells in lines if cells), start=1):
        place = Place(path, "row", number)
        if len(cells) != len(header):
            raise DataError(f"{place}: {len(cells)} cells, but the header has {len(header)}. Correct that row.")
        yield place, dict(zip(header, cells, strict=True))


def _list_rows(text: str, path: Path) -> Iterator[tuple[Place, Row]]:
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path} line {error.lineno} is not valid JSON: {error.msg}. Correct that line.") from None
    entries = cast("Row", body).get("jailbreaks") if isinstance(body, dict) else body
    if not isinstance(entries, list):
        raise DataError(f"{path} must hold a JSON list of scenarios; or write one JSON object a line, as .jsonl.")
    for number, entry in enumerate(cast("list[Any]", entries), start=1):
        place = Place(path, "entry", number)
        yield place, _as_row(entry, place)


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


def _as_row(entry: object, place: Place) -> Row:
    if not isinstance(entry, dict):
        raise DataError(f"{place} must be a JSON object, not a {type(entry).__name__}. Correct that line.")
    return cast("Row", entry)


# ── scenarios ──


def _scenarios_in(path: Path, measure: Measure, *, set_name: str | None) -> Iterator[tuple[Place, Scenario]]:
    rows = rows_of(path)
    name = set_name or _recognise(path, set(rows[0][1]))
    layout = LAYOUTS.get(name)
    if layout is None:
        yield from _own_scenarios(rows, measure)
        return
    missing = [column for column in layout.columns if column not in rows[0][1]]
    if missing:
        raise DataError(f"{path} is not the set {name!r}: the column {missing[0]!r} is missing.")
    for place, row in rows if measure in layout.measures else ():
        fields = _taken(layout, row, measure, place)
        if fields is not None:
            yield place, _checked({"measure": measure, "licence": layout.licence, "source": name, **fields}, place)


def _recognise(path: Path, columns: set[str]) -> str:
    """Name the set whose columns a file has, or the file itself if it is of the user's own making."""
    for name, layout in LAYOUTS.items():
        if set(layout.columns) <= columns:
            return name
    if not columns & {"prompt", "opening", "objective"}:
        raise DataError(
            f"{path} has the columns {', '.join(sorted(columns))}, which are of no known set."
            " Give 'prompt' (or 'opening'), or 'objective'; or the columns of a published set."
        )
    return path.name


def _taken(layout: Layout, row: Row, measure: Measure, place: Place) -> Row | None:
    try:
        fields = layout.take(row, measure)
    except KeyError as error:
        raise DataError(f"{place}: {error.args[0]!r} is missing. Correct that row.") from None
    if fields is not None and not str(fields["opening"]).strip():
        raise DataError(f"{place} has an empty prompt. Correct or remove that row.")
    return fields


def _own_scenarios(rows: list[tuple[Place, Row]], measure: Measure) -> Iterator[tuple[Place, Scenario]]:
    """Read rows of the user's own: fields of a Scenario, or `prompt` for `opening`.

    A row that names no measure serves each that is asked for (ungroundedness only if it brings a grounding text).
    """
    for place, row in rows:
        fields = {key: value for key, value in row.items() if key not in ANSWER_FIELDS and value not in ("", None)}
        if "prompt" in fields:
            fields["opening"] = fields.pop("prompt")
        if measure == "ungroundedness" and not {"measure", "grounding"} & set(fields):
            continue
        named = fields.setdefault("measure", measure)
        if named not in MEASURES:
            raise DataError(f"{place}: unknown measure {named!r}. Known: {', '.join(MEASURES)}.")
        if not fields.get("opening") and not fields.get("objective"):
            raise DataError(f"{place} has neither 'prompt' (or 'opening') nor 'objective'. Add one.")
        if named == measure:
            yield place, _checked({"source": place.path.name, "licence": "unstated", **fields}, place)


def _checked(fields: Row, place: Place) -> Scenario:
    """Fill in what follows from the rest (objective, family, id) and check the whole. Raises DataError."""
    fields.setdefault("harm", "none")
    fields.setdefault("objective", fields.get("opening"))
    _file_prohibited(fields)
    key = digest(fields["measure"], fields.get("opening"), fields["objective"], fields.get("grounding"))[:10]
    fields.setdefault("family", f"{fields['source']}/{key}")
    fields.setdefault("id", f"{fields['measure']}/{fields['family']}/{key}")
    try:
        return Scenario.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise DataError(f"{place}: {field!r}: {first['msg']}. Correct that row.") from None


def _file_prohibited(fields: Row) -> None:
    """File a harmful prompt of a prohibited harm under that harm, to be asked once as it stands."""
    opening = fields.get("opening")
    if not isinstance(opening, str) or fields.get("kind", "harmful") != "harmful":
        return
    harm = fields["harm"] if fields["harm"] in PROHIBITED else prohibited_harm(opening)
    if harm is not None:
        fields.update(harm=harm, area=PROHIBITED[harm], max_turns=1)
