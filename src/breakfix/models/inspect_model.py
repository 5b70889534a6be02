"""Any Inspect provider as a Model: `inspect/<provider>/<name>`, for whatever has no OpenAI-compatible endpoint.

Inspect's own retries and limits on connections are off: calls.py paces and counts every try. What Inspect would have
tried again is raised as TryAgain, anything else as CallFailed or, where no call will succeed, ModelError. A provider
reads its own environment variables (ANTHROPIC_API_KEY, GOOGLE_API_KEY ...) and sends each key to its own host; with
`api_key_env` or `base_url` in the model's settings, that key or address takes their place.
"""

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any

from breakfix.errors import CallFailed, MissingExtra, ModelError
from breakfix.identity import digest
from breakfix.models.answers import SCHEMA_REFUSALS, quotable, retry_after
from breakfix.models.keys import given_headers, named_key
from breakfix.pacing import TryAgain
from breakfix.secrecy import refuse_secrets
from breakfix.settings import CallSettings, ModelSettings
from breakfix.types import Decoding, Message, Reply

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage, GenerateConfig, ModelOutput, ResponseSchema
    from inspect_ai.model import Model as Asked

UNBOUNDED = 1_000_000
"""Connections that Inspect may open: our own pace is the limit."""
KEYLESS = "none"
"""What is sent to an address of the user's own that no key was named for, so that no provider's key goes there."""
KEY_REFUSALS = frozenset({401, 403})
_FINISH = {"content_filter": "filtered", "max_tokens": "length", "model_length": "length"}
_MARKUP = re.compile(r"\[/?[a-z ]+\]")


class InspectModel:
    """A model that one of Inspect's providers reaches (protocols.Model)."""

    def __init__(self, name: str, settings: ModelSettings, calls: CallSettings) -> None:
        refuse_secrets(settings.base_url or "")
        self.name = name
        asked = name.removeprefix("inspect/")
        self.endpoint = f"inspect/{asked.split('/')[0]} {settings.base_url or ''}".strip()
        self.identity = digest("identity", settings.identity) if settings.identity else digest(self.endpoint, asked)
        self._headers = given_headers(name, settings) or None
        self._timeout_s = calls.timeout_s
        self._has_schema = True
        self._is_schema_known = False
        self._has_answered = False
        self._model = _open(name, asked, settings)

    async def generate(self, messages: Sequence[Message], decoding: Decoding) -> Reply:
        """Ask once. Raises TryAgain, CallFailed or ModelError."""
        if decoding.form is not None:
            raise ModelError(
                f"Model {self.name!r}: a guard is asked in a form of its own; name it hf/... or by its URL."
            )
        has_schema = decoding.json_schema is not None and self._has_schema
        try:
            reply = reply_of(await self._ask(messages, self._config(decoding, has_schema=has_schema)))
        except TimeoutError:
            raise TryAgain(f"no answer within {self._timeout_s:g} s") from None
        except TryAgain:
            raise
        except Exception as error:
            if has_schema and not self._is_schema_known and _status(error) in SCHEMA_REFUSALS:
                self._has_schema = False
                return await self.generate(messages, decoding)
            raise self._failure(error, messages) from None
        self._has_answered = True
        self._is_schema_known = self._is_schema_known or has_schema
        return reply

    async def close(self) -> None:
        """Close the provider's client."""
        await self._model.api.aclose()

    async def _ask(self, messages: Sequence[Message], config: "GenerateConfig") -> "ModelOutput":
        # Inspect notes every call in a transcript of the context. One of its own, empty at first, ends with the call.
        said = [chat_message(each) for each in messages]
        call = asyncio.create_task(self._model.generate(said, config=config), context=Context())
        async with asyncio.timeout(self._timeout_s):
            return await call

    def _config(self, decoding: Decoding, *, has_schema: bool) -> "GenerateConfig":
        from inspect_ai.model import GenerateConfig

        return GenerateConfig(
            max_retries=0,
            max_connections=UNBOUNDED,
            temperature=decoding.temperature,
            top_p=decoding.top_p if decoding.top_p < 1 else None,
            max_tokens=decoding.max_tokens,
            response_schema=response_schema(decoding) if has_schema else None,
            extra_headers=self._headers,
        )

    def _failure(self, error: Exception, messages: Sequence[Message]) -> Exception:
        """Say what an exception of the provider means."""
        cause, is_passing = _cause_of(error)
        status = _status(cause)
        words = quotable(_plain(cause), messages)
        said = ": ".join(filter(None, [f"HTTP {status}" if status else type(cause).__name__, words]))
        if is_passing:
            return TryAgain(said, retry_after_s=_wait_of(cause))
        if self._model.api.is_auth_failure(cause) or (status in KEY_REFUSALS and not self._has_answered):
            return ModelError(
                f"Model {self.name!r}: the provider refused the key ({said}). Check the environment variable that "
                f"Inspect's provider reads, or name another in models.{self.name}.api_key_env."
            )
        if status in (404, 405) and not self._has_answered:
            return ModelError(f"Model {self.name!r}: the provider answered {said}. Check the model's name.")
        return CallFailed(said)


def chat_message(message: Message) -> "ChatMessage":
    """Turn a message into Inspect's."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    return kinds[message.role](content=message.content)


def response_schema(decoding: Decoding) -> "ResponseSchema":
    """Turn the wanted structure into Inspect's, which leaves out what its providers cannot say."""
    from inspect_ai.model import ResponseSchema
    from inspect_ai.util import JSONSchema

    schema = decoding.json_schema or {}
    is_strict = schema.get("additionalProperties") is False or None
    name = decoding.schema_name or "answer"
    return ResponseSchema(name=name, json_schema=JSONSchema.model_validate(schema), strict=is_strict)


def reply_of(output: "ModelOutput") -> Reply:
    """Turn Inspect's output into a reply. Raises TryAgain where it holds no answer at all."""
    if output.empty:
        raise TryAgain("an answer without any choice")
    usage = output.usage
    prompt = 0
    if usage is not None:
        prompt = usage.input_tokens + (usage.input_tokens_cache_read or 0) + (usage.input_tokens_cache_write or 0)
    return Reply(
        text=output.choices[0].message.text.encode("utf-8", "replace").decode(),  # clients let half a pair through
        finish_reason=_FINISH.get(output.stop_reason, "stop"),
        prompt_tokens=prompt,
        completion_tokens=usage.output_tokens if usage else 0,
        model_reported=output.model or None,
    )


def _open(name: str, asked: str, settings: ModelSettings) -> "Asked":
    """Open the provider's client; nothing is sent. Raises MissingExtra or ModelError."""
    try:
        from inspect_ai.model import get_model
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("inspect_ai"):
            raise
        raise MissingExtra("inspect_ai", "inspect", f"Model {name!r}") from None
    provider, _, model = asked.partition("/")
    if not model:
        raise ModelError(f"Model {name!r} names no model. Write inspect/<provider>/<name>: inspect/anthropic/<model>.")
    try:
        opened = get_model(asked, base_url=settings.base_url, api_key=_key_for(name, settings), memoize=False)
    except Exception as error:
        if isinstance(error, ValueError) and "not recognized" in str(error):
            raise ModelError(
                f"Model {name!r}: Inspect has no provider {provider!r}. Check the name against the providers that "
                "Inspect lists; one that comes with a package of its own needs that package."
            ) from None
        raise ModelError(f"Model {name!r} cannot be opened: {_plain(error)}.") from error
    client: Any = getattr(opened.api, "client", None)
    if hasattr(client, "max_retries"):  # a client that tries again by itself, uncounted
        client.max_retries = 0
    return opened


def _key_for(name: str, settings: ModelSettings, environ: Mapping[str, str] = os.environ) -> str | None:
    """Give the key to send; None: the provider's own, which never goes to another address than the provider's."""
    if key := named_key(name, settings, environ):
        return key.secret
    return None if settings.base_url is None else environ.get("BREAKFIX_API_KEY") or KEYLESS


def _cause_of(error: Exception) -> tuple[Exception, bool]:
    """Give what went wrong in the provider, and whether Inspect would have tried again."""
    from tenacity import RetryError

    cause: BaseException | None = error
    if isinstance(error, RetryError):
        cause = error.last_attempt.exception()
    if hasattr(cause, "provider_message") and cause is not None:
        cause = cause.__cause__  # Inspect's own words repeat the request
    return (cause if isinstance(cause, Exception) else error), isinstance(error, RetryError)


def _status(error: BaseException) -> int | None:
    found = (getattr(error, name, None) for name in ("status_code", "code"))
    return next((each for each in found if isinstance(each, int)), None)


def _wait_of(error: BaseException) -> float | None:
    headers: Mapping[str, str] | None = getattr(getattr(error, "response", None), "headers", None)
    return None if headers is None else retry_after(headers)


def _plain(error: BaseException) -> str:
    """Give the words of an error in one line, without the markup of a terminal."""
    words = str(getattr(error, "message", None) or error) or type(error).__name__
    return " ".join(_MARKUP.sub("", words).replace("ERROR:", "").split()).rstrip(". ")
