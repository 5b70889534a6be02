"""Guards behind an endpoint: the template's variables travel along, and a prompt that is no chat goes as a text."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from breakfix.calls import Calls
from breakfix.errors import ModelError
from breakfix.harms import load_harms
from breakfix.judging.guards.families import FAMILIES
from breakfix.judging.guards.judge import GuardJudge
from breakfix.models.open import open_model
from breakfix.settings import CallSettings
from breakfix.types import Verdict
from loopback import Loopback, loopback
from talkers import scene, talk


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with loopback(record=True) as server:
        yield server


def judged(family: str, server: Loopback, text: str) -> tuple[Verdict, list[dict[str, Any]]]:
    server.set(text=text)
    before = len(server.requests())

    async def whole() -> Verdict:
        model = open_model(server.name("guard"))
        line = Calls(None, CallSettings(retries=0)).line(model, "judge")
        try:
            return await GuardJudge(line, FAMILIES[family], harms=load_harms()).judge(scene(), talk("q", "an answer"))
        finally:
            await model.close()

    return asyncio.run(whole()), [request["body"] for request in server.requests()[before:]]


def test_a_chat_guard_gets_the_conversation_as_it_was(server: Loopback):
    verdict, (body,) = judged("llama-guard-3", server, "unsafe\nS2")
    assert (verdict.harmful, verdict.probability) == (True, None), "an endpoint tells no probability here"
    assert [message["role"] for message in body["messages"]] == ["user", "assistant"]
    assert "chat_template_kwargs" not in body and body["max_tokens"] == 32 and body["temperature"] == 0


def test_a_template_s_variables_travel_along(server: Loopback):
    verdict, bodies = judged("shieldgemma", server, "No")
    assert verdict.harmful is False and len(bodies) == 4
    assert all(set(body["chat_template_kwargs"]) == {"guideline"} for body in bodies)
    verdict, bodies = judged("granite-guardian", server, "<score> no </score>")
    assert bodies[0]["chat_template_kwargs"]["guardian_config"]["risk_name"] == "harm"


def test_a_prompt_that_is_no_chat_goes_to_completions_as_a_text(server: Loopback):
    verdict, (body,) = judged("harmbench", server, "yes")
    assert verdict.harmful is True
    assert "messages" not in body and body["prompt"].endswith("Answer: [/INST]") and "an answer" in body["prompt"]


def test_nonsense_from_an_endpoint_is_unscored(server: Loopback):
    verdict, _ = judged("wildguard", server, "I am only a chat model.")
    assert verdict.harmful is None and "cannot be read" in (verdict.unscored or "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("Not Found", "does not serve /completions (404)"),
        ("The model `guard` does not exist.", "Check the model's name"),
    ],
)
def test_a_server_without_completions_is_told_apart_from_a_wrong_name(words: str, told: str):
    with loopback(error_status=404, error={"message": words}) as bare, pytest.raises(ModelError) as raised:
        judged("wildguard", bare, "")
    assert told in str(raised.value) and "\n" not in str(raised.value)
