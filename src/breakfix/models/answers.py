"""What an OpenAI-compatible endpoint's answer means: a reply, a try to repeat, a failed call, or a model of no use.

Nothing here sends anything. Error texts quote the server's own words only where they do not repeat what was asked.
"""

import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, cast

import orjson

from breakfix.errors import CallFailed, ModelError
from breakfix.pacing import TryAgain
from breakfix.types import Decoding, Message, Reply

FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
SCHEMA_REFUSALS = frozenset({400, 404, 415, 422, 501})
"""Statuses with which endpoints refuse structured output that they do not know."""
SAMPLING = ("temperature", "top_p")
UNSUPPORTED = re.compile(
    r"\bnot (?:be |currently |yet )?(?:support|allow|permit|accept|available|recogni)|n['’]t (?:support|allow|accept)"
    r"|unsupported|unknown|unrecogni|unexpected|only the default|cannot both|extra (?:inputs|fields)|deprecated"
)
"""What says that a parameter is not taken at all, or not at this value; a value out of its range is the user's."""
PASSING_STATUSES = frozenset({408, 409, 425, 429})
QUOTED_CHARACTERS = 160
SHORTEST_REPEATED = 4
"""A message of fewer characters ("hi") may stand in any text by chance."""


class Answer(NamedTuple):
    """One HTTP answer, read whole."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Form(NamedTuple):
    """How a request is written for one endpoint; what it was found to refuse is left out."""

    token_field: str = "max_tokens"
    has_schema: bool = True
    unsampled: frozenset[str] = frozenset()
    """Of SAMPLING, what the endpoint takes none of: its own default holds."""


def request_body(model: str, messages: Sequence[Message], decoding: Decoding, form: Form) -> bytes:
    """Write a chat-completions request; of a prompt that is no chat, a completions request."""
    chat = [{"role": message.role, "content": message.content} for message in messages]
    request: dict[str, Any] = {"model": model, "messages": chat, form.token_field: decoding.max_tokens}
    if decoding.form is not None and decoding.form.is_text:
        request = {
            "model": model,
            "prompt": "".join(part["content"] for part in chat),
            "max_tokens": decoding.max_tokens,
        }
    elif decoding.form is not None and decoding.form.variables:
        request["chat_template_kwargs"] = decoding.form.variables
    sampling = {"temperature": decoding.temperature} | ({"top_p": decoding.top_p} if decoding.top_p < 1 else {})
    request |= {name: value for name, value in sampling.items() if name not in form.unsampled}
    if decoding.json_schema is not None:
        if form.has_schema:
            request["response_format"] = _response_format(decoding)
        elif chat:
            chat[-1]["content"] += schema_request(decoding)
    try:
        return orjson.dumps(request)
    except TypeError:  # half of a surrogate pair in a text: not valid UTF-8, replaced
        for part in chat:
            part["content"] = part["content"].encode("utf-8", "replace").decode()
        if "prompt" in request:
            request["prompt"] = "".join(part["content"] for part in chat)
        return orjson.dumps(request)


def schema_request(decoding: Decoding) -> str:
    """Ask in words for the structure that a decoding wants, after what is asked."""
    schema = orjson.dumps(decoding.json_schema).decode()
    return f"\n\nReply with one JSON object and nothing else. It must match this JSON schema:\n{schema}"


def simpler_form(form: Form, answer: Answer, decoding: Decoding, *, is_schema_known: bool) -> Form | None:
    """Give the form to try next if the endpoint refused something in this one; None if the refusal is about else."""
    if answer.status not in SCHEMA_REFUSALS:
        return None
    words = _error(answer)[0].lower()
    if answer.status in (400, 422):
        if form.token_field == "max_tokens" and "max_completion_tokens" in words:
            return form._replace(token_field="max_completion_tokens")
        if form.token_field == "max_completion_tokens" and "max_completion_tokens" in words:
            return form._replace(token_field="max_tokens")
        if refused := _refused_sampling(words) - form.unsampled:
            return form._replace(unsampled=form.unsampled | refused)
    if decoding.json_schema is not None and form.has_schema and not is_schema_known:
        return form._replace(has_schema=False)
    return None


def _refused_sampling(words: str) -> frozenset[str]:
    """Give what of SAMPLING an error says is not supported; of two that exclude each other, top_p."""
    if not UNSUPPORTED.search(words):
        return frozenset()
    named = frozenset(name for name in SAMPLING if re.search(rf"\b{name}\b", words))
    return frozenset({"top_p"}) if len(named) > 1 and "both" in words else named


def reply_from(answer: Answer) -> Reply:
    """Read a reply out of a 200. Raises TryAgain if it is no chat completion."""
    try:
        body = orjson.loads(answer.body)
        choice = body["choices"][0]
        message = choice["message"] if "message" in choice else {"content": choice["text"]}
        text = message.get("content")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise TryAgain(_no_completion(answer)) from None
    if text is None:
        text = message.get("refusal") or ""
    elif not isinstance(text, str):
        text = _joined(text)
    usage: dict[str, Any] = body.get("usage") or {}
    finish = choice.get("finish_reason")
    return Reply.model_construct(
        text=text,
        finish_reason=_FINISH.get(finish, "stop"),
        prompt_tokens=usage.get("prompt_tokens") or 0,
        completion_tokens=usage.get("completion_tokens") or 0,
        model_reported=body.get("model"),
        fingerprint=body.get("system_fingerprint"),
    )


def _no_completion(answer: Answer) -> str:
    """Say what a 200 is that holds no choice. Its own words are not quoted: they may repeat what was asked."""
    if answer.body.lstrip()[:1] == b"<":
        return "a web page instead of a chat completion: check the URL (often it ends in /v1)"
    words, codes = _error(answer)
    if words or codes:
        named = ", ".join(code for code in sorted(codes) if re.fullmatch(r"[\w.-]{1,40}", code))
        return f"an error in place of a chat completion, with HTTP 200{f' ({named})' if named else ''}"
    return "an answer that is not a chat completion"


def is_filtered(answer: Answer) -> bool:
    """Say whether a refusal came from the provider's content filter."""
    words, codes = _error(answer)
    if answer.status == 403:
        return "moderation" in words.lower() or "flagged" in words.lower()
    return answer.status in (400, 422, 451) and bool(codes & FILTER_CODES)


def failure(
    name: str, answer: Answer, messages: Sequence[Message], *, has_answered: bool, is_text: bool = False
) -> Exception:
    """Say what a status other than 200 means, once filter, key and form are ruled out.

    `is_text`: a whole prompt was sent to /completions, which many servers of chat models do not have.
    """
    status = answer.status
    words, codes = _error(answer)
    said = quotable(words, messages)
    if status == 429 and "insufficient_quota" in codes:
        return ModelError(f"Model {name!r}: the account's quota is spent ({said or 429}). Top it up, then rerun.")
    if status in PASSING_STATUSES or (status >= 500 and status != 501):
        return TryAgain(f"HTTP {status}", retry_after_s=retry_after(answer.headers))
    if 300 <= status < 400:
        return ModelError(f"Model {name!r}: the endpoint redirects elsewhere ({status}). Give the address it leads to.")
    if status in (404, 405) and not has_answered:
        why = f" ({said})" if said else ""
        if is_text and "model" not in words.lower():
            return ModelError(
                f"Model {name!r}: the server does not serve /completions ({status}), which a guard model that is asked"
                " in a text of its own needs. Serve it with one that does (vLLM, SGLang, llama.cpp), check that the URL"
                " ends where /completions follows (often /v1), or take its weights: guard/<family>=hf/<folder>"
            )
        return ModelError(
            f"Model {name!r}: the endpoint answered {status}{why}. Check the model's name and that the URL ends "
            "where /chat/completions follows (often /v1)."
        )
    return CallFailed(f"HTTP {status}: {said}" if said else f"HTTP {status}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After (seconds or a date) or retry-after-ms; None if absent or unreadable."""
    for name, scale in (("retry-after-ms", 0.001), ("Retry-After", 1.0)):
        if (value := headers.get(name)) is None:
            continue
        try:
            return max(0.0, float(value) * scale)
        except ValueError:
            return _until(value)
    return None


def _until(date: str) -> float | None:
    import time

    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except ValueError:
        return None


def _response_format(decoding: Decoding) -> dict[str, Any]:
    schema = decoding.json_schema or {}
    wanted: dict[str, Any] = {"name": decoding.schema_name or "answer", "schema": schema}
    if schema.get("additionalProperties") is False:
        wanted["strict"] = True
    return {"type": "json_schema", "json_schema": wanted}


def _error(answer: Answer) -> tuple[str, frozenset[str]]:
    """Give the server's message and its codes, lower case, wherever it put them."""
    try:
        body = orjson.loads(answer.body)
    except ValueError:
        return "", frozenset()
    error: Any = body.get("error", body) if isinstance(body, dict) else body  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(error, dict):
        return str(error)[:2000], frozenset()  # pyright: ignore[reportUnknownArgumentType]
    fields = cast("dict[str, Any]", error)
    inner = fields.get("innererror")
    inner_code = cast("dict[str, Any]", inner).get("code") if isinstance(inner, dict) else None
    codes = frozenset(str(code).lower() for code in (fields.get("code"), fields.get("type"), inner_code) if code)
    words = fields.get("message") or fields.get("detail") or ""
    return (words if isinstance(words, str) else orjson.dumps(words).decode())[:2000], codes


def quotable(words: str, messages: Sequence[Message]) -> str:
    """Shorten a server's words; drop them where they repeat a message, or a piece of one (it may be harmful)."""
    line = " ".join(words.split())[:QUOTED_CHARACTERS]
    said = [" ".join(message.content.split()) for message in messages]
    if any(len(text) >= SHORTEST_REPEATED and text in line for text in said):
        return ""
    asked = " ".join(said)
    pieces = (line[start : start + 24] for start in range(max(1, len(line) - 23)))
    return "" if any(len(piece) == 24 and piece in asked for piece in pieces) else line.rstrip(". ")


def _joined(parts: Any) -> str:
    """Join the text parts of a content list."""
    if not isinstance(parts, list):
        raise TryAgain("an answer whose content is not text")
    texts = (cast("dict[str, Any]", part).get("text") for part in cast("list[Any]", parts) if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


_FINISH: dict[Any, str] = {"length": "length", "max_tokens": "length", "content_filter": "filtered"}
