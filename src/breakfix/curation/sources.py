"""Data files as training rows: one's own JSONL, and the forms in which public safety data is published.

    own JSONL              {"messages": [...]} or {"prompt", "chosen", "rejected"}, texts or message lists
    HH-RLHF (.jsonl.gz)    {"chosen", "rejected"} transcripts; the prompt is what they share
    BeaverTails, PKU mini  prompt, response, is_safe (or question, answer, label); pairs are built by prompt
    PKU-SafeRLHF           prompt, response_0/1, is_response_i_safe, better_response_id, safer_response_id
    Safety-Tuned LLaMAs    [{"instruction", "input", "output"}, ...]

A file that cannot be read, and a broken line by its number, is an error. Rows that can be read and yet teach nothing
are counted with the reason. Each row carries its licence. Texts of rows never enter an error.
"""

import csv
import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson

from breakfix.curation.repair import Rows
from breakfix.curation.transcripts import (
    Fields,
    Row,
    SkippedRow,
    alpaca_row,
    hh_row,
    own_row,
    safer_pair_row,
    sharegpt_row,
)
from breakfix.errors import DataError, unreadable
from breakfix.types import Example, Message, Pair, Provenance

UNSTATED = "unstated"
LICENCES = {
    "hh-rlhf": "MIT",
    "beavertails": "CC-BY-NC-4.0",
    "pku-saferlhf": "CC-BY-NC-4.0",
    "safety-tuned-llamas": "CC-BY-NC-4.0",
}
"""Licences of published sets, by a part of the path; a row's own `licence` and the caller's go before."""


class Record(NamedTuple):
    """One row of a file as it was read."""

    number: int
    fields: Fields


def read_rows(name: str, *, licence: str | None = None, kind: str = "imported", root: Path | None = None) -> Rows:
    """Read one data file, by path or by a name under `root` (BREAKFIX_DATA). Raises DataError."""
    path = find_file(name, root)
    licence = licence or next((known for part, known in LICENCES.items() if part in str(path).lower()), UNSTATED)
    records = read_records(path)
    first = next(records, None)
    if first is None:
        raise DataError(f"{name} holds no rows. Give a file with at least one.")
    rows = _Reading(Path(name).name if Path(name).is_absolute() else name, licence, kind)
    judged = answers_of(first.fields)
    if judged is not None:
        return rows.from_answers(_again(first, records), judged)
    return rows.from_rows(_again(first, records), _form(first, name))


def find_file(name: str, root: Path | None = None) -> Path:
    """Find a data file or the only one in a folder, here or under `root` (None: BREAKFIX_DATA)."""
    published = root or (Path(os.environ["BREAKFIX_DATA"]) if os.environ.get("BREAKFIX_DATA") else None)
    for path in [Path(name), *([published / name] if published else [])]:
        if path.is_file():
            return path
        if path.is_dir():
            return _only_file(path, name)
    where = f" nor under {str(published)!r}" if published else "; published sets are looked up in BREAKFIX_DATA"
    raise DataError(f"No data file {name!r} here{where}. Correct the setting curate.sources.")


def read_records(path: Path) -> Iterator[Record]:
    """Read the rows of a .jsonl, .json, .csv or .tsv file, gzipped or not, numbered as lines. Raises DataError."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    readers: dict[str, Callable[[Iterable[str], Path], Iterator[Record]]] = {
        "jsonl": _json_lines,
        "json": _json_list,
        "csv": _table,
        "tsv": _table,
    }
    if kind not in readers:
        raise DataError(f"{path} is not of a kind that can be read: .jsonl, .json, .csv or .tsv, also .gz.")
    try:
        opened = gzip.open if path.name.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as text:
            yield from readers[kind](text, path)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read data file {str(path)!r}: {unreadable(error)}.") from None


class Answers(NamedTuple):
    """The columns of a file of single answers judged safe or not."""

    prompt: str
    response: str
    safe: str
    is_safe_when: bool


ANSWERS = (
    Answers("prompt", "response", "is_safe", True),
    Answers("question", "answer", "is_safe", True),
    Answers("question", "answer", "label", False),
)


def answers_of(fields: Fields) -> Answers | None:
    """Tell which columns hold prompt, answer and safety, where a file is of that form."""
    return next((form for form in ANSWERS if {form.prompt, form.response, form.safe} <= set(fields)), None)


class _Reading:
    """Rows being made of one file's records."""

    def __init__(self, name: str, licence: str, kind: str) -> None:
        self.name = name
        self.licence = licence
        self.kind = kind
        self.pairs: list[Pair] = []
        self.examples: list[Example] = []
        self.dropped: Counter[str] = Counter()

    def from_rows(self, records: Iterable[Record], form: Callable[[Fields], Row]) -> Rows:
        """Read rows that stand for themselves."""
        for record in records:
            try:
                self._add(form(record.fields), record)
            except SkippedRow as reason:
                self.dropped[str(reason)] += 1
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{self.name}, line {record.number}: {_fault(error)}. Correct or remove it.") from None
        return self._rows()

    def from_answers(self, records: Iterable[Record], form: Answers) -> Rows:
        """Read judged answers: the safe ones are examples, and beside an unsafe one to the same prompt a pair."""
        safe: dict[str, list[tuple[str, Record]]] = {}
        unsafe: dict[str, list[str]] = {}
        for record in records:
            try:
                prompt, answer = str(record.fields[form.prompt]).strip(), str(record.fields[form.response]).strip()
                is_safe = _truth(record.fields[form.safe]) is form.is_safe_when
            except (KeyError, ValueError) as error:
                raise DataError(f"{self.name}, line {record.number}: {_fault(error)}. Correct or remove it.") from None
            if not prompt or not answer:
                self.dropped["empty prompt or answer"] += 1
            elif is_safe:
                safe.setdefault(prompt, []).append((answer, record))
            else:
                unsafe.setdefault(prompt, []).append(answer)
        self.dropped["unsafe answer without a safe one"] += sum(len(v) for k, v in unsafe.items() if k not in safe)
        for prompt, answers in safe.items():
            for answer, record in answers:
                self._add(Row((_user(prompt),), (_assistant(answer),)), record)
            for rejected, (answer, record) in zip(unsafe.get(prompt, ()), _cycle(answers), strict=False):
                self._add(Row((_user(prompt),), (_assistant(answer),), (_assistant(rejected),)), record)
        return self._rows()

    def _add(self, row: Row, record: Record) -> None:
        if not all(message.content.strip() for message in (*row.prompt, *row.chosen, *(row.rejected or ()))):
            raise SkippedRow("empty message")
        provenance = Provenance(
            kind=cast("Any", self.kind),
            source=f"{self.name}:{record.number}",
            licence=str(record.fields.get("licence") or record.fields.get("license") or self.licence),
        )
        if row.rejected is None:
            self.examples.append(Example(messages=row.prompt + row.chosen, provenance=provenance))
        else:
            self.pairs.append(Pair(prompt=row.prompt, chosen=row.chosen, rejected=row.rejected, provenance=provenance))

    def _rows(self) -> Rows:
        return Rows(tuple(self.pairs), tuple(self.examples), {k: n for k, n in self.dropped.items() if n})


def _form(first: Record, name: str) -> Callable[[Fields], Row]:
    fields = set(first.fields)
    transcripts = [first.fields.get("chosen"), first.fields.get("rejected")]
    if "messages" in fields or {"prompt", "chosen", "rejected"} <= fields:
        return own_row
    if {"chosen", "rejected"} <= fields and all(isinstance(text, str) for text in transcripts):
        return hh_row
    if {"conversations", "chosen", "rejected"} <= fields:
        return sharegpt_row
    if {"prompt", "response_0", "response_1", "is_response_0_safe", "is_response_1_safe"} <= fields:
        return safer_pair_row
    if {"instruction", "output"} <= fields:
        return alpaca_row
    raise DataError(
        f"{name}, line {first.number}: no known form of training row "
        f"(its fields: {', '.join(sorted(fields)) or 'none'}). Give messages, or prompt, chosen and rejected."
    )


def _only_file(folder: Path, name: str) -> Path:
    kinds = (".jsonl", ".json", ".csv", ".tsv", ".jsonl.gz", ".json.gz", ".csv.gz")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name.endswith(kinds))
    training = [path for path in files if "training" in path.parts] or files
    if len(training) != 1:
        raise DataError(f"Folder {name!r} holds {len(training)} data files; name the one to read.")
    return training[0]


def _json_lines(text: Iterable[str], path: Path) -> Iterator[Record]:
    for number, line in enumerate(text, start=1):
        if line.strip():
            yield Record(number, _object(line, f"{path}, line {number}"))


def _json_list(text: Iterable[str], path: Path) -> Iterator[Record]:
    body = "".join(text)
    if not body.lstrip().startswith("["):
        yield from _json_lines(io.StringIO(body), path)
        return
    try:
        entries = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not valid JSON ({error.msg}).") from None
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise DataError(f"{path}, entry {number}: not an object with named fields. Correct or remove it.")
        yield Record(number, cast("Fields", entry))


def _table(text: Iterable[str], path: Path) -> Iterator[Record]:
    csv.field_size_limit(1 << 24)
    reader = csv.DictReader(text, delimiter="\t" if ".tsv" in path.name else ",")
    try:
        for fields in reader:
            if None in fields or None in fields.values():
                columns = len(reader.fieldnames or ())
                raise DataError(f"{path}, line {reader.line_num}: not {columns} columns as in the heading. Correct it.")
            yield Record(reader.line_num, cast("Fields", fields))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.reader.line_num}: {error}.") from None


def _object(line: str, where: str) -> Mapping[str, Any]:
    try:
        entry: Any = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{where}: not valid JSON ({error.msg}). Correct or remove the line.") from None
    if not isinstance(entry, dict):
        raise DataError(f"{where}: not an object with named fields. Correct or remove the line.")
    return cast("Mapping[str, Any]", entry)


def _truth(value: object) -> bool:
    known = {
        "1": True,
        "true": True,
        "yes": True,
        "safe": True,
        "0": False,
        "false": False,
        "no": False,
        "unsafe": False,
    }
    word = str(value).strip().lower().removesuffix(".0")
    if word not in known:
        raise ValueError("the safety label is not 0, 1, true or false")
    return known[word]


def _fault(error: Exception) -> str:
    return f"the field {error} is missing" if isinstance(error, KeyError) else str(error)


def _again(first: Record, rest: Iterator[Record]) -> Iterator[Record]:
    yield first
    yield from rest


def _cycle(answers: list[tuple[str, Record]]) -> Iterator[tuple[str, Record]]:
    while True:
        yield from answers


def _user(text: str) -> Message:
    return Message(role="user", content=text)


def _assistant(text: str) -> Message:
    return Message(role="assistant", content=text)
