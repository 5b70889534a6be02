"""Recorded answers as a model."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from breakfix.errors import CallFailed, DataError
from breakfix.models.open import open_model
from breakfix.models.replay import ReplayModel
from breakfix.types import Decoding, Message


def ask(model: ReplayModel, *texts: str) -> str:
    """Ask with alternating user and assistant messages."""
    roles = ("user", "assistant")
    messages = [Message(role=roles[number % 2], content=text) for number, text in enumerate(texts)]
    return asyncio.run(model.generate(messages, Decoding())).text


def replay(path: Path, text: str) -> ReplayModel:
    path.write_text(text, encoding="utf-8")
    return ReplayModel(f"replay/{path}", path)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [("prompt", "completion"), ("request", "answer"), ("question", "response"), ("instruction", "output")],
)
def test_jsonl_rows_answer_under_the_usual_field_names(tmp_path: Path, prompt: str, answer: str):
    model = replay(tmp_path / "a.jsonl", json.dumps({prompt: "How  are you?\n", answer: " Well. "}) + "\n\n")
    assert ask(model, "How are you?") == " Well. "


def test_csv_rows_answer_with_commas_and_line_breaks(tmp_path: Path):
    model = replay(tmp_path / "a.csv", 'id,prompt,completion\n1,"One, two?","Line one\n\nline two"\n')
    assert ask(model, "One, two?") == "Line one\n\nline two"


def test_a_conversation_is_matched_by_all_its_user_turns(tmp_path: Path):
    said = [("user", "hi"), ("assistant", "hello"), ("user", "more"), ("assistant", "no")]
    rows = [
        {"messages": [{"role": role, "content": content} for role, content in said]},
        {"prompt": "more", "completion": "of what?"},
    ]
    model = replay(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert ask(model, "hi") == "hello"
    assert ask(model, "hi", "hello", "more") == "no"
    assert ask(model, "more") == "of what?"


def test_an_unknown_prompt_is_a_failed_call_that_does_not_repeat_it(tmp_path: Path):
    model = replay(tmp_path / "a.jsonl", '{"prompt": "known", "completion": "yes"}')
    with pytest.raises(CallFailed, match=r"no recorded answer") as failed:
        ask(model, "something unheard of")
    assert "unheard" not in str(failed.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"prompt": "a", "completion": "b"}\n{"prompt": ', "line 2 is not valid JSON"),
        ('{"prompt": "a", "completion": "b"}\n[1]', "line 2 holds a list"),
        ('{"prompt": "a"}', "line 1 has no answer"),
        ('{"completion": "a"}', "line 1 has no prompt"),
        ('{"messages": [{"role": "user"}]}', "line 1: a message needs"),
        ("\n", "no recorded answers"),
    ],
)
def test_a_broken_row_is_named_by_its_number(tmp_path: Path, text: str, told: str):
    with pytest.raises(DataError, match=told):
        replay(tmp_path / "a.jsonl", text)


def test_only_a_line_feed_ends_a_row(tmp_path: Path):
    row = json.dumps({"prompt": "a", "completion": "one\u2028two\x85three"}, ensure_ascii=False)
    assert ask(replay(tmp_path / "a.jsonl", row + "\n"), "a") == "one\u2028two\x85three"


def test_a_cell_without_an_end_is_named_by_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("breakfix.models.replay.CSV_FIELD_CHARACTERS", 20)
    with pytest.raises(DataError, match="line 2: field larger"):
        replay(tmp_path / "a.csv", 'prompt,completion\n"never closed,' + "x" * 40)


@pytest.mark.parametrize(
    ("mark", "told"),
    [("#gpt9", "has no answers of 'gpt9'. Known: gpt4, llama"), ("", "holds answers of several models")],
)
def test_a_fault_of_the_header_names_the_header(tmp_path: Path, mark: str, told: str):
    path = tmp_path / "a.csv"
    path.write_text('question,gpt4_response,llama_response\n"one\ntwo",no,yes\n')
    with pytest.raises(DataError, match=f"^The header of .*a.csv {told}"):
        open_model(f"replay/{path}{mark}")


def test_identity_follows_the_content_not_the_name(tmp_path: Path):
    row = '{"prompt": "a", "completion": "b"}'
    one, same = replay(tmp_path / "a.jsonl", row), replay(tmp_path / "b.jsonl", row)
    other = replay(tmp_path / "c.jsonl", row.replace("b", "c"))
    assert one.identity == same.identity != other.identity


@pytest.mark.skipif("BREAKFIX_DATA" not in os.environ, reason="BREAKFIX_DATA does not name the published data")
def test_published_xstest_completions_all_answer():
    folder = Path(os.environ["BREAKFIX_DATA"]) / "xstest" / "model_completions"
    files = sorted(folder.glob("*.csv"))
    assert len(files) == 5
    for file in files:
        model = open_model(f"replay/{file}")
        assert isinstance(model, ReplayModel) and len(model) == 225
