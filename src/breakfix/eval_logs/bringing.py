"""An Inspect log into a run, so that `report`, `compare` and `curate` work on it as on any other.

A log of ours brings run, settings, verdicts and labels along. Any other becomes conversations that nobody has judged
yet; its scores are laid beside them in `scores.jsonl`, since nobody knows what their scale is to us.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import orjson

from breakfix.errors import BreakfixError, DataError, StoreError
from breakfix.eval_logs.foreign import Meaning
from breakfix.eval_logs.reading import TARGET, Opened, models_of, open_log, told_in_log
from breakfix.eval_logs.samples import Told
from breakfix.files import draft_of, write_whole
from breakfix.project import SETTINGS, Project
from breakfix.settings import CycleSettings, dump_settings
from breakfix.types import Conversation

if TYPE_CHECKING:
    from breakfix.store.store import Store

SCORES = "scores.jsonl"
PLAYED = ("target", "simulator", "judge")
"""Roles of a log that are roles of a run."""
WRITTEN_AT_ONCE = 100


class Brought(NamedTuple):
    """What came of a log."""

    run: str
    conversations: int
    verdicts: int
    scores: int
    """Rows of foreign scores, in the run's scores.jsonl."""
    dropped: dict[str, int]
    """What of foreign samples is no part of a conversation here, by name."""


def bring_log(project: Project, path: Path, *, run: str | None = None, meaning: Meaning | None = None) -> Brought:
    """Bring a log into a run, its own one unless another is named. The same log brought twice changes nothing.

    Raises DataError: no log, a damaged one (a new run is then not made), or a foreign one without a `meaning`.
    StoreError: no run is named, or the run holds another target's conversations under the same stage.
    """
    from breakfix.store.store import Store

    opened = open_log(path)
    name = run or (opened.record.run if opened.record else None)
    if name is None:
        raise StoreError(f"{str(path)!r} does not say which run of breakfix it was made of: name one with --run NAME.")
    with Store.open(project.store) as store, store.lock_run(name):
        is_new = not store.is_known(name)
        try:
            brought = _bring(Inbox(store, name), opened, meaning, folder=project.out / name)
        except BreakfixError:
            if is_new:
                store.forget_run(name)
            raise
        if is_new:
            _settle(store, name, opened, folder=project.out / name)
    return brought


class Inbox:
    """Conversations on their way into a run. Two targets under one stage would count as one, and are refused."""

    def __init__(self, store: "Store", run: str) -> None:
        self.run = run
        self._store = store
        self._targets: dict[str, str] = {}

    def put(self, told: Sequence[Told]) -> None:
        """Write a batch. Raises StoreError where a stage is another target's."""
        for each in told:
            self._claim(each.conversation)
        store, run = self._store, self.run
        store.add_scenarios(run, [each.scenario for each in told])
        store.add_conversations(run, [each.conversation for each in told])
        store.add_verdicts(run, [verdict for each in told for verdict in each.verdicts])
        store.add_labels(run, [label for each in told for label in each.labels])

    def _claim(self, said: Conversation) -> None:
        if said.stage not in self._targets:
            known = next(iter(self._store.conversations(self.run, stage=said.stage)), said)
            self._targets[said.stage] = known.target_id
        if self._targets[said.stage] != said.target_id:
            raise StoreError(
                f"Run {self.run!r} holds conversations of another target under stage {said.stage!r}."
                " Name another run for this log with --run NAME."
            )


def _bring(inbox: Inbox, opened: Opened, meaning: Meaning | None, *, folder: Path) -> Brought:
    counts: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    found = told_in_log(opened, inbox.run, meaning, dropped)
    with tempfile.TemporaryFile() as scores:
        while some := list(islice(found, WRITTEN_AT_ONCE)):
            inbox.put([each.told for each in some])
            rows = _write(scores, (row for each in some for row in each.scores))
            verdicts = sum(len(each.told.verdicts) for each in some)
            counts.update(conversations=len(some), verdicts=verdicts, scores=rows)
        if not counts["conversations"]:
            raise DataError(f"{str(opened.path)!r} holds no conversation. Did its evaluation begin at all?")
        if counts["scores"]:
            _publish(scores, folder / SCORES)
    return Brought(inbox.run, counts["conversations"], counts["verdicts"], counts["scores"], dict(dropped))


def _write(file: IO[bytes], rows: Iterable[dict[str, Any]]) -> int:
    lines = [orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows]
    file.writelines(lines)
    return len(lines)


def _publish(file: IO[bytes], path: Path) -> None:
    """Lay the scores beside those of other logs; of a log that came before, they replace the old ones."""
    file.seek(0)
    brought = {orjson.loads(line)["conversation_id"] for line in file}
    file.seek(0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(path) as draft, draft.open("wb") as target:
            target.writelines(_others(path, brought))
            shutil.copyfileobj(file, target)
    except OSError as error:
        raise DataError(f"Cannot write {str(path)!r}: {error.strerror}. Give another place with --out.") from None


def _others(path: Path, brought: Collection[str]) -> Iterator[bytes]:
    """Give the rows of a file of scores that are about other conversations than these. Raises DataError."""
    if not path.exists():
        return
    with path.open("rb") as known:
        for line in known:
            try:
                is_other = orjson.loads(line)["conversation_id"] not in brought
            except (ValueError, KeyError, TypeError):
                raise DataError(f"{str(path)!r} holds a line that is no row of scores. Move it away.") from None
            if is_other:
                yield line


def _settle(store: "Store", run: str, opened: Opened, *, folder: Path) -> None:
    """Record the new run: as it was, or by what the log says of its models."""
    record = opened.record
    facts: dict[str, Any]
    if record is None:
        settings = dump_settings(_settings_of(opened))
        facts = _facts_of(store, run)
    else:
        settings = record.settings
        facts = record.model_dump(exclude={"run", "status", "settings", "usage", "created", "updated", "command"})
    facts["target"] = facts.get("target") or f"inspect/{models_of(opened)[TARGET]}"
    store.save_run(run, status="done", settings=settings, command=f"breakfix import {opened.path}", **facts)
    if settings:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / SETTINGS, settings.encode())


def _settings_of(opened: Opened) -> CycleSettings:
    """Name the log's models as ours are named, so that later stages reach the same ones."""
    models = models_of(opened)
    return CycleSettings.model_validate({role: f"inspect/{models[role]}" for role in PLAYED if role in models})


def _facts_of(store: "Store", run: str) -> dict[str, Any]:
    said = next(iter(store.conversations(run)))
    verdict = next(iter(store.verdicts(run)), None)
    return {"target_id": said.target_id, "judge_id": verdict.judge_id if verdict else None}
