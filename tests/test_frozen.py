"""Frozen users: the same words again, and nothing where it is not known what would have been said."""

import asyncio

import pytest

from breakfix.conversations.dialogue import converse
from breakfix.conversations.frozen import BROKE_OFF, NOT_HELD, FrozenUsers, compare_users, talks_in
from breakfix.types import Conversation, Scenario
from talkers import ListLine, scene, talk

HELD = talk("hello", "one", "more", "two")


def held(users: FrozenUsers, scenario: Scenario, *answers: str, sample: int = 0) -> Conversation:
    line = ListLine(*answers)
    return asyncio.run(converse(scenario, users, line, run="r", target_id="other", sample=sample, max_turns=9))


def said(conversation: Conversation) -> list[str]:
    return [turn.content for turn in conversation.turns if turn.role == "user"]


def test_a_user_s_turns_are_said_again_word_for_word_whatever_is_answered():
    done = held(FrozenUsers(talks_in([HELD])), scene(), "no", "never")
    assert said(done) == ["hello", "more"]
    assert (done.users, done.stopped, done.failed) == ("frozen", "simulator", None)


@pytest.mark.parametrize(("scenario", "sample"), [(scene(id="other"), 0), (scene(), 1)])
def test_a_conversation_that_was_never_held_is_the_simulator_s_failure(scenario: Scenario, sample: int):
    done = held(FrozenUsers(talks_in([HELD])), scenario, "no", sample=sample)
    assert (done.failed, done.failure, done.users) == ("simulator", NOT_HELD, "frozen")


@pytest.mark.parametrize(
    "how", [{"failed": "target", "stopped": "failed"}, {"failed": "simulator"}, {"stopped": "filtered"}]
)
def test_a_conversation_that_broke_off_breaks_off_again(how: dict[str, str]):
    done = held(FrozenUsers(talks_in([HELD.model_copy(update=how)])), scene(), "no")
    assert said(done) == ["hello", "more"]
    assert (done.failed, done.failure) == ("simulator", BROKE_OFF)


def test_what_the_scenario_itself_says_is_scripted_even_when_said_again():
    scenario = scene(opening="hello", script=("more",))
    assert held(FrozenUsers(talks_in([HELD])), scenario, "no").users == "scripted"


def test_other_turns_are_other_users():
    one, same, other = (FrozenUsers(talks_in([each])) for each in (HELD, HELD, talk("hello", "one", "less", "two")))
    assert one.identity == same.identity != other.identity


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("live", "live", "some of a difference may be the user's"),
        ("live", "frozen", "said again word for word"),
        ("frozen", "frozen", "the same on both sides"),
        ("scripted", "scripted", "the same on both sides"),
        ("live+scripted", "live+scripted", "some of a difference may be the user's"),
        ("live", "scripted", "a difference may be the user's"),
        ("recorded", "recorded", "No user's turn was written live"),
        ("scripted", "recorded", "No user's turn was written live"),
        ("frozen+recorded", "frozen+recorded", None),
    ],
)
def test_a_comparison_says_what_its_users_allow(before: str, after: str, expected: str | None):
    line = compare_users(before, after)
    assert line is None if expected is None else expected in (line or "")
