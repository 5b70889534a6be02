"""Any Inspect provider as a Model: what is asked of it, and what its answers and errors become."""

import asyncio
import builtins
import sys
from pathlib import Path
from typing import Any

import pytest

from breakfix.calls import Calls
from breakfix.errors import CallFailed, MissingExtra, ModelError
from breakfix.models.open import open_model
from breakfix.pacing import TryAgain
from breakfix.settings import CallSettings, ModelSettings
from breakfix.types import Decoding, Message, Reply
from fake_model import assistant, calls_of, user
from inspected import Fault, Told, output, telling

NAME = "inspect/told/a"
SCHEMA = {
    "type": "object",
    "properties": {"severity": {"type": "integer", "minimum": 0, "maximum": 7}},
    "required": ["severity"],
    "additionalProperties": False,
}


def ask(*messages: Message, name: str = NAME, decoding: Decoding | None = None, **settings: Any) -> Reply:
    model = open_model(name, ModelSettings.model_validate(settings), CallSettings(timeout_s=5))

    async def once() -> Reply:
        try:
            return await model.generate(messages or (user("Say: ready"),), decoding or Decoding())
        finally:
            await model.close()

    return asyncio.run(once())


def test_messages_and_decoding_reach_the_provider_as_they_are():
    telling(a="Ready.")
    told = ask(
        Message(role="system", content="Be brief."),
        user("Say: ready"),
        assistant("Ready?"),
        user("Yes"),
        decoding=Decoding(temperature=0.3, top_p=0.9, max_tokens=64),
    )
    messages, config = Told.asked[0]
    assert [(each.role, each.text) for each in messages] == [
        ("system", "Be brief."), ("user", "Say: ready"), ("assistant", "Ready?"), ("user", "Yes"),
    ]  # fmt: skip
    assert (config.temperature, config.top_p, config.max_tokens) == (0.3, 0.9, 64)
    assert told == Reply(text="Ready.", prompt_tokens=7, completion_tokens=3, model_reported="told-2026")


def test_half_a_pair_of_surrogates_does_not_reach_the_journal(tmp_path: Path):
    telling(a="half \ud83d pair")

    async def asked_for_good() -> str:
        calls = calls_of(tmp_path)
        return (await calls.line(open_model(NAME), "target").thread("s").ask([user("a")])).text

    assert asyncio.run(asked_for_good()) == "half ? pair"


def test_a_wanted_structure_reaches_the_provider():
    telling(a='{"severity": 0}')
    ask(decoding=Decoding(json_schema=SCHEMA, schema_name="verdict"))
    wanted = Told.asked[0][1].response_schema
    assert wanted is not None and wanted.name == "verdict" and wanted.strict
    assert wanted.json_schema.model_dump(exclude_none=True) == SCHEMA


def test_a_provider_that_refuses_the_structure_is_asked_without_it_from_then_on():
    telling(a=lambda messages, config: Fault(400, "no schemas") if config.response_schema else "{}")
    model = open_model(NAME)

    async def twice() -> None:
        for _ in range(2):
            assert (await model.generate([user("Judge")], Decoding(json_schema=SCHEMA))).text == "{}"

    asyncio.run(twice())
    assert [config.response_schema is not None for _, config in Told.asked] == [True, False, False]


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [("stop", "stop"), ("max_tokens", "length"), ("model_length", "length"), ("content_filter", "filtered"),
     ("unknown", "stop")],
)  # fmt: skip
def test_finish_reasons_become_ours(stop_reason: str, finish_reason: str):
    telling(a=output("Cut", stop_reason))
    assert ask().finish_reason == finish_reason


def test_cached_prompt_tokens_count_as_prompt_tokens():
    telling(a=output("Ready", input_tokens_cache_read=100, input_tokens_cache_write=10))
    assert ask().prompt_tokens == 117


def test_an_overloaded_provider_may_be_tried_again_and_says_when():
    fault = Fault(429)
    fault.response = type("Response", (), {"headers": {"Retry-After": "7"}})()  # pyright: ignore[reportAttributeAccessIssue]
    telling(a=fault)
    with pytest.raises(TryAgain, match="HTTP 429: trouble") as caught:
        ask()
    assert caught.value.retry_after_s == 7
    assert len(Told.asked) == 1, "Inspect itself tries nothing again"


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        (Fault(401), ModelError, "refused the key .HTTP 401.*api_key_env"),
        (Fault(403), ModelError, "refused the key"),
        (Fault(404, "no such model"), ModelError, "HTTP 404: no such model. Check the model's name"),
        (Fault(400, "bad request"), CallFailed, "HTTP 400: bad request"),
        (ValueError("odd"), CallFailed, "ValueError: odd"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(fault: Exception, error: type[Exception], says: str):
    telling(a=fault)
    with pytest.raises(error, match=says) as caught:
        ask()
    assert "\n" not in str(caught.value)


def test_an_error_that_repeats_what_was_asked_is_not_quoted():
    asked = "a sentence that is long enough to be told apart"
    telling(a=Fault(400, f"cannot answer: {asked}"))
    with pytest.raises(CallFailed) as caught:
        ask(user(asked))
    assert str(caught.value) == "HTTP 400"


def test_a_provider_that_does_not_answer_in_time_may_be_tried_again():
    async def slowly(*_: Any) -> str:
        await asyncio.sleep(30)
        return "Late."

    telling(a=slowly)
    model = open_model(NAME, None, CallSettings(timeout_s=0.05))
    with pytest.raises(TryAgain, match=r"no answer within 0\.05 s"):
        asyncio.run(model.generate([user("Say: ready")], Decoding()))


def test_through_the_door_a_call_is_retried_counted_and_paced():
    left = [2]

    def answer(*_: Any) -> Any:
        left[0] -= 1
        return Fault(503) if left[0] >= 0 else "At last."

    telling(a=answer)
    calls = Calls(None, CallSettings())
    line = calls.line(open_model(NAME), "target")
    reply = asyncio.run(line.thread("s").ask([user("Say: ready")]))
    assert reply.text == "At last." and calls.counts.total.retries == 2 and calls.counts.total.prompt_tokens == 7


def test_a_client_that_tries_again_by_itself_is_told_not_to():
    telling()
    assert open_model(NAME)._model.api.client.max_retries == 0  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def test_identity_is_provider_address_and_name_unless_settings_give_one():
    telling()
    one, other = open_model(NAME), open_model("inspect/told/b")
    moved = open_model(NAME, ModelSettings(base_url="http://127.0.0.1:9/v1"))
    named = ModelSettings(identity="replicas")
    assert len({one.identity, other.identity, moved.identity}) == 3
    assert open_model(NAME, named).identity == open_model("inspect/told/b", named).identity
    assert open_model(NAME).identity == one.identity


def test_a_key_goes_where_it_belongs_and_nowhere_else(monkeypatch: pytest.MonkeyPatch):
    telling()
    monkeypatch.setenv("TOLD_API_KEY", "the provider's")
    monkeypatch.setenv("MINE", "mine")
    monkeypatch.delenv("BREAKFIX_API_KEY", raising=False)
    elsewhere = "http://127.0.0.1:9/v1"
    open_model(NAME)
    open_model(NAME, ModelSettings(base_url=elsewhere))
    open_model(NAME, ModelSettings(base_url=elsewhere, api_key_env="MINE"))
    assert Told.keys == [(None, None), (elsewhere, "none"), (elsewhere, "mine")], "None: as the environment says"


def test_headers_reach_the_provider(monkeypatch: pytest.MonkeyPatch):
    telling()
    monkeypatch.setenv("TEAM", "red")
    ask(headers={"x-team": "env:TEAM"})
    assert Told.asked[0][1].extra_headers == {"x-team": "red"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("inspect/nosuch/m", "Inspect has no provider 'nosuch'"),
        ("inspect/told", "names no model. Write inspect/<provider>/<name>"),
        ("inspect/", "Unknown model 'inspect/'"),
        ("inspekt/told/a", "Did you mean 'inspect/'"),
    ],
)
def test_a_wrong_name_is_one_clear_line(name: str, says: str):
    with pytest.raises(ModelError, match=says) as caught:
        open_model(name)
    assert "\n" not in str(caught.value)


def test_a_provider_whose_package_is_missing_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "anthropic", None)
    with pytest.raises(
        ModelError, match=r"Model 'inspect/anthropic/x' cannot be opened: .*pip install anthropic"
    ) as told:
        open_model("inspect/anthropic/x")
    assert "\n" not in str(told.value) and "[bold]" not in str(told.value)


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "inspect_ai":
            raise ModuleNotFoundError("No module named 'inspect_ai'", name="inspect_ai")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"pip install 'breakfix\[inspect\]'"):
        open_model("inspect/told/a")


def test_a_long_run_leaves_no_transcript_behind():
    from inspect_ai.log import transcript

    telling()
    model = open_model(NAME)

    async def many() -> int:
        before = len(transcript().events)  # other tests of this process may have left some
        for _ in range(20):
            await model.generate([user("Say: ready")], Decoding())
        return len(transcript().events) - before

    assert asyncio.run(many()) == 0
