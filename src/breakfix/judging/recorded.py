"""Answers that were recorded elsewhere: a line of JSON becomes a scenario and a conversation that any judge can judge.

A row is `{request, answer}` or `{messages}`; what else it may say (id, measure, harm, grounding ...) a judge takes into
account, and columns of other tools are passed over. A broken line is named by its number. Nothing is kept in memory, so
a file of any length streams through.
"""

from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson
from pydantic import ValidationError

from breakfix.errors import DataError, unreadable
from breakfix.identity import digest
from breakfix.languages import code_of
from breakfix.types import Conversation, Message, Scenario, Verdict
from breakfix.wording import kind_of

REQUEST_FIELDS = ("request", "prompt", "question", "instruction")
ANSWER_FIELDS = ("answer", "completion", "response", "output")
SCENARIO_FIELDS = (
    "measure", "harm", "area", "kind", "objective", "persona", "language", "grounding", "system_prompt", "truth",
)  # fmt: skip
WRITTEN_FIELDS = (
    "severity", "ungroundedness", "refusal", "harmful", "probability", "first_harmful_turn", "evidence", "reason",
    "unscored",
)  # fmt: skip
Row = Mapping[str, Any]


class Recorded(NamedTuple):
    """One recorded conversation, ready to be judged."""

    id: str | int
    """The row's own id, or the number of its line."""
    scenario: Scenario
    conversation: Conversation


def read_recorded(path: Path) -> Iterator[Recorded]:
    """Read JSONL row by row, blank lines aside. Raises DataError that names file and line."""
    for where, number, row in read_lines(path):
        yield recorded(row, where=where, number=number)


def read_lines(path: Path) -> Iterator[tuple[str, int, Row]]:
    """Read the objects of a JSONL file, each with its place in words and its number from 1. Raises DataError."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    where = f"{path} line {number}"
                    yield where, number, _object(line.removeprefix(BOM_UTF8) if number == 1 else line, where)
    except OSError as error:
        raise DataError(f"Cannot read {str(path)!r}: {error.strerror}.") from None


def recorded(row: Row, *, where: str, number: int) -> Recorded:
    """Make what a judge needs of one row. Raises DataError that says what is missing or wrong, and where."""
    spoken = _messages(row["messages"], where) if row.get("messages") is not None else _exchange(row, where)
    turns = tuple(turn for turn in spoken if turn.role != "system")
    asked = next((turn.content for turn in turns if turn.role == "user"), "")
    given = {name: row[name] for name in SCENARIO_FIELDS if row.get(name) is not None}
    if isinstance(given.get("language"), str):
        given["language"] = code_of(given["language"])
    if spoken and spoken[0].role == "system":
        given.setdefault("system_prompt", spoken[0].content)
    mark = digest([(turn.role, turn.content) for turn in spoken], given)
    fields = {
        "measure": "ungroundedness" if "grounding" in given else "jailbreak",
        "harm": "none",
        "objective": asked,
        **given,
        "id": mark,
        "family": mark,
        "opening": asked or None,
        "source": "recorded",
        "licence": "unstated",
    }
    try:
        scenario = Scenario.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise DataError(f"{where}: {key!r}: {first['msg']}. Correct that line.") from None
    said = Conversation(id=mark, run="", scenario_id=mark, target_id="recorded", turns=turns, stopped="turns")
    mine = row.get("id")
    return Recorded(mine if isinstance(mine, str | int) else number, scenario, said)


def written(entry: Recorded, verdict: Verdict) -> dict[str, object]:
    """Give the row that is written of a verdict: the same keys for every judge, null for what it does not judge."""
    fields = {name: getattr(verdict, name) for name in WRITTEN_FIELDS}
    return {"id": entry.id, "judge_id": verdict.judge_id, **fields}


def _object(line: bytes, where: str) -> Row:
    try:
        row = orjson.loads(line)
    except ValueError as error:
        _check_text(line, where)
        raise DataError(f"{where} is not valid JSON ({error}). Correct or remove that line.") from None
    if not isinstance(row, dict):
        raise DataError(f"{where} holds {kind_of(cast('object', row))}, not an object. Correct or remove that line.")
    return cast("dict[str, Any]", row)


def _check_text(line: bytes, where: str) -> None:
    """Raise DataError on what is no UTF-8, which would otherwise pass for broken JSON."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: {unreadable(error)}.") from None


def _exchange(row: Row, where: str) -> tuple[Message, ...]:
    asked, answer = _text(row, REQUEST_FIELDS, where), _text(row, ANSWER_FIELDS, where)
    said = Message(role="assistant", content=answer)
    return (Message(role="user", content=asked), said)


def _text(row: Row, names: tuple[str, ...], where: str) -> str:
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        raise DataError(f"{where} has no {names[0]!r}. A row is {{request, answer}} or {{messages}}.")
    if not isinstance(row[name], str):
        raise DataError(f"{where}: {name!r} must be text, not {kind_of(row[name])}. Correct that line.")
    return row[name]


def _messages(messages: object, where: str) -> tuple[Message, ...]:
    if not isinstance(messages, list) or not messages:
        raise DataError(f"{where}: 'messages' must be a list of messages. Correct that line.")
    spoken: list[Message] = []
    for place, message in enumerate(cast("list[Any]", messages), start=1):
        try:
            role, content = message["role"], message["content"]
            spoken.append(Message(role=role, content=content, finish_reason=message.get("finish_reason")))
        except (TypeError, KeyError, AttributeError):
            raise DataError(f"{where}: message {place} needs 'role' and 'content'. Correct that line.") from None
        except ValidationError as error:
            key = error.errors(include_input=False)[0]["loc"][0]
            wanted = "system, user or assistant" if key == "role" else "text"
            raise DataError(f"{where}: message {place}: {str(key)!r} must be {wanted}. Correct that line.") from None
        if role == "system" and place > 1:
            raise DataError(f"{where}: message {place}: a system message can only be the first. Correct that line.")
    return tuple(spoken)
