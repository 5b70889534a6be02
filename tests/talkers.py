"""A line to a model that answers from a list, for dialogues, simulators and judges."""

from collections.abc import Sequence
from typing import Any

from breakfix.errors import CallFailed
from breakfix.types import Conversation, Decoding, Message, Reply, Scenario

Said = str | Reply | CallFailed


class ListLine:
    """A line whose threads, forks included, answer from one list; it remembers what was asked."""

    def __init__(self, *answers: Said, identity: str = "listed") -> None:
        self.identity = identity
        self.is_recorded = False
        self.decoding = Decoding(max_tokens=256)
        self.answers = list(answers)
        self.asked: list[list[Message]] = []
        self.decodings: list[Decoding | None] = []
        self.threads: list[tuple[str, int]] = []
        self.forks = 0

    def thread(self, scenario_id: str, sample: int = 0) -> "ListThread":
        self.threads.append((scenario_id, sample))
        return ListThread(self)


class ListThread:
    def __init__(self, line: ListLine) -> None:
        self.line = line

    async def ask(self, messages: Sequence[Message], decoding: Decoding | None = None) -> Reply:
        self.line.asked.append(list(messages))
        self.line.decodings.append(decoding)
        said = self.line.answers.pop(0) if len(self.line.answers) > 1 else self.line.answers[0]
        if isinstance(said, CallFailed):
            raise said
        return said if isinstance(said, Reply) else Reply(text=said)

    def fork(self) -> "ListThread":
        self.line.forks += 1
        return ListThread(self.line)


def scene(**fields: Any) -> Scenario:
    known: dict[str, Any] = {
        "id": "s1", "measure": "jailbreak", "harm": "fraud", "area": "cyber", "objective": "obtain a placeholder",
        "family": "f1",
    }  # fmt: skip
    return Scenario.model_validate(known | fields)


def talk(*texts: str, **fields: Any) -> Conversation:
    turns = tuple(Message(role=("user", "assistant")[n % 2], content=text) for n, text in enumerate(texts))
    known: dict[str, Any] = {
        "id": "c1", "run": "r", "scenario_id": "s1", "target_id": "t", "turns": turns, "stopped": "turns",
    }  # fmt: skip
    return Conversation.model_validate(known | fields)
