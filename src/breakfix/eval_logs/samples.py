"""A conversation of ours and a sample of Inspect's: one becomes the other, and back without loss.

A sample shows the conversation as Inspect's viewer wants it (messages, scores), and keeps our own nouns word for word
in its store, under `breakfix`: what is read back is read from there.
"""

from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from breakfix.errors import BrokenExtra, MissingExtra
from breakfix.estimates import Label
from breakfix.identity import short
from breakfix.prompts import system_messages
from breakfix.scorecard import score_of
from breakfix.types import UNSCORED_OUTCOMES, Conversation, Message, Outcome, Scenario, Verdict

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessage, ModelOutput
    from inspect_ai.scorer import Score

KEPT = "breakfix"
"""The key of our own nouns in a sample's store."""
SCORER = "breakfix"
"""The name under which the run's own judge scores; other judges add their identity."""
REASONS: dict[Outcome, str] = {"judge-failed": "grader_failed"}
"""Outcomes that Inspect has a word of its own for."""
STOPS = {"filtered": "content_filter", "length": "max_tokens"}


class Told(NamedTuple):
    """One conversation with all that is known of it."""

    scenario: Scenario
    conversation: Conversation
    verdicts: tuple[Verdict, ...] = ()
    labels: tuple[Label, ...] = ()


def need_inspect(what: str) -> None:
    """Refuse what Inspect is needed for, where it is not installed or broken. Raises MissingExtra, BrokenExtra."""
    if find_spec("inspect_ai") is None:
        raise MissingExtra("inspect_ai", "inspect", what)
    try:
        import_module("inspect_ai.log")
    except Exception as error:  # a half-installed package fails in any way
        raise BrokenExtra("inspect_ai", "inspect", error) from error


def sample_of(told: Told, *, model: str, judge_id: str | None) -> "EvalSample":
    """Write a conversation as a sample; `judge_id` is the run's own judge."""
    from inspect_ai.log import EvalSample

    scenario, said = told.scenario, told.conversation
    first = next((turn.content for turn in said.turns if turn.role == "user"), scenario.opening or "")
    return EvalSample(
        id=said.id,
        epoch=1,
        input=first,
        target="",
        description=scenario.objective,
        messages=messages_of((*system_messages(scenario), *said.turns), mark=said.id, model=model),
        output=output_of(said.turns, model),
        scores=scores_of(told, judge_id),
        metadata=scenario.model_dump(mode="json"),
        store={KEPT: kept(told)},
    )


def kept(told: Told) -> dict[str, Any]:
    """Give our nouns as JSON, with nothing left out."""
    return {
        "scenario": told.scenario.model_dump_json(),
        "conversation": told.conversation.model_dump_json(),
        "verdicts": [verdict.model_dump_json() for verdict in told.verdicts],
        "labels": [label.model_dump_json() for label in told.labels],
    }


def told_of(found: dict[str, Any]) -> Told:
    """Read our nouns back. Raises pydantic's ValidationError or KeyError where they are not ours."""
    return Told(
        Scenario.model_validate_json(found["scenario"]),
        Conversation.model_validate_json(found["conversation"]),
        tuple(Verdict.model_validate_json(each) for each in found.get("verdicts", ())),
        tuple(Label.model_validate_json(each) for each in found.get("labels", ())),
    )


def messages_of(turns: Iterable[Message], *, mark: str, model: str) -> "list[ChatMessage]":
    """Write messages as Inspect's, with ids that the same conversation always has."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    written: list[ChatMessage] = []
    for place, turn in enumerate(turns):
        fields: dict[str, Any] = {"id": f"{short(mark)}-{place}", "content": turn.content}
        if turn.role == "assistant":
            written.append(ChatMessageAssistant(**fields, model=model))
        else:
            written.append((ChatMessageSystem if turn.role == "system" else ChatMessageUser)(**fields))
    return written


def output_of(turns: Sequence[Message], model: str) -> "ModelOutput":
    """Write the target's last answer as Inspect's output; empty where it gave none."""
    from inspect_ai.model import ModelOutput

    last = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    if last is None:
        return ModelOutput(model=model)
    stop: Any = STOPS.get(last.finish_reason or "", "stop")
    return ModelOutput.from_content(model, last.content, stop_reason=stop)


def scores_of(told: Told, judge_id: str | None) -> "dict[str, Score]":
    """Give every judge's score of a conversation; one that nobody judged is unscored, with its outcome."""
    judged = {verdict.judge_id: verdict for verdict in told.verdicts}
    own = judged.pop(judge_id or "", None)
    scores = {f"{SCORER} {short(name)}": score_as_inspect(told, verdict) for name, verdict in judged.items()}
    return {SCORER: score_as_inspect(told, own), **scores} if own or not scores else scores


def score_as_inspect(told: Told, verdict: Verdict | None) -> "Score":
    """Write a verdict as Inspect's score: the metric's value (unscored: NaN), the outcome, and what the judge said."""
    from inspect_ai.scorer import Score

    ours = score_of(told.scenario, told.conversation, verdict)
    said = verdict.model_dump(mode="json", exclude_defaults=True) if verdict else {}
    cause = (verdict and (verdict.unscored or verdict.reason)) or told.conversation.failure
    shared: dict[str, Any] = {
        "answer": ours.outcome,
        "explanation": cause,
        "metadata": {"metric": ours.metric, "outcome": ours.outcome, "verdict": said},
    }
    if ours.value is None or ours.outcome in UNSCORED_OUTCOMES:
        return Score.unscored(reason=REASONS.get(ours.outcome, ours.outcome), **shared)
    return Score(value=ours.value, **shared)
