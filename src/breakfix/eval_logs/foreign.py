"""A sample that Inspect wrote by itself, or a tool on top of it such as Petri: what of it becomes a conversation.

The system messages that come first are the scenario's system prompt; the user's and the assistant's texts are the
turns, and texts of one side that follow each other become one turn. Everything else (tool calls and their results,
reasoning, images, later system messages) is left out and counted by its name.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from breakfix.eval_logs.samples import Told
from breakfix.identity import digest
from breakfix.prohibited import PROHIBITED, prohibited_harm
from breakfix.types import Area, Conversation, Harm, Kind, Measure, Message, Scenario, Split

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessage, ModelOutput

FINISH = {"content_filter": "filtered", "max_tokens": "length", "model_length": "length"}


class Meaning(NamedTuple):
    """What the samples of a foreign log are to us: said by who brings them, since the log does not say."""

    measure: Measure
    kind: Kind = "harmful"
    split: Split = "sealed"
    licence: str = "unstated"
    harm: Harm | None = None


class Origin(NamedTuple):
    """Where a foreign sample comes from."""

    run: str
    """The run that it comes into."""
    task: str
    target_id: str


def told_by(sample: "EvalSample", origin: Origin, meaning: Meaning, dropped: Counter[str]) -> Told | None:
    """Make a scenario and a conversation of a foreign sample; None where nobody said a word. Counts what is dropped."""
    messages, output = heard_by_target(sample) or (sample.messages, sample.output)
    system, turns = spoken(messages, dropped)
    if not turns:
        dropped["samples without a word"] += 1
        return None
    finish_reason = "stop" if output.empty else FINISH.get(output.stop_reason, "stop")
    turns = _finished(turns, finish_reason)
    asked = next((turn.content for turn in turns if turn.role == "user"), None)
    family = f"inspect/{origin.task}/{sample.id}"
    harm, area = _filed(turns, meaning)
    scenario = Scenario(
        id=f"{family}/{digest(origin, meaning.measure, system, asked)[:10]}",
        measure=meaning.measure,
        harm=harm,
        area=area,
        kind=meaning.kind,
        objective=sample.description or asked or family,
        opening=asked,
        system_prompt=system,
        family=family,
        split=meaning.split,
        source="inspect",
        licence=meaning.licence,
    )
    said = Conversation(
        id=digest(origin, sample.id, sample.epoch, sample.uuid),
        run=origin.run,
        scenario_id=scenario.id,
        target_id=origin.target_id,
        sample=sample.epoch - 1,
        users="recorded",
        turns=turns,
        queries=sum(turn.role == "assistant" for turn in turns),
        **_ending(sample, turns, is_filtered=finish_reason == "filtered"),
    )
    return Told(scenario, said)


def _filed(turns: Sequence[Message], meaning: Meaning) -> tuple[str, Area | None]:
    """Give harm and area: as was said, but a prohibited harm where the user's words touch one (design D12)."""
    asked = "\n".join(turn.content for turn in turns if turn.role == "user")
    prohibited = prohibited_harm(asked) if meaning.kind == "harmful" else None
    if prohibited:
        return prohibited, PROHIBITED[prohibited]
    return (meaning.harm.id, meaning.harm.area) if meaning.harm else ("none", None)


def heard_by_target(sample: "EvalSample") -> "tuple[list[ChatMessage], ModelOutput] | None":
    """Give what the model in the role `target` heard and answered in the end; None where no model has that role.

    An auditor's own messages speak of the conversation through tools, and of what it took back as well.
    """
    from inspect_ai.event import ModelEvent

    calls = [event for event in sample.events if isinstance(event, ModelEvent) and event.role == "target"]
    answered = next((event for event in reversed(calls) if not event.output.empty), None)
    return answered and ([*answered.input, answered.output.choices[0].message], answered.output)


def spoken(messages: "Sequence[ChatMessage]", dropped: Counter[str]) -> tuple[str | None, tuple[Message, ...]]:
    """Give the system prompt and the turns of a list of messages; what is no text of either side is counted."""
    system: list[str] = []
    turns: list[Message] = []
    for message in messages:
        _count_dropped(message, dropped)
        text = message.text
        if message.role == "system" and not turns:
            system.append(text)
        elif message.role == "system" or message.role == "tool":
            dropped[f"{'later system' if message.role == 'system' else 'tool'} messages"] += 1
        elif not text.strip():
            dropped[f"{message.role} messages without text"] += 1
        elif turns and turns[-1].role == message.role:
            turns[-1] = Message(role=message.role, content=f"{turns[-1].content}\n\n{text}")
        else:
            turns.append(Message(role=message.role, content=text))
    return "\n\n".join(system) or None, tuple(turns)


def scores_of(sample: "EvalSample", conversation_id: str) -> Iterable[dict[str, Any]]:
    """Give a foreign sample's scores as rows: they are no verdicts of ours, since nobody knows what their scale is."""
    for name, score in (sample.scores or {}).items():
        body = score.model_dump(mode="json", include={"value", "answer", "explanation", "reason", "metadata"})
        yield {"conversation_id": conversation_id, "sample": sample.id, "epoch": sample.epoch, "scorer": name, **body}


def _count_dropped(message: "ChatMessage", dropped: Counter[str]) -> None:
    if message.role == "assistant" and message.tool_calls:
        dropped["tool calls"] += len(message.tool_calls)
    if not isinstance(message.content, str):
        dropped.update(f"{part.type} parts" for part in message.content if part.type != "text")


def _finished(turns: tuple[Message, ...], finish_reason: str) -> tuple[Message, ...]:
    """Mark the answers as ended, the one that comes last as the log says; of one without text nothing came here."""
    last = len(turns) - 1
    return tuple(
        turn
        if turn.role == "user"
        else turn.model_copy(update={"finish_reason": finish_reason if place == last else "stop"})
        for place, turn in enumerate(turns)
    )


def _ending(sample: "EvalSample", turns: tuple[Message, ...], *, is_filtered: bool) -> dict[str, Any]:
    """Say why a foreign conversation stopped. An error's own words may repeat what was said, and stay out."""
    if sample.error is not None:
        return {"stopped": "failed", "failed": "target", "failure": "the sample ended with an error in Inspect"}
    if is_filtered:
        return {"stopped": "filtered", "failure": "the provider's content filter withheld the answer"}
    if all(turn.role == "user" for turn in turns):
        return {"stopped": "failed", "failed": "target", "failure": "the log holds no answer"}
    return {"stopped": "turns"}
