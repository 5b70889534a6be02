"""A model as judge, with a rubric per measure and a strict verdict.

Severity, refusal class and quoted evidence come in one call; ungroundedness comes claim by claim and is graded here.
The judged text stands between marks that it cannot foresee, and the instructions are repeated after it. An answer that
is no verdict, or contradicts itself, is asked for again twice; then the verdict is unscored with its cause. `judge_id`
names model, decoding, prompts and rubrics: another judge is another measurement.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Protocol, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from breakfix.errors import CallFailed, DataError
from breakfix.identity import digest, short
from breakfix.judging.claims import MOST_CLAIMS, ClaimList, claims_schema, grades_by_turn, read_claims
from breakfix.judging.verdicts import HIGHEST, Draft, Scale, Unreadable, find_quote, read_draft, verdict_schema
from breakfix.judging.view import TURN_CHARACTERS, in_text, mark_of, subject_of, thread_of, why_not_judged
from breakfix.languages import name_of
from breakfix.packaged import data_file, parse_yaml
from breakfix.prompts import Prompt, fill, load_prompt
from breakfix.protocols import Thread
from breakfix.types import MEASURES, Conversation, Decoding, Harm, Measure, Message, Scenario, Verdict

ATTEMPTS = 3
CLAIM_TOKENS = 2048
"""A list of claims needs more room than a score: a judge of ungroundedness may answer with so many tokens at least."""
RULES = 3
"""Raised whenever the rules by which answers are read or graded change; with the prompts it makes `judge_id`."""
PROMPTS = {"severity": "judge", "ungroundedness": "judge-claims"}
D = TypeVar("D")


class Rubric(BaseModel):
    """What a judge is asked under one measure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: Scale
    task: str
    question: str
    bands: dict[str, str]
    """Criteria in words: of a score, where a harm's own stand in their place, or of a finding about a claim."""


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
        self._prompts = {scale: _prompts(name) for scale, name in PROMPTS.items()}
        self._decodings = {scale: _strict(line.decoding, scale) for scale in HIGHEST}
        rules = sorted((measure, rubric.model_dump()) for measure, rubric in self._rubrics.items())
        words = [prompt.text for prompts in self._prompts.values() for prompt in prompts]
        told = sorted((harm.id, harm.name, harm.scope, harm.severity) for harm in harms.values())
        limits = (RULES, ATTEMPTS, TURN_CHARACTERS)
        self.judge_id = digest(line.identity, self._decodings, words, rules, told, limits)
        self.parts = {
            "model, as it is asked": short(line.identity),
            "decoding": f"temperature {line.decoding.temperature:g}, at most {line.decoding.max_tokens} tokens",
            "prompts": short(digest(words)),
            "rubrics": short(digest(rules)),
            "harms": short(digest(told)),
            "truncation": f"turns longer than {TURN_CHARACTERS:,} characters lose their middle",
            "rules": f"version {RULES}, {ATTEMPTS} attempts at a readable verdict",
        }
        """What the identity is made of, for a judge card."""

    async def judge(self, scenario: Scenario, conversation: Conversation) -> Verdict:
        """Judge the whole conversation; no readable verdict, or nothing to judge, is unscored with its cause."""
        if cause := why_not_judged(conversation):
            return self._unscored(conversation, cause)
        scale = self._rubrics[scenario.measure].scale
        judge = self._by_claims if scale == "ungroundedness" else self._by_score
        try:
            return await judge(scenario, conversation)
        except CallFailed as error:
            return self._unscored(conversation, f"the judge did not answer: {error.cause}")
        except Unreadable as error:
            return self._unscored(conversation, f"no readable verdict in {ATTEMPTS} answers: {error}")

    async def _by_score(self, scenario: Scenario, conversation: Conversation) -> Verdict:
        def read(text: str) -> Draft:
            return read_draft(text, scale="severity", answers=conversation.exchanges)

        draft = await self._ask(scenario, conversation, read)
        answered = answered_turns(conversation)
        quote = find_quote(draft.evidence, [conversation.turns[index].content for index in answered])
        reason = draft.reason
        if draft.score and draft.evidence and quote is None:
            reason = f"{reason} (The judge's quotation is not in the answers and was dropped.)"
        return Verdict(
            conversation_id=conversation.id,
            judge_id=self.judge_id,
            severity=draft.score,
            refusal=draft.refusal,
            first_harmful_turn=answered[draft.first_harmful_answer - 1] if draft.first_harmful_answer else None,
            evidence=quote if draft.score else None,
            reason=reason or None,
        )

    async def _by_claims(self, scenario: Scenario, conversation: Conversation) -> Verdict:
        answered = answered_turns(conversation)
        answers = [conversation.turns[index].content for index in answered]
        source = _source_of(scenario, conversation)

        looks: list[str] = []

        def read(text: str) -> ClaimList:
            looks.append(text)
            return read_claims(text, answers=answers, source=source, is_second_look=len(looks) > 1)

        found = await self._ask(scenario, conversation, read)
        claims = tuple(claim.model_copy(update={"turn": answered[(claim.turn or 1) - 1]}) for claim in found.claims)
        grades = grades_by_turn(claims)
        worst = max(grades.values(), default=0)
        unfounded = [
            claim.text for claim in claims if claim.finding != "supported" and grades[claim.turn or 0] == worst
        ]
        quotes = (find_quote(text, answers) for text in unfounded)
        return Verdict(
            conversation_id=conversation.id,
            judge_id=self.judge_id,
            ungroundedness=worst,
            refusal=found.refusal,
            first_harmful_turn=next((turn for turn, grade in grades.items() if grade), None),
            evidence=next((quote for quote in quotes if quote), None),
            reason=found.reason or None,
            claims=claims,
        )

    async def _ask(self, scenario: Scenario, conversation: Conversation, read: Callable[[str], D]) -> D:
        """Ask until an answer can be read. Raises Unreadable with the last one's cause, or CallFailed."""
        rubric = self._rubrics[scenario.measure]
        decoding = self._decodings[rubric.scale]
        thread: Thread = self._line.thread(thread_of(scenario, conversation), conversation.sample)
        messages = self._messages(scenario, conversation, rubric)
        cause = Unreadable("nothing was asked")
        for _ in range(ATTEMPTS):
            reply = await thread.ask(messages, decoding)
            if reply.finish_reason == "filtered":
                raise CallFailed("a content filter withheld the judge's answer")
            try:
                return read(reply.text)
            except Unreadable as error:
                is_cut = reply.finish_reason == "length"
                cause = Unreadable(f"it was cut off at {decoding.max_tokens} tokens; be shorter") if is_cut else error
                messages = (*messages, *self._again(reply.text, rubric, cause))
        raise cause

    def _messages(self, scenario: Scenario, conversation: Conversation, rubric: Rubric) -> tuple[Message, ...]:
        harm = self._harms.get(scenario.harm)
        system, user, _ = self._prompts[rubric.scale]
        shown = in_text(scenario, conversation)
        bands = harm.severity if harm and rubric.scale == "severity" else rubric.bands
        told = {"task": rubric.task, "bands": in_lines(bands), "language": name_of(scenario.language)}
        if rubric.scale == "severity":
            told["subject"] = subject_of(scenario, harm)
        shape = _shape(rubric)
        answers = "answer" if conversation.exchanges == 1 else f"{conversation.exchanges} answers"
        mark = mark_of(self.judge_id, shown)
        asked = fill(user, mark=mark, conversation=shown, answers=answers, question=rubric.question, **shape)
        return Message(role="system", content=fill(system, **told, **shape)), Message(role="user", content=asked)

    def _again(self, text: str, rubric: Rubric, cause: Unreadable) -> tuple[Message, Message]:
        words = fill(self._prompts[rubric.scale][2], cause=str(cause), **_shape(rubric))
        return Message(role="assistant", content=text), Message(role="user", content=words)

    def _unscored(self, conversation: Conversation, cause: str) -> Verdict:
        return Verdict(conversation_id=conversation.id, judge_id=self.judge_id, unscored=cause)


@cache
def load_rubrics() -> dict[Measure, Rubric]:
    """Read the packaged rubric of every measure. Raises DataError on a broken file."""
    folder = data_file("rubrics")
    return {measure: _read_rubric(measure, (folder / f"{measure}.yaml").read_text("utf-8")) for measure in MEASURES}


def answered_turns(conversation: Conversation) -> list[int]:
    """Give the indices of the turns that are the target's."""
    return [index for index, turn in enumerate(conversation.turns) if turn.role == "assistant"]


def _source_of(scenario: Scenario, conversation: Conversation) -> str:
    """Give what answers may rest on: the given text, or the user's turns where the text stands in them."""
    return scenario.grounding or "\n".join(turn.content for turn in conversation.turns if turn.role == "user")


def _shape(rubric: Rubric) -> dict[str, str]:
    if rubric.scale == "ungroundedness":
        return {"most": str(MOST_CLAIMS)}
    return {"scale": rubric.scale, "highest": str(HIGHEST[rubric.scale])}


def _prompts(name: str) -> tuple[Prompt, Prompt, Prompt]:
    return load_prompt(name), load_prompt(f"{name}-conversation"), load_prompt(f"{name}-again")


def _strict(decoding: Decoding, scale: Scale) -> Decoding:
    if scale == "severity":
        return decoding.model_copy(update={"schema_name": "verdict", "json_schema": verdict_schema(scale)})
    room = max(decoding.max_tokens, CLAIM_TOKENS)
    return decoding.model_copy(update={"schema_name": "claims", "json_schema": claims_schema(), "max_tokens": room})


def _read_rubric(measure: Measure, text: str) -> Rubric:
    try:
        return Rubric.model_validate(parse_yaml(text))
    except (ValidationError, yaml.YAMLError) as error:
        raise DataError(f"The rubric of measure {measure!r} is broken: {str(error).splitlines()[0]}.") from None


def in_lines(bands: Mapping[str, str]) -> str:
    """Write a rubric's bands, one a line."""
    return "\n".join(f"- {band}: {criteria}" for band, criteria in bands.items())
