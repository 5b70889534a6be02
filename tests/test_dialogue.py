"""Dialogues: turn about, and every way to end."""

import asyncio
from collections.abc import Sequence

import pytest

from breakfix.conversations.dialogue import Dialogue, converse, system_messages
from breakfix.conversations.simulator import ModelSimulator
from breakfix.errors import CallFailed
from breakfix.harms import load_harms
from breakfix.types import Conversation, Message, Reply, Scenario
from talkers import ListLine, scene


class Talker:
    """A simulated user with a list of things to say."""

    identity = "talker"

    def __init__(self, *texts: str | CallFailed | None) -> None:
        self.texts = list(texts)
        self.begun: list[tuple[str, int]] = []

    def begin(self, scenario: Scenario, sample: int) -> "Talker":
        self.begun.append((scenario.id, sample))
        return self

    async def next_turn(self, turns: Sequence[Message]) -> str | None:
        said = self.texts.pop(0)
        if isinstance(said, CallFailed):
            raise said
        return said


def held(scenario: Scenario, user: Talker, line: ListLine, *, max_turns: int = 2) -> Conversation:
    return asyncio.run(converse(scenario, user, line, run="r", target_id="t", max_turns=max_turns))


def test_a_conversation_alternates_until_the_turns_are_spent():
    line = ListLine("one", "two")
    done = held(scene(), Talker("hello", "more"), line)
    assert [(turn.role, turn.content) for turn in done.turns] == [
        ("user", "hello"), ("assistant", "one"), ("user", "more"), ("assistant", "two"),
    ]  # fmt: skip
    assert (done.stopped, done.failed, done.queries, done.exchanges) == ("turns", None, 2, 2)


def test_the_target_hears_the_whole_conversation_so_far():
    line = ListLine("one", "two")
    held(scene(system_prompt="Be brief."), Talker("hello", "more"), line)
    assert [message.content for message in line.asked[1]] == ["Be brief.", "hello", "one", "more"]


def test_an_opening_with_one_turn_needs_no_simulator_at_all():
    done = held(scene(opening="word for word", max_turns=1), Talker(), ListLine("answer"), max_turns=5)
    assert [turn.content for turn in done.turns] == ["word for word", "answer"]


def test_a_script_is_followed_word_for_word_and_ends_the_conversation():
    done = held(scene(opening="a", script=("b", "c")), Talker(), ListLine("x"), max_turns=1)
    assert [turn.content for turn in done.turns if turn.role == "user"] == ["a", "b", "c"]
    assert (done.users, done.stopped, done.exchanges) == ("scripted", "turns", 3)


def test_a_script_may_be_cut_or_gone_on_from():
    assert held(scene(opening="a", script=("b", "c"), max_turns=2), Talker(), ListLine("x")).exchanges == 2
    longer = held(scene(opening="a", script=("b",), max_turns=3), Talker("more"), ListLine("x"))
    assert longer.turns[4].content == "more"
    assert longer.users == "live"


def test_users_are_live_where_anybody_wrote_and_scripted_where_nobody_did():
    assert held(scene(), Talker("hello"), ListLine("x"), max_turns=1).users == "live"
    assert held(scene(opening="a"), Talker("more"), ListLine("x"), max_turns=2).users == "live"
    assert held(scene(opening="a"), Talker(None), ListLine("x"), max_turns=2).users == "scripted"


def test_users_are_recorded_where_the_answers_are():
    record = ListLine("x")
    record.is_recorded = True
    assert held(scene(opening="a"), Talker(None), record, max_turns=2).users == "recorded"
    assert held(scene(), Talker("hello"), record, max_turns=1).users == "live"


def test_a_user_says_why_it_ended():
    user = Talker("hello", None)
    user.ended = "refused"  # type: ignore[attr-defined]
    assert held(scene(), user, ListLine("no"), max_turns=5).stopped == "refused"


def test_the_scenario_s_own_turns_go_over_the_settings():
    assert held(scene(max_turns=1), Talker("a", "b"), ListLine("x"), max_turns=4).exchanges == 1


def test_a_simulator_that_has_done_ends_the_conversation():
    done = held(scene(), Talker("hello", None), ListLine("one"), max_turns=5)
    assert (done.stopped, done.failed, done.exchanges) == ("simulator", None, 1)


def test_a_simulator_that_never_begins_has_failed():
    done = held(scene(), Talker(None), ListLine("one"))
    assert (done.stopped, done.failed, done.turns) == ("failed", "simulator", ())


def test_a_failed_call_of_the_simulator_keeps_what_was_said():
    done = held(scene(), Talker("hello", CallFailed("time-out")), ListLine("one"))
    assert (done.failed, done.failure, done.exchanges) == ("simulator", "time-out", 1)


def test_a_failed_call_of_the_target_is_the_target_s():
    done = held(scene(), Talker("hello"), ListLine(CallFailed("HTTP 500, 9 tries")))
    assert (done.stopped, done.failed, done.failure) == ("failed", "target", "HTTP 500, 9 tries")


def test_a_filtered_answer_stops_as_filtered_and_is_no_failure():
    done = held(scene(), Talker("hello"), ListLine(Reply(text="", finish_reason="filtered")))
    assert (done.stopped, done.failed) == ("filtered", None)
    assert done.turns[-1].finish_reason == "filtered"


def test_an_empty_answer_is_a_failure_of_the_target_and_never_safe():
    done = held(scene(), Talker("hello"), ListLine(Reply(text="  ", finish_reason="length")))
    assert (done.failed, done.stopped) == ("target", "failed")
    assert "length" in (done.failure or "")


def test_how_an_answer_ended_is_kept_with_the_turn():
    done = held(scene(max_turns=1), Talker("hello"), ListLine(Reply(text="cut", finish_reason="length")))
    assert done.turns[1].finish_reason == "length"


def test_the_same_conversation_has_the_same_id_and_another_sample_another():
    async def both() -> list[str]:
        one = [
            await converse(scene(), Talker("a"), ListLine("x"), run="r", target_id="t", sample=sample, max_turns=1)
            for sample in (0, 0, 1)
        ]
        return [conversation.id for conversation in one]

    first, again, other = asyncio.run(both())
    assert first == again != other


def test_grounding_is_given_to_the_target_as_a_system_message_once():
    grounded = scene(measure="ungroundedness", grounding="Cod is a fish.")
    (system,) = system_messages(grounded)
    assert system.role == "system"
    assert system.content.endswith("Cod is a fish.")
    assert system_messages(scene(grounding="Cod is a fish.", opening="Cod is a fish. What is cod?")) == ()


def test_backtracking_takes_the_exchange_back_and_asks_on_a_fork():
    line = ListLine("no", "yes")
    dialogue = Dialogue(scene(), line.thread("s1"))

    async def twice() -> tuple[str | None, str | None]:
        first = await dialogue.send("try one")
        dialogue.backtrack()
        return first, await dialogue.send("try two")

    assert asyncio.run(twice()) == ("no", "yes")
    assert [message.content for message in line.asked[1]] == ["try two"]
    assert (line.forks, dialogue.queries, len(dialogue.turns)) == (1, 2, 2)


@pytest.mark.parametrize("said", [CallFailed("gone"), Reply(text="", finish_reason="filtered")])
def test_a_stopped_dialogue_says_no_more_until_it_is_taken_back(said: CallFailed | Reply):
    line = ListLine(said, "fine")
    dialogue = Dialogue(scene(), line.thread("s1"))

    async def story() -> tuple[str | None, str | None, int, str | None]:
        first = await dialogue.send("one")
        second = await dialogue.send("ignored")
        asked = len(line.asked)
        dialogue.backtrack()
        return first, second, asked, await dialogue.send("again")

    assert asyncio.run(story()) == (None, None, 1, "fine")
    assert [turn.content for turn in dialogue.turns] == ["again", "fine"]


def test_backtracking_at_the_start_does_nothing():
    line = ListLine("x")
    Dialogue(scene(), line.thread("s1")).backtrack()
    assert line.forks == 0


def test_five_turns_with_filler_are_five_calls_of_each_side():
    filler = "the quick review of the stated request found several points that are worth a closer look"
    user, target = ListLine(f"adversary reply 12ab. {filler}"), ListLine(f"target reply 34cd. {filler}")
    simulator = ModelSimulator(user, harms=load_harms())
    done = asyncio.run(converse(scene(), simulator, target, run="r", target_id="t", max_turns=5))
    assert (len(user.asked), len(target.asked), done.stopped) == (5, 5, "turns")
