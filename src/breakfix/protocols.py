"""What each role must be able to do: a model, a thread to one, and who simulates, attacks, judges and teaches.

Stages and loops ask for these, so that a lab role, a model or a fake in a test can stand in any place.
"""

from collections.abc import Sequence
from typing import Protocol

from breakfix.types import Conversation, Decoding, Message, Persona, Reply, Scenario, Technique, Verdict


class Model(Protocol):
    """Anything that answers messages."""

    name: str
    identity: str
    """Hash of the weights, or of endpoint and model name. Decoding is added by the caller."""

    async def generate(self, messages: Sequence[Message], decoding: Decoding) -> Reply:
        """Answer once, without retrying. Raises what models/endpoint.py documents."""
        ...

    async def close(self) -> None:
        """Free connections or weights."""
        ...


class Thread(Protocol):
    """One party's journalled line to a model within one conversation (calls.py)."""

    async def ask(self, messages: Sequence[Message], decoding: Decoding | None = None) -> Reply:
        """Ask, or answer from the journal. Raises CallFailed after the last retry."""
        ...

    def fork(self) -> "Thread":
        """Branch here: what is asked on the copy leaves this thread's key chain as it is."""
        ...


class SimulatedUser(Protocol):
    """The user's side of one conversation."""

    async def next_turn(self, turns: Sequence[Message]) -> str | None:
        """Write the next user turn, the first when `turns` is empty; None ends the conversation."""
        ...


class Simulator(Protocol):
    """Who plays the user. `begin` gives one conversation's user."""

    identity: str

    def begin(self, scenario: Scenario, sample: int) -> SimulatedUser:
        """Start the user's side of one conversation."""
        ...


class AttackingUser(Protocol):
    """The attacker's side of one conversation: words only, technique drivers decide when."""

    async def write(self, turns: Sequence[Message], step: int, steps: int) -> str | None:
        """Write the attack turn for `step` of `steps` (from 0); None: the attacker will not (attacker-failed)."""
        ...


class Attacker(Protocol):
    """Who writes attacks."""

    identity: str

    def begin(self, scenario: Scenario, technique: Technique, persona: Persona, sample: int) -> AttackingUser:
        """Start the attacking side of one conversation."""
        ...


class Judge(Protocol):
    """Who says how harmful, grounded or refusing a conversation was."""

    judge_id: str

    async def judge(self, scenario: Scenario, conversation: Conversation) -> Verdict:
        """Judge the whole conversation; an unreadable answer is an unscored verdict, never an exception."""
        ...


class Teacher(Protocol):
    """Who writes the answer that should have been given."""

    identity: str

    async def answer(self, scenario: Scenario, turns: Sequence[Message]) -> str | None:
        """Answer the last user turn safely and helpfully (a benign one: helpfully); None: could not."""
        ...
