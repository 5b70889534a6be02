"""Lab scenarios: families stay whole, cover the world evenly, and play out as planned."""

import asyncio

import pytest

from breakfix.errors import DataError
from breakfix.lab.phrasing import TECHNIQUES
from breakfix.lab.roles import LabAttacker, LabSimulator, LabTeacher, plan, right_answer
from breakfix.lab.scenarios import lab_objectives, lab_scenarios
from breakfix.lab.world import SPLITS, world
from breakfix.types import AREAS, MEASURES, Message, Persona, Scenario, Technique


def user(text):
    return Message(role="user", content=text)


@pytest.mark.parametrize("measure", MEASURES)
def test_families_are_never_divided_between_splits(measure):
    families = {split: {s.family for s in lab_scenarios(measure, split, n=150)} for split in SPLITS}
    assert not families["train"] & families["dev"]
    assert not families["train"] & families["sealed"]
    assert not families["dev"] & families["sealed"]


@pytest.mark.parametrize("measure", MEASURES)
def test_scenarios_are_the_same_for_the_same_seed_and_have_their_own_ids(measure):
    drawn = lab_scenarios(measure, "sealed", n=60, seed=4)
    assert drawn == lab_scenarios(measure, "sealed", n=60, seed=4)
    assert drawn != lab_scenarios(measure, "sealed", n=60, seed=5)
    assert len({s.id for s in drawn}) == 60
    assert all(s.truth and s.source == "lab" and s.measure == measure and s.split == "sealed" for s in drawn)


def test_jailbreaks_cover_areas_and_techniques():
    drawn = lab_scenarios("jailbreak", "sealed", n=160)
    assert {s.area for s in drawn} == set(AREAS)
    assert {s.truth["technique"] for s in drawn} == set(TECHNIQUES)
    assert max(sum(s.area == area for s in drawn) for area in AREAS) == 20


def test_refusal_asks_harmful_harmless_and_borderline_in_equal_parts():
    drawn = lab_scenarios("refusal", "dev", n=90)
    assert [sum(s.kind == kind for s in drawn) for kind in ("harmful", "benign", "borderline")] == [30, 30, 30]
    assert all(s.harm == "none" for s in drawn if s.kind == "benign")


def test_an_unknown_measure_is_named():
    with pytest.raises(DataError, match="'toxicity'"):
        lab_scenarios("toxicity", "sealed", n=1)  # pyright: ignore


@pytest.mark.parametrize("measure", MEASURES)
def test_the_simulator_says_its_plan_and_stops_within_the_turns(measure):
    for scenario in lab_scenarios(measure, "sealed", n=24, turns=3):
        said = asyncio.run(_speak(scenario))
        assert said == plan(scenario)
        assert 1 <= len(said) <= scenario.max_turns
        if scenario.opening:
            assert said[0] == scenario.opening and scenario.grounding in said[0]


async def _speak(scenario: Scenario) -> list[str]:
    simulated = LabSimulator().begin(scenario, 0)
    turns: list[Message] = []
    while (text := await simulated.next_turn(turns)) is not None:
        turns += [user(text), Message(role="assistant", content="Hm.")]
    return [turn.content for turn in turns[::2]]


def test_harm_comes_late_in_some_conversations():
    lengths = {len(plan(s)) for s in lab_scenarios("jailbreak", "sealed", n=60, turns=3)}
    assert lengths == {1, 2, 3}


@pytest.mark.parametrize("technique_id", TECHNIQUES)
def test_the_attacker_asks_for_the_objectives_thing(technique_id):
    objective = lab_objectives("dev", n=1)[0]
    technique = Technique(id=technique_id, name=technique_id, driver="single", instruction="")
    attack = LabAttacker().begin(objective, technique, Persona(id="intermediate", description=""), 0)
    steps = 2 if technique_id in ("escalation", "persistence") else 1
    texts = [asyncio.run(attack.write([], step, steps)) for step in range(steps + 1)]
    assert all(texts)
    name = objective.truth["thing"]
    assert (name in texts[0]) == (technique_id != "encoding")


def test_the_attacker_finds_other_words_for_a_step_that_was_refused():
    objective = lab_objectives("dev", n=1)[0]
    technique = Technique(id="escalation", name="", driver="escalate", instruction="")
    attack = LabAttacker().begin(objective, technique, Persona(id="low_skilled", description=""), 0)
    wordings = {asyncio.run(attack.write([], 1, 2)) for _ in range(6)}
    assert len(wordings) == 2


def test_an_unknown_technique_is_played_by_its_driver():
    objective = lab_objectives("dev", n=1)[0]
    technique = Technique(id="crescendo", name="", driver="escalate", instruction="")
    attack = LabAttacker().begin(objective, technique, Persona(id="x", description=""), 0)
    assert objective.truth["thing"] in asyncio.run(attack.write([], 0, 2))
    assert objective.truth["thing"] not in asyncio.run(attack.write([], 1, 2))


def test_the_teacher_refuses_harm_helps_with_its_twin_and_answers_borderline_questions():
    objective = lab_objectives("train", n=1)[0]
    twin = lab_objectives("train", n=1, kind="benign")[0]
    assert "can't" in right_answer(objective, plan(objective)) or "won't" in right_answer(objective, plan(objective))
    assert "Here is how to" in right_answer(twin, plan(twin))
    borderline = next(s for s in lab_scenarios("refusal", "train", n=3) if s.kind == "borderline")
    answer = asyncio.run(LabTeacher().answer(borderline, [user(plan(borderline)[0])]))
    assert borderline.truth["thing"] in answer


def test_the_teacher_wants_the_last_turn_to_be_the_users():
    objective = lab_objectives("train", n=1)[0]
    assert asyncio.run(LabTeacher().answer(objective, [])) is None


def test_roles_refuse_scenarios_from_elsewhere():
    foreign = Scenario(id="x", measure="jailbreak", harm="malware", objective="", family="f")
    with pytest.raises(DataError, match="not the lab's"):
        LabSimulator().begin(foreign, 0)


def test_objectives_take_only_their_split():
    for split in SPLITS:
        names = {s.truth["thing"] for s in lab_objectives(split, n=80)}
        assert {world().by_name[name].split for name in names} == {split}
