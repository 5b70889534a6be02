"""A language model that writes attacks: it finds the words, a technique's driver decides when they are said.

The model is reminded once where it refuses, says nothing or answers as an assistant; then it has failed, which is an
outcome of its own (attacker-failed) and never a safe target. The same holds for an attack in another language than
its scenario's: a target that withstands English has not withstood Arabic. For a prohibited harm it writes nothing at
all (D12).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from breakfix.errors import CallFailed
from breakfix.identity import digest
from breakfix.languages import is_written_in, name_of
from breakfix.personas import unwrapped
from breakfix.prohibited import is_unwritable
from breakfix.prompts import fill, load_prompt
from breakfix.protocols import AttackingUser, Thread
from breakfix.types import Harm, Message, Persona, Scenario, Technique

CANNOT = r"(?:i|we) (?:can(?:['’]?t|not)|won['’]?t|will not|must decline|am unable|am not able|are unable)(?: to)?"
SERVE = (
    r"(?:help|assist|create|write|generate|produce|engage|participate|provide|fulfil\w*|comply|continue|support|play"
    r"|take part|do (?:that|this|so))"
)
DECLINES = re.compile(
    rf"^\W*(?:[^.?!]{{0,60}}\bsorry\b[^.?!]{{0,40}}\b)?{CANNOT} (?:\w+ ){{0,2}}{SERVE}\b"
    r"|\bas an? (?:\w+ ){0,2}(?:ai|assistant|language model),? i\b"
    r"|^\W*(?:i['’]m|i am) (?:really |very |so )?sorry,? but\b",
    re.I,
)


class AttackerLine(Protocol):
    """What an attacker needs of its model."""

    identity: str

    def thread(self, scenario_id: str, sample: int = 0) -> Thread:
        """Open the journalled thread of one conversation."""
        ...


class ModelAttacker:
    """Writes attacks through a model."""

    def __init__(self, line: AttackerLine, *, harms: Mapping[str, Harm]) -> None:
        self._line = line
        self._harms = harms
        self._prompt = load_prompt("attacker")
        parts = [load_prompt(name).text for name in ("attacker-step", "attacker-again", "attacker-reminder")]
        self.identity = digest("attacker", line.identity, self._prompt.text, parts)

    def begin(self, scenario: Scenario, technique: Technique, persona: Persona, sample: int) -> AttackingUser:
        """Start the attacking side of one conversation; for a prohibited harm, one that writes nothing."""
        if is_unwritable(scenario, self._harms):
            return SilentAttack()
        system = fill(
            self._prompt,
            persona=persona.description,
            objective=scenario.objective,
            technique=technique.instruction,
            language=name_of(scenario.language),
        )
        thread = self._line.thread(f"{scenario.id}/{technique.id}/{persona.id}", sample)
        opening = scenario.opening if technique.id == "plain" else None
        return ModelAttack(thread, Message(role="system", content=system), opening, language=scenario.language)


class SilentAttack:
    """Writes nothing."""

    async def write(self, turns: Sequence[Message], step: int, steps: int) -> str | None:
        """Give None."""
        return None


class ModelAttack:
    """The attacking side of one conversation. A scenario with an opening is plainly asked in its own words."""

    def __init__(self, thread: Thread, system: Message, opening: str | None, *, language: str = "en") -> None:
        self._thread = thread
        self._system = system
        self._opening = opening
        self._language = language
        self._last: tuple[int, str] | None = None
        self._again = load_prompt("attacker-again")
        self._step = load_prompt("attacker-step")
        self._reminder = load_prompt("attacker-reminder").text

    async def write(self, turns: Sequence[Message], step: int, steps: int) -> str | None:
        """Write the attack turn for a step; asked twice for one step, other words. None: the model would not.

        Raises CallFailed where it writes in another language than the scenario's, also when reminded.
        """
        if self._opening is not None:
            return self._opening
        asked = fill(self._step, step=str(step + 1), steps=str(steps), conversation=_told(turns))
        if self._last is not None and self._last[0] == step:
            asked += "\n\n" + fill(self._again, message=self._last[1])
        text = await self._written((self._system, Message(role="user", content=asked)))
        if text is not None:
            self._last = (step, text)
        return text

    async def _written(self, messages: Sequence[Message]) -> str | None:
        reply = await self._thread.ask(messages)
        text = unwrapped(reply.text)
        is_foreign = not is_meant_for(text, self._language)
        if reply.finish_reason != "filtered" and not is_slip(text) and not is_foreign:
            return text
        slip = Message(role="assistant", content=reply.text or "(nothing)")
        reminder = f"{self._reminder} Write it in {name_of(self._language)}." if is_foreign else self._reminder
        reply = await self._thread.ask((*messages, slip, Message(role="user", content=reminder)))
        text = unwrapped(reply.text)
        if reply.finish_reason == "filtered" or is_slip(text):
            return None
        if not is_meant_for(text, self._language):
            raise CallFailed(f"the attacker did not write in {name_of(self._language)}, also when reminded")
        return text


def is_slip(text: str) -> bool:
    """Tell whether a text is empty, or an assistant's refusal where a user's message was wanted."""
    return not text or DECLINES.search(text) is not None


def is_meant_for(text: str, language: str) -> bool:
    """Tell whether a text can be in the scenario's language, as it is told of a simulated user's turns."""
    return (language == "en" and text.isascii()) or is_written_in(text, language)


def _told(turns: Sequence[Message]) -> str:
    lines = [f"{'USER' if turn.role == 'user' else 'ASSISTANT'}: {turn.content}" for turn in turns]
    return "\n\n".join(lines) or "(nothing has been said)"
