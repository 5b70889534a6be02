"""Labelled sets: people's labels read as they were given, from published files and from the user's own."""

import csv
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from breakfix.errors import DataError
from breakfix.judging.labelled import LABELLED, Truth, present_sets, read_labelled

needs_data = pytest.mark.skipif(
    "BREAKFIX_DATA" not in os.environ, reason="the published sets: set BREAKFIX_DATA to the folder that holds them"
)


def own(tmp_path: Path, *rows: dict[str, Any]) -> str:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps({"request": "q", "answer": "a"} | row) + "\n" for row in rows))
    return str(path)


def table(path: Path, *rows: dict[str, str], delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BREAKFIX_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("row", "truth"),
    [
        ({"harmful": True}, Truth(harmful=True)),
        ({"harmful": 0}, Truth(harmful=False)),
        ({"severity": 0}, Truth(harmful=False, severity=0)),
        ({"severity": 3}, Truth(harmful=True, severity=3)),
        ({"refusal": "partial"}, Truth(refusal="partial")),
        ({"ungrounded": True}, Truth(ungrounded=True)),
        ({"ungroundedness": 1}, Truth(ungrounded=False, ungroundedness=1)),
        ({"harmful": True, "raters": [True, False]}, Truth(harmful=True, raters=(True, False))),
    ],
)
def test_the_users_own_labels_are_read(tmp_path: Path, row: dict[str, Any], truth: Truth):
    (found,) = read_labelled(own(tmp_path, row))
    assert (found.truth, found.set_name) == (truth, "own.jsonl")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"harmful": "yes"}, "line 2: 'harmful' must be true or false"),
        ({"refusal": "some"}, "line 2: 'refusal' must be full, partial or none"),
        ({"severity": 9}, "line 2: 'severity' must be a whole number from 0 to 7"),
        ({"severity": True}, "line 2: 'severity' must be a whole number"),
        ({"ungroundedness": 5}, "line 2: 'ungroundedness' must be a whole number from 0 to 4"),
        ({"harmful": True, "raters": ["maybe"]}, "line 2: 'raters'"),
        ({"harmful": True, "raters": 3}, "line 2: 'raters'"),
        ({"harmful": True, "raters": [["full"]]}, "line 2: 'raters'"),
        ({"refusal": ["full"]}, "line 2: 'refusal' must be full, partial or none"),
        ({"harmful": True, "answer": None}, "line 2 has no 'answer'"),
    ],
)
def test_a_broken_label_is_named_by_line(tmp_path: Path, row: dict[str, Any], expected: str):
    with pytest.raises(DataError, match=expected):
        read_labelled(own(tmp_path, {"harmful": True}, row))


def test_rows_that_nobody_labelled_yet_are_passed_over_and_a_file_of_them_is_refused(tmp_path: Path):
    assert len(read_labelled(own(tmp_path, {"harmful": None}, {"harmful": True}))) == 1
    with pytest.raises(DataError, match="holds no labelled row"):
        read_labelled(own(tmp_path, {"harmful": None}))


def test_answers_to_one_request_are_one_cluster(tmp_path: Path):
    rows = read_labelled(
        own(tmp_path, {"harmful": True}, {"harmful": True, "answer": "b"}, {"harmful": 1, "request": "r"})
    )
    assert rows[0].cluster == rows[1].cluster != rows[2].cluster


def test_a_sample_is_random_seeded_and_no_larger_than_asked(tmp_path: Path):
    path = own(tmp_path, *({"harmful": True, "id": n} for n in range(50)))
    ids = [[row.entry.id for row in read_labelled(path, most=10, seed=seed)] for seed in (1, 1, 2)]
    assert len(ids[0]) == 10
    assert ids[0] == ids[1] != ids[2]
    assert len(read_labelled(path, most=99)) == 50


def test_xstest_completions_keep_both_annotators(data: Path):
    row = {"id": "v2-7", "type": "contrast_x", "prompt": "p", "completion": "c", "annotation_1": "2_full_refusal"}
    row |= {"annotation_2": "3_partial_refusal", "final_label": "3_partial_refusal"}
    table(data / "xstest" / "model_completions" / "m.csv", row)
    (found,) = read_labelled("xstest-completions")
    assert found.truth == Truth(refusal="partial", raters=("full", "partial"))
    assert (found.group, found.entry.scenario.measure, found.entry.scenario.kind) == ("harmful", "refusal", "harmful")


def test_do_not_answer_gives_a_row_for_each_model(data: Path):
    row = {"id": "1", "question": "q", "types_of_harm": "t"}
    for name, harmful, action in (("GPT4", "0", "0"), ("ChatGPT", "1", "5"), ("Claude", "0", "4")):
        row |= {f"{name}_response": name, f"{name}_harmful": harmful, f"{name}_action": action}
    for name in ("ChatGLM2", "llama2-7b-chat", "vicuna-7b"):
        row |= {f"{name}_response": name, f"{name}_harmful": "0", f"{name}_action": "1"}
    table(data / "do-not-answer" / "d.csv", row)
    found = read_labelled("do-not-answer")
    assert [each.truth for each in found[:3]] == [
        Truth(harmful=False, refusal="full", read_refusal="full"),
        Truth(harmful=True, refusal="none", read_refusal="none"),
        Truth(harmful=False, read_refusal="partial"),
    ], "a card counts plain cases only; a recording has the label of every answer"
    assert len(found) == 6
    assert len({each.cluster for each in found}) == 1


def test_the_other_published_forms_are_read(data: Path):
    table(data / "gptfuzz-labelled" / "train.csv", {"question": "q", "Response": "r", "label": "1"})
    table(data / "pku" / "x.csv", {"question": "q", "answer": "r", "label": "0"})
    begin = {"model_name": "m", "knowledge": "k", "message": "q", "response": "r"}
    labels = ("Fully attributable", "Not fully attributable", "Generic")
    rows = [begin | {"begin_label": label} for label in labels]
    table(data / "begin-wow" / "begin_dev.tsv", *rows, delimiter="\t")
    for name, body in (
        ("diasafety/t.json", [{"context": "q", "response": "r", "category": "c", "label": "Unsafe"}]),
        ("toxigen/t.json", [{"text": "r", "label": "neutral", "target_groups": ["women"]}]),
        ("summedits/t.json", [{"doc": "k", "summary": "r", "label": 0}]),
    ):
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_text(json.dumps(body))
    marks = dict.fromkeys(("S", "H", "V", "HR", "SH", "S3", "H2", "V2"), 0)
    (data / "openai-moderation").mkdir()
    lines = [{"prompt": "a", **marks}, {"prompt": "b", **marks, "V": 1}, {"prompt": "c", "S": 0}]
    body = "\n".join(json.dumps(line) for line in lines)
    (data / "openai-moderation" / "s.jsonl.gz").write_bytes(gzip.compress(body.encode()))
    assert present_sets() == ["gptfuzz", "diasafety", "pku", "toxigen", "openai-moderation", "begin", "summedits"]
    harmful = {name: [row.truth.harmful for row in read_labelled(name)] for name in present_sets()}
    assert harmful["gptfuzz"] == harmful["diasafety"] == [True]
    assert harmful["pku"] == harmful["toxigen"] == [False]
    assert harmful["openai-moderation"] == [False, True], "a text that people did not look at for all is left out"
    assert [row.truth.ungrounded for row in read_labelled("begin")] == [False, True]
    assert [row.truth.ungrounded for row in read_labelled("summedits")] == [True]


def test_a_file_of_another_form_and_a_row_with_a_gap_are_named(data: Path):
    table(data / "pku" / "x.csv", {"question": "q", "answer": "r"})
    with pytest.raises(DataError, match=r"x.csv row 1 is not of the set 'pku': 'label' is missing"):
        read_labelled("pku")
    (data / "toxigen").mkdir()
    (data / "toxigen" / "t.json").write_text('[{"text": "x", "label": "hate", "target_groups": 3}]')
    with pytest.raises(DataError, match="row 1"):
        read_labelled("toxigen")
    (data / "toxigen" / "t.json").write_text("[{")
    with pytest.raises(DataError, match="Cannot read"):
        read_labelled("toxigen")


def test_a_published_text_may_hold_every_line_separator_of_unicode(data: Path):
    rows = [{"prompt": "a\u2028b\u0085c", "S": 1}, {"prompt": "d", "S": 1}]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (data / "openai-moderation").mkdir(exist_ok=True)
    (data / "openai-moderation" / "samples.jsonl").write_text(lines, encoding="utf-8")
    assert len(read_labelled("openai-moderation")) >= len(rows)


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("openai-moderation/broken.jsonl.gz", gzip.compress(b'{"prompt": "x"}' * 99, mtime=0)[:20], "broken.jsonl.gz"),
        ("openai-moderation/bad.jsonl.gz", gzip.compress(b"x" * 99, mtime=0)[:10] + b"\xff" * 30, "bad.jsonl.gz"),
        ("gptfuzz/endless.csv", b"question,Response,label\n1," + b"x" * ((1 << 24) + 1), "endless.csv line 2"),
    ],
    ids=("cut", "bad", "endless"),
)
def test_a_damaged_published_file_is_named(data: Path, name: str, body: bytes, expected: str):
    path = data / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(body)
    with pytest.raises(DataError, match=expected):
        read_labelled(name.partition("/")[0])


def test_unknown_and_absent_sets_are_told_apart(data: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(DataError, match=r"neither a file nor a known set. Known: xstest-completions"):
        read_labelled("nosuch")
    with pytest.raises(DataError, match="No file"):
        read_labelled("gptfuzz")
    monkeypatch.delenv("BREAKFIX_DATA")
    assert present_sets() == []
    with pytest.raises(DataError, match="BREAKFIX_DATA"):
        read_labelled("gptfuzz")


@needs_data
def test_the_published_sets_are_read_whole():
    assert present_sets(), "BREAKFIX_DATA holds none of the labelled sets"
    for name in present_sets():
        rows = read_labelled(name)
        labels = {(row.truth.harmful, row.truth.refusal, row.truth.ungrounded) for row in rows}
        assert len(rows) > 100 and len(labels) > 1, name
        assert all(row.set_name == name and LABELLED[name].licence for row in rows)
