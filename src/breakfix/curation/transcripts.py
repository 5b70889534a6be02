"""One row of a published or own data file, read as prompt, chosen and rejected.

A row that breaks its form raises ValueError (the caller names the line); one that keeps it and yet teaches nothing
raises SkippedRow with the reason. No text of a row enters either.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

from breakfix.types import Message

Fields = Mapping[str, Any]
Role = Literal["system", "user", "assistant"]
HH_MARK = re.compile(r"\n\n(Human|Assistant):")
SHAREGPT: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}


class SkippedRow(Exception):
    """A row that is in order and is not used; the text is the reason."""


class Row(NamedTuple):
    """What a row teaches; without `rejected` it is an example."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...] | None = None


def own_row(fields: Fields) -> Row:
    """Read TRL's own keys: `messages`, or `prompt`, `chosen` and `rejected` as texts or message lists."""
    if "messages" in fields:
        messages = messages_of(fields["messages"], "messages")
        if len(messages) < 2 or messages[-1].role != "assistant":
            raise ValueError("'messages' must hold a prompt and end with an assistant message")
        return Row(messages[:-1], messages[-1:])
    prompt = _texts(fields["prompt"], "user", "prompt")
    chosen = _texts(fields["chosen"], "assistant", "chosen")
    rejected = _texts(fields["rejected"], "assistant", "rejected")
    if prompt == chosen[: len(prompt)] == rejected[: len(prompt)]:
        chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
    if not prompt or prompt[-1].role != "user":
        raise ValueError("'prompt' must end with a user message")
    if [turn.role for turn in (*chosen, *rejected)] != ["assistant", "assistant"]:
        raise ValueError("'chosen' and 'rejected' must be one assistant answer each")
    return Row(prompt, chosen, rejected)


def hh_row(fields: Fields) -> Row:
    """Read an HH-RLHF pair: two transcripts that share all but the last answer."""
    chosen, rejected = hh_turns(str(fields["chosen"])), hh_turns(str(fields["rejected"]))
    shared = 0
    while shared < min(len(chosen), len(rejected)) and chosen[shared] == rejected[shared]:
        shared += 1
    if shared == len(chosen) == len(rejected):
        raise SkippedRow("chosen equals rejected")
    if not (len(chosen) == len(rejected) == shared + 1) or shared == 0 or chosen[shared].role != "assistant":
        raise SkippedRow("transcripts part before the last answer")
    return Row(tuple(chosen[:shared]), tuple(chosen[shared:]), tuple(rejected[shared:]))


def hh_turns(transcript: str) -> list[Message]:
    """Split a transcript at its marks; both sides speak in turn, the human first."""
    parts = HH_MARK.split(transcript)
    if parts[0].strip() or len(parts) < 3:
        raise ValueError("no transcript with '\\n\\nHuman:' and '\\n\\nAssistant:' marks")
    roles: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}
    turns = [
        Message(role=roles[mark], content=text.strip()) for mark, text in zip(parts[1::2], parts[2::2], strict=True)
    ]
    if any(turn.role != ("user", "assistant")[place % 2] for place, turn in enumerate(turns)):
        raise SkippedRow("speakers do not take turns")
    return turns


def safer_pair_row(fields: Fields) -> Row:
    """Read a PKU-SafeRLHF row: the safer answer is chosen, if it alone is safe; of two safe ones the better."""
    answers = [str(fields["response_0"]), str(fields["response_1"])]
    safe = [_flag(fields["is_response_0_safe"]), _flag(fields["is_response_1_safe"])]
    if not any(safe):
        raise SkippedRow("neither answer is safe")
    if all(safe) and "better_response_id" not in fields:
        raise SkippedRow("both answers are safe and none is called better")
    best = _place(fields["better_response_id"]) if all(safe) else safe.index(True)
    if answers[0].strip() == answers[1].strip():
        raise SkippedRow("chosen equals rejected")
    return Row(
        (Message(role="user", content=str(fields["prompt"])),),
        (Message(role="assistant", content=answers[best]),),
        (Message(role="assistant", content=answers[1 - best]),),
    )


def sharegpt_row(fields: Fields) -> Row:
    """Read a pair in the ShareGPT manner: conversations, chosen and rejected with `from` and `value`."""
    prompt = tuple(_sharegpt(turn) for turn in cast("Sequence[Fields]", fields["conversations"]))
    return Row(prompt, (_sharegpt(fields["chosen"]),), (_sharegpt(fields["rejected"]),))


def alpaca_row(fields: Fields) -> Row:
    """Read an instruction with its input, if any, and its output."""
    instruction, given = str(fields["instruction"]).strip(), str(fields.get("input") or "").strip()
    prompt = f"{instruction}\n\n{given}" if given else instruction
    return Row((Message(role="user", content=prompt),), (Message(role="assistant", content=str(fields["output"])),))


def messages_of(value: Any, field: str) -> tuple[Message, ...]:
    """Read a list of messages with role and content; further keys are left out."""
    if not isinstance(value, list):
        raise ValueError(f"{field!r} is not a list of messages")
    found: list[Message] = []
    for entry in cast("list[Any]", value):
        role, content = (entry.get("role"), entry.get("content")) if isinstance(entry, dict) else (None, None)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if role not in ("system", "user", "assistant") or not isinstance(content, str):
            raise ValueError(f"{field!r} holds a message without role (system, user, assistant) and text content")
        found.append(Message(role=role, content=content))
    return tuple(found)


def _texts(value: Any, role: Role, field: str) -> tuple[Message, ...]:
    return (Message(role=role, content=value),) if isinstance(value, str) else messages_of(value, field)


def _sharegpt(turn: Fields) -> Message:
    speaker = str(turn["from"])
    if speaker not in SHAREGPT:
        raise ValueError("a turn's 'from' is none of human, gpt, system")
    return Message(role=SHAREGPT[speaker], content=str(turn["value"]))


def _place(value: Any) -> int:
    if str(value).strip() not in ("0", "1"):
        raise ValueError("'better_response_id' is neither 0 nor 1")
    return int(value)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).strip().lower() in ("true", "1", "false", "0"):
        return str(value).strip().lower() in ("true", "1")
    raise ValueError("a safety label is not true or false")
