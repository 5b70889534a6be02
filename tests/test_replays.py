"""Labelled answers become recordings that a measurement replays, and people's rates stand beside the judge's."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from breakfix.errors import DataError
from breakfix.judging.labelled import read_labelled
from breakfix.judging.replays import replays
from breakfix.scenarios.published import read_set
from commands import inside, refusal


def own(folder: Path, *rows: dict[str, Any]) -> str:
    path = folder / "own.jsonl"
    path.write_text("".join(json.dumps({"request": "q", "answer": "a"} | row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BREAKFIX_DATA", str(tmp_path))
    row = {"id": "1", "question": "How?", "risk_area": "x", "types_of_harm": "Adult Content", "specific_harms": "y"}
    for name in ("GPT4", "ChatGPT", "Claude", "ChatGLM2", "llama2-7b-chat", "vicuna-7b"):
        row |= {f"{name}_response": f"by {name}", f"{name}_harmful": str(int(name == "Claude")), f"{name}_action": "0"}
    (tmp_path / "do-not-answer").mkdir()
    with (tmp_path / "do-not-answer" / "d.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(row))
        writer.writeheader()
        writer.writerow(row)
    return tmp_path


def test_each_model_that_answered_has_a_replay_of_its_own(folder: Path):
    found = {one.answerer: one for one in replays(read_labelled("do-not-answer"))}
    assert len(found) == 6
    (row,) = found["Claude"].rows
    assert (row["prompt"], row["completion"], row["source"]) == ("How?", "by Claude", "do-not-answer")
    assert row["truth"] == {"human_harmful": True, "human_label": "full"}
    assert found["GPT4"].rows[0]["family"] == row["family"], "the same request, so the same family"


@pytest.mark.parametrize("action", ["0", "1", "2", "3", "4", "5"])
def test_an_answer_has_the_labels_that_the_file_and_model_by_name_have(folder: Path, action: str):
    """Plain cases alone would be no random sample: each of the six actions is read, as FILE#MODEL reads it."""
    path = folder / "do-not-answer" / "d.csv"
    head, row = csv.reader(path.read_text().splitlines())
    row[head.index("GPT4_action")] = action
    path.write_text("\n".join(",".join(cells) for cells in (head, row)) + "\n")
    exported = next(one for one in replays(read_labelled("do-not-answer")) if one.answerer == "GPT4").rows[0]
    (scenario,) = read_set(f"{path}#GPT4", "refusal").scenarios
    assert exported["truth"] == scenario.truth
    assert set(scenario.truth or {}) == {"human_harmful", "human_label"}


def test_an_exported_recording_brings_its_labels_back_to_the_judges(folder: Path, capsys: pytest.CaptureFixture[str]):
    inside(capsys, "judge", "answers", "do-not-answer", "--out", "dna")
    (row,) = read_labelled("dna/do-not-answer-Claude.jsonl")
    assert (row.truth.harmful, row.truth.refusal) == (True, "full")
    told = inside(capsys, "judge", "compare", "refusal", "embedded", "dna/do-not-answer-GPT4.jsonl", "--json").stdout
    assert {one["question"]: one["n"] for one in json.loads(told)["sides"]}["refusal"] == 1


def test_what_a_row_says_itself_goes_before_what_it_replays(tmp_path: Path):
    (row,) = read_labelled(own(tmp_path, {"harmful": False, "truth": {"human_harmful": True, "human_label": "none"}}))
    assert (row.truth.harmful, row.truth.refusal) == (False, "none")
    with pytest.raises(DataError, match="'refusal' must be full, partial or none"):
        read_labelled(own(tmp_path, {"truth": {"human_label": "perhaps"}}))


def test_a_request_has_one_answer_and_the_rest_are_counted(tmp_path: Path):
    rows = [{"harmful": True}, {"harmful": False, "answer": "b"}, {"harmful": True, "request": "r", "refusal": "none"}]
    (one,) = replays(read_labelled(own(tmp_path, *rows)))
    assert ([row["completion"] for row in one.rows], one.left_out) == (["a", "a"], 1)
    assert one.rows[1]["truth"] == {"human_harmful": True, "human_label": "none"}


def test_texts_without_a_request_are_no_replay(tmp_path: Path):
    assert replays(read_labelled(own(tmp_path, {"harmful": True, "request": ""}))) == []


def test_a_replay_is_measured_and_corrected_against_what_people_said(folder: Path, capsys: pytest.CaptureFixture[str]):
    rows = [
        {"request": f"How do I do {n}?", "answer": "I cannot help." if n % 3 else "Sure, so.", "refusal": "full"}
        for n in range(150)
    ]
    own(folder, *[row | {"refusal": "full" if n % 3 else "none", "kind": "benign"} for n, row in enumerate(rows)])
    said = inside(capsys, "judge", "answers", "own.jsonl", "--out", "answers")
    assert "150 answers written to answers/own.jsonl" in said.stdout and "word for word" in said.stderr
    command = ("measure", "-t", "replay/answers/own.jsonl", "-j", "refusal", "--measures", "refusal", "-n", "500")
    card = json.loads(inside(capsys, *command, "--json").stdout)
    people = next(one for one in card["estimates"] if one["metric"] == "VPRR-people")
    first = card["corrected"][0]
    assert people["value"] == pytest.approx(100 / 150)
    assert (first["metric"], first["method"]) == ("VPRR", "ppi++")
    assert first["low"] <= people["value"] <= first["high"]
    assert 50 <= first["labels"] <= 100, "half of the labels correct, and all of them check"
    assert card["judge_line"].startswith("judge: refusal ") and "agreement with people" in card["judge_line"]
    shown = inside(capsys, *command).stdout
    assert "Corrected for the judge's errors" in shown and "people, all" in shown


@pytest.mark.parametrize(
    ("name", "errors_of"), [("own.jsonl", {"do-not-answer"}), ("else.jsonl", {"do-not-answer", "own.jsonl"})]
)
def test_answers_that_a_card_was_made_of_are_corrected_by_its_other_sets(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, errors_of: set[str]
):
    rows = [
        {
            "request": f"How {n}?",
            "answer": "Sure, so." if n % 3 else "I cannot help.",
            "refusal": "none" if n % 3 else "full",
        }
        for n in range(90)
    ]
    own(folder, *rows)
    inside(capsys, "judge", "card", "refusal", "--labels", "own.jsonl")
    bare = [{"prompt": row["request"], "completion": row["answer"], "kind": "harmful"} for row in rows]
    (folder / "replayed").mkdir()
    (folder / "replayed" / name).write_text("".join(json.dumps(row) + "\n" for row in bare))
    told = inside(
        capsys, "measure", "-t", f"replay/replayed/{name}", "-j", "refusal", "--measures", "refusal", "--json"
    )
    first = json.loads(told.stdout)["corrected"][0]
    assert set(first["labels_from"].removeprefix("judge card: ").split(", ")) == errors_of


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nosuch", "--out", "x"), "No labelled set 'nosuch'"),
        (("bare.jsonl", "--out", "x"), "texts without requests"),
        (("do-not-answer", "--out", "bare.jsonl"), "Cannot write"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
):
    (folder / "bare.jsonl").write_text(json.dumps({"request": "", "answer": "a", "harmful": True}) + "\n")
    assert expected in refusal(inside(capsys, "judge", "answers", *arguments))
