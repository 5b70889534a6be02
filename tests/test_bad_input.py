"""Bad input, through the command line: one clear line (what, where, what to do), exit code 2, and nothing lost."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from breakfix.cli.main import run
from breakfix.store import tables
from breakfix.store.store import Store
from commands import REFUSED, breakfix, environment, inside, refusal, roles, start, write_scripts
from loopback import Loopback, loopback

SECRET = "sk-a-key-that-stays-home"
FEW = ["--measures", "jailbreak", "-n", "4", "--turns", "2"]
REDTEAM = ["--attacker", "scripted/simulator.yaml", "--budget", "6", "--set", "redteam.ordinary=0"]
WITHOUT_EXTRA = '''
"""Hide the packages of an extra, as if they had never been installed."""
import sys
HIDDEN = {"torch", "transformers", "trl", "peft", "accelerate", "datasets", "safetensors", "pyarrow"}
class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Without, sys.meta_path)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with scripted people, in which commands are run."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "BREAKFIX_API_KEY", "BREAKFIX_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return write_scripts(tmp_path)


@pytest.fixture(scope="module")
def shared() -> Iterator[Loopback]:
    with loopback() as server:
        yield server


@pytest.fixture
def server(shared: Loopback) -> Loopback:
    """The module's endpoint, with its options as at the start."""
    shared.set(latency_ms=0, key=None, models=[], record=True, is_opinionated=True)
    return shared


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must refuse; give its one line."""
    assert run(arguments) == 2
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert said.out == "" and [line for line in lines if line.startswith(REFUSED)] == lines[-1:]
    return lines[-1].removeprefix(REFUSED)


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Run `measure --json` and give the object."""
    said = inside(capsys, "measure", *arguments, "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


# ── names that nobody knows ──


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["measure", *roles(), "--set", "measure.turn=5"], ["unknown setting 'measure.turn'", "'turns'"]),
        (["measure", *roles(), "--measures", "jailbrake"], ["'jailbrake'", "Did you mean 'jailbreak'?"]),
        (["measure", *roles(), *FEW, "--harms", "malwear"], ["Unknown harm 'malwear'", "'malware'"]),
        (["measure", *roles(target="skripted/target.yaml"), *FEW], ["Unknown model 'skripted/", "'scripted/'"]),
        (["measure", *roles(target="scripted/gone.yaml"), *FEW], ["no file 'gone.yaml'", "Check the path"]),
        (["measure", *roles(target="replay/gone.csv"), *FEW], ["no file 'gone.csv'", "Check the path"]),
        (["measure", *roles(target="lab/huge"), *FEW], ["No lab model 'huge'", "lab/mini"]),
        (["measure", *roles(target="http://127.0.0.1:1/v1"), *FEW], ["names no model", "#<model>"]),
        (["measure", *roles(target="openai/gpt-4o"), *FEW], ["needs a key", "set OPENAI_API_KEY"]),
        (["measure", *roles(target="hf/./gone"), *FEW], ["no folder './gone'", "Check the path"]),
        (
            ["measure", *roles(), *FEW, "--scenarios", "gone.jsonl"],
            ["'gone.jsonl'", "Check the path", "breakfix scenarios"],
        ),
        (["measure", *roles(), *FEW, "--scenarios", "xstest"], ["BREAKFIX_DATA", "Set it"]),
        (["measure", *roles(judge="refusal"), *FEW], ["cannot judge jailbreak", "Name a model with --judge"]),
        (["measure", "-t", "scripted/target.yaml", *FEW], ["No judge is named", "--judge MODEL"]),
        (["measure", *roles(), *FEW, "--reuse", "gone"], ["No journal of run 'gone'"]),
        (["measure", *roles(), *FEW, "--run", "../up"], ["'../up' cannot name a run", "letters"]),
        (["redteam", *roles(), *REDTEAM, "--techniques", "plian"], ["No technique 'plian'", "Known: academic"]),
        (["redteam", *roles(), *REDTEAM, "--personas", "expert"], ["No persona 'expert'", "Known: low_skilled"]),
        (["align", "--target", "lab/mini", "--dataset", "gone"], ["No dataset in 'gone'", "card.json"]),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_a_name_that_nobody_knows_is_answered_with_what_is_known(
    folder: Path, arguments: list[str], says: list[str], capsys: pytest.CaptureFixture[str]
):
    if arguments[0] == "align":
        arguments = [*arguments, "--run", "new"]
    line = refused(arguments, capsys)
    assert all(part in line for part in says), line
    with Store.open(folder / ".breakfix") as store:
        assert not store.runs(), "what was refused before it began leaves no run"


def test_an_unknown_key_of_a_settings_file_is_named_with_its_file(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "mine.yaml").write_text("target: lab/mini\nredteam: {budgets: 3}\n")
    assert refused(["run", "mine.yaml"], capsys) == (
        "mine.yaml: unknown setting 'redteam.budgets'. Did you mean 'budget'?"
    )


# ── files ──


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "mine.jsonl holds no scenario: the file has no rows"),
        ('{"prompt": "a"}\n{"prompt": \n', "mine.jsonl line 2 is not valid JSON"),
        ('{"prompt": "a"}\n\n{"prompt": "b", "kind": "evil"}\n', "mine.jsonl line 3: 'kind'"),
        ('{"prompt": "a", "harm": "malwear"}\n', "mine.jsonl line 1: unknown harm 'malwear'. Did you mean 'malware'?"),
        ('{"prompt": "a", "measure": "third_party"}\n', "No scenario of jailbreak in mine.jsonl"),
        ('{"text": "a"}\n', "has the columns text, which are of no known set"),
        ("null\n", "line 1 must be a JSON object, not null"),
    ],
)
def test_a_scenario_file_that_is_empty_or_broken_is_named_with_its_line(
    folder: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
):
    (folder / "mine.jsonl").write_text(text)
    assert says in refused(["measure", *roles(), *FEW, "--scenarios", "mine.jsonl"], capsys)
    (folder / "mine.jsonl").write_text('{"prompt": "a", "harm": "malware"}\n')
    assert run(["measure", *roles(), *FEW, "--scenarios", "mine.jsonl"]) == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"messages": \n', "own.jsonl, line 2: not valid JSON"),
        ('{"messages": [{"role": "user", "content": "a"}]}\n', "own.jsonl, line 2: 'messages' must"),
        ('["a"]\n', "own.jsonl, line 2: not an object"),
    ],
)
def test_training_data_with_a_broken_line_is_refused_before_the_cycle_begins(
    folder: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("trl", reason="needs the [train] extra")
    good = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    (folder / "own.jsonl").write_text(json.dumps(good) + "\n" + text)
    (folder / "mine.yaml").write_text(yaml.safe_dump({"target": "lab/mini", "curate": {"sources": ["own.jsonl"]}}))
    assert says in refused(["run", "mine.yaml"], capsys)


def test_a_model_without_a_chat_template_says_where_to_put_one(folder: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("torch", reason="needs the [train] extra")
    (folder / "bare").mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / "bare" / name).write_text("{}")
    (folder / "bare" / "model.safetensors").write_bytes(b"")
    line = refused(["measure", *roles(target="hf/bare"), *FEW], capsys)
    assert "'hf/bare' has no chat template" in line and "'bare/chat_template.jinja'" in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["measure", "-t", "lab/mini", *FEW], "Model 'lab/mini' needs 'torch'"),
        (["run", "mine.yaml"], "Model 'lab/mini' needs 'torch'"),
        (["lab", "build", "mini"], "Building lab/mini needs 'torch'"),
        (["runs", "export", "kept", "--format", "parquet"], "Parquet export needs 'pyarrow'"),
    ],
)
def test_a_missing_extra_is_named_with_the_line_that_installs_it(folder: Path, arguments: list[str], says: str):
    (folder / "without").mkdir()
    (folder / "without" / "sitecustomize.py").write_text(WITHOUT_EXTRA)
    (folder / "mine.yaml").write_text("target: lab/mini\n")
    with Store.open(folder / ".breakfix") as store:
        store.save_run("kept", status="done")
    line = refusal(breakfix(folder, *arguments, PYTHONPATH=str(folder / "without")))
    assert line.startswith(says) and "Install it: pip install 'breakfix[" in line


# ── endpoints, keys and caps ──


def test_an_endpoint_that_is_not_there_is_named_and_once_it_is_the_same_command_goes_on(
    folder: Path, server: Loopback, capsys: pytest.CaptureFixture[str]
):
    line = refusal(inside(capsys, "measure", *roles(judge="http://127.0.0.1:9/v1#m"), *FEW, "--run", "one"))
    assert "Cannot reach 127.0.0.1:9 for model 'http://127.0.0.1:9/v1#m'" in line and "Check the URL" in line
    moved = ["--set", f"models.http://127.0.0.1:9/v1#m.base_url={server.url}"]
    assert measured(capsys, "--run", "one", *moved)["outcomes"]["jailbreak"]["judge-failed"] == 0


def test_a_model_that_the_endpoint_does_not_know_is_named(
    folder: Path, server: Loopback, capsys: pytest.CaptureFixture[str]
):
    server.set(models=["known"])
    line = refused(["measure", *roles(target=server.name("other")), *FEW], capsys)
    assert "#other': the endpoint answered 404" in line and "Check the model's name" in line


def test_a_key_for_one_host_never_goes_to_another_and_the_refusal_says_so(
    folder: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("MY_KEY", "wrong")
    server.set(key="right")
    asked = len(server.requests())
    named = [*roles(target=server.name()), *FEW, "--run", "one"]
    said = inside(capsys, "measure", *named)
    line = refusal(said)
    assert "wants a key" in line and "OPENAI_API_KEY is set, but was not sent there" in line
    assert f"models.{server.name()}.api_key_env" in line and "BREAKFIX_API_KEY" in line
    wrong = ["--set", f"models.{server.name()}.api_key_env=MY_KEY"]
    line = refusal(inside(capsys, "measure", *named[:-1], "other", *wrong))
    assert "refused the key in MY_KEY" in line and "(401)" in line
    requests = server.requests()[asked:]
    assert requests and SECRET not in json.dumps(requests) and SECRET not in said.stderr
    assert requests[0]["headers"].get("authorization") is None
    monkeypatch.setenv("BREAKFIX_API_KEY", "right")
    body = measured(capsys, *named)
    assert sum(body["outcomes"]["jailbreak"].values()) == 4 and body["outcomes"]["jailbreak"]["target-failed"] == 0
    assert SECRET not in json.dumps(server.requests())


def test_a_cap_is_held_and_with_a_higher_one_the_same_command_goes_on(
    folder: Path, server: Loopback, capsys: pytest.CaptureFixture[str]
):
    named = [*roles(**{role: server.name(role) for role in ("target", "simulator", "judge")}), *FEW, "--run", "one"]
    before = server.stats()["ok"]
    line = refusal(inside(capsys, "measure", *named, "--set", "calls.max_calls=9"))
    assert "The cap of 9 calls is reached (calls.max_calls)" in line and "raise the cap" in line
    assert server.stats()["ok"] == before + 9
    whole = measured(capsys, *named, "--set", "calls.max_calls=900")
    assert server.stats()["ok"] == before + 4 * 5, "four conversations of two exchanges and a verdict, each once"
    assert whole["estimates"] == measured(capsys, *named[:-1], "two")["estimates"]


def test_a_cap_in_dollars_needs_a_price(folder: Path, server: Loopback, capsys: pytest.CaptureFixture[str]):
    line = refused(["measure", *roles(target=server.name()), *FEW, "--set", "calls.max_cost_usd=1"], capsys)
    assert "calls.max_cost_usd cannot be held" in line and "price_in" in line


# ── the store ──


def set_schema(version: int) -> str:
    return f"update meta set value = '{version}' where key = 'schema'"


@pytest.mark.parametrize(
    ("file", "newer", "older"),
    [
        ("store.db", set_schema(99), set_schema(tables.SCHEMA)),
        ("journal-one.db", "pragma user_version = 99", "pragma user_version = 1"),
    ],
)
def test_a_store_of_a_newer_version_is_left_as_it_is(
    folder: Path, file: str, newer: str, older: str, capsys: pytest.CaptureFixture[str]
):
    command = ["measure", *roles(), *FEW, "--run", "one"]
    assert run(command) == 0
    capsys.readouterr()

    def change(statement: str) -> None:
        with sqlite3.connect(folder / ".breakfix" / file) as database:
            database.execute(statement)

    change(newer)
    line = refused(command, capsys)
    assert file in line and "newer breakfix" in line and "Upgrade breakfix" in line and "--store" in line
    change(older)
    with Store.open(folder / ".breakfix") as store:
        assert sum(1 for _ in store.conversations("one")) == 4


def test_a_store_that_is_no_store_is_left_as_it_is(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "other").mkdir()
    (folder / "other" / "store.db").write_bytes(b"something else altogether")
    line = refused(["measure", *roles(), *FEW, "--store", "other"], capsys)
    assert "'other/store.db' is not a breakfix store" in line and "Move it away" in line
    assert (folder / "other" / "store.db").read_bytes() == b"something else altogether"


def test_a_run_that_another_process_holds_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]):
    command = ["measure", *roles(), *FEW, "--run", "one"]
    with Store.open(folder / ".breakfix") as store, store.lock_run("one"):
        assert "Run 'one' is in use by process" in refused(command, capsys)
    assert run(command) == 0


@pytest.mark.skipif(not shutil.which("unshare"), reason="a small file system needs unshare")
def test_on_a_full_disk_nothing_is_lost_and_with_room_the_same_command_goes_on(folder: Path):
    mounted = folder / "small"
    mounted.mkdir()
    measure = f"{sys.executable} -m breakfix measure {' '.join(roles())} --measures jailbreak -n 300 --run one"
    script = f"""
        mount -t tmpfs -o size=400k none {mounted} || exit 77
        {measure} --store {mounted}/store > full.out 2> full.err; echo $? >> codes
        mount -o remount,size=50m {mounted}
        {measure} --store {mounted}/store --json > whole.out 2> whole.err; echo $? >> codes
    """
    done = subprocess.run(["unshare", "-rm", "bash", "-c", script], cwd=folder, env=environment(), check=False)
    if done.returncode == 77 or not (folder / "codes").exists():
        pytest.skip("this machine lets nobody mount a small file system")
    assert (folder / "codes").read_text().split() == ["2", "0"], (folder / "full.err").read_text()
    lines = (folder / "full.err").read_text().strip().splitlines()
    assert lines[-1].startswith(REFUSED) and "Free some space" in lines[-1]
    assert json.loads((folder / "whole.out").read_text())["outcomes"]["jailbreak"]["safe"] == 300


# ── ways to end ──


def test_a_red_team_that_was_interrupted_goes_on_to_the_same_findings(folder: Path, server: Loopback):
    server.set(latency_ms=25)
    named = roles(target=server.name(), judge=server.name("judge"))
    command = ["redteam", *named, "--attacker", server.name(), "--budget", "30", "--concurrency", "4", "--json"]
    command += ["--set", "redteam.ordinary=0"]
    before = server.stats()["ok"]
    process = start(folder, *command, "--run", "one")
    while server.stats()["ok"] < before + 20 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and out == "" and "Traceback" not in errors
    assert errors.strip().splitlines()[-1].startswith("Stopped. Nothing is lost. Continue with: breakfix redteam ")
    server.set(latency_ms=0)
    resumed, whole = (json.loads(breakfix(folder, *command, "--run", name).stdout) for name in ("one", "two"))
    assert resumed["spent"] == whole["spent"] and resumed["success"] == whole["success"]
    found = [[(each["harm"], each["technique"], each["tried"]) for each in one["findings"]] for one in (resumed, whole)]
    assert found[0] == found[1]
