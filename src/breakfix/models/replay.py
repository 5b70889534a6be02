"""Recorded answers as a model: published completions, or conversations that were held elsewhere.

Matches by what the user said: the whole series of user turns where a record has several, else the last one, white
space aside. Of several answers to one prompt the first counts. A prompt without a recorded answer is a failed call,
never an empty answer. Of a file with the answers of several models side by side (columns <model>_response, as
Do-Not-Answer has them) FILE#MODEL takes one.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson

from breakfix.errors import CallFailed, DataError, unreadable
from breakfix.identity import digest, file_digest
from breakfix.types import Decoding, Message, Reply
from breakfix.wording import kind_of

PROMPT_FIELDS = ("prompt", "request", "question", "instruction")
ANSWER_FIELDS = ("completion", "answer", "response", "output")
SIDE_BY_SIDE = "_response"
"""How the columns end in which a file holds several models' answers."""
CSV_FIELD_CHARACTERS = 10_000_000


class Record(NamedTuple):
    """One recorded answer and the user turns that led to it."""

    user_turns: tuple[str, ...]
    answer: str


class ReplayModel:
    """A model that answers from a JSONL or CSV file (protocols.Model)."""

    parallel = None
    is_recorded = True

    def __init__(self, name: str, path: Path, answerer: str | None = None) -> None:
        self.name = name
        self.path = path
        self._answers: dict[tuple[str, ...], str] = {}
        for record in read_records(path, answerer):
            self._answers.setdefault(record.user_turns, record.answer)
        if not self._answers:
            raise DataError(f"{path} holds no recorded answers.")
        self.identity = digest("replay", file_digest(path), *([answerer] if answerer else []))

    def __len__(self) -> int:
        return len(self._answers)

    async def generate(self, messages: Sequence[Message], decoding: Decoding) -> Reply:
        """Give the recorded answer. Raises CallFailed where there is none."""
        turns = tuple(_plain(message.content) for message in messages if message.role == "user")
        answer = self._answers.get(turns)
        if answer is None and turns:
            answer = self._answers.get(turns[-1:])
        if answer is None:
            raise CallFailed(f"no recorded answer to this prompt in {self.path.name}")
        return Reply(text=answer)

    async def close(self) -> None:
        """Nothing to free."""


def read_records(path: Path, answerer: str | None = None) -> Iterator[Record]:
    """Read `{prompt|request, completion|answer}` or `{messages}` rows. Raises DataError naming the row.

    With `answerer`, its column <answerer>_response holds the answers.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {str(path)!r}: {unreadable(error)}.") from None
    rows = _csv_rows(text, path, answerer) if path.suffix.lower() in (".csv", ".tsv") else _json_rows(text, path)
    for number, row in rows:
        yield from _records(row, answerer, where=f"{path} line {number}")


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except ValueError as error:
            raise DataError(f"{path} line {number} is not valid JSON ({error}). Correct or remove that line.") from None
        if not isinstance(row, dict):
            raise DataError(f"{path} line {number} holds {kind_of(cast('object', row))}, not an object.")
        yield number, cast("dict[str, Any]", row)


def _csv_rows(text: str, path: Path, answerer: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(CSV_FIELD_CHARACTERS)
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        if header := reader.fieldnames:
            _answers_of({column: column for column in header}, answerer, f"The header of {path}")
        for row in reader:
            yield reader.line_num, cast("dict[str, Any]", row)
    except csv.Error as error:
        raise DataError(f"{path} line {reader.reader.line_num}: {error}. Correct that line.") from None


def _records(row: dict[str, Any], answerer: str | None, where: str) -> Iterator[Record]:
    if isinstance(messages := row.get("messages"), list):
        yield from _spoken(cast("list[Any]", messages), where)
        return
    answers = _answers_of(row, answerer, where)
    prompt = next((row[field] for field in PROMPT_FIELDS if row.get(field) is not None), None)
    answer = next((row[field] for field in answers if row.get(field) is not None), None)
    if not isinstance(prompt, str) or not isinstance(answer, str):
        missing = "a prompt" if not isinstance(prompt, str) else "an answer"
        raise DataError(
            f"{where} has no {missing.split()[1]}: expected {_either(PROMPT_FIELDS)} and {_either(ANSWER_FIELDS)}, "
            "or messages."
        )
    yield Record((_plain(prompt),), answer)


def _answers_of(row: dict[str, Any], answerer: str | None, where: str) -> Sequence[str]:
    """Name the columns that may hold the answer: the usual ones, or the named model's."""
    several = [column.removesuffix(SIDE_BY_SIDE) for column in row if column.endswith(SIDE_BY_SIDE)]
    if answerer is None and several and not any(row.get(field) for field in ANSWER_FIELDS):
        raise DataError(
            f"{where} holds answers of several models ({', '.join(several)}). Name one: replay/FILE#{several[0]}"
        )
    if answerer is not None and answerer not in several:
        there = f"Known: {', '.join(several)}." if several else f"No column ends in {SIDE_BY_SIDE!r}."
        raise DataError(f"{where} has no answers of {answerer!r}. {there}")
    return ANSWER_FIELDS if answerer is None else (f"{answerer}{SIDE_BY_SIDE}",)


def _spoken(messages: list[Any], where: str) -> Iterator[Record]:
    turns: list[str] = []
    for message in messages:
        try:
            role, content = message["role"], message["content"]
        except (TypeError, KeyError):
            raise DataError(f"{where}: a message needs 'role' and 'content'.") from None
        if not isinstance(content, str):
            raise DataError(f"{where}: a message's content must be text.")
        if role == "user":
            turns.append(_plain(content))
        elif role == "assistant":
            yield Record(tuple(turns), content)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _either(fields: Sequence[str]) -> str:
    return " or ".join(repr(field) for field in fields[:2])
