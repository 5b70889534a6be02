"""One conversation between a user and the target, turn by turn.

A `Dialogue` is the target's side: say something, get an answer, take it back. `converse` is the whole benchmark
conversation of one scenario. Neither knows what was journalled (the thread does) nor how harmful an answer is.
A target that fails, is filtered or says nothing ends the conversation with its cause, and never counts as safe.
"""

from typing import Protocol

from breakfix.errors import CallFailed
from breakfix.identity import digest
from breakfix.prompts import system_messages
from breakfix.protocols import SimulatedUser, Simulator, Thread
from breakfix.types import Conversation, Message, Reply, Scenario, Users


class TargetLine(Protocol):
    """What a conversation needs of the target: a thread per scenario and sample."""

    def thread(self, scenario_id: str, sample: int = 0) -> Thread:
        """Open the journalled thread of one conversation."""
        ...


class Dialogue:
    """The target's side of one conversation: `send` a user turn, `backtrack` an exchange, and see why it ended.

    After a filtered, failed or empty answer `send` gives None, `stopped` says which, and nothing more can be sent until
    the exchange is taken back.
    """

    def __init__(self, scenario: Scenario, thread: Thread) -> None:
        self.scenario = scenario
        self.queries = 0
        self.stopped: str | None = None
        self.failure: str | None = None
        self._thread = thread
        self._turns: list[Message] = []
        self._opening_words = system_messages(scenario)

    @property
    def turns(self) -> tuple[Message, ...]:
        """The user's and the target's turns that stand, in order."""
        return tuple(self._turns)

    async def send(self, text: str) -> str | None:
        """Say `text` as the user and give the target's answer; None: there is none, and `stopped` says why."""
        if self.stopped:
            return None
        self._turns.append(Message(role="user", content=text))
        self.queries += 1
        try:
            reply = await self._thread.ask((*self._opening_words, *self._turns))
        except CallFailed as error:
            return self._stop("failed", error.cause)
        return self._hear(reply)

    def backtrack(self) -> None:
        """Take the last exchange back, so that the target never heard it; its query stays counted.

        What is asked next is drawn anew, even if the same is asked again.
        """
        if not self._turns:
            return
        self._thread = self._thread.fork()
        if self._turns[-1].role == "assistant":
            self._turns.pop()
        self._turns.pop()
        self.stopped = self.failure = None

    def _hear(self, reply: Reply) -> str | None:
        self._turns.append(Message(role="assistant", content=reply.text, finish_reason=reply.finish_reason))
        if reply.finish_reason == "filtered":
            return self._stop("filtered", "the provider's content filter withheld the answer")
        if not reply.text.strip():
            return self._stop("failed", f"the target answered with no text (finish reason {reply.finish_reason!r})")
        return reply.text

    def _stop(self, stopped: str, failure: str) -> None:
        self.stopped, self.failure = stopped, failure


async def converse(
    scenario: Scenario,
    simulator: Simulator,
    line: TargetLine,
    *,
    run: str,
    target_id: str,
    stage: str = "base",
    sample: int = 0,
    max_turns: int = 1,
) -> Conversation:
    """Hold one benchmark conversation: what the scenario says word for word, then the simulated user, turn about.

    It ends after `scenario.max_turns` exchanges (None: as many as its script has, or else `max_turns`), when the
    simulated user has done, or when either side fails.
    """
    dialogue = Dialogue(scenario, line.thread(scenario.id, sample))
    limit = most_exchanges(scenario, max_turns)
    cause: str | None = None
    try:
        stopped = await take_turns(dialogue, simulator.begin(scenario, sample), limit)
    except CallFailed as error:
        stopped, cause = "failed", error.cause
    return Conversation(
        id=digest(run, "benchmark", stage, target_id, scenario.id, sample),
        run=run,
        scenario_id=scenario.id,
        target_id=target_id,
        stage=stage,
        sample=sample,
        persona=scenario.persona,
        users=users_of(dialogue, simulator, is_recorded=getattr(line, "is_recorded", False)),
        turns=dialogue.turns,
        stopped=stopped,
        failed="simulator" if cause else ("target" if stopped == "failed" else None),
        failure=cause or dialogue.failure,
        queries=dialogue.queries,
    )


async def take_turns(dialogue: Dialogue, user: SimulatedUser, limit: int) -> str:
    """Alternate user and target for at most `limit` exchanges and say why it stopped.

    A CallFailed that leaves here is the simulated user's: the target's own stay in the dialogue.
    """
    given = given_turns(dialogue.scenario)
    for exchange in range(limit):
        text = given[exchange] if exchange < len(given) else await user.next_turn(dialogue.turns)
        if text is None and exchange == 0:
            raise CallFailed("the simulator wrote no first turn")
        if text is None:
            return getattr(user, "ended", "simulator")
        if await dialogue.send(text) is None:
            return dialogue.stopped or "failed"
    return "turns"


def most_exchanges(scenario: Scenario, max_turns: int) -> int:
    """Say how many exchanges a scenario's conversation may have where the settings give `max_turns`."""
    return scenario.max_turns or (len(given_turns(scenario)) if scenario.script else max_turns)


def given_turns(scenario: Scenario) -> tuple[str, ...]:
    """Give the user turns that the scenario itself brings, word for word."""
    return () if scenario.opening is None else (scenario.opening, *scenario.script)


def users_of(dialogue: Dialogue, simulator: Simulator, *, is_recorded: bool = False) -> Users:
    """Say who wrote a dialogue's user turns: the scenario all of them, or else what the simulator says of itself.

    Where the answers were recorded, the scenario's turns are those that were recorded with them.
    """
    said = sum(turn.role == "user" for turn in dialogue.turns)
    if 0 < said <= len(given_turns(dialogue.scenario)):
        return "recorded" if is_recorded else "scripted"
    return getattr(simulator, "users", "live")
