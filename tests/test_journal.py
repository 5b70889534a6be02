"""The journal: first write wins, committed replies survive, another run's is read only when asked."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from breakfix.errors import StoreError
from breakfix.journal import Journal, journal_path
from breakfix.types import Reply

KEY = b"k" * 16
FULL = Reply(
    text="naïve 🙂 text",
    finish_reason="length",
    prompt_tokens=7,
    completion_tokens=3,
    model_reported="m",
    fingerprint="f",
)


def test_a_reply_comes_back_whole_after_reopening(tmp_path: Path):
    path = journal_path(tmp_path, "run")
    journal = Journal(path, "run")
    journal.put(KEY, FULL)
    assert journal.get(KEY) == FULL
    journal.close()
    again = Journal(path, "run")
    assert again.get(KEY) == FULL
    assert again.get(b"x" * 16) is None
    assert len(again) == 1


def test_the_first_write_wins_also_across_openings(tmp_path: Path):
    path = journal_path(tmp_path, "run")
    journal = Journal(path, "run")
    journal.put(KEY, Reply(text="first"))
    journal.put(KEY, Reply(text="second"))
    journal.close()
    journal = Journal(path, "run")
    journal.put(KEY, Reply(text="third"))
    kept = journal.get(KEY)
    assert kept is not None and kept.text == "first"


def test_replies_of_one_moment_are_written_together_and_awaited(tmp_path: Path):
    path = journal_path(tmp_path, "run")
    journal = Journal(path, "run")

    def on_disk() -> int:
        with sqlite3.connect(path) as reader:
            return reader.execute("SELECT count(*) FROM reply").fetchone()[0]

    async def put(number: int) -> tuple[int, int]:
        journal.put(b"%016d" % number, FULL)
        before = on_disk()
        await journal.written()
        return before, on_disk()

    async def put_all() -> list[tuple[int, int]]:
        return await asyncio.gather(*(put(number) for number in range(5)))

    assert asyncio.run(put_all()) == [(0, 5)] * 5


def test_one_cancelled_waiter_leaves_the_others_waiting_well(tmp_path: Path):
    journal = Journal(journal_path(tmp_path, "run"), "run")

    async def put(number: int) -> str:
        journal.put(b"%016d" % number, FULL)
        await journal.written()
        return "written"

    async def run() -> list[str | BaseException]:
        tasks = [asyncio.create_task(put(number)) for number in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, third = asyncio.run(run())
    assert first == third == "written"
    assert isinstance(second, asyncio.CancelledError)
    assert len(journal) == 3


def test_what_was_awaited_survives_kill_9(tmp_path: Path):
    path = journal_path(tmp_path, "run")
    code = f"""
        import asyncio, os, signal
        from pathlib import Path
        from breakfix.journal import Journal
        from breakfix.types import Reply
        async def go():
            journal = Journal(Path({str(path)!r}), "run")
            for number in range(300):
                journal.put(b"%016d" % number, Reply(text="text " * 50))
                await journal.written()
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(go())
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(Journal(path, "run")) == 300


def test_calls_of_a_killed_command_are_owed_once_whoever_asks_in_between(tmp_path: Path):
    def filled(*keys: bytes) -> Journal:
        journal = Journal(journal_path(tmp_path, "run"), "run")
        for key in keys:
            journal.put(key, FULL)
        journal.flush()
        return journal

    filled(b"ended").close()
    filled(b"one", b"two")  # never closed: killed
    between = filled(b"other")
    assert between.uncounted == 2 and not between.owes(b"ended") and between.owes(b"one") and not between.owes(b"one")
    between.close()
    again = filled()
    assert [key for key in (b"ended", b"one", b"two", b"other", b"new") if again.owes(key)] == [b"two"]
    again.close()
    assert filled().uncounted == 0


def test_an_older_journal_owes_nothing(tmp_path: Path):
    path = journal_path(tmp_path, "run")
    journal = Journal(path, "run")
    journal.put(KEY, FULL)
    journal.close()
    with sqlite3.connect(path) as connection:
        connection.executescript("DROP TABLE counted; DROP TABLE missed;")
    assert Journal(path, "run").uncounted == 0


def test_reuse_reads_another_run_and_keeps_what_it_read(tmp_path: Path):
    old = Journal(journal_path(tmp_path, "old"), "old")
    old.put(KEY, FULL)
    old.close()
    assert Journal(journal_path(tmp_path, "alone"), "alone").get(KEY) is None
    new = Journal(journal_path(tmp_path, "new"), "new", reuse="old")
    assert new.get(KEY) == FULL
    new.close()
    assert Journal(journal_path(tmp_path, "new"), "new").get(KEY) == FULL


def test_reusing_an_unknown_run_names_the_known_ones(tmp_path: Path):
    Journal(journal_path(tmp_path, "known"), "known").close()
    with pytest.raises(StoreError, match=r"'missing'.*'known'"):
        Journal(journal_path(tmp_path, "new"), "new", reuse="missing")


def test_a_newer_journal_is_refused(tmp_path: Path):
    path = journal_path(tmp_path, "run")
    Journal(path, "run").close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer breakfix"):
        Journal(path, "run")


def test_a_journal_belongs_to_one_run(tmp_path: Path):
    path = tmp_path / "journal.db"
    Journal(path, "one").close()
    with pytest.raises(StoreError, match=r"belongs to run 'one', not 'two'"):
        Journal(path, "two")


def test_a_file_that_is_no_journal_is_refused_in_one_line(tmp_path: Path):
    path = tmp_path / "journal.db"
    path.write_text("not a database at all, but some text that is long enough to be looked at " * 20)
    with pytest.raises(StoreError, match="not a journal"):
        Journal(path, "run")


@pytest.mark.skipif(not Path("/dev/full").exists() or os.name != "posix", reason="needs POSIX file limits")
def test_a_full_disk_is_one_clear_error_and_keeps_what_was_written(tmp_path: Path):
    path = journal_path(tmp_path, "run")
    code = f"""
        import asyncio, resource, signal
        from pathlib import Path
        from breakfix.errors import StoreError
        from breakfix.journal import Journal
        from breakfix.types import Reply
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        async def go():
            journal = Journal(Path({str(path)!r}), "run")
            written = 0
            try:
                for number in range(10_000):
                    journal.put(b"%016d" % number, Reply(text="text " * 200))
                    await journal.written()
                    written += 1
            except StoreError as error:
                print(written, error)
        asyncio.run(go())
    """
    told = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, capture_output=True, text=True)
    written, _, error = told.stdout.partition(" ")
    assert "rerun" in error or "again" in error, told
    assert len(Journal(path, "run")) == int(written) > 0


@pytest.mark.parametrize(("run", "file"), [("demo-1", "journal-demo-1.db"), ("a/b", "journal-a_b-")])
def test_the_file_is_named_after_the_run(tmp_path: Path, run: str, file: str):
    assert journal_path(tmp_path, run).name.startswith(file)


def test_runs_whose_plain_names_are_equal_have_files_of_their_own(tmp_path: Path):
    assert journal_path(tmp_path, "a/b") != journal_path(tmp_path, "a:b") != journal_path(tmp_path, "a_b")
