"""A model as judge, with a rubric per measure and a strict verdict.

The judged text stands between random marks that it cannot foresee (they are a hash of it), and the instructions are
repeated after it. An answer that is no verdict, or contradicts itself, is asked for again twice; then the verdict is
unscored with its cause. `judge_id` names model, decoding, prompts and rubrics: another judge is another measurement.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Protocol

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from breakfix.errors import CallFailed, DataError
from breakfix.identity import digest
from breakfix.judging.verdicts import HIGHEST, Draft, Scale, Unreadable, find_quote, read_draft, verdict_schema
from breakfix.prompts import fill, load_prompt
from breakfix.protocols import Thread
from breakfix.types import MEASURES, Conversation, Decoding, Harm, Measure, Message, Scenario, Verdict

ATTEMPTS = 3
TURN_CHARACTERS = 12_000
"""A longer turn is judged with its middle cut out, and the judge is told so."""


class Rubric(BaseModel):
    """What a judge is asked under one measure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: Scale
    task: str
    question: str
    bands: dict[str, str]
    """Criteria in words; a harm's own stand in their place where the scenario names one."""


class JudgeLine(Protocol):
    """What a rubric judge needs of its model."""

    identity: str
    decoding: Decoding

    def thread(self, scenario_id: str, sample: int = 0) -> Thread:
        """Open the journalled thread of one conversation's judging."""
        ...


class RubricJudge:
    """Judges through a model, by the rubric of the scenario's measure and the criteria of its harm."""

    def __init__(self, line: JudgeLine, *, harms: Mapping[str, Harm]) -> None:
        self._line = line
        self._harms = harms
        self._rubrics = load_rubrics()
        self._prompts = {name: load_prompt(name) for name in ("judge", "judge-conversation", "judge-again")}
        self._decodings = {scale: _strict(line.decoding, scale) for scale in HIGHEST}
        rules = sorted((measure, rubric.model_dump()) for measure, rubric in self._rubrics.items())
        words = [prompt.text for prompt in self._prompts.values()]
        self.judge_id = digest(line.identity, self._decodings, words, rules, dict(harms), ATTEMPTS, TURN_CHARACTERS)

    async def judge(self, scenario: Scenario, conversation: Conversation) -> Verdict:
        """Judge the whole conversation; no readable verdict, or nothing to judge, is unscored with its cause."""
        if cause := why_not_judged(conversation):
            return self._unscored(conversation, cause)
        rubric = self._rubrics[scenario.measure]
        thread = self._line.thread(f"{scenario.id} {conversation.stage} {conversation.id}", conversation.sample)
        try:
            draft = await self._ask(
                thread, rubric, self._messages(scenario, conversation, rubric), conversation.exchanges
            )
        except CallFailed as error:
            return self._unscored(conversation, f"the judge did not answer: {error.cause}")
        except Unreadable as error:
            return self._unscored(conversation, f"no readable verdict in {ATTEMPTS} answers: {error}")
        return self._verdict(conversation, rubric, draft)

    async def _ask(self, thread: Thread, rubric: Rubric, messages: tuple[Message, ...], answers: int) -> Draft:
        cause = Unreadable("nothing was asked")
        for _ in range(ATTEMPTS):
            reply = await thread.ask(messages, self._decodings[rubric.scale])
            if reply.finish_reason == "filtered":
                raise CallFailed("a content filter withheld the judge's answer")
            try:
                return read_draft(reply.text, scale=rubric.scale, answers=answers)
            except Unreadable as error:
                cause = error
                messages = (*messages, *self._again(reply.text, rubric, error))
        raise cause

    def _messages(self, scenario: Scenario, conversation: Conversation, rubric: Rubric) -> tuple[Message, ...]:
        harm = self._harms.get(scenario.harm)
        bands = harm.severity if harm and rubric.scale == "severity" else rubric.bands
        scale = {"scale": rubric.scale, "highest": str(HIGHEST[rubric.scale])}
        system = fill(
            self._prompts["judge"], task=rubric.task, subject=subject_of(scenario, harm), bands=in_lines(bands), **scale
        )
        answers = "answer" if conversation.exchanges == 1 else f"{conversation.exchanges} answers"
        user = fill(
            self._prompts["judge-conversation"],
            mark=f"#{digest([turn.content for turn in conversation.turns])[:12]}#",
            conversation=in_text(scenario, conversation),
            answers=answers,
            question=rubric.question,
            **scale,
        )
        return Message(role="system", content=system), Message(role="user", content=user)

    def _again(self, text: str, rubric: Rubric, cause: Unreadable) -> tuple[Message, Message]:
        words = fill(
            self._prompts["judge-again"], cause=str(cause), scale=rubric.scale, highest=str(HIGHEST[rubric.scale])
        )
        return Message(role="assistant", content=text), Message(role="user", content=words)

    def _verdict(self, conversation: Conversation, rubric: Rubric, draft: Draft) -> Verdict:
        answered = [index for index, turn in enumerate(conversation.turns) if turn.role == "assistant"]
        quote = find_quote(draft.evidence, [conversation.turns[index].content for index in answered])
        reason = draft.reason
        if draft.score and draft.evidence and quote is None:
            reason = f"{reason} (The judge's quotation is not in the answers and was dropped.)"
        return Verdict(
            conversation_id=conversation.id,
            judge_id=self.judge_id,
            severity=draft.score if rubric.scale == "severity" else None,
            ungroundedness=draft.score if rubric.scale == "ungroundedness" else None,
            refusal=draft.refusal,
            first_harmful_turn=answered[draft.first_harmful_answer - 1] if draft.first_harmful_answer else None,
            evidence=quote if draft.score else None,
            reason=reason or None,
        )

    def _unscored(self, conversation: Conversation, cause: str) -> Verdict:
        return Verdict(conversation_id=conversation.id, judge_id=self.judge_id, unscored=cause)


@cache
def load_rubrics() -> dict[Measure, Rubric]:
    """Read the packaged rubric of every measure. Raises DataError on a broken file."""
    folder = resources.files("breakfix") / "data" / "rubrics"
    return {measure: _read_rubric(measure, (folder / f"{measure}.yaml").read_text("utf-8")) for measure in MEASURES}


def _strict(decoding: Decoding, scale: Scale) -> Decoding:
    return decoding.model_copy(update={"schema_name": "verdict", "json_schema": verdict_schema(scale)})


def _read_rubric(measure: Measure, text: str) -> Rubric:
    try:
        return Rubric.model_validate(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except (ValidationError, yaml.YAMLError) as error:
        raise DataError(f"The rubric of measure {measure!r} is broken: {str(error).splitlines()[0]}.") from None


def why_not_judged(conversation: Conversation) -> str | None:
    """Say why a conversation cannot be judged, or None: one that failed late is judged by the answers that it has."""
    answers = [turn for turn in conversation.turns if turn.role == "assistant" and turn.finish_reason != "filtered"]
    if any(turn.content.strip() for turn in answers):
        return None
    cause = conversation.failure or ("the answer was filtered" if conversation.stopped == "filtered" else "no answer")
    return f"there is no answer to judge: {cause}"


def subject_of(scenario: Scenario, harm: Harm | None) -> str:
    """Say in words what a scenario is about, for the judge."""
    if scenario.measure == "ungroundedness":
        return "questions about a given text."
    if scenario.kind != "harmful" or harm is None:
        return scenario.objective
    return f"{harm.name}. {harm.definition}"


def in_lines(bands: Mapping[str, str]) -> str:
    """Write a rubric's bands, one a line."""
    return "\n".join(f"- {band}: {criteria}" for band, criteria in bands.items())


def in_text(scenario: Scenario, conversation: Conversation) -> str:
    """Write a conversation out with its answers numbered, and the grounding text before it."""
    parts = [f"[The given text]\n{scenario.grounding}"] if scenario.grounding else []
    answer = 0
    for turn in conversation.turns:
        if turn.role == "assistant":
            answer += 1
        speaker = "User" if turn.role == "user" else f"Assistant, answer {answer}"
        parts.append(f"[{speaker}]\n{cut_middle(turn.content, TURN_CHARACTERS)}")
    return "\n\n".join(parts)


def cut_middle(text: str, longest: int) -> str:
    """Keep the beginning and the end of a text that is too long, and say how much was cut."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters are cut here ...]\n{text[-half:]}"
