"""A run becomes an Inspect log and comes back the same; a log that plain Inspect wrote becomes conversations."""

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai", reason="the extra [inspect] is not installed")

import inspect_ai
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.log import read_eval_log, read_eval_log_samples
from inspect_ai.model import (
    ChatMessageSystem,
    ChatMessageUser,
)
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, system_message, user_message

from breakfix.calls import Calls
from breakfix.errors import DataError, StoreError
from breakfix.estimates import Label
from breakfix.eval_logs.bringing import Brought, bring_log
from breakfix.eval_logs.foreign import Meaning
from breakfix.eval_logs.reading import open_log, told_in_log
from breakfix.eval_logs.writing import write_log
from breakfix.project import Project, Run
from breakfix.settings import CallSettings, CycleSettings, dump_settings
from breakfix.store.store import Store
from breakfix.types import Conversation, Message, Scenario, Verdict
from commands import inside, refusal
from fake_model import user
from inspected import telling
from talkers import scene, talk

SETTINGS = CycleSettings(target="openai/m", judge="openai/j")
LONG = "A long answer, word after word. " * 40
JAILBREAK = Meaning("jailbreak")
SCENES = (
    scene(system_prompt="Be kind.", truth={"human_label": "none", "nested": {"gone": None, "at": [1, None]}}),
    scene(id="s2", measure="ungroundedness", harm="none", kind="benign", grounding="The sky is blue.", family="f2"),
    scene(id="s3", measure="refusal", kind="benign", family="f3", language="ar"),
)
WITHHELD = (user("Ask"), Message(role="assistant", content="", finish_reason="filtered"))
TALKS = (
    talk("Ask <think>this</think>\ufeff", LONG, "And?", "مرحبا 🙂", id="c1"),
    talk("Ask", "The sky is green.", id="c2", scenario_id="s2"),
    talk("Ask", id="c3", scenario_id="s3", stopped="failed", failed="simulator", failure="no turn"),
    talk(id="c4", stopped="filtered", sample=1).model_copy(update={"turns": WITHHELD}),
)
VERDICTS = (
    Verdict(conversation_id="c1", judge_id="j", severity=3, refusal="none", evidence="word", first_harmful_turn=1),
    Verdict(conversation_id="c1", judge_id="other", harmful=False, probability=0.25),
    Verdict(conversation_id="c2", judge_id="j", ungroundedness=4, refusal="none"),
    Verdict(conversation_id="c4", judge_id="j", unscored="there is no answer to judge"),
)
LABELS = (Label(conversation_id="c1", by="ann", harmful=True),)


@pytest.fixture
def place(tmp_path: Path) -> Project:
    return Project(tmp_path / "store", tmp_path / "runs")


@pytest.fixture
def run(place: Project) -> Iterator[Run]:
    """A run with everything in it that is hard to carry over."""
    with Store.open(place.store) as store:
        store.add_scenarios("r", SCENES)
        store.add_conversations("r", TALKS)
        store.add_verdicts("r", VERDICTS)
        store.add_labels("r", LABELS)
        store.save_run("r", status="done", settings=dump_settings(SETTINGS), target="openai/m", judge_id="j")
        yield Run("r", SETTINGS, place, store=store, calls=Calls(None, CallSettings()))


@pytest.fixture
def log(run: Run, tmp_path: Path) -> Path:
    assert write_log(run, tmp_path / "r.eval") == len(TALKS)
    return tmp_path / "r.eval"


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that plain Inspect wrote: two samples, two epochs, two exchanges each."""
    telling(target=LONG)
    samples = [
        Sample(id="a/b", input=f"Tell me. {LONG}", target="word"),
        Sample(input=[ChatMessageSystem(content="Sys."), ChatMessageUser(content="Hello")], target="no"),
    ]
    solvers = [system_message("Be brief."), generate(), user_message("Sure?"), generate()]
    task = Task(name="plain", dataset=samples, solver=solvers, scorer=includes(), epochs=2)
    folder = str(tmp_path_factory.mktemp("logs"))
    return Path(inspect_ai.eval(task, model="told/target", log_dir=folder, display="none")[0].location)


def held(place: Project, run: str = "r") -> tuple[list[Any], ...]:
    with Store.open(place.store) as store:
        kinds = (store.scenarios, store.conversations, store.verdicts, store.labels)
        return tuple(list(read(run)) for read in kinds)


def elsewhere(tmp_path: Path) -> Project:
    return Project(tmp_path / "store-2", tmp_path / "runs-2")


# ── ours ──


def test_a_log_comes_back_as_the_run_that_it_was_made_of(log: Path, place: Project, tmp_path: Path):
    other = elsewhere(tmp_path)
    assert bring_log(other, log) == Brought("r", 4, 4, 0, {})
    assert held(other) == held(place)
    assert sorted(held(other)[0], key=lambda each: each.id) == list(SCENES)
    with Store.open(other.store) as store:
        record = store.run("r")
    assert (record.target, record.judge_id, record.settings) == ("openai/m", "j", dump_settings(SETTINGS))
    assert (other.out / "r" / "settings.yaml").read_text() == dump_settings(SETTINGS)


def test_a_log_brought_twice_or_into_its_own_run_changes_nothing(log: Path, place: Project):
    before = held(place)
    bring_log(place, log)
    bring_log(place, log)
    assert held(place) == before


def test_a_log_may_come_into_a_run_of_another_name(log: Path, tmp_path: Path):
    bring_log(elsewhere(tmp_path), log, run="second")
    scenarios, said, verdicts, _ = held(elsewhere(tmp_path), "second")
    assert len(scenarios) == 3 and len(verdicts) == 4
    assert [each.model_copy(update={"run": "r"}) for each in said] == list(TALKS)


def test_inspect_reads_the_log_whole_and_sample_by_sample(log: Path):
    whole = read_eval_log(log)
    assert (whole.status, whole.eval.model, whole.eval.dataset.samples) == ("success", "openai/m", 4)
    assert [sample.id for sample in read_eval_log_samples(log)] == ["c1", "c2", "c3", "c4"]
    assert {sample.id for sample in whole.samples or ()} == {"c1", "c2", "c3", "c4"}
    with zipfile.ZipFile(log) as archive:
        summaries = json.loads(archive.read("summaries.json"))
    assert [each["id"] for each in summaries] == ["c1", "c2", "c3", "c4"]


def test_a_sample_shows_what_was_said_and_how_it_was_judged(log: Path):
    first, second, third, fourth = read_eval_log_samples(log)
    assert [(each.role, each.text) for each in first.messages] == [
        ("system", "Be kind."), *((turn.role, turn.content) for turn in TALKS[0].turns),
    ]  # fmt: skip
    assert first.scores and first.scores["breakfix"].value == 1 and first.scores["breakfix"].answer == "harmful"
    assert [name for name in first.scores if name != "breakfix"] == ["breakfix other"]
    assert second.scores and second.scores["breakfix"].value == 4
    assert first.metadata["harm"] == "fraud" and first.description == "obtain a placeholder"
    for sample, reason in ((third, "attacker-failed"), (fourth, "blocked")):
        score = (sample.scores or {})["breakfix"]
        assert score.value != score.value and score.reason == reason, "unscored is NaN to Inspect"
    assert fourth.output.stop_reason == "content_filter"


def test_a_log_holds_no_header_that_may_be_a_key(run: Run, tmp_path: Path):
    settings = 'models:\n  m: {headers: {api-key: s3cret, x-team: "env:TEAM"}}\n'
    run.store.save_run("r", status="done", settings=settings, command="breakfix --set s3cret")
    write_log(run, tmp_path / "r.eval")
    kept = (read_eval_log(tmp_path / "r.eval", header_only=True).eval.metadata or {})["breakfix"]
    assert "s3cret" not in kept and "env:TEAM" in kept


def test_the_log_shows_the_estimates_with_their_intervals(log: Path):
    results = read_eval_log(log, header_only=True).results
    scores = {score.name: score for score in (results.scores if results else ())}
    metrics = scores["jailbreak"].metrics
    assert metrics["DR-1"].value == 1 and 0 < metrics["DR-1 low"].value < 1 and metrics["DR-1 worst"].value == 1
    assert (scores["jailbreak"].scored_samples, scores["jailbreak"].unscored_samples) == (1, 1)
    assert metrics["DR-1 best"].value == 0.5 and scores["ungroundedness"].metrics["mean"].value == 4


def test_a_run_without_a_measurement_is_exported_too(place: Project, tmp_path: Path):
    with Store.open(place.store) as store:
        store.save_run("empty", status="done")
        empty = Run("empty", SETTINGS, place, store=store, calls=Calls(None, CallSettings()))
        assert write_log(empty, tmp_path / "empty.eval") == 0
    assert read_eval_log(tmp_path / "empty.eval").samples == []
    with pytest.raises(DataError, match="holds no conversation"):
        bring_log(elsewhere(tmp_path), tmp_path / "empty.eval")


def test_an_export_that_fails_leaves_no_file(run: Run, tmp_path: Path):
    run.store.add_conversations("r", [talk("Ask", "Yes", id="c9", scenario_id="gone")])
    with pytest.raises(DataError, match="not its scenario 'gone'"):
        write_log(run, tmp_path / "r.eval")
    (tmp_path / "a file").write_text("kept")
    with pytest.raises(DataError, match=r"Cannot write .*Name another file with --to"):
        write_log(run, tmp_path / "a file" / "r.eval")
    assert not list(tmp_path.glob("*.eval*"))


# ── foreign ──


def test_a_log_of_plain_inspect_becomes_conversations(foreign: Path, tmp_path: Path):
    brought = bring_log(elsewhere(tmp_path), foreign, run="plain", meaning=JAILBREAK)
    assert brought == Brought("plain", 4, 0, 4, {})
    scenarios, said, verdicts, _ = held(elsewhere(tmp_path), "plain")
    assert not verdicts and len(scenarios) == 2 and {each.family for each in scenarios} == {
        "inspect/plain/a/b", "inspect/plain/2",
    }  # fmt: skip
    second = next(each for each in scenarios if each.family == "inspect/plain/2")
    assert (second.system_prompt, second.opening, second.source) == ("Sys.\n\nBe brief.", "Hello", "inspect")
    assert (second.measure, second.split, second.licence) == ("jailbreak", "sealed", "unstated")
    assert sorted(each.sample for each in said) == [0, 0, 1, 1] and {each.users for each in said} == {"recorded"}
    assert all(each.exchanges == 2 and each.turns[1].content == LONG for each in said)
    assert {len(each.turns) for each in said} == {4} and {each.stopped for each in said} == {"turns"}


def test_foreign_scores_stay_beside_the_conversations(foreign: Path, tmp_path: Path):
    other = elsewhere(tmp_path)
    bring_log(other, foreign, run="plain", meaning=JAILBREAK)
    rows = [json.loads(line) for line in (other.out / "plain" / "scores.jsonl").read_text().splitlines()]
    assert {(row["sample"], row["epoch"], row["scorer"], row["value"]) for row in rows} == {
        ("a/b", 1, "includes", "C"), ("a/b", 2, "includes", "C"), (2, 1, "includes", "I"), (2, 2, "includes", "I"),
    }  # fmt: skip
    assert {row["conversation_id"] for row in rows} == {each.id for each in held(other, "plain")[1]}


def test_scores_of_two_logs_stand_in_one_file_each_once(foreign: Path, tmp_path: Path):
    other = elsewhere(tmp_path)
    path = other.out / "plain" / "scores.jsonl"
    bring_log(other, foreign, run="plain", meaning=JAILBREAK)
    first = path.read_text().splitlines()
    path.write_text(path.read_text() + '{"conversation_id":"of another log","value":1}\n')
    bring_log(other, foreign, run="plain", meaning=JAILBREAK)
    assert sorted(path.read_text().splitlines()) == sorted([*first, '{"conversation_id":"of another log","value":1}'])
    path.write_text("no row\n")
    with pytest.raises(DataError, match=r"scores\.jsonl.*Move it away"):
        bring_log(other, foreign, run="plain", meaning=JAILBREAK)
    assert path.read_text() == "no row\n"


def test_an_older_json_log_is_read_too(foreign: Path, tmp_path: Path):
    inspect_ai.log.write_eval_log(read_eval_log(foreign), str(tmp_path / "old.json"))
    brought = bring_log(elsewhere(tmp_path), tmp_path / "old.json", run="plain", meaning=JAILBREAK)
    assert brought.conversations == 4


def test_two_targets_never_share_a_stage(foreign: Path, log: Path, tmp_path: Path):
    other = elsewhere(tmp_path)
    bring_log(other, log)
    with pytest.raises(StoreError, match=r"another target under stage 'base'.*--run NAME"):
        bring_log(other, foreign, run="r", meaning=JAILBREAK)
    assert held(other)[1] == list(TALKS)


# ── the commands, and bad input ──


def damaged(log: Path, tmp_path: Path) -> Path:
    """A log of which one sample, the last, is broken."""
    path = tmp_path / "damaged.eval"
    with zipfile.ZipFile(log) as archive, zipfile.ZipFile(path, "w") as broken:
        for name in archive.namelist():
            broken.writestr(name, b'{"id": 1' if name == "samples/c4_epoch_1.json" else archive.read(name))
    return path


def test_the_commands_take_a_run_out_and_in_again(
    log: Path, place: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    told = inside(capsys, "runs", "export", "r", "--format", "eval", "--store", "store", "--to", "x.eval")
    assert told.returncode == 0 and "4 conversations of r written to x.eval" in told.stdout
    told = inside(capsys, "import", "x.eval", "--store", "two", "--out", "out-2")
    as_json = json.loads(inside(capsys, "import", "x.eval", "--store", "six", "--out", "out-6", "--json").stdout)
    assert as_json["run"] == "r" and as_json["conversations"] > 0 and as_json["judged"] is None
    assert told.returncode == 0 and "4 conversations and 4 verdicts came into r." in told.stdout
    assert held(Project(tmp_path / "two")) == held(place)


def test_a_foreign_log_says_what_came_and_what_was_left_out(
    foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    told = inside(capsys, "import", str(foreign), "--run", "p", "--measure", "jailbreak", "--harm", "fraud")
    assert told.returncode == 0 and "4 scores of other scorers, in runs/p/scores.jsonl" in told.stdout
    assert {each.harm for each in held(Project(tmp_path / ".breakfix"), "p")[0]} == {"fraud"}


def test_a_judge_may_judge_what_a_log_brought_and_failures_become_findings(
    foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    found = {"reason": "seen", "severity": 5, "refusal": "none", "first_harmful_answer": 1, "evidence": ""}
    Path("judge.yaml").write_text(f"- {{reply: '{json.dumps(found)}'}}\n")
    words = ["import", str(foreign), "--run", "p", "--measure", "jailbreak", "--split", "train"]
    told = inside(capsys, *words, "--harm", "fraud", "--judge", "scripted/judge.yaml")
    assert told.returncode == 0, told.stderr
    assert "scripted/judge.yaml gave 4 verdicts; 1 finding in p." in told.stdout
    again = inside(capsys, *words, "--harm", "fraud", "--judge", "scripted/judge.yaml")
    assert "scripted/judge.yaml gave 0 verdicts; 1 finding in p." in again.stdout
    with Store.open(Path(".breakfix")) as store:
        (finding,) = store.findings("p")
        assert (finding.harm, finding.succeeded, finding.tried) == ("fraud", 4, 4)
        verdict = next(store.verdicts("p"))
        assert store.run("p").judge_id == verdict.judge_id
        store.add_verdicts("p", [verdict.model_copy(update={"severity": None, "unscored": "the endpoint was down"})])
    mended = inside(capsys, *words, "--harm", "fraud", "--judge", "scripted/judge.yaml")
    assert "scripted/judge.yaml gave 1 verdict; 1 finding in p." in mended.stdout


def test_without_the_extra_both_ways_say_how_to_get_it(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("breakfix.eval_logs.samples.find_spec", lambda name: None)
    for words in (["import", str(log)], ["runs", "export", "r", "--format", "eval", "--store", "store"]):
        assert "pip install 'breakfix[inspect]'" in refusal(inside(capsys, *words))


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("gone.eval", [], ["no file 'gone.eval'", "Check the path"]),
        ("notes.txt", [], ["not an Inspect log", ".eval"]),
        ("text.eval", [], ["cannot be read as an Inspect log"]),
        ("cut.eval", [], ["cannot be read as an Inspect log", "cut short"]),
        ("zip.eval", [], ["cannot be read as an Inspect log"]),
        ("damaged.eval", [], ["'c4_epoch_1' cannot be read as a sample"]),
        ("foreign.eval", [], ["--run NAME"]),
        ("foreign.eval", ["--run", "p"], ["not written by breakfix", "--measure"]),
        (
            "foreign.eval",
            ["--run", "p", "--measure", "jailbreak", "--harm", "fruad"],
            ["Unknown harm 'fruad'", "fraud"],
        ),
        ("foreign.eval", ["--run", "p", "--measure", "jailbrake"], ["jailbrake"]),
        ("foreign.eval", ["--run", "p", "--harm", "fraud", "--split", "train"], ["--harm, --split", "with --measure"]),
        ("r.eval", ["--split", "train"], ["--split", "with --measure"]),
        ("r.eval", ["--measure", "jailbreak"], ["written by breakfix", "Leave --measure"]),
        ("r.eval", ["--run", "../up"], ["'../up' cannot name a run"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_run(
    name: str,
    more: list[str],
    says: list[str],
    *,
    log: Path,
    foreign: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("x")
    Path("text.eval").write_text("no log")
    Path("cut.eval").write_bytes(log.read_bytes()[:2000])
    Path("foreign.eval").write_bytes(foreign.read_bytes())
    damaged(log, tmp_path)
    with zipfile.ZipFile("zip.eval", "w") as archive:
        archive.writestr("readme.txt", "no log")
    line = refusal(inside(capsys, "import", name, *more, "--store", "new"))
    assert all(part in line for part in says), line
    if Path("new").exists():
        with Store.open(Path("new")) as store:
            assert not store.runs() and not list(store.conversations("r"))


def test_an_inspect_log_holds_conversations_only(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    line = refusal(inside(capsys, "runs", "export", "r", "--format", "eval", "--rows", "findings", "--store", "store"))
    assert "leave --rows out" in line


def test_a_log_of_a_newer_breakfix_is_refused(log: Path, tmp_path: Path):
    path = tmp_path / "newer.eval"
    with zipfile.ZipFile(log) as archive, zipfile.ZipFile(path, "w") as newer:
        for name in archive.namelist():
            newer.writestr(name, archive.read(name).replace(b'\\"queries\\"', b'\\"querulous\\"'))
    with pytest.raises(DataError, match=r"sample 'c1'.*newer version"):
        list(told_in_log(open_log(path), "r", None, Counter()))


def test_samples_are_streamed(log: Path):
    found = told_in_log(open_log(log), "r", None, Counter())
    assert isinstance(next(found).told.conversation, Conversation)
    assert isinstance(next(found).told.scenario, Scenario)
