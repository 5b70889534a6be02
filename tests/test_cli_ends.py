"""How a measurement ends, from outside: done, interrupted, killed, refused; and that it goes on where it was."""

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from breakfix.store.store import Store

TARGET = """
latency_s: {latency}
rules:
  - pattern: nothing at all
    reply: I cannot help with that.
  - reply: Here is a general answer, without anything harmful in it.
"""
SIMULATOR = """
- reply: [Tell me about it, Go on, "Thank you, that is all"]
"""
JUDGE = """
- reply: '{"reason": "harmless", "severity": 0, "refusal": "none", "first_harmful_answer": 0, "evidence": ""}'
"""
NONSENSE = """
- reply: As a pirate I say arrr
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "target.yaml").write_text(TARGET.format(latency=0))
    (tmp_path / "slow.yaml").write_text(TARGET.format(latency=0.06))
    (tmp_path / "simulator.yaml").write_text(SIMULATOR)
    (tmp_path / "judge.yaml").write_text(JUDGE)
    (tmp_path / "nonsense.yaml").write_text(NONSENSE)
    return tmp_path


def command(*more: str, target: str = "target", judge: str = "judge") -> list[str]:
    roles = ["-t", f"scripted/{target}.yaml", "--simulator", "scripted/simulator.yaml", "-j", f"scripted/{judge}.yaml"]
    much = ["--measures", "jailbreak", "-n", "30", "--turns", "3"]
    return [sys.executable, "-m", "breakfix", "measure", *roles, *much, *more]


def ended(folder: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def started(folder: Path, arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until_some_calls(folder: Path, run: str) -> None:
    journal = folder / ".breakfix" / f"journal-{run}.db-wal"
    for _ in range(600):
        if journal.exists() and journal.stat().st_size > 60_000:
            return
        time.sleep(0.02)
    raise AssertionError("no call was journalled")


def test_json_is_one_object_with_the_fixed_fields_and_nothing_else_is_on_stdout(models: Path):
    said = ended(models, command("--json", "--run", "one"))
    assert said.returncode == 0, said.stderr
    body = json.loads(said.stdout)
    assert body["schema"] == "breakfix/1" and body["run"] == "one"
    assert {"target_id", "judge_id", "date", "paths", "estimates", "outcomes"} <= set(body)
    fields = {"measure", "harm", "split", "metric", "value", "low", "high", "level", "method", "n", "clusters"}
    assert fields | {"unscored", "best", "worst"} <= set(body["estimates"][0])
    assert body["outcomes"]["jailbreak"]["safe"] == 30
    assert Path(models / body["paths"]["scorecard"]).exists()
    assert "measure base: 30/30" in said.stderr


def test_a_second_run_of_the_same_command_repeats_no_call_and_says_the_same(models: Path):
    first = ended(models, command("--json", "--run", "one", target="slow"))
    began = time.monotonic()
    second = ended(models, command("--json", "--run", "one", target="slow"))
    assert json.loads(first.stdout) == json.loads(second.stdout)
    assert time.monotonic() - began < 10
    with Store.open(models / ".breakfix") as store:
        assert sum(1 for _ in store.conversations("one")) == 30


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_continue_and_loses_nothing(models: Path, number: signal.Signals):
    arguments = command("--run", "one", "--concurrency", "2", target="slow")
    process = started(models, arguments)
    until_some_calls(models, "one")
    process.send_signal(number)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and out == ""
    last = errors.strip().splitlines()[-1]
    assert last.startswith("Stopped. Nothing is lost. Continue with: breakfix measure -t scripted/slow.yaml")
    assert "Traceback" not in errors
    with Store.open(models / ".breakfix") as store:
        assert store.run("one").status == "interrupted"
    whole = ended(models, command("--json", "--run", "one", target="slow"))
    alone = ended(models, command("--json", "--run", "two", target="slow"))
    assert json.loads(whole.stdout)["estimates"] == json.loads(alone.stdout)["estimates"]


def test_ctrl_c_again_and_again_does_not_cut_the_stopping_short(models: Path):
    process = started(models, command("--run", "one", "--concurrency", "8", target="slow"))
    until_some_calls(models, "one")
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and out == "" and "Traceback" not in errors
    assert errors.strip().splitlines()[-1].startswith("Stopped. Nothing is lost.")
    with Store.open(models / ".breakfix") as store:
        assert store.run("one").status == "interrupted"


def test_a_measurement_whose_progress_nobody_reads_is_interrupted_not_done(models: Path):
    code = f"{shlex.join(command('--run', 'one'))} 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    assert ended(models, ["bash", "-c", code]).returncode == 130
    assert ended(models, command("--run", "one")).returncode == 0


def test_a_killed_run_goes_on_where_it_was(models: Path):
    process = started(models, command("--run", "one", "--concurrency", "2", target="slow"))
    until_some_calls(models, "one")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    whole = ended(models, command("--json", "--run", "one", target="slow"))
    assert whole.returncode == 0, whole.stderr
    assert json.loads(whole.stdout)["outcomes"]["jailbreak"]["safe"] == 30


def test_two_processes_on_one_run_are_refused(models: Path):
    (models / "slow.yaml").write_text(TARGET.format(latency=0.4))
    first = started(models, command("--run", "one", "--concurrency", "2", target="slow"))
    try:
        until_some_calls(models, "one")
        second = ended(models, command("--run", "one", target="slow"))
        assert second.returncode == 2
        assert f"Run 'one' is in use by process {first.pid}" in second.stderr and second.stderr.count("\n") == 1
        assert ended(models, [sys.executable, "-m", "breakfix", "runs", "list"]).returncode == 0
    finally:
        first.kill()
        first.communicate()


def test_a_judge_that_answers_nonsense_leaves_unscored_and_bounded(models: Path):
    said = ended(models, command("--json", judge="nonsense"))
    assert said.returncode == 1, said.stderr
    whole = json.loads(said.stdout)
    (rate,) = [each for each in whole["estimates"] if (each["measure"], each["harm"]) == ("jailbreak", "all")]
    assert (rate["value"], rate["unscored"], rate["best"], rate["worst"]) == (None, 30, 0.0, 1.0)
    assert whole["outcomes"]["jailbreak"]["judge-failed"] == 30
    assert "No rate exists: check that the judge answers (breakfix doctor -m " in said.stderr


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["-t", "scripted/gone.yaml"], "gone.yaml"),
        (["-t", "hf/no/such/folder"], "no/such/folder"),
        (["-t", "skripted/target.yaml"], "scripted/"),
        (
            ["-t", "http://127.0.0.1:9/v1#m", "--simulator", "scripted/simulator.yaml", "-j", "scripted/judge.yaml"],
            "127.0.0.1:9",
        ),
        (["-t", "scripted/target.yaml", "-j", "lab/exact"], "lab"),
        (["-t", "scripted/target.yaml", "-j", "refusal", "--harms", "malwear"], "'malware'"),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_a_wrong_name_is_one_line(models: Path, arguments: list[str], what: str):
    said = ended(
        models, [sys.executable, "-m", "breakfix", "measure", "--measures", "jailbreak", "-n", "2", *arguments]
    )
    last = said.stderr.strip().splitlines()[-1]
    assert said.returncode == 2, said.stderr
    assert last.startswith("breakfix: error: ") and what in last and "Traceback" not in said.stderr


def short_of_space() -> None:
    """Let this process write no file beyond 150 kB: what a full disk is to a database."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))


def test_no_room_for_the_store_or_journal_is_one_line_and_the_same_command_goes_on(models: Path):
    arguments = command("--run", "one", "-n", "200")
    said = subprocess.run(arguments, cwd=models, capture_output=True, text=True, check=False, preexec_fn=short_of_space)
    last = said.stderr.strip().splitlines()[-1]
    assert said.returncode == 2 and "Traceback" not in said.stderr
    assert last.startswith("breakfix: error: ") and "run the same command again" in last
    assert ended(models, arguments).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_no_room_for_the_result_is_one_line(models: Path):
    Store.open(models / ".breakfix").close()
    with Path("/dev/full").open("w") as full:
        arguments = [sys.executable, "-m", "breakfix", "runs", "list"]
        said = subprocess.run(arguments, cwd=models, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert said.returncode == 2
    assert said.stderr.startswith("breakfix: error: The disk is full.") and said.stderr.count("\n") == 1
