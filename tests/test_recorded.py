"""Recorded answers: read line by line, taken as they are, and a broken line named by its number."""

import json
from pathlib import Path
from typing import Any

import pytest

from breakfix.errors import DataError
from breakfix.judging.recorded import read_recorded, recorded, written
from breakfix.types import Verdict


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_a_request_and_its_answer_are_a_conversation_of_one_exchange(tmp_path: Path):
    (entry,) = read_recorded(lines(tmp_path / "a.jsonl", {"request": "Why?", "answer": "Because."}))
    assert [(turn.role, turn.content) for turn in entry.conversation.turns] == [
        ("user", "Why?"), ("assistant", "Because."),
    ]  # fmt: skip
    assert (entry.id, entry.scenario.measure, entry.scenario.harm) == (1, "jailbreak", "none")


def test_a_whole_conversation_keeps_its_turns_and_its_system_prompt_apart(tmp_path: Path):
    said = [("system", "be good"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    row = {"id": "x", "messages": [{"role": role, "content": text} for role, text in said], "harm": "fraud"}
    (entry,) = read_recorded(lines(tmp_path / "a.jsonl", row))
    assert [turn.content for turn in entry.conversation.turns] == ["a", "b", "c", "d"]
    assert (entry.id, entry.scenario.system_prompt, entry.scenario.harm) == ("x", "be good", "fraud")


def test_a_grounding_text_is_judged_for_ungroundedness_unless_the_row_says_otherwise(tmp_path: Path):
    row = {"prompt": "q", "completion": "a", "grounding": "the text"}
    first, second = read_recorded(lines(tmp_path / "a.jsonl", row, row | {"measure": "summarization"}))
    assert (first.scenario.measure, second.scenario.measure) == ("ungroundedness", "summarization")


def test_numbers_are_those_of_the_lines_and_blank_lines_are_passed_over(tmp_path: Path):
    row = {"request": "q", "answer": "a"}
    assert [each.id for each in read_recorded(lines(tmp_path / "a.jsonl", row, "", row))] == [1, 3]


def test_equal_rows_are_the_same_conversation_wherever_they_stand():
    row = {"request": "q", "answer": "a"}
    one, other = (recorded(row, where="", number=number) for number in (1, 2))
    assert one.conversation == other.conversation
    assert recorded(row | {"harm": "fraud"}, where="", number=1).conversation.id != one.conversation.id


def test_what_a_judge_does_not_judge_is_written_as_null():
    entry = recorded({"id": 7, "request": "q", "answer": "a"}, where="", number=1)
    row = written(entry, Verdict(conversation_id="c", judge_id="j", refusal="full"))
    assert list(row) == [
        "id", "judge_id", "severity", "ungroundedness", "refusal", "harmful", "probability", "first_harmful_turn",
        "evidence", "reason", "unscored",
    ]  # fmt: skip
    assert {key: value for key, value in row.items() if value is not None} == {
        "id": 7, "judge_id": "j", "refusal": "full",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("{not json", "line 2 is not valid JSON"),
        ("[1]", "line 2 holds a list"),
        ({"request": "q"}, "line 2 has no 'answer'"),
        ({"answer": "a"}, "line 2 has no 'request'"),
        ({"request": 3, "answer": "a"}, "line 2: 'request' must be text"),
        ({"request": "q", "answer": ["a"]}, "line 2: 'answer' must be text"),
        ({"messages": []}, "line 2: 'messages' must be a list"),
        ({"messages": ["hello"]}, "message 1 needs 'role' and 'content'"),
        ({"messages": [{"role": "user"}]}, "message 1 needs 'role' and 'content'"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "'role' must be system, user or assistant"),
        ({"messages": [{"role": "user", "content": 1}]}, "'content' must be text"),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}]},
            "message 2: a system message can only be the first",
        ),
        ({"request": "q", "answer": "a", "measure": "jailbrake"}, "line 2: 'measure'"),
        ({"request": "q", "answer": "a", "kind": "odd"}, "line 2: 'kind'"),
    ],
)
def test_a_broken_line_is_named_by_number(tmp_path: Path, row: Any, expected: str):
    with pytest.raises(DataError, match=expected):
        list(read_recorded(lines(tmp_path / "a.jsonl", {"request": "q", "answer": "a"}, row)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(DataError, match="Cannot read"):
        list(read_recorded(tmp_path / "gone.jsonl"))


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path: Path):
    path = lines(tmp_path / "a.jsonl", {"request": "q", "answer": "a"})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [entry.conversation.turns[-1].content for entry in read_recorded(path)] == ["a"]


@pytest.mark.parametrize(("coding", "expected"), [("utf-16", "line 1: it is UTF-16 text"), ("latin-1", "not UTF-8")])
def test_a_file_in_another_coding_says_so(tmp_path: Path, coding: str, expected: str):
    (tmp_path / "a.jsonl").write_text('{"request": "caf\xe9", "answer": "a"}\n', encoding=coding)
    with pytest.raises(DataError, match=rf"{expected}.*Save it as UTF-8"):
        list(read_recorded(tmp_path / "a.jsonl"))


def test_a_language_is_known_however_it_is_named(tmp_path: Path):
    rows = [{"request": "q", "answer": "a", "language": named} for named in ("EN", "en-US", "English", "xx")]
    entries = read_recorded(lines(tmp_path / "a.jsonl", *rows))
    assert [entry.scenario.language for entry in entries] == ["en", "en", "en", "xx"]


def test_a_long_file_streams(tmp_path: Path):
    path = lines(tmp_path / "a.jsonl", {"request": "q", "answer": "a"}, "{broken")
    entries = read_recorded(path)
    assert next(entries).id == 1, "the first row is there before the second is read"
