"""The command line: how every command ends, what goes where, and that results are clean."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from breakfix.cli.init import settings_text
from breakfix.cli.main import app, run
from breakfix.settings import CycleSettings, load_settings
from breakfix.store.store import Store
from breakfix.types import Conversation, Finding, Scenario, Verdict
from commands import inside, refusal, roles, write_scripts

REFUSED = "breakfix: error: "
SECRET = "the words that nobody should read in passing"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path):
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


@pytest.fixture
def kept(folder: Path) -> Path:
    """A store with one run: a harmful conversation, a prohibited one, a harmless one, and a finding."""
    harms = {"s1": "malware", "s2": "mass_casualty_weapons", "s3": "none"}
    with Store.open(folder / ".breakfix") as store:
        store.save_run("first", status="done", target="lab/mini")
        for number, (scenario_id, harm) in enumerate(harms.items(), start=1):
            kind = "benign" if harm == "none" else "harmful"
            fields = {
                "id": scenario_id,
                "measure": "jailbreak",
                "harm": harm,
                "objective": "x",
                "family": "f",
                "kind": kind,
            }
            store.add_scenarios("first", [Scenario.model_validate(fields)])
            turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": SECRET}]
            whole = {
                "id": f"c{number}",
                "run": "first",
                "scenario_id": scenario_id,
                "target_id": "t",
                "stopped": "turns",
            }
            store.add_conversations("first", [Conversation.model_validate(whole | {"turns": turns})])
            severity = 0 if harm == "none" else 5
            store.add_verdicts(
                "first", [Verdict(conversation_id=f"c{number}", judge_id="j", severity=severity, evidence=SECRET)]
            )
        row = {"id": "f1", "run": "first", "round": 1, "harm": "malware", "area": "cyber", "behaviour": "complied"}
        row |= {"technique": "plain", "conversation_ids": ["c1"], "tried": 2, "succeeded": 1, "rate": 0.5}
        store.add_findings("first", [Finding.model_validate(row | {"low": 0.1, "high": 0.9, "severity": 5, "rank": 1})])
    return folder


def commands() -> dict[str, str]:
    """Every command by its words, with its help."""
    import typer.main

    group = typer.main.get_command(app)
    found: dict[str, str] = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        for words, each in (
            {f"{name} {sub}": c for sub, c in inner.items()}.items() if inner else {name: command}.items()
        ):
            found[words] = each.help or ""
    return found


@pytest.mark.parametrize("words", [*commands(), "", "runs", "lab"])
def test_every_command_has_help(words: str, capsys: pytest.CaptureFixture[str]):
    assert run([*words.split(), "--help"]) == 0
    said = capsys.readouterr()
    assert "Usage: breakfix" in said.out and not said.err


def test_all_commands_are_there():
    first = {words.split()[0] for words in commands()}
    assert first >= {
        "demo", "init", "doctor", "run", "measure", "redteam", "findings", "curate", "align", "compare", "report",
        "show", "runs", "lab", "export",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["mesure"], "No such command 'mesure'"),
        (["measure", "--turns", "many"], "Invalid value for '--turns'"),
        (["measure", "--no-such"], "No such option"),
        (["measure", "--set", "measure.turn=5"], "Did you mean 'turns'?"),
        (["measure", "--set", "nonsense"], "not of the form key=value"),
        (["measure", "-t", "lab/mini", "--measures", "jailbrake"], "jailbreak"),
        (["measure", "-c", "gone.yaml"], "breakfix init gone.yaml"),
        (["measure", "-t", "lab/mini", "--run", "a/b"], "cannot name a run"),
        (["measure"], "--target MODEL"),
        (["run", "gone.yaml"], "breakfix init gone.yaml"),
        (["show", "c1"], "breakfix demo"),
        (["runs", "list"], "breakfix demo"),
        (["runs", "export", "x", "--format", "xml"], "'xml'"),
        (["lab", "build", "huge"], "'huge'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_the_user_can_mend_is_one_line_and_exit_2(
    arguments: list[str], what: str, capsys: pytest.CaptureFixture[str]
):
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith(REFUSED) and said.err.count("\n") == 1
    assert what in said.err and said.out == ""


def test_a_settings_file_with_a_broken_line_names_it(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "s.yaml").write_text("target: lab/mini\nmeasure: [1, 2\nseed: 3\n")
    assert run(["measure", "-c", "s.yaml"]) == 2
    assert "s.yaml line 3 is not valid YAML" in capsys.readouterr().err


def test_init_writes_a_file_that_loads_and_does_not_write_over_one(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["init", "mine.yaml", "--target", "hf/models/a", "--judge", "refusal"]) == 0
    settings = load_settings(folder / "mine.yaml")
    assert (settings.target, settings.judge, settings.simulator) == ("hf/models/a", "refusal", None)
    assert settings == CycleSettings(target="hf/models/a", judge="refusal")
    assert run(["init", "mine.yaml"]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["init", "mine.yaml", "--force"]) == 0
    assert load_settings(folder / "mine.yaml").simulator == "lab/exact"


@pytest.mark.parametrize(
    ("target", "trains"), [("lab/mini", True), ("hf/models/a", True), ("http://h:1/v1#m", False), ("openai/m", False)]
)
def test_init_names_the_cycle_only_for_weights_that_can_be_trained(
    folder: Path, target: str, trains: bool, capsys: pytest.CaptureFixture[str]
):
    assert run(["init", "mine.yaml", "--target", target]) == 0
    for said in (capsys.readouterr().out, (folder / "mine.yaml").read_text().partition("\n\n")[0]):
        assert ("breakfix run mine.yaml" in said) is trains
        assert ("breakfix measure -c mine.yaml" in said and "breakfix report" in said) is not trains


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "gpt4"], "Unknown model 'gpt4'. Did you mean 'openai/gpt-4'?"),
        (["--target", "lab/giant"], "No lab model 'giant'"),
        (["--target", "lab/exact"], "No lab model 'exact'"),
        (["--target", "http://h:1/v1"], "names no model. Write it after a #"),
        (["--judge", "refusl"], "Unknown judge 'refusl'. Did you mean 'refusal'?"),
        (["--judge", "refusal,refusal"], "names 'refusal' twice"),
        (["--judge", "guard/lama-guard-3"], "Did you mean 'guard/llama-guard-3'?"),
        (["--simulator", "openai"], "Unknown model 'openai'"),
    ],
)
def test_init_refuses_names_that_nothing_could_open(
    folder: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    assert run(["init", "mine.yaml", *words]) == 2
    assert said in capsys.readouterr().err and not (folder / "mine.yaml").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["-t", "openai/m", "--simulator", "frozen/first", "-j", "guard/llama-guard-3=http://h/v1#g,refusal"],
        ["-t", "hf/not/here/yet", "-j", "embedded"],
        ["-t", "replay/not-yet.jsonl", "-j", "inspect/openai/m"],
    ],
)
def test_init_takes_what_is_to_come(folder: Path, words: list[str]):
    assert run(["init", "mine.yaml", *words]) == 0


def test_init_says_why_what_it_wrote_cannot_run_yet(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["init", "mine.yaml", "--target", "openai/gpt-4o", "--judge", "openai/gpt-4o"]) == 0
    assert "is the model under test" in capsys.readouterr().err
    assert run(["init", "other.yaml", "--target", "openai/gpt-4o"]) == 0
    assert "Still to be mended in it: No judge is named." in capsys.readouterr().err
    assert run(["init", "lab.yaml"]) == 0
    assert not capsys.readouterr().err


def test_each_commented_line_of_init_loads_when_its_mark_is_taken_away():
    text = settings_text(Path("x.yaml"), {"target": "lab/mini"})
    head, _, body = text.partition("\n\n")
    assert all(line.startswith("#") for line in head.splitlines())
    whole = yaml.safe_load("\n".join(line.removeprefix("# ") for line in body.splitlines()))
    assert set(whole) == set(CycleSettings.model_fields)
    (model,) = whole.pop("models").values()
    assert model["temperature"] is None and model["batch_size"] == 64
    assert CycleSettings.model_validate(whole) == CycleSettings(target="lab/mini")


def test_runs_are_listed_for_people_and_for_programs(kept: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["runs", "list"]) == 0
    assert "first" in capsys.readouterr().out
    assert run(["runs", "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    assert (row["run"], row["status"], row["conversations"], row["findings"]) == ("first", "done", 3, 1)


def test_an_empty_store_says_what_to_do(capsys: pytest.CaptureFixture[str]):
    Store.open(Path(".breakfix")).close()
    assert run(["runs", "list"]) == 0
    assert "breakfix demo" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["runs", "export", "gone"], ["runs", "delete", "gone", "--yes"]])
def test_a_run_that_is_not_there_is_named(kept: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert run(arguments) == 2
    assert "No run 'gone'" in capsys.readouterr().err


def test_rows_are_exported_with_a_word_of_care(kept: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["runs", "export", "first", "--to", "rows.jsonl"]) == 0
    assert len((kept / "rows.jsonl").read_text().splitlines()) == 3
    assert "Handle it with care" in capsys.readouterr().err
    assert run(["runs", "export", "first", "--rows", "verdicts", "--format", "csv"]) == 0
    assert (kept / "first-verdicts.csv").read_text().count("\n") == 4
    assert "Handle it with care" in capsys.readouterr().err, "verdicts quote"
    assert run(["runs", "export", "first", "--rows", "findings"]) == 0
    assert "care" not in capsys.readouterr().err


def test_what_was_exported_may_be_told_as_json(kept: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["runs", "export", "first", "--to", "rows.jsonl", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["run"], told["rows"], told["count"], told["path"]) == ("first", "conversations", 3, "rows.jsonl")


def test_a_row_is_one_and_standard_output_is_no_file(kept: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["runs", "export", "first", "--to", "-"]) == 2
    assert "'-' is none" in capsys.readouterr().err and not (kept / "-").exists()
    with Store.open(kept / ".breakfix") as store:
        store.save_run("one", status="done")
        store.add_conversations("one", list(store.conversations("first"))[:1])
    assert run(["runs", "export", "one"]) == 0
    assert capsys.readouterr().out.startswith("1 conversation of one")


def test_a_run_is_deleted_only_when_the_user_says_so(kept: Path):
    (kept / "runs" / "first").mkdir(parents=True)
    (kept / ".breakfix" / "journal-first.db").write_text("")
    (kept / ".breakfix" / "journal-first2.db").write_text("")

    def delete(*more: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-m", "breakfix", "runs", "delete", "first", *more]
        return subprocess.run(arguments, input=answer, capture_output=True, text=True, check=False)

    assert "Nothing was deleted" in delete(answer="n\n").stdout
    unanswered = delete(answer="")
    assert unanswered.returncode == 2 and "nobody is there to answer" in unanswered.stderr
    assert "--yes" in unanswered.stderr and "Stopped" not in unanswered.stderr
    assert (kept / "runs" / "first").exists()
    assert delete("--yes").returncode == 0
    assert not (kept / "runs" / "first").exists()
    assert [path.name for path in (kept / ".breakfix").glob("journal*")] == ["journal-first2.db"]
    assert delete("--yes").returncode == 2


def test_harmful_text_is_blurred_until_revealed_and_prohibited_text_always(
    kept: Path, capsys: pytest.CaptureFixture[str]
):
    def shown(*arguments: str) -> str:
        assert run(["show", *arguments]) == 0
        return capsys.readouterr().out

    assert SECRET not in shown("c1") and "▒" in shown("c1")
    assert SECRET in shown("c1", "--reveal")
    assert SECRET in shown("c3")
    assert SECRET not in shown("f1") and "1 of 2" in shown("f1")
    assert SECRET not in shown("c2", "--reveal")
    assert SECRET not in shown("c2", "--reveal", "--json")
    assert SECRET not in shown("c1", "--json")
    body = json.loads(shown("c1", "--reveal", "--json", "--run", "first"))
    assert body["conversations"][0]["turns"][1]["content"] == SECRET


def test_what_a_model_said_does_not_steer_the_terminal(kept: Path, capsys: pytest.CaptureFixture[str]):
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a\x1b[2J\x9b1m\rb\n\tc"}]
    said = {"id": "d1", "run": "first", "scenario_id": "s3", "target_id": "t", "stopped": "turns", "turns": turns}
    with Store.open(kept / ".breakfix") as store:
        store.add_conversations("first", [Conversation.model_validate(said)])
        store.add_verdicts("first", [Verdict(conversation_id="d1", judge_id="j", severity=0, reason="\x1b]0;x\x07")])
    assert run(["show", "d1", "--run", "first", "--reveal"]) == 0
    shown = capsys.readouterr().out
    assert "a\ufffd[2J\ufffd1m\ufffdb\n    \tc" in shown and "\ufffd]0;x\ufffd" in shown
    assert not set(shown) & {"\x1b", "\x9b", "\r", "\x07"}


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("breakfix 0.")


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]):
    assert run([]) == 0
    assert "demo" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["runs list", "harms", "harms --json", "--help"])
def test_a_closed_pipe_is_no_error(kept: Path, command: str):
    code = f"{sys.executable} -m breakfix {command} | true; exit ${{PIPESTATUS[0]}}"
    said = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
    assert said.returncode == 0 and said.stderr == ""


def test_a_choice_that_is_none_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]):
    said = refusal(inside(capsys, "runs", "export", "first", "--rows", "lables"))
    assert "'lables' is not one of 'scenarios'" in said and "'labels'" in said and "Value error" not in said


def test_why_conversations_were_left_unscored_is_said_with_one_to_look_at(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    write_scripts(folder)
    english = "I would like to hear what you think about this matter and what I should do about it now"
    (folder / "english.yaml").write_text(f"- {{reply: '{english}'}}\n")
    much = ["--measures", "jailbreak", "-n", "4", "--turns", "1", "--languages", "ar", "--run", "odd"]
    said = inside(capsys, "measure", *roles(simulator="scripted/english.yaml"), *much).stdout
    found = re.search(r"4 times .*the simulator did not write in Arabic.* \((breakfix show \w+ --run odd)\)", said)
    assert found and "Conversation" in inside(capsys, *found[1].split()[1:]).stdout
