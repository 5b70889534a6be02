"""Rows from elsewhere into a run: findings with the conversations and scenarios that they speak of.

The files are what `breakfix runs export` writes. A broken line is named by its number, and nothing is written then.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from breakfix.errors import DataError
from breakfix.store.store import Store
from breakfix.types import Conversation, Finding, Noun, Scenario
from breakfix.wording import counted

N = TypeVar("N", bound=Noun)


class Files(NamedTuple):
    """JSONL files of findings, and of the conversations and scenarios behind them where the run lacks these."""

    findings: Path
    conversations: Path | None = None
    scenarios: Path | None = None


def bring_findings(store: Store, run: str, files: Files) -> int:
    """Write findings into a run, and of the other files only what they rest on; gives their number.

    Raises DataError: a broken line, or a conversation or its scenario that is not known.
    """
    findings = [each.model_copy(update={"run": run}) for each in read_rows(files.findings, Finding)]
    if not findings:
        raise DataError(f"{files.findings} holds no finding. Export some: breakfix runs export RUN --rows findings")
    wanted = {conversation_id for each in findings for conversation_id in each.conversation_ids}
    told = (each for each in _rows(files.conversations, Conversation) if each.id in wanted)
    said = [each.model_copy(update={"run": run}) for each in told]
    asked = {each.scenario_id for each in said}
    tried = [each for each in _rows(files.scenarios, Scenario) if each.id in asked]
    missing = wanted - {each.id for each in said} - {each.id for each in store.conversations(run)}
    if missing:
        raise DataError(
            f"{files.findings} speaks of {counted(len(missing), 'conversation')} that run {run!r} does not hold, "
            f"{min(missing)!r} for one. Give them with --conversations FILE (breakfix runs export RUN --rows"
            " conversations)."
        )
    unknown = asked - {each.id for each in tried}
    if unknown and (unknown := unknown - {each.id for each in store.scenarios(run)}):
        raise DataError(
            f"{files.conversations} speaks of {counted(len(unknown), 'scenario')} that run {run!r} does not hold, "
            f"{min(unknown)!r} for one. Give them with --scenarios FILE (breakfix runs export RUN --rows scenarios)."
        )
    store.add_scenarios(run, tried)
    store.add_conversations(run, said)
    store.add_findings(run, findings)
    return len(findings)


def read_rows(path: Path, noun: type[N]) -> Iterator[N]:
    """Read one noun a line. Raises DataError that names the file and the line."""
    try:
        with path.open("rb") as file:
            yield from _parsed(file, noun, path)
    except OSError as error:
        raise DataError(f"Cannot read {str(path)!r}: {error.strerror}.") from None


def _rows(path: Path | None, noun: type[N]) -> Iterator[N]:
    return read_rows(path, noun) if path else iter(())


def _parsed(lines: Iterable[bytes], noun: type[N], path: Path) -> Iterator[N]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield noun.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            key = ".".join(map(str, first["loc"])) or "the line"
            what = f"{path}, line {number}: {key}: {first['msg']}"
            raise DataError(f"{what}. It should be a {noun.__name__.lower()} as JSON.") from None
