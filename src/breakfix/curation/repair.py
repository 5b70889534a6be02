"""From a failing conversation to a training pair: cut where it went wrong, and give the answer that was due.

The prompt is all that came before the first harmful answer, `rejected` is the model's own answer there, and `chosen` is
the teacher's. A teacher's answer is accepted only if a judge finds it safe and helpful in its place; what no teacher
could mend is counted with its cause and trains nothing. Only train and dev scenarios are repaired (design D9).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from breakfix.calls import each
from breakfix.errors import CallFailed
from breakfix.identity import digest
from breakfix.overlap import words
from breakfix.protocols import Judge, Teacher
from breakfix.types import Conversation, Example, Finding, Message, Pair, Provenance, Scenario, Verdict

TRIES = 3
"""Answers asked of a teacher before a conversation is given up; one that repeats itself is not asked again."""
FEWEST_WORDS = 6
"""A safe answer to a harmful request must at least say why or offer something: this many words."""
WIDTH = 64
"""Conversations repaired at a time; how many calls are in flight is up to calls.py."""


class Failure(NamedTuple):
    """A failing conversation with what is known of it."""

    scenario: Scenario
    conversation: Conversation
    verdict: Verdict
    heard: tuple[Message, ...] = ()
    """The system messages that the target was given, which belong to the prompt."""


class Rows(NamedTuple):
    """Training rows, and what was left out by cause."""

    pairs: tuple[Pair, ...] = ()
    examples: tuple[Example, ...] = ()
    dropped: Mapping[str, int] = MappingProxyType({})

    def plus(self, other: "Rows") -> "Rows":
        """Give both."""
        dropped = Counter(self.dropped) + Counter(other.dropped)
        return Rows(self.pairs + other.pairs, self.examples + other.examples, dict(dropped))


async def repair(
    finding: Finding, failures: Sequence[Failure], *, teacher: Teacher, judge: Judge, limit: int | None = None
) -> Rows:
    """Turn a finding's failing conversations into pairs, and their answers into examples."""
    taken = failures[:limit]

    async def mend(failure: Failure) -> Pair | str:
        return await repaired(finding, failure, teacher=teacher, judge=judge)

    mended = await each(taken, mend, width=max(1, min(WIDTH, len(taken))))
    pairs = tuple(row for row in mended if isinstance(row, Pair))
    causes = Counter(row for row in mended if isinstance(row, str))
    return Rows(pairs, tuple(map(example_of, pairs)), dict(causes))


async def repaired(finding: Finding, failure: Failure, *, teacher: Teacher, judge: Judge) -> Pair | str:
    """Repair one conversation; a string says why it could not be."""
    scenario, conversation, verdict, heard = failure
    if scenario.split == "sealed":
        return "sealed scenario"
    place = cut(conversation, verdict)
    if place is None:
        return "no answer to repair"
    before, rejected = conversation.turns[:place], conversation.turns[place]
    chosen = await accepted_answer(scenario, conversation, before, teacher=teacher, judge=judge)
    if chosen is None:
        return "no safe and helpful answer"
    if chosen.strip() == rejected.content.strip():
        return "the model's answer is the right one"
    return Pair(
        prompt=(*map(bare, heard), *map(bare, before)),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(bare(rejected),),
        provenance=Provenance(
            kind="contrast" if finding.behaviour == "over-refused" else "repair",
            source=finding.id,
            licence=scenario.licence,
            conversation_id=conversation.id,
            scenario_id=scenario.id,
            family=scenario.family,
            harm=None if scenario.harm == "none" else scenario.harm,
            round=finding.round,
        ),
    )


def cut(conversation: Conversation, verdict: Verdict) -> int | None:
    """Find the turn to repair: the first harmful answer as judged, else the last answer; None: there is none."""
    answers = [place for place, turn in enumerate(conversation.turns) if turn.role == "assistant"]
    if verdict.first_harmful_turn in answers:
        return verdict.first_harmful_turn
    place = answers[-1] if answers else None
    return place if place and conversation.turns[place - 1].role == "user" else None


async def accepted_answer(
    scenario: Scenario, conversation: Conversation, before: Sequence[Message], *, teacher: Teacher, judge: Judge
) -> str | None:
    """Ask the teacher until the judge accepts an answer; None: it accepted none."""
    seen: set[str] = set()
    for attempt in range(TRIES):
        try:
            answer = await teacher.answer(scenario, before)
        except CallFailed:
            return None
        if answer is None or not answer.strip() or answer in seen:
            return None
        seen.add(answer)
        turns = (*before, Message(role="assistant", content=answer))
        name = digest("repaired", conversation.id, attempt)
        verdict = await judge.judge(scenario, _mended(conversation, name, turns))
        if is_acceptable(scenario, verdict, answer):
            return answer
    return None


def is_acceptable(scenario: Scenario, verdict: Verdict, answer: str) -> bool:
    """Tell whether a judged answer may be taught: scored, no harm in it, and help where help was due."""
    if verdict.unscored is not None:
        return False
    if scenario.measure == "ungroundedness":
        return verdict.ungroundedness == 0
    if verdict.harmful or (verdict.severity or 0) > 0:
        return False
    if scenario.kind == "harmful":
        return (verdict.severity == 0 or verdict.harmful is False) and len(words(answer)) >= FEWEST_WORDS
    return verdict.refusal == "none"


def example_of(pair: Pair) -> Example:
    """Give the supervised row of a pair: its prompt with the chosen answer."""
    return Example(messages=pair.prompt + pair.chosen, provenance=pair.provenance)


def bare(turn: Message) -> Message:
    """Give a turn as a training row holds it: role and content only."""
    return Message(role=turn.role, content=turn.content)


def _mended(conversation: Conversation, name: str, turns: tuple[Message, ...]) -> Conversation:
    return conversation.model_copy(
        update={"id": name, "turns": turns, "stopped": "turns", "failed": None, "failure": None}
    )
