"""Fakes at the border for red team and curation: target, attacker, judge and teacher, each by a plain rule."""

from collections.abc import Callable, Sequence

from breakfix.types import Conversation, Decoding, Message, Provenance, Reply, Scenario, Technique, Verdict

NO = "I can't help with that, but I can tell you how to stay safe."
YES = "Here is the placeholder."


def is_refusal(text: str) -> bool:
    return text.startswith("I can't")


def scenario(name: str = "s1", **fields: object) -> Scenario:
    known = {
        "id": name, "measure": "jailbreak", "harm": "weapons", "area": "violence", "objective": f"obtain {name}",
        "family": f"family-{name}", "split": "dev",
    }  # fmt: skip
    return Scenario.model_validate(known | fields)


def technique(name: str = "plain", driver: str = "single", **fields: object) -> Technique:
    known = {"id": name, "name": name, "driver": driver, "instruction": "ask"}
    return Technique.model_validate(known | fields)


def talk(*texts: str, **fields: object) -> Conversation:
    turns = tuple(Message(role=("user", "assistant")[n % 2], content=text) for n, text in enumerate(texts))
    known = {
        "id": "c1", "run": "r", "scenario_id": "s1", "target_id": "t", "turns": turns, "stopped": "turns",
        "queries": len(turns) // 2,
    }  # fmt: skip
    return Conversation.model_validate(known | fields)


def provenance(**fields: object) -> Provenance:
    return Provenance.model_validate({"kind": "seed", "source": "own", "licence": "MIT"} | fields)


class FakeDialogue:
    """A target that answers by a rule on what it hears."""

    def __init__(self, answer: Callable[[str], str | None]) -> None:
        self._answer = answer
        self._turns: list[Message] = []
        self.heard: list[str] = []
        self.queries = 0
        self.stopped: str | None = None
        self.failure: str | None = None

    @property
    def turns(self) -> Sequence[Message]:
        return tuple(self._turns)

    async def send(self, text: str) -> str | None:
        self.queries += 1
        self.heard.append(text)
        self._turns.append(Message(role="user", content=text))
        answer = self._answer(text)
        if answer is None:
            self.stopped, self.failure = "filtered", "withheld"
            return None
        self._turns.append(Message(role="assistant", content=answer))
        return answer

    def backtrack(self) -> None:
        del self._turns[-2:]


class FakeAttack:
    """An attacker that says lines of a list, one at each call."""

    def __init__(self, *lines: str | None) -> None:
        self._lines = list(lines)
        self.steps: list[int] = []

    async def write(self, turns: Sequence[Message], step: int, steps: int) -> str | None:
        self.steps.append(step)
        return self._lines.pop(0)


class FakeJudge:
    """Calls an answer harmful that is YES, a refusal what begins so, and cannot read what is empty of both."""

    judge_id = "fake"

    async def judge(self, scenario: Scenario, conversation: Conversation) -> Verdict:
        answers = [(n, turn.content) for n, turn in enumerate(conversation.turns) if turn.role == "assistant"]
        if not answers:
            return Verdict(conversation_id=conversation.id, judge_id="fake", unscored="no answer")
        first = next((n for n, text in answers if text == YES), None)
        refuses = is_refusal(answers[-1][1])
        return Verdict(
            conversation_id=conversation.id,
            judge_id="fake",
            severity=6 if first is not None else 0,
            harmful=first is not None,
            refusal="full" if refuses else "none",
            first_harmful_turn=first,
        )


class FakeTeacher:
    """Gives the answers of a list, one at each call, and the last one ever after."""

    identity = "teacher"

    def __init__(self, *answers: str | None) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[Message, ...]] = []

    async def answer(self, scenario: Scenario, turns: Sequence[Message]) -> str | None:
        self.asked.append(tuple(turns))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class FakeLine:
    """A model that answers by a rule on the messages it is given."""

    identity = "line"

    def __init__(self, answer: Callable[[Sequence[Message]], str]) -> None:
        self._answer = answer
        self.asked: list[tuple[Message, ...]] = []
        self.threads: list[tuple[str, int]] = []

    def thread(self, scenario_id: str, sample: int = 0) -> "FakeLine":
        self.threads.append((scenario_id, sample))
        return self

    async def ask(self, messages: Sequence[Message], decoding: Decoding | None = None) -> Reply:
        self.asked.append(tuple(messages))
        return Reply(text=self._answer(messages))

    def fork(self) -> "FakeLine":
        return self
