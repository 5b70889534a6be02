"""`breakfix judge`: what it prints, writes and refuses."""

import json
from pathlib import Path

import pytest

from breakfix.store.store import Store
from commands import HARMLESS, breakfix, inside, refusal, start

ROWS = (
    {"request": "How?", "answer": "I cannot help with that."},
    {"id": "b", "request": "What?", "answer": "A thing."},
)
LABELS = (
    {"request": "How?", "answer": "I cannot help with that.", "refusal": "full"},
    {"request": "What?", "answer": "A thing.", "refusal": "none"},
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BREAKFIX_DATA", raising=False)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in LABELS * 15))
    (tmp_path / "judge.yaml").write_text(f"- {{reply: '{json.dumps(HARMLESS)}'}}\n")
    return tmp_path


def test_verdicts_go_to_standard_output_a_line_each(folder: Path):
    said = breakfix(folder, "judge", "run", "refusal", "rows.jsonl")
    rows = [json.loads(line) for line in said.stdout.splitlines()]
    assert [(row["id"], row["refusal"], row["severity"]) for row in rows] == [(1, "full", None), ("b", "none", None)]
    assert said.stderr == ""
    assert not (folder / ".breakfix").exists()


def test_a_judge_that_gives_no_verdict_is_told(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "judge.yaml").write_text("- {reply: nonsense}\n")
    said = inside(capsys, "judge", "run", "scripted/judge.yaml", "rows.jsonl", "--out", "verdicts.jsonl")
    assert said.returncode == 0 and "Unscored: 2 of 2; 2 times no readable verdict" in said.stderr


def test_verdicts_go_to_a_file_whole_or_not_at_all(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "judge", "run", "refusal", "rows.jsonl", "--out", "out/verdicts.jsonl")
    assert "2 verdicts written to out/verdicts.jsonl" in said.stdout
    assert "out/verdicts.jsonl holds evidence, quoted word for word, harmful text too. Handle it" in said.stderr
    assert len((folder / "out" / "verdicts.jsonl").read_text().splitlines()) == 2
    (folder / "broken.jsonl").write_text('{"request": "q", "answer": "a"}\n{"request": "q"}\n')
    line = refusal(inside(capsys, "judge", "run", "refusal", "broken.jsonl", "--out", "new.jsonl"))
    assert "broken.jsonl line 2 has no 'answer'" in line
    assert not list(folder.glob("new.jsonl*"))


def test_a_killed_judging_goes_on_where_it_was(folder: Path):
    rows = [{"request": f"q{n}", "answer": "a"} for n in range(30)]
    (folder / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "slow.yaml").write_text(f"latency_s: 0.1\nrules:\n- {{reply: '{json.dumps(HARMLESS)}'}}\n")
    command = ("judge", "run", "scripted/slow.yaml", "many.jsonl", "--set", "calls.concurrency=2")
    process = start(folder, *command)
    assert process.stdout is not None
    for _ in range(4):
        assert process.stdout.readline(), "verdicts come while others are waited for"
    process.kill()
    process.communicate()
    said = breakfix(folder, *command)
    assert [json.loads(line)["id"] for line in said.stdout.splitlines()] == list(range(1, 31))
    with Store.open(folder / ".breakfix") as store:
        usage = store.latest_run().usage
    assert usage.journalled >= 4
    assert usage.calls == 30, "those of the killed command are counted, each once"


def test_a_card_is_made_shown_and_kept(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "judge", "card", "refusal", "--labels", "labels.jsonl")
    assert said.returncode == 0
    assert "labels.jsonl" in said.stdout and "100 %" in said.stdout
    (card,) = (folder / ".breakfix" / "judges").glob("*.json")
    assert json.loads(card.read_text())["judge"] == "refusal"
    plain = json.loads(inside(capsys, "judge", "card", "refusal", "--labels", "labels.jsonl", "--json").stdout)
    assert plain["schema"] == "breakfix/1"
    assert {one["set_name"]: one["n"] for one in plain["card"]["agreements"]}["labels.jsonl"] == 30
    assert [one["name"] for one in plain["card"]["sets"]][-1] == "labels.jsonl", "beside those it came with, once"
    assert len(plain["card"]["sets"]) == 3


def test_the_exam_goes_onto_the_card(folder: Path, capsys: pytest.CaptureFixture[str]):
    inside(capsys, "judge", "card", "refusal", "--labels", "labels.jsonl")
    said = inside(capsys, "judge", "exam", "refusal")
    assert "injection" in said.stdout and "placeholders" in said.stderr
    plain = json.loads(inside(capsys, "judge", "exam", "refusal", "--json").stdout)
    assert {one["kind"] for one in plain["exam"]["kinds"]} >= {"injection", "empty", "language", "language zh"}
    (card,) = (folder / ".breakfix" / "judges").glob("*.json")
    kept = json.loads(card.read_text())
    assert kept["exam"] and kept["agreements"]


def test_two_judges_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ("judge", "compare", "refusal", "scripted/judge.yaml", "labels.jsonl")
    assert "full refusal or not" in inside(capsys, *arguments).stdout
    (sides,) = json.loads(inside(capsys, *arguments, "--json").stdout)["sides"]
    assert (sides["question"], sides["n"], sides["a_agrees"], sides["b_agrees"]) == ("refusal", 30, 1.0, 0.5)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "refusal", "gone.jsonl"), "Cannot read 'gone.jsonl'"),
        (("run", "refusal", "empty.jsonl"), "empty.jsonl holds no rows"),
        (("run", "nosuch", "rows.jsonl"), "Unknown judge 'nosuch'. A judge is refusal, embedded,"),
        (("run", "refusl", "rows.jsonl"), "Unknown judge 'refusl'. Did you mean 'refusal'?"),
        (("run", "nosuch/x", "rows.jsonl"), "Unknown model 'nosuch/x'"),
        (("run", "lab/exact", "rows.jsonl"), "the lab's own conversations"),
        (("run", "refusal", "rows.jsonl", "--out", "rows.jsonl/x"), "Cannot write"),
        (("run", "refusal", "rows.jsonl", "--out", "."), "Cannot write '.': Is a directory. Choose another --out."),
        (("run", "refusal", "rows.jsonl", "--out", "./rows.jsonl"), "is the file of answers itself"),
        (("card", "refusal"), "BREAKFIX_DATA"),
        (("card", "refusal", "--labels", "rows.jsonl"), "holds no labelled row"),
        (("card", "refusal", "--labels", "nosuch"), "No labelled set 'nosuch'"),
        (("card", "refusal", "--labels", "gptfuzz"), "BREAKFIX_DATA"),
        (("exam", "lab/exact"), "the lab's own conversations"),
        (("compare", "refusal", "refusal", "rows.jsonl"), "the same judge twice"),
        (("compare", "refusal", "scripted/judge.yaml"), "give a FILE"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
):
    (folder / "empty.jsonl").touch()
    assert expected in refusal(inside(capsys, "judge", *arguments))
