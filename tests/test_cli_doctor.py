"""The doctor: what is well, what is not, and the remedy."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from breakfix.cli.main import run
from breakfix.errors import BrokenExtra
from breakfix.eval_logs.samples import need_inspect


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text("- {reply: ready}\n")
    return tmp_path


def test_a_healthy_place_is_told_as_such(capsys: pytest.CaptureFixture[str]):
    assert run(["doctor", "--model", "scripted/good.yaml", "--json"]) == 0
    found = {each["what"]: each for each in json.loads(capsys.readouterr().out)["findings"]}
    assert found["version"]["state"] == "ok"
    assert found["model scripted/good.yaml"]["detail"].startswith("answered in")
    assert {"extra [train]", "extra [parquet]", "GPU", "disk", "store"} <= set(found)


def test_recorded_answers_are_counted_and_not_asked(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "answers.jsonl").write_text('{"prompt": "Why is it blue?", "completion": "It scatters."}\n')
    assert run(["doctor", "--model", "replay/answers.jsonl"]) == 0
    assert "✓ model replay/answers.jsonl: 1 recorded answer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "what"), [("scripted/gone.yaml", "gone.yaml"), ("http://127.0.0.1:9/v1#m", "127.0.0.1:9")]
)
def test_a_model_that_does_not_answer_is_a_problem_with_its_cause(
    model: str, what: str, capsys: pytest.CaptureFixture[str]
):
    assert run(["doctor", "--model", model]) == 2
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(f"✗ model {model}"))
    assert what in line.removeprefix(f"✗ model {model}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target: scripted/good.yaml\n", "No judge is named."),
        ("judge: refusal\n", "No target is named."),
        ("target: scripted/good.yaml\njudge: refusal\n", "Judge 'refusal' tells whether a request was refused, and"),
        ("target: scripted/good.yaml\njudge: scripted/good.yaml\n", "is the model under test (the same name)"),
    ],
)
def test_settings_that_no_measurement_would_take_are_a_problem(
    text: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "s.yaml").write_text(text)
    assert run(["doctor", "-c", "s.yaml"]) == 2
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("✗ settings s.yaml"))
    assert said in line


@pytest.mark.parametrize(
    "more",
    ["judge: embedded\nmeasure: {measures: [jailbreak]}", "judge: refusal\nmeasure: {scenarios: [xstest]}",
     "judge: scripted/good.yaml\nallow_self_judging: true"],
)  # fmt: skip
def test_settings_that_a_measurement_would_take_are_none(more: str, folder: Path):
    (folder / "s.yaml").write_text(f"target: scripted/good.yaml\n{more}\n")
    assert run(["doctor", "-c", "s.yaml"]) == 0


def test_an_offline_judge_is_known_and_a_misspelt_one_is_named(capsys: pytest.CaptureFixture[str]):
    assert run(["doctor", "--model", "refusal"]) == 0
    assert "✓ judge refusal: judges offline and asks no model" in capsys.readouterr().out
    assert run(["doctor", "--model", "refusl"]) == 2
    assert "✗ model refusl: unknown. Did you mean 'refusal'?" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{reply: ''}", "✗ model scripted/mute.yaml: answered, but with no text (finish reason 'stop')"),
        ("{reply: ' ', finish_reason: length}", "Raise models.scripted/mute.yaml.max_tokens."),
        ("{reply: '', finish_reason: filtered}", "(finish reason 'filtered')"),
    ],
    ids=("nothing", "cut", "withheld"),
)
def test_an_answer_without_text_is_no_health(folder: Path, rule: str, said: str, capsys: pytest.CaptureFixture[str]):
    (folder / "mute.yaml").write_text(f"- {rule}\n")
    assert run(["doctor", "--model", "scripted/mute.yaml"]) == 2
    assert said in capsys.readouterr().out


def test_the_models_of_a_settings_file_are_asked(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "s.yaml").write_text("target: scripted/good.yaml\nsimulator: scripted/gone.yaml\njudge: refusal\n")
    assert run(["doctor", "-c", "s.yaml"]) == 2
    said = capsys.readouterr().out
    assert "✓ model scripted/good.yaml" in said and "✗ model scripted/gone.yaml" in said
    assert "model refusal" not in said


def test_a_damaged_store_is_a_problem(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / ".breakfix").mkdir()
    (folder / ".breakfix" / "store.db").write_text("no database at all, by any means" * 50)
    assert run(["doctor"]) == 2
    assert "✗ store" in capsys.readouterr().out


def test_where_nothing_listens_the_remedy_is_named(capsys: pytest.CaptureFixture[str]):
    assert run(["doctor", "--model", "http://127.0.0.1:9/v1#m"]) == 2
    assert "→ Check the URL and that it is up." in capsys.readouterr().out


def test_a_broken_package_is_told_in_a_line_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert run(["doctor"]) == 2
    assert "→ 'torch' is installed, but cannot be imported (" in capsys.readouterr().out


def test_a_broken_inspect_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("inspect_ai")
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    with pytest.raises(BrokenExtra, match="'inspect_ai' is installed, but cannot be imported"):
        need_inspect("An export")
