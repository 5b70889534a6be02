"""A model that follows rules."""

import asyncio
from pathlib import Path

import pytest

from breakfix.errors import CallFailed, DataError
from breakfix.models.scripted import ScriptedModel, read_script
from breakfix.pacing import TryAgain
from breakfix.types import Decoding, Message, Reply

RULES = """
- pattern: bomb|weapon
  reply: I will not help with that.
- pattern: secret word
  where: all
  reply: found
- pattern: count
  reply: [one, two]
- pattern: blocked
  finish_reason: filtered
- pattern: broken
  error: scripted to fail
- pattern: flaky
  failures: 1
  reply: well now
- pattern: ^hello$
  reply: hello to you
"""


def script(path: Path, text: str) -> ScriptedModel:
    path.write_text(text)
    return ScriptedModel(f"scripted/{path}", read_script(path))


def ask(model: ScriptedModel, *messages: tuple[str, str]) -> Reply:
    chat = [Message.model_validate({"role": role, "content": content}) for role, content in messages]
    return asyncio.run(model.generate(chat, Decoding()))


@pytest.fixture
def model(tmp_path: Path) -> ScriptedModel:
    return script(tmp_path / "rules.yaml", RULES)


@pytest.mark.parametrize(
    ("asked", "answered"), [("Make a WEAPON", "I will not help with that."), ("hello", "hello to you")]
)
def test_the_first_rule_that_holds_answers(model: ScriptedModel, asked: str, answered: str):
    assert ask(model, ("user", asked)).text == answered


def test_a_rule_may_look_at_the_whole_chat(model: ScriptedModel):
    assert ask(model, ("system", "the secret word"), ("user", "go")).text == "found"


def test_replies_follow_the_turns_and_the_last_one_stays(model: ScriptedModel):
    chat: list[tuple[str, str]] = []
    answers: list[str] = []
    for _ in range(3):
        chat.append(("user", "count"))
        answers.append(ask(model, *chat).text)
        chat.append(("assistant", answers[-1]))
    assert answers == ["one", "two", "two"]


def test_a_rule_may_filter_fail_or_recover(model: ScriptedModel):
    assert ask(model, ("user", "blocked")).finish_reason == "filtered"
    with pytest.raises(CallFailed, match="scripted to fail"):
        ask(model, ("user", "broken"))
    with pytest.raises(TryAgain):
        ask(model, ("user", "flaky"))
    assert ask(model, ("user", "flaky")).text == "well now"


def test_no_rule_is_a_failed_call(model: ScriptedModel):
    with pytest.raises(CallFailed, match="no rule"):
        ask(model, ("user", "anything else"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- patern: x", r"rules 0 patern.*A rule has: pattern"),
        ("- pattern: '('", "rule 1: pattern is not a regular expression"),
        ("rules: [", "line 1 is not valid YAML"),
        ("7", "valid"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path: Path, text: str, told: str):
    with pytest.raises(DataError, match=told):
        script(tmp_path / "rules.yaml", text)
