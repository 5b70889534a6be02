"""The store: what runs have made, in one SQLite file that several processes may read and one process a run writes.

Writing is idempotent by id: a rerun after a kill leaves the same rows. Reading streams, so memory stays flat however
long a run is. The store keeps conversations and verdicts; estimates are always computed from them anew.
"""

import re
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Select, Table, create_engine, delete, event, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError

from breakfix.errors import StoreError, closest
from breakfix.estimates import Ending, Label
from breakfix.store import tables
from breakfix.store.locks import hold, is_held
from breakfix.store.migrations import prepare
from breakfix.store.records import RoundRecord, RunRecord, RunStatus, RunSummary, SealedOpening
from breakfix.types import Checkpoint, Conversation, Dataset, Finding, Noun, Scenario, Usage, Verdict

READ_AT_ONCE = 500
BUSY_TIMEOUT_S = 60
NOTHING = Usage()
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

N = TypeVar("N", bound=Noun)


class Store:
    """An open store. Use as a context manager, or call `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Holds store.db, the journals and the locks."""
        self.path = folder / "store.db"
        url = f"sqlite:///{self.path}"
        self._database = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False})
        event.listen(self._database, "connect", _tune)

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open or create the store in a folder. Raises StoreError: newer version, no room, not writable."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"Cannot create the store folder {str(folder)!r}: {error.strerror}. Give another with --store."
            ) from None
        store = cls(folder)
        with store._writing() as connection:
            prepare(connection, store.path)
        return store

    def close(self) -> None:
        """Let go of the file."""
        self._database.dispose()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── runs ──

    def lock_run(self, run: str) -> AbstractContextManager[None]:
        """Hold a run for this process. Raises StoreError when another process holds it."""
        check_run_name(run)
        return hold(self.folder / "locks" / f"{run}.lock", run)

    def save_run(
        self, run: str, *, status: RunStatus, settings: str = "", usage: Usage = NOTHING, **facts: object
    ) -> RunRecord:
        """Record a run, or what changed of it (facts: fields of RunRecord); empty values keep the old.

        `usage` adds to what earlier commands took.
        """
        check_run_name(run)
        known = self._record(run)
        now = _now()
        spent = known.usage.plus(usage) if known else usage
        changed = {"settings": settings, **facts}
        fresh: dict[str, Any] = {"run": run, "command": "", "settings": "", "created": now}
        body = (known.model_dump() if known else fresh) | {key: value for key, value in changed.items() if value}
        record = RunRecord.model_validate(body | {"status": status, "updated": now, "usage": spent})
        self.put_run(record)
        return record

    def put_run(self, record: RunRecord) -> None:
        """Record a run whole, in place of what was recorded: what is empty becomes empty."""
        self._write(tables.runs, [{"run": record.run, "body": record.model_dump_json()}])

    def run(self, run: str) -> RunRecord:
        """Give one run. Raises StoreError with the nearest known name."""
        if record := self._record(run):
            return record
        known = [each.run for each in self._nouns(RunRecord, select(tables.runs.c.body))]
        near = closest(run, known)
        hint = f"Did you mean {near!r}?" if near else "List what there is: breakfix runs list"
        raise StoreError(f"No run {run!r} in {str(self.path)!r}. {hint}")

    def is_known(self, run: str) -> bool:
        """Tell whether there is a run of this name."""
        return self._record(run) is not None

    def latest_run(self) -> RunRecord:
        """Give the run that was written last, one with a target before those that only judged. Raises StoreError."""
        records = list(self._nouns(RunRecord, select(tables.runs.c.body)))
        records = [record for record in records if record.target] or records
        if not records:
            raise StoreError(
                f"No runs in {str(self.path)!r} yet. Start one with: breakfix run SETTINGS, or breakfix demo"
            )
        return max(records, key=lambda record: record.updated)

    def runs(self) -> list[RunSummary]:
        """List all runs with their row counts, oldest first."""
        counted = (tables.scenarios, tables.conversations, tables.verdicts, tables.findings)
        counts = {table.name: self._counts(table) for table in counted}
        records = sorted(self._nouns(RunRecord, select(tables.runs.c.body)), key=lambda record: record.created)
        return [
            RunSummary(record=self._as_it_is(each), **{name: rows.get(each.run, 0) for name, rows in counts.items()})
            for each in records
        ]

    def delete_run(self, run: str) -> None:
        """Delete a run's rows; the log of sealed openings stays. Raises StoreError when it is unknown or in use."""
        self.run(run)
        with self.lock_run(run):
            self.forget_run(run)

    def forget_run(self, run: str) -> None:
        """Delete the rows of a run that this process holds."""
        with self._writing() as connection:
            for table in tables.OF_A_RUN:
                connection.execute(delete(table).where(table.c.run == run))

    # ── what was tried, said and judged ──

    def add_scenarios(self, run: str, scenarios: Iterable[Scenario]) -> None:
        """Write scenarios; one with a known id replaces it."""
        rows = [
            {"run": run, "id": each.id, "measure": each.measure, "split": each.split, "body": each.model_dump_json()}
            for each in scenarios
        ]
        self._write(tables.scenarios, rows)

    def scenarios(self, run: str, *, measure: str | None = None, split: str | None = None) -> Iterator[Scenario]:
        """Read scenarios in the order of their ids."""
        where = {"run": run, "measure": measure, "split": split}
        return self._nouns(Scenario, _selected(tables.scenarios, where).order_by(tables.scenarios.c.id))

    def add_conversations(self, run: str, conversations: Iterable[Conversation]) -> None:
        """Write a batch of conversations; one with a known id replaces it."""
        rows = [
            {"run": run, "purpose": each.purpose, **Ending.of(each)._asdict(), "body": each.model_dump_json()}
            for each in conversations
        ]
        self._write(tables.conversations, rows)

    def conversations(
        self,
        run: str,
        *,
        stage: str | None = None,
        purpose: str | None = None,
        scenario_ids: Collection[str] | None = None,
    ) -> Iterator[Conversation]:
        """Stream conversations in the order of their ids."""
        table = tables.conversations
        query = _selected(table, {"run": run, "stage": stage, "purpose": purpose}).order_by(table.c.id)
        if scenario_ids is None:
            return self._nouns(Conversation, query)
        wanted = frozenset(scenario_ids)
        rows = self.rows(query.add_columns(table.c.scenario_id))
        return (Conversation.model_validate_json(body) for body, scenario_id in rows if scenario_id in wanted)

    def conversation(self, run: str, conversation_id: str) -> Conversation | None:
        """Give one conversation by its id, or by the beginning of it when that is unambiguous."""
        table = tables.conversations
        query = _selected(table, {"run": run}).where(table.c.id.startswith(conversation_id, autoescape=True))
        found = list(self._nouns(Conversation, query.order_by(table.c.id != conversation_id).limit(2)))
        exact = [each for each in found if each.id == conversation_id]
        return (exact or found)[0] if exact or len(found) == 1 else None

    def conversation_ids(self, run: str, beginning: str) -> list[str]:
        """List the ids of a run's conversations that begin so; an exact one is alone."""
        ids = tables.conversations.c.id
        query = select(ids).where(tables.conversations.c.run == run, ids.startswith(beginning, autoescape=True))
        found = [row[0] for row in self.rows(query.order_by(ids))]
        return [beginning] if beginning in found else found

    def add_verdicts(self, run: str, verdicts: Iterable[Verdict]) -> None:
        """Write verdicts, one a conversation and judge; a later one replaces it."""
        rows = [
            {
                "run": run,
                "conversation_id": each.conversation_id,
                "judge_id": each.judge_id,
                "body": each.model_dump_json(),
            }
            for each in verdicts
        ]
        self._write(tables.verdicts, rows)

    def verdicts(
        self, run: str, judge_id: str | None = None, *, conversation_id: str | None = None
    ) -> Iterator[Verdict]:
        """Stream verdicts, of all judges or one, in the order of their conversations' ids."""
        order = tables.verdicts.c.conversation_id
        wanted = {"run": run, "judge_id": judge_id, "conversation_id": conversation_id}
        return self._nouns(Verdict, _selected(tables.verdicts, wanted).order_by(order))

    def add_labels(self, run: str, labels: Iterable[Label]) -> None:
        """Write people's labels, one a conversation and person; a later one replaces it."""
        rows = [
            {"run": run, "conversation_id": each.conversation_id, "by": each.by, "body": each.model_dump_json()}
            for each in labels
        ]
        self._write(tables.labels, rows)

    def labels(self, run: str) -> Iterator[Label]:
        """Stream people's labels in the order of their conversations' ids."""
        order = (tables.labels.c.conversation_id, tables.labels.c.by)
        return self._nouns(Label, _selected(tables.labels, {"run": run}).order_by(*order))

    # ── what was concluded and made ──

    def add_findings(self, run: str, findings: Iterable[Finding]) -> None:
        """Write findings; one with a known id replaces it, its state too."""
        rows = [
            {
                "run": run,
                "id": each.id,
                "round": each.round,
                "rank": each.rank,
                "state": each.state,
                "body": each.model_dump_json(),
            }
            for each in findings
        ]
        self._write(tables.findings, rows)

    def findings(self, run: str, *, state: str | None = None, round: int | None = None) -> list[Finding]:
        """Read findings, by round and rank."""
        table = tables.findings
        query = _selected(table, {"run": run, "state": state, "round": round}).order_by(table.c.round, table.c.rank)
        return list(self._nouns(Finding, query))

    def add_dataset(self, run: str, dataset: Dataset) -> None:
        """Write a dataset's card."""
        row = {"run": run, "id": dataset.id, "created": _now(), "body": dataset.model_dump_json()}
        self._write(tables.datasets, [row], keep=("created",))

    def datasets(self, run: str) -> list[Dataset]:
        """Read the datasets of a run, oldest first."""
        query = _selected(tables.datasets, {"run": run}).order_by(tables.datasets.c.created)
        return list(self._nouns(Dataset, query))

    def add_checkpoint(self, run: str, checkpoint: Checkpoint) -> None:
        """Write a checkpoint's manifest."""
        row = {"run": run, "id": checkpoint.id, "created": _now(), "body": checkpoint.model_dump_json()}
        self._write(tables.checkpoints, [row], keep=("created",))

    def checkpoints(self, run: str) -> list[Checkpoint]:
        """Read the checkpoints of a run, oldest first."""
        query = _selected(tables.checkpoints, {"run": run}).order_by(tables.checkpoints.c.created)
        return list(self._nouns(Checkpoint, query))

    def save_round(self, record: RoundRecord) -> None:
        """Write how far a round has come."""
        self._write(tables.rounds, [{"run": record.run, "round": record.round, "body": record.model_dump_json()}])

    def rounds(self, run: str) -> list[RoundRecord]:
        """Read the rounds of a run, in order."""
        query = _selected(tables.rounds, {"run": run}).order_by(tables.rounds.c.round)
        return list(self._nouns(RoundRecord, query))

    def open_sealed(self, run: str, why: str) -> None:
        """Put on the record that the sealed split is about to be read."""
        self._write(tables.openings, [{"run": run, "at": _now(), "why": why}])

    def sealed_openings(self, run: str | None = None) -> list[SealedOpening]:
        """Read the record of the sealed split's openings, oldest first."""
        table = tables.openings
        query = select(table.c.run, table.c.at, table.c.why).order_by(table.c.number)
        rows = self.rows(query if run is None else query.where(table.c.run == run))
        return [SealedOpening(run=of, at=at, why=why) for of, at, why in rows]

    # ── the file ──

    def count(self, run: str) -> int:
        """Count the conversations and verdicts of a run."""
        each = (tables.conversations, tables.verdicts)
        counts = [select(func.count()).select_from(table).where(table.c.run == run) for table in each]
        return sum(rows for query in counts for (rows,) in self.rows(query))

    def _as_it_is(self, record: RunRecord) -> RunRecord:
        """Call a run interrupted that was killed: it could not say so itself, but it no longer holds its lock."""
        is_dead = record.status == "running" and not is_held(self.folder / "locks" / f"{record.run}.lock")
        return record.model_copy(update={"status": "interrupted"}) if is_dead else record

    def _record(self, run: str) -> RunRecord | None:
        return next(iter(list(self._nouns(RunRecord, _selected(tables.runs, {"run": run})))), None)

    def _counts(self, table: Table) -> dict[str, int]:
        rows = self.rows(select(table.c.run, func.count()).group_by(table.c.run))
        return {run: count for run, count in rows}

    def _nouns(self, noun: type[N], query: Select[*tuple[Any, ...]]) -> Iterator[N]:
        return (noun.model_validate_json(row[0]) for row in self.rows(query))

    def rows(self, query: Select[*tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Stream what a query finds: for the readers of this folder, which know the tables."""
        with self._clear_errors(), self._database.connect() as connection:
            for row in connection.execution_options(yield_per=READ_AT_ONCE).execute(query):
                yield cast("tuple[Any, ...]", row)

    def _write(self, table: Table, rows: Sequence[Mapping[str, Any]], keep: tuple[str, ...] = ()) -> None:
        """Insert rows, or replace those with the same key, leaving the columns in `keep` as they were."""
        if not rows:
            return
        statement = insert(table)
        key = [column.name for column in table.primary_key]
        if set(key) <= set(rows[0]):
            new = {name: statement.excluded[name] for name in rows[0] if name not in key and name not in keep}
            statement = statement.on_conflict_do_update(index_elements=key, set_=new)
        with self._writing() as connection:
            connection.execute(statement, rows)

    @contextmanager
    def _writing(self) -> Generator[Connection]:
        with self._clear_errors(), self._database.begin() as connection:
            yield connection

    @contextmanager
    def _clear_errors(self) -> Generator[None]:
        """Turn what a database says of its file into one line; the SQL and its values stay out of it."""
        try:
            yield
        except DatabaseError as error:
            advice = _advice(str(error.orig), str(self.path))
            if advice is None:
                raise
            raise StoreError(advice) from None


def check_run_name(run: str, what: str = "run") -> str:
    """Refuse a name of a run, or of a stage, that cannot be a folder's name."""
    if not RUN_NAME.fullmatch(run):
        raise StoreError(
            f"{run!r} cannot name a {what}: use letters, digits, '.', '_' and '-', beginning with a letter or a digit."
        )
    return run


def _selected(table: Table, where: Mapping[str, object | None]) -> Select[*tuple[Any, ...]]:
    chosen = [table.c[name] == value for name, value in where.items() if value is not None]
    return select(table.c.body).where(*chosen)


def _tune(connection: Any, _: object) -> None:
    """Write-ahead log: readers and the writer do not wait for each other, and a kill loses no committed row."""
    connection.execute("PRAGMA synchronous=NORMAL")  # first: the change of a new file to WAL is then synced once less
    connection.execute("PRAGMA journal_mode=WAL")


def _advice(said: str, path: str) -> str | None:
    """Put what SQLite said into words; None: it is a bug, not a state of the file."""
    if "full" in said:
        return f"The disk is full: {path!r} cannot grow. Free some space and run the same command again."
    if "locked" in said:
        return f"The store {path!r} was kept busy by another process for {BUSY_TIMEOUT_S} s. Run the command again."
    if "readonly" in said or "unable to open" in said:
        return f"The store {path!r} cannot be written here. Check its permissions, or give a folder with --store."
    if "not a database" in said or "malformed" in said:
        return f"{path!r} is not a breakfix store, or is damaged ({said}). Move it away, or give another with --store."
    if "I/O error" in said:
        return f"The store {path!r} cannot be used ({said}). Free some disk, and run the same command again."
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
