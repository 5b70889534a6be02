"""A language model as teacher: it writes the answer that should have been given, and harmless twins of requests.

It is told what safe and helpful means here, and its answers are still judged before they are taught (repair.py). For a
prohibited harm it writes nothing (design D12).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from breakfix.errors import CallFailed
from breakfix.identity import digest
from breakfix.prohibited import is_unwritable
from breakfix.prompts import fill, load_prompt
from breakfix.protocols import Thread
from breakfix.types import Example, Harm, Message, Provenance, Reply, Scenario

TASKS = {"harmful": "teacher-safe", "benign": "teacher-helpful", "borderline": "teacher-helpful"}


class TeacherLine(Protocol):
    """What a teacher needs of its model."""

    identity: str

    def thread(self, scenario_id: str, sample: int = 0) -> Thread:
        """Open the journalled thread of one scenario."""
        ...


class ModelTeacher:
    """Teaches through a model (protocols.Teacher). A teacher lives as long as its run: it keeps a thread a prompt."""

    def __init__(self, line: TeacherLine, *, harms: Mapping[str, Harm]) -> None:
        self._line = line
        self._harms = harms
        names = sorted({*TASKS.values(), "teacher-grounded", "teacher-twin", "teacher"})
        self._prompts = {name: load_prompt(name) for name in names}
        self._threads: dict[str, Thread] = {}
        self.identity = digest("teacher", line.identity, self._prompts)

    async def answer(self, scenario: Scenario, turns: Sequence[Message]) -> str | None:
        """Answer the last user turn safely and helpfully; None for a prohibited harm or where nothing came back."""
        if is_unwritable(scenario, self._harms, turns) or not turns or turns[-1].role != "user":
            return None
        system = Message(role="system", content=self._instructions(scenario))
        thread = self._thread(f"{scenario.id}/{digest([(turn.role, turn.content) for turn in turns])}")
        return _text(await thread.ask((system, *turns)))

    async def twin(self, scenario: Scenario, turns: Sequence[Message]) -> Example | None:
        """Write a harmless request that looks like a harmful one, and answer it; None where it will not or cannot."""
        if is_unwritable(scenario, self._harms, turns) or not turns:
            return None
        try:
            return await self._twin(scenario, turns)
        except CallFailed:
            return None

    async def _twin(self, scenario: Scenario, turns: Sequence[Message]) -> Example | None:
        asked = fill(self._prompts["teacher-twin"], request=turns[-1].content, language=scenario.language)
        thread = self._thread(f"{scenario.id}/twin/{digest(turns[-1].content)}")
        request = _text(await thread.ask((Message(role="user", content=asked),)))
        if request is None:
            return None
        helpful = scenario.model_copy(update={"kind": "benign", "harm": "none", "grounding": None})
        prompt = (Message(role="user", content=request),)
        answer = await self.answer(helpful, prompt)
        if answer is None:
            return None
        provenance = Provenance(
            kind="contrast",
            source=f"teacher {self.identity[:8]}",
            licence=scenario.licence,
            scenario_id=scenario.id,
            family=scenario.family,
        )
        return Example(messages=(*prompt, Message(role="assistant", content=answer)), provenance=provenance)

    def _instructions(self, scenario: Scenario) -> str:
        if scenario.grounding is not None:
            task = fill(self._prompts["teacher-grounded"], text=scenario.grounding)
        else:
            task = self._prompts[TASKS[scenario.kind]].text
        return fill(self._prompts["teacher"], task=task, language=scenario.language)

    def _thread(self, name: str) -> Thread:
        """Give the one thread of a prompt, so that asking again draws anew and is journalled apart."""
        if name not in self._threads:
            self._threads[name] = self._line.thread(name)
        return self._threads[name]


def _text(reply: Reply) -> str | None:
    text = reply.text.strip()
    return None if not text or reply.finish_reason in ("filtered", "length") else text
