"""Techniques: the packaged files, and what each driver does when the target refuses, is silent or complies."""

import asyncio

import pytest

from breakfix.attacks.techniques import Ending, load_techniques, most_queries, run_attack
from breakfix.errors import CallFailed, DataError
from people import NO, YES, FakeAttack, FakeDialogue, is_refusal, technique

IDS = {"plain", "role_play", "prefix_injection", "fiction", "academic", "encoding", "escalation", "persistence"}


def attack(how, user, dialogue, max_turns=4):
    return asyncio.run(run_attack(how, user, dialogue, is_refusal=is_refusal, max_turns=max_turns))


def test_the_packaged_techniques_are_those_of_the_lab():
    assert set(load_techniques()) == IDS
    assert load_techniques()["escalation"].driver == "escalate"
    assert load_techniques(["plain"]).keys() == {"plain"}


def test_an_unknown_technique_is_named_with_those_known():
    with pytest.raises(DataError, match=r"'shouting'.*persistence"):
        load_techniques(["shouting"])


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("id: shout\nname: [", "not valid YAML"),
        ("id: shout\nname: s\ndriver: yell\ninstruction: i", "'driver'"),
        ("id: other\nname: s\ndriver: single\ninstruction: i", "one name"),
        ("id: shout\nname: s\ndriver: single\ninstruction: i\ntransform: rot99", "rot99"),
    ],
)
def test_a_broken_technique_file_is_one_clear_line(tmp_path, body, fault):
    (tmp_path / "shout.yaml").write_text(body)
    with pytest.raises(DataError, match=fault) as error:
        load_techniques(folder=tmp_path)
    assert "\n" not in str(error.value)


def test_a_single_turn_is_transformed():
    dialogue = FakeDialogue(lambda text: YES)
    assert attack(technique(transform="leet"), FakeAttack("bake"), dialogue) == Ending("turns")
    assert dialogue.heard == ["b4k3"]


def test_a_refused_single_turn_ends_refused():
    assert attack(technique(), FakeAttack("bake"), FakeDialogue(lambda text: NO)).stopped == "refused"


def test_a_withheld_answer_ends_filtered_and_nobody_failed():
    ending = attack(technique(), FakeAttack("bake"), FakeDialogue(lambda text: None))
    assert ending == Ending("filtered", None, "withheld")


@pytest.mark.parametrize("driver", ["single", "escalate", "persist"])
def test_an_attacker_without_words_has_failed_itself(driver):
    ending = attack(technique(driver=driver, max_turns=3), FakeAttack(None), FakeDialogue(lambda text: YES))
    assert (ending.stopped, ending.failed) == ("failed", "attacker")


def test_an_attacker_whose_call_failed_is_an_ending():
    class Unreachable:
        async def write(self, turns, step, steps):
            raise CallFailed("timed out (9 tries)")

    ending = attack(technique(), Unreachable(), FakeDialogue(lambda text: YES))
    assert ending == Ending("failed", "attacker", "timed out (9 tries)")


def test_escalation_takes_a_refused_step_back_and_tries_other_words():
    dialogue = FakeDialogue(lambda text: NO if text == "bluntly" else YES)
    user = FakeAttack("hello", "bluntly", "gently", "more")
    ending = attack(technique(driver="escalate", max_turns=3), user, dialogue)
    assert ending.stopped == "turns" and user.steps == [0, 1, 1, 2]
    assert [turn.content for turn in dialogue.turns if turn.role == "user"] == ["hello", "gently", "more"]
    assert dialogue.queries == 4


def test_escalation_gives_up_after_two_steps_back_and_the_refusal_stands():
    dialogue = FakeDialogue(lambda text: NO if text != "hello" else YES)
    ending = attack(technique(driver="escalate", max_turns=4), FakeAttack("hello", "a", "b", "c"), dialogue)
    assert ending.stopped == "refused"
    assert [turn.content for turn in dialogue.turns] == ["hello", YES, "c", NO]
    assert dialogue.queries == 4 <= most_queries(technique(driver="escalate", max_turns=4), 4)


def test_an_escalation_that_repeats_itself_has_done():
    dialogue = FakeDialogue(lambda text: NO if text == "ask" else YES)
    ending = attack(technique(driver="escalate", max_turns=4), FakeAttack("hello", "ask", "ask"), dialogue)
    assert ending.stopped == "refused" and dialogue.queries == 2


def test_persistence_asks_again_until_it_is_not_refused():
    dialogue = FakeDialogue(lambda text: YES if text == "please" else NO)
    ending = attack(technique(driver="persist", max_turns=4), FakeAttack("do", "do it", "please", "more"), dialogue)
    assert ending.stopped == "turns" and dialogue.heard == ["do", "do it", "please"]


def test_the_settings_cap_the_turns():
    dialogue = FakeDialogue(lambda text: NO)
    attack(technique(driver="persist", max_turns=4), FakeAttack("a", "b", "c"), dialogue, max_turns=2)
    assert dialogue.queries == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [("role_pla", "Did you mean 'role_play'[?] Known: academic, "), ("crescnd", "[)]. Known: academic, ")],
)
def test_a_technique_that_is_not_known_is_answered_with_the_nearest_and_all(name: str, said: str):
    with pytest.raises(DataError, match=said):
        load_techniques((name,))
