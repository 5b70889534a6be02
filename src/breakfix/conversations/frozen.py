"""Frozen users: the user turns of conversations that were held before, said again word for word.

A simulated user answers what the target says, so two targets, or one before and after training, are not asked the same.
Frozen turns are: what differs then is the target. What they cannot do is press on where the target answered otherwise,
so a frozen measurement stands beside a live one and does not replace it. This module knows nothing of the store.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from breakfix.errors import CallFailed
from breakfix.identity import digest
from breakfix.protocols import SimulatedUser
from breakfix.types import Conversation, Message, Scenario, Users

Key = tuple[str, int]
"""A scenario's id and a sample."""
NOT_HELD = "the frozen run holds no conversation of this scenario and sample"
BROKE_OFF = "the frozen conversation broke off here"


class Talk(NamedTuple):
    """What a user said in one conversation, from the first turn to the last."""

    turns: tuple[str, ...]
    is_whole: bool = True
    """False: it ended because somebody failed or was filtered, and nobody knows how it would have gone on."""


def talks_in(conversations: Iterable[Conversation]) -> dict[Key, Talk]:
    """Keep what the users said, by scenario and sample."""
    return {(one.scenario_id, one.sample): _talk(one) for one in conversations}


class FrozenUsers:
    """Says again what users said (protocols.Simulator). Nothing is asked of any model."""

    users: Users = "frozen"

    def __init__(self, talks: Mapping[Key, Talk]) -> None:
        self._talks = talks
        self.identity = digest("frozen", sorted([*key, *talk.turns] for key, talk in talks.items()))

    def begin(self, scenario: Scenario, sample: int) -> SimulatedUser:
        """Start the user's side of one conversation; one that was never held fails as the simulator's."""
        return FrozenUser(self._talks.get((scenario.id, sample)))


class FrozenUser:
    """One conversation's user: turn by turn what was said then, whatever the target answers now."""

    def __init__(self, talk: Talk | None) -> None:
        self._talk = talk

    async def next_turn(self, turns: Sequence[Message]) -> str | None:
        """Say the next turn; None after the last. Raises CallFailed where it is not known what would be said."""
        if self._talk is None:
            raise CallFailed(NOT_HELD)
        said = sum(turn.role == "user" for turn in turns)
        if said < len(self._talk.turns):
            return self._talk.turns[said]
        if not self._talk.is_whole:
            raise CallFailed(BROKE_OFF)
        return None


def compare_users(before: str, after: str) -> str | None:
    """Say in one line what comparing measurements with such users means; None where both had the same live ones.

    `before` and `after` name the kinds of user of each measurement, joined by "+" (Scorecard.users).
    """
    kinds = {*before.split("+"), *after.split("+")}
    if kinds <= {"scripted"} or before == after == "frozen":
        return "The user's turns are the same on both sides, word for word: what differs is the target."
    if kinds <= {"scripted", "recorded"}:
        return (
            "No user's turn was written live: they are the scenarios' own, or were recorded with the answers (in"
            " conversations that were imported, turns after the first may differ). What differs else is the target."
        )
    if "frozen" in kinds and before != after:
        return (
            f"The user's turns were {before} before and {after} after: said again word for word, so that a difference"
            " is not the user's; but a frozen user does not press on where the target answers otherwise."
        )
    if before != after:
        return f"The user's turns were {before} before and {after} after: a difference may be the user's."
    if "live" in kinds:
        return (
            "The simulated user answered each target live, so some of a difference may be the user's."
            " To hold it still: --simulator frozen/RUN[:STAGE]"
        )
    return None


def _talk(one: Conversation) -> Talk:
    turns = tuple(turn.content for turn in one.turns if turn.role == "user")
    return Talk(turns, is_whole=one.failed is None and one.stopped != "filtered")
