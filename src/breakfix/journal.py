"""What survives `kill -9`: every completed model call of one run, by its key.

An append-only SQLite log in WAL mode. Replies that arrive in one turn of the event loop are committed together, by the
first who waits for it in `written`, so that nothing is asked on the strength of a reply which is not yet safe. It needs
no thread, and no index: the keys are held in memory, about 0.2 kB a call. The first write of a key wins.
A command that closes its journal has counted its calls; what one that was killed leaves uncounted is told by `owes`.
A journal belongs to one run; a second run reads another's only when told to (`reuse`). It knows nothing of models.
"""

import asyncio
import hashlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import orjson

from breakfix.errors import StoreError
from breakfix.types import Reply

VERSION = 1
TABLES = f"""
    BEGIN;
    CREATE TABLE IF NOT EXISTS about (run TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS reply (id INTEGER PRIMARY KEY, key BLOB NOT NULL, body BLOB NOT NULL);
    PRAGMA user_version = {VERSION};
    COMMIT;
"""
COUNTS = """
    BEGIN;
    CREATE TABLE counted (last INTEGER NOT NULL);
    CREATE TABLE missed (id INTEGER PRIMARY KEY);
    INSERT INTO counted SELECT coalesce(max(id), 0) FROM reply;
    COMMIT;
"""
"""Up to which row commands have counted what their calls took, and which rows before it none has."""
CHECKPOINT_PAGES = 4000
"""WAL pages (4 kB each) after which SQLite copies them into the database file."""


def journal_path(folder: Path, run: str) -> Path:
    """Give the journal file of a run in a project's `.breakfix` folder."""
    plain = re.sub(r"[^\w.-]", "_", run)
    suffix = "" if plain == run else "-" + hashlib.blake2b(run.encode(), digest_size=4).hexdigest()
    return folder / f"journal-{plain}{suffix}.db"


class Journal:
    """The completed calls of one run. `reuse` names another run, whose journal lies beside this one, to read too."""

    def __init__(self, path: Path, run: str, *, reuse: str | None = None) -> None:
        self.path = path
        self.run = run
        path.parent.mkdir(parents=True, exist_ok=True)
        self._pending: dict[bytes, bytes] = {}
        self._lent = _Lent(journal_path(path.parent, reuse), reuse) if reuse else None
        self._connection = _connect(path)
        try:
            _prepare(self._connection, path, run)
            self._ids = _keys(self._connection)
            self._uncounted = _uncounted(self._connection)
        except sqlite3.Error as error:
            raise _store_error(path, error) from None
        self._next_id = max(self._ids.values(), default=0) + 1

    def __len__(self) -> int:
        return len(self._ids) + len(self._pending)

    def get(self, key: bytes) -> Reply | None:
        """Give the reply kept under a key, or None."""
        body = self._pending.get(key)
        if body is None and (row := self._ids.get(key)) is not None:
            body = _read(self._connection, row)
        if body is not None:
            return _unpack(body)
        if self._lent is None or (lent := self._lent.get(key)) is None:
            return None
        reply = _unpack(lent)
        self.put(key, reply)
        return reply

    def is_lent(self, key: bytes) -> bool:
        """Tell whether the other run's journal answers a key: what it holds, that run paid for."""
        return self._lent is not None and key in self._lent

    @property
    def uncounted(self) -> int:
        """How many calls of commands that were killed nobody has counted so far."""
        return len(self._uncounted)

    def owes(self, key: bytes) -> bool:
        """Tell, once for each, whether a call was made by a command that was killed before it counted it."""
        row = self._ids.get(key)
        if row not in self._uncounted:
            return False
        self._uncounted.remove(row)
        return True

    def put(self, key: bytes, reply: Reply) -> None:
        """Keep a reply; the first write of a key wins. It is on disk once `written` returns, or after `flush`."""
        if key in self._ids or key in self._pending:
            return
        self._pending[key] = _pack(reply)

    async def written(self) -> None:
        """Wait until everything put so far is on disk. Raises StoreError if it cannot be."""
        await asyncio.sleep(0)  # whoever else has a reply at this moment puts it now
        if self._pending:
            self.flush()

    def flush(self) -> None:
        """Write what was put so far. Raises StoreError (disk full, file not writable)."""
        if not self._pending:
            return
        rows = [(self._next_id + n, key, body) for n, (key, body) in enumerate(self._pending.items())]
        try:
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT INTO reply (id, key, body) VALUES (?, ?, ?)", rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            raise _store_error(self.path, error) from None
        self._next_id += len(rows)
        self._ids.update((key, row) for row, key, _ in rows)
        self._pending.clear()

    def close(self) -> None:
        """Write what is left, note that it was counted, and close the file."""
        try:
            self.flush()
            self._note_counted()
        finally:
            self._connection.close()
            if self._lent is not None:
                self._lent.close()

    def _note_counted(self) -> None:
        try:
            self._connection.execute("BEGIN")
            self._connection.execute("UPDATE counted SET last = ?", (self._next_id - 1,))
            self._connection.execute("DELETE FROM missed")
            self._connection.executemany("INSERT INTO missed VALUES (?)", ((row,) for row in self._uncounted))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            raise _store_error(self.path, error) from None

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


class _Lent:
    """Another run's journal, read only."""

    def __init__(self, path: Path, run: str) -> None:
        if not path.exists():
            known = ", ".join(sorted(repr(name) for name in _runs_beside(path))) or "none"
            raise StoreError(f"No journal of run {run!r} at {str(path)!r} to reuse. Runs with a journal: {known}.")
        try:
            self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            self._ids = _keys(self._connection)
        except sqlite3.Error as error:
            raise _store_error(path, error) from None

    def __contains__(self, key: bytes) -> bool:
        return key in self._ids

    def get(self, key: bytes) -> bytes | None:
        row = self._ids.get(key)
        return None if row is None else _read(self._connection, row)

    def close(self) -> None:
        self._connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, isolation_level=None, timeout=10.0)
    except sqlite3.Error as error:
        raise _store_error(path, error) from None


def _prepare(connection: sqlite3.Connection, path: Path, run: str) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise StoreError(
            f"Journal {str(path)!r} was written by a newer breakfix (format {version}, this one knows {VERSION}). "
            "Upgrade breakfix, or name another --store."
        )
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute("PRAGMA cache_size = -1024")
    if version < VERSION:
        connection.executescript(TABLES)
    owner = connection.execute("SELECT run FROM about").fetchone()
    if owner is None:
        connection.execute("INSERT INTO about (run) VALUES (?)", (run,))
    elif owner[0] != run:
        raise StoreError(f"Journal {str(path)!r} belongs to run {owner[0]!r}, not {run!r}. Give each run its own file.")


def _keys(connection: sqlite3.Connection) -> dict[bytes, int]:
    ids: dict[bytes, int] = {}
    rows = cast("Iterator[tuple[bytes, int]]", connection.execute("SELECT key, id FROM reply ORDER BY id"))
    for key, row in rows:
        ids.setdefault(key, row)
    return ids


def _uncounted(connection: sqlite3.Connection) -> set[int]:
    """Find the rows that no command has counted; a journal that knows nothing of it yet owes none."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'counted'").fetchone():
        connection.executescript(COUNTS)
        return set()
    rows = "SELECT id FROM reply WHERE id > (SELECT last FROM counted) UNION SELECT id FROM missed"
    return {row for (row,) in connection.execute(rows)}


def _runs_beside(path: Path) -> Iterator[str]:
    for other in path.parent.glob("journal-*.db"):
        yield other.stem.removeprefix("journal-")


def _read(connection: sqlite3.Connection, row: int) -> bytes | None:
    found = connection.execute("SELECT body FROM reply WHERE id = ?", (row,)).fetchone()
    return found[0] if found else None


def _pack(reply: Reply) -> bytes:
    fields = (
        reply.text,
        reply.finish_reason,
        reply.prompt_tokens,
        reply.completion_tokens,
        reply.model_reported,
        reply.fingerprint,
    )
    return orjson.dumps((*fields, reply.shares) if reply.shares else fields)


def _unpack(body: bytes) -> Reply:
    text, finish_reason, prompt_tokens, completion_tokens, model_reported, fingerprint, *more = cast(
        "tuple[Any, ...]", orjson.loads(body)
    )
    return Reply.model_construct(
        text=text,
        finish_reason=finish_reason,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        model_reported=model_reported,
        fingerprint=fingerprint,
        shares=tuple(more[0]) if more else (),
    )


def _store_error(path: Path, error: sqlite3.Error) -> StoreError:
    text = str(error)
    if "full" in text:
        return StoreError(
            f"No space left to write {str(path)!r}; what was written is kept. Free some space, then run the same "
            "command again, or name another --store."
        )
    if "not a database" in text or "malformed" in text:
        return StoreError(f"{str(path)!r} is not a journal that breakfix can read ({text}). Move it away and rerun.")
    return StoreError(f"Cannot use journal {str(path)!r}: {text}. Check that the folder is writable, then rerun.")
