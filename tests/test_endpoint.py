"""A model behind a real HTTP endpoint in a process of its own: replies, refusals, faults and keys."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from breakfix.calls import Calls
from breakfix.errors import CallFailed, ModelError
from breakfix.models.answers import Answer, quotable, retry_after
from breakfix.models.open import open_model
from breakfix.pacing import TryAgain
from breakfix.protocols import Model
from breakfix.settings import CallSettings, ModelSettings
from breakfix.types import Decoding, Message, Reply
from loopback import Loopback, loopback

CHAT = [Message(role="system", content="Be kind."), Message(role="user", content="How do I boil an egg, please?")]
SCHEMA = {
    "type": "object",
    "properties": {"severity": {"type": "integer", "minimum": 0}, "reason": {"type": "string"}},
    "required": ["severity", "reason"],
    "additionalProperties": False,
}
JUDGING = Decoding(schema_name="verdict", json_schema=SCHEMA)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "BREAKFIX_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def shared() -> Iterator[Loopback]:
    with loopback() as server:
        yield server


@pytest.fixture
def server(shared: Loopback) -> Loopback:
    """The module's endpoint, with its options as at the start."""
    shared.set(
        latency_ms=0, fail_rate=0, fail_first=0, retry_after=None, key=None, models=[], refuses=[], error=None,
        error_status=0, raw=None, record=True, text=None,
    )  # fmt: skip
    return shared


def ask(model: Model, decoding: Decoding | None = None, times: int = 1) -> list[Reply]:
    """Ask so many times, one after the other, and close."""

    async def go() -> list[Reply]:
        try:
            return [await model.generate(CHAT, decoding or Decoding()) for _ in range(times)]
        finally:
            await model.close()

    return asyncio.run(go())


def completion(**fields: Any) -> str:
    message = {"role": "assistant", "content": fields.pop("content", "text"), **fields.pop("message", {})}
    return json.dumps({"model": "m", "choices": [{"message": message, "finish_reason": "stop", **fields}]})


def test_a_reply_has_text_tokens_and_the_model_that_answered(server: Loopback):
    server.set(text="Boil it for six minutes.")
    (reply,) = ask(open_model(server.name("egg")))
    assert reply.text == "Boil it for six minutes."
    assert (reply.finish_reason, reply.model_reported) == ("stop", "egg")
    assert reply.prompt_tokens > 0 and reply.completion_tokens > 0
    sent = server.requests()[-1]["body"]
    assert sent["messages"] == [{"role": message.role, "content": message.content} for message in CHAT]
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("egg", 0.0, 512)
    assert "top_p" not in sent


@pytest.mark.parametrize(
    ("raw", "text", "finish"),
    [
        (completion(content=None), "", "stop"),
        (completion(content=None, message={"refusal": "I cannot."}), "I cannot.", "stop"),
        (completion(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "ab", "stop"),
        (completion(finish_reason="length"), "text", "length"),
        (completion(finish_reason="content_filter", content=None), "", "filtered"),
        (completion(finish_reason=None), "text", "stop"),
    ],
)
def test_odd_but_valid_replies_are_read(server: Loopback, raw: str, text: str, finish: str):
    server.set(raw=raw)
    (reply,) = ask(open_model(server.name()))
    assert (reply.text, reply.finish_reason) == (text, finish)


@pytest.mark.parametrize(
    "raw", ["<html>busy</html>", "[]", "{}", '{"choices": []}', '{"error": {"message": "x"}}', "null"]
)
def test_nonsense_may_be_tried_again(server: Loopback, raw: str):
    server.set(raw=raw)
    with pytest.raises(TryAgain, match="a chat completion"):
        ask(open_model(server.name()))


def test_a_text_that_is_not_unicode_is_sent_all_the_same(server: Loopback):
    chat = [Message.model_construct(role="user", content="half \ud83d pair")]
    model = open_model(server.name())

    async def go() -> Reply:
        try:
            return await model.generate(chat, Decoding())
        finally:
            await model.close()

    assert asyncio.run(go()).text


# ── what the endpoint does not understand ──


def test_structured_output_is_asked_for_where_it_is_understood(server: Loopback):
    (reply,) = ask(open_model(server.name()), JUDGING)
    assert json.loads(reply.text)["severity"] == 0
    wanted = server.requests()[-1]["body"]["response_format"]
    assert wanted == {"type": "json_schema", "json_schema": {"name": "verdict", "schema": SCHEMA, "strict": True}}


def test_structured_output_that_is_refused_is_asked_for_in_words_from_then_on(server: Loopback):
    server.set(refuses=["response_format"])
    before = server.stats()["requests"]
    replies = ask(open_model(server.name()), JUDGING, times=3)
    assert all(json.loads(reply.text)["severity"] == 0 for reply in replies)
    assert server.stats()["requests"] == before + 4
    last = server.requests()[-1]["body"]
    assert "response_format" not in last
    assert "must match this JSON schema" in last["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("refuses", "present", "absent"),
    [
        (["max_tokens"], "max_completion_tokens", "max_tokens"),
        (["temperature"], "max_tokens", "temperature"),
        (["max_tokens", "temperature", "response_format"], "max_completion_tokens", "response_format"),
    ],
)
def test_parameters_that_a_model_refuses_are_learned_once(
    server: Loopback, refuses: list[str], present: str, absent: str
):
    server.set(refuses=refuses)
    before = server.stats()["requests"]
    ask(open_model(server.name()), JUDGING, times=3)
    assert server.stats()["requests"] == before + len(refuses) + 3
    last = server.requests()[-1]["body"]
    assert present in last and absent not in last


def test_that_an_endpoint_draws_as_it_likes_is_told_once(server: Loopback):
    server.set(refuses=["temperature"])
    told: list[str] = []
    calls = Calls(None, CallSettings())
    calls.tell = told.append
    model = open_model(server.name())

    async def go() -> None:
        for role in ("target", "judge", "target"):
            await calls.line(model, role).thread("s").ask(CHAT)
        await model.close()

    asyncio.run(go())
    assert [*calls.remarks] == told and len(told) == 1
    assert "takes no temperature: its own default holds" in told[0]


def test_a_value_out_of_range_is_the_users_to_mend(server: Loopback):
    said = "temperature must be between 0 and 1"
    server.set(error_status=400, error={"message": said})
    before = server.stats()["requests"]
    with pytest.raises(CallFailed, match=said):
        ask(open_model(server.name()))
    assert server.stats()["requests"] == before + 1


def test_a_refusal_that_is_about_something_else_is_not_blamed_on_the_schema(server: Loopback):
    model = open_model(server.name())

    async def go() -> None:
        try:
            await model.generate(CHAT, JUDGING)
            server.set(error_status=400, error={"message": "context too long", "code": "context_length_exceeded"})
            with pytest.raises(CallFailed, match="HTTP 400: context too long"):
                await model.generate(CHAT, JUDGING)
            server.set(error_status=0)
            await model.generate(CHAT, JUDGING)
        finally:
            await model.close()

    asyncio.run(go())
    assert "response_format" in server.requests()[-1]["body"]


def test_an_endpoint_that_names_the_same_field_in_every_refusal_is_not_asked_for_ever(server: Loopback):
    server.set(error_status=400, error={"message": "max_completion_tokens is too large: at most 16384"})
    before = server.stats()["requests"]
    with pytest.raises(CallFailed, match="too large"):
        ask(open_model(server.name()))
    assert server.stats()["requests"] == before + 2


# ── refusals and faults ──


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"message": "filtered", "code": "content_filter"}),
        (400, {"message": "filtered", "code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}),
        (403, {"message": "Your input was flagged by moderation", "code": 403}),
    ],
)
def test_a_content_filter_is_a_reply_that_says_so(server: Loopback, status: int, error: dict[str, Any]):
    server.set(error_status=status, error=error)
    assert ask(open_model(server.name()))[0].finish_reason == "filtered"


@pytest.mark.parametrize(
    ("status", "error", "kind", "told"),
    [
        (500, {"message": "x"}, TryAgain, "HTTP 500"),
        (503, {}, TryAgain, "HTTP 503"),
        (429, {"message": "slow down"}, TryAgain, "HTTP 429"),
        (408, {}, TryAgain, "HTTP 408"),
        (400, {"message": "bad"}, CallFailed, "HTTP 400: bad"),
        (413, {}, CallFailed, "HTTP 413"),
        (429, {"message": "You exceeded your quota", "code": "insufficient_quota"}, ModelError, "quota is spent"),
        (404, {"message": "no such model"}, ModelError, r"answered 404 \(no such model\)\. Check the model's name"),
        (307, {}, ModelError, "redirects elsewhere"),
        (403, {}, ModelError, "wants a key"),
    ],
)
def test_a_status_means_try_again_or_failed_or_no_use(
    server: Loopback, status: int, error: dict[str, Any], kind: type[Exception], told: str
):
    server.set(error_status=status, error=error)
    with pytest.raises(kind, match=told) as raised:
        ask(open_model(server.name()))
    assert "\n" not in str(raised.value)


def test_an_unknown_model_is_named(server: Loopback):
    server.set(models=["m"])
    with pytest.raises(ModelError, match=r"#other'.*404 \(The model other does not exist\)"):
        ask(open_model(server.name("other")))


def test_a_servers_words_that_repeat_what_was_asked_are_not_shown(server: Loopback):
    server.set(error_status=400, error={"message": f"invalid input: {CHAT[1].content} ..."})
    with pytest.raises(CallFailed) as raised:
        ask(open_model(server.name()))
    assert "egg" not in raised.value.cause


def test_nor_are_words_that_repeat_a_short_message_whole():
    assert quotable("invalid input: boil eggs", [Message(role="user", content="boil  eggs")]) == ""
    assert quotable("this model is not hi-res", [Message(role="user", content="hi")]) == "this model is not hi-res"


def test_retry_after_travels_with_the_failure(server: Loopback):
    server.set(fail_first=10**9, fail_status=429, retry_after="7")
    with pytest.raises(TryAgain) as raised:
        ask(open_model(server.name()))
    assert raised.value.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None):
    assert retry_after(Answer(429, b"", headers).headers) == seconds


def test_a_slow_answer_times_out_and_may_be_tried_again(server: Loopback):
    server.set(latency_ms=2000)
    with pytest.raises(TryAgain, match=r"no answer within 0\.2 s"):
        ask(open_model(server.name(), calls=CallSettings(timeout_s=0.2)))


def test_an_endpoint_that_was_never_there_is_one_clear_error():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        model = open_model(f"http://127.0.0.1:{port}/v1#m")
        thread = Calls(None, CallSettings(retries=20)).line(model, "target").thread("s")

        async def go() -> None:
            try:
                await thread.ask(CHAT)
            finally:
                await model.close()

        with pytest.raises(ModelError, match=rf"Cannot reach 127\.0\.0\.1:{port}.*Check the URL"):
            asyncio.run(go())


def test_an_endpoint_that_went_away_may_come_back():
    with loopback() as server:
        model = open_model(server.name())

        async def go() -> None:
            try:
                await model.generate(CHAT, Decoding())
                server.stop()
                for _ in range(3):
                    with pytest.raises(TryAgain):
                        await model.generate(CHAT, Decoding())
                    await asyncio.sleep(0.8)
            finally:
                await model.close()

        asyncio.run(go())


def test_the_environments_proxy_is_used(server: Loopback, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    ask(open_model("http://model.invalid/v1#m"))
    assert server.requests()[-1]["headers"]["host"] == "model.invalid"


def test_an_unreadable_ca_bundle_is_one_clear_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    with pytest.raises(ModelError, match=r"CA bundle '/no/such/bundle\.pem'"):
        ask(open_model("https://127.0.0.1:1/v1#m"))


# ── keys stay home (D13) ──


def test_a_key_goes_only_where_settings_say(server: Loopback, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "openai-secret")
    monkeypatch.setenv("OTHER_KEY", "other-secret")
    ask(open_model(server.name()))
    assert "authorization" not in server.requests()[-1]["headers"]
    assert "openai-secret" not in json.dumps(server.requests()[-1])
    ask(open_model(server.name(), ModelSettings(api_key_env="OTHER_KEY")))
    assert server.requests()[-1]["headers"]["authorization"] == "Bearer other-secret"


def test_openai_names_send_the_openai_key_to_where_the_environment_points(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "openai-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    ask(open_model("openai/gpt-x"))
    assert server.requests()[-1]["headers"]["authorization"] == "Bearer openai-secret"
    assert server.requests()[-1]["body"]["model"] == "gpt-x"


def test_401_says_that_the_openai_key_was_not_sent_and_how_to_send_one(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "openai-secret")
    server.set(key="right")
    with pytest.raises(ModelError, match=r"OPENAI_API_KEY is set, but was not sent there.*api_key_env") as raised:
        ask(open_model(server.name()))
    assert "secret" not in str(raised.value)


def test_401_names_the_variable_of_the_wrong_key(server: Loopback, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WRONG_KEY", "wrong-secret")
    server.set(key="right")
    with pytest.raises(ModelError, match=r"refused the key in WRONG_KEY.*401") as raised:
        ask(open_model(server.name(), ModelSettings(api_key_env="WRONG_KEY")))
    assert "wrong-secret" not in str(raised.value)


def test_extra_headers_are_sent(server: Loopback):
    ask(open_model(server.name(), ModelSettings(headers={"api-key": "k", "X-Team": "red"})))
    headers = server.requests()[-1]["headers"]
    assert (headers["api-key"], headers["x-team"]) == ("k", "red")
