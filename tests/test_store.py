"""The store: idempotent, streaming, locked by the system, and plain about what is wrong with its file."""

import csv
import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError

from breakfix.errors import BreakfixError, DataError, StoreError
from breakfix.estimates import Label
from breakfix.store import migrations, tables
from breakfix.store.endings import judged
from breakfix.store.export import export_rows
from breakfix.store.records import RoundRecord
from breakfix.store.store import Store
from breakfix.types import Checkpoint, Conversation, Dataset, Finding, Message, Scenario, Verdict
from older_store import make_older


def scenario(number: int, **fields: object) -> Scenario:
    base = {"id": f"s{number:04}", "measure": "jailbreak", "harm": "fraud", "objective": "x", "family": "f"}
    return Scenario.model_validate(base | fields)


def conversation(number: int, **fields: object) -> Conversation:
    turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hello there"}]
    base = {"id": f"c{number:04}", "run": "r", "scenario_id": f"s{number:04}", "target_id": "t", "stopped": "turns"}
    return Conversation.model_validate(base | {"turns": turns} | fields)


def finding(number: int, **fields: object) -> Finding:
    base = {"id": f"f{number}", "run": "r", "round": 1, "harm": "fraud", "area": "cyber", "behaviour": "complied"}
    counts = {"technique": "plain", "conversation_ids": ["c0001"], "tried": 4, "succeeded": 1, "rate": 0.25}
    rest = {"low": 0.05, "high": 0.7, "severity": 5.0, "rank": number}
    return Finding.model_validate(base | counts | rest | fields)


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "home") as opened:
        yield opened


def test_what_is_written_is_read_back_equal(store: Store):
    said = [conversation(n, purpose="redteam" if n % 2 else "benchmark", stage=f"round-{n % 3}") for n in range(9)]
    judged = [Verdict(conversation_id=each.id, judge_id="j", severity=n) for n, each in enumerate(said[:8])]
    store.add_scenarios("r", [scenario(n) for n in range(9)])
    store.add_conversations("r", said)
    store.add_verdicts("r", judged)
    assert list(store.scenarios("r")) == [scenario(n) for n in range(9)]
    assert list(store.conversations("r")) == said
    assert list(store.conversations("r", stage="round-1", purpose="redteam")) == [said[1], said[7]]
    assert list(store.conversations("r", scenario_ids={"s0003", "s0004"})) == said[3:5]
    assert list(store.verdicts("r", "j")) == judged
    assert list(store.verdicts("r", "other")) == list(store.conversations("other")) == []


def test_writing_twice_changes_nothing_and_a_later_row_replaces(store: Store):
    for _ in range(2):
        store.add_conversations("r", [conversation(n) for n in range(5)])
        store.add_verdicts("r", [Verdict(conversation_id="c0001", judge_id="j", unscored="no grade")])
    store.add_verdicts("r", [Verdict(conversation_id="c0001", judge_id="j", severity=2)])
    assert len(list(store.conversations("r"))) == 5
    assert [verdict.severity for verdict in store.verdicts("r")] == [2]


def test_runs_do_not_see_each_other(store: Store):
    store.add_conversations("a", [conversation(1)])
    store.add_conversations("b", [conversation(1, target_id="another")])
    assert [each.target_id for each in store.conversations("a")] == ["t"]


def test_reading_streams_while_another_writes(store: Store):
    store.add_conversations("r", [conversation(n) for n in range(1500)])
    reading = store.conversations("r")
    first = next(reading)
    store.add_conversations("r", [conversation(9000)])
    assert first.id == "c0000"
    assert sum(1 for _ in reading) == 1499


def test_a_conversation_is_found_by_the_beginning_of_its_id(store: Store):
    store.add_conversations("r", [conversation(10), conversation(11), conversation(20)])
    assert store.conversation("r", "c002") == conversation(20)
    assert store.conversation("r", "c0010") == conversation(10)
    assert store.conversation("r", "c001") is None
    assert store.conversation("r", "%") is None
    store.add_conversations("r", [conversation(30, id=name) for name in ("B1", "B2", "b")])
    assert store.conversation("r", "b") == conversation(30, id="b")


def test_findings_keep_their_rank_and_change_state(store: Store):
    store.add_findings("r", [finding(2), finding(1), finding(3, round=0)])
    assert [each.id for each in store.findings("r")] == ["f3", "f1", "f2"]
    store.add_findings("r", [finding(1, state="verified")])
    assert [each.id for each in store.findings("r", state="open", round=1)] == ["f2"]


def test_datasets_and_checkpoints_come_oldest_first(store: Store):
    made = [Dataset(id=x, path="p", examples=1, pairs=1, mixture={}, dropped={}, licences=()) for x in ("z", "a")]
    for each in (*made, made[0]):
        store.add_dataset("r", each)
    weights = Checkpoint(id="k", path="p", parent_id="b", dataset_id="z", settings_id="s", stages=("sft",), curves={})
    store.add_checkpoint("r", weights)
    assert store.datasets("r") == made
    assert store.checkpoints("r") == [weights]


def test_rounds_and_sealed_openings_are_on_the_record(store: Store):
    store.save_round(RoundRecord(run="r", round=1, stage="round-1"))
    store.save_round(RoundRecord(run="r", round=1, stage="round-1", done=True))
    store.open_sealed("r", "measure base")
    store.open_sealed("q", "measure base")
    assert [each.done for each in store.rounds("r")] == [True]
    assert [(each.run, each.why) for each in store.sealed_openings("r")] == [("r", "measure base")]
    assert len(store.sealed_openings()) == 2


def test_a_run_is_listed_updated_and_deleted_but_its_sealed_openings_stay(store: Store):
    store.save_run("r", status="running", settings="seed: 1\n", command="breakfix run a.yaml", target="lab/mini")
    store.save_run("r", status="done", target_id="abc")
    store.add_conversations("r", [conversation(1)])
    store.open_sealed("r", "measure base")
    (summary,) = store.runs()
    assert (summary.record.status, summary.record.settings, summary.record.target_id) == ("done", "seed: 1\n", "abc")
    assert (summary.conversations, summary.verdicts) == (1, 0)
    assert store.latest_run() == store.run("r")
    store.delete_run("r")
    assert store.runs() == [] and list(store.conversations("r")) == []
    assert len(store.sealed_openings("r")) == 1


def test_an_unknown_run_names_the_nearest(store: Store):
    with pytest.raises(StoreError, match="breakfix run"):
        store.latest_run()
    store.save_run("phi-3-first", status="done")
    with pytest.raises(StoreError, match="Did you mean 'phi-3-first'"):
        store.run("phi-3-frist")


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "with space", "x" * 101])
def test_a_run_name_must_be_able_to_name_a_folder(store: Store, name: str):
    with pytest.raises(StoreError, match="cannot name a run"):
        store.save_run(name, status="running")


HOLDER = """
import sys, time
from pathlib import Path
from breakfix.store.store import Store
with Store.open(Path(sys.argv[1])) as store, store.lock_run("r"):
    store.save_run("r", status="running")
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_is_locked_by_one_process_until_it_is_killed(store: Store):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, store.folder], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=f"'r' is in use by process {holder.pid}"), store.lock_run("r"):
            raise AssertionError("two processes hold one run")
        with pytest.raises(StoreError, match="in use"):
            store.delete_run("r")
        with store.lock_run("another"):
            assert store.run("r").status == "running"
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        holder.stdout.close() if holder.stdout else None
    with store.lock_run("r"):
        assert store.run("r").status == "running"


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store import conversation
from breakfix.store.store import Store
store = Store.open(Path(sys.argv[1]))
for batch in range(10_000):
    store.add_conversations("r", [conversation(batch * 10 + n) for n in range(10)])
    print(batch, flush=True)
"""


def test_a_look_at_the_lock_is_not_taken_for_a_holder(store: Store):
    with store.lock_run("r"):
        pass
    looking = os.open(store.folder / "locks" / "r.lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)  # as is_held does
    threading.Timer(0.01, os.close, [looking]).start()
    with store.lock_run("r"):
        pass


def test_every_batch_that_was_written_survives_a_kill(store: Store):
    arguments = [sys.executable, "-c", WRITER, str(store.folder), str(Path(__file__).parent)]
    writer = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    while int(writer.stdout.readline()) < 20:
        time.sleep(0)
    writer.kill()
    rest = [int(line) for line in writer.stdout.read().split()]
    writer.wait()
    writer.stdout.close()
    written = (rest[-1] if rest else 20) + 1
    count = sum(1 for _ in store.conversations("r"))
    assert written * 10 <= count <= (written + 1) * 10


def test_a_store_of_a_newer_version_is_refused(store: Store):
    database = sqlite3.connect(store.path)
    database.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(tables.SCHEMA + 1),))
    database.commit()
    database.close()
    with pytest.raises(StoreError, match=r"newer breakfix \(schema \d+.*Upgrade breakfix"):
        Store.open(store.folder)


def test_an_older_store_is_brought_up_step_by_step(store: Store):
    make_older(store.path, -1)
    database = sqlite3.connect(store.path)
    steps = migrations.STEPS | {-1: ["CREATE TABLE first (x)"], 0: ["ALTER TABLE first RENAME TO second"]}
    with store._writing() as connection:
        migrations.prepare(connection, store.path, steps)
    assert database.execute("SELECT count(*) FROM second").fetchone() == (0,)
    assert database.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == (str(tables.SCHEMA),)
    database.close()


def test_a_store_that_was_being_brought_up_when_it_was_killed_is_as_it_was(store: Store):
    store.add_conversations("r", [conversation(1)])
    make_older(store.path, 2)
    cut_short = {2: [*migrations.STEPS[2][:3], "SELECT killed FROM here"]}
    with pytest.raises(DatabaseError), store._writing() as connection:
        migrations.prepare(connection, store.path, cut_short)
    with Store.open(store.folder) as again:
        assert list(again.conversations("r")) == [conversation(1)]
        assert [ending.speakers for ending, _ in judged(again, "r", None, stage="base")] == ["ua"]


def test_a_store_of_version_1_gets_its_table_of_labels(store: Store):
    make_older(store.path, 1)
    with Store.open(store.folder) as again:
        again.add_labels("r", [Label(conversation_id="c1", harmful=True)])
        assert len(list(again.labels("r"))) == 1


def test_a_person_labels_a_conversation_once_and_two_people_twice(store: Store):
    store.add_labels("r", [Label(conversation_id="c1", by="ann", harmful=True), Label(conversation_id="c1", by="bob")])
    store.add_labels("r", [Label(conversation_id="c1", by="ann", harmful=False)])
    assert [(each.by, each.harmful) for each in store.labels("r")] == [("ann", False), ("bob", None)]
    assert list(store.labels("other")) == []


def test_a_run_that_only_judged_is_not_the_one_that_later_stages_go_on_with(store: Store):
    store.save_run("judge-x", status="done")
    assert store.latest_run().run == "judge-x"
    store.save_run("measured", status="done", target="m")
    store.save_run("judge-x", status="done")
    assert store.latest_run().run == "measured"


def test_a_file_that_is_no_store_is_named(tmp_path: Path):
    (tmp_path / "store.db").write_text("this is a letter to my aunt, and not a database at all" * 10)
    with pytest.raises(StoreError, match="is not a breakfix store"):
        Store.open(tmp_path)


@pytest.mark.parametrize("table", ["other (a)", "meta (key)", "runs (run, started)"])
def test_the_database_of_another_program_is_refused_and_gets_no_tables(tmp_path: Path, table: str):
    database = sqlite3.connect(tmp_path / "store.db")
    database.execute(f"CREATE TABLE {table}")
    with pytest.raises(StoreError, match=rf"no store of breakfix: its table '{table.split()[0]}'"):
        Store.open(tmp_path)
    assert database.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone() == (1,)
    database.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="Cannot create the store folder"):
        Store.open(tmp_path / "file" / "below")


def test_a_full_disk_is_one_line_and_loses_nothing(store: Store):
    store.add_conversations("r", [conversation(1)])
    with store._database.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
    long = Message(role="user", content="x" * 100_000)
    with pytest.raises(StoreError, match="disk is full") as raised:
        store.add_conversations("r", [conversation(2, turns=[long])])
    assert "\n" not in str(raised.value) and "xxx" not in str(raised.value)
    assert list(store.conversations("r")) == [conversation(1)]


def test_rows_are_exported_as_jsonl_and_csv(store: Store, tmp_path: Path):
    store.save_run("r", status="done")
    store.add_conversations("r", [conversation(n) for n in range(3)])
    assert export_rows(store, "r", "conversations", path=tmp_path / "c.jsonl", form="jsonl") == 3
    lines = (tmp_path / "c.jsonl").read_text().splitlines()
    assert [Conversation.model_validate_json(line) for line in lines] == list(store.conversations("r"))
    assert export_rows(store, "r", "conversations", path=tmp_path / "c.csv", form="csv") == 3
    with (tmp_path / "c.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["c0000", "c0001", "c0002"]
    assert json.loads(rows[0]["turns"])[0]["content"] == "hello"
    assert export_rows(store, "r", "findings", path=tmp_path / "f.csv", form="csv") == 0


@pytest.mark.parametrize("said", ["=HYPERLINK(A1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_a_spreadsheet_would_compute_is_text_in_csv_and_as_it_was_in_jsonl(
    store: Store, tmp_path: Path, said: str
):
    store.save_run("r", status="done")
    store.add_findings("r", [finding(1, technique=said, severity=-1.5)])
    export_rows(store, "r", "findings", path=tmp_path / "f.csv", form="csv")
    with (tmp_path / "f.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["technique"], row["severity"], row["behaviour"]) == (f"'{said}", "-1.5", "complied")
    export_rows(store, "r", "findings", path=tmp_path / "f.jsonl", form="jsonl")
    assert json.loads((tmp_path / "f.jsonl").read_bytes())["technique"] == said


def test_rows_are_exported_as_parquet(store: Store, tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    store.save_run("r", status="done")
    store.add_conversations("r", [conversation(n) for n in range(3)])
    path = tmp_path / "c.parquet"
    assert export_rows(store, "r", "conversations", path=path, form="parquet") == 3
    assert parquet.read_table(path).column("id").to_pylist() == ["c0000", "c0001", "c0002"]


WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None
from pathlib import Path
from breakfix.store.export import export_rows
from breakfix.store.store import Store
store = Store.open(Path(sys.argv[1]))
export_rows(store, "r", "findings", path=Path(sys.argv[2]), form="parquet")
"""


def test_parquet_without_pyarrow_names_the_extra(store: Store, tmp_path: Path):
    store.save_run("r", status="done")
    arguments = [sys.executable, "-c", WITHOUT_PYARROW, str(store.folder), str(tmp_path / "f.parquet")]
    said = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert said.stderr.splitlines()[-1].endswith("Install it: pip install 'breakfix[parquet]'")
    assert list(tmp_path.glob("f.*")) == []


def test_a_failed_export_leaves_no_half_file(store: Store, tmp_path: Path):
    with pytest.raises(BreakfixError, match="No run"):
        export_rows(store, "r", "findings", path=tmp_path / "f.csv", form="csv")
    assert list(tmp_path.glob("f.*")) == []
    store.save_run("r", status="done")
    (tmp_path / "a file").write_text("kept")
    with pytest.raises(DataError, match=r"Cannot write .*: [A-Z][a-z ]+\. Name another file with --to\.$"):
        export_rows(store, "r", "findings", path=tmp_path / "a file" / "f.csv", form="csv")
    assert (tmp_path / "a file").read_text() == "kept"


def test_a_killed_run_is_listed_as_interrupted(tmp_path: Path):
    with Store.open(tmp_path) as store:
        with store.lock_run("mine"):
            store.save_run("mine", status="running")
            assert [each.record.status for each in store.runs()] == ["running"]
        assert [each.record.status for each in store.runs()] == ["interrupted"]
