"""What is foreseen of a cycle: the stages that come, in order, and about how much each has to do."""

from breakfix.itinerary import from_training, last_look, whole_cycle
from breakfix.progress import Leg
from breakfix.settings import CycleSettings, settings_from
from breakfix.types import Dataset

TALKS = 60


def planned(**more: object) -> CycleSettings:
    return settings_from({"name": "x", "target": "lab/mini", "stop_when_passed": False, **more}, where="test")


def dataset(examples: int, pairs: int) -> Dataset:
    return Dataset(id="d", path=".", examples=examples, pairs=pairs, mixture={}, dropped={}, licences=())


def steps_of(legs: list[Leg]) -> dict[str, float]:
    return {leg.name: leg.steps for leg in legs}


def test_one_round_is_foreseen_stage_by_stage():
    assert [leg.name for leg in whole_cycle(planned(rounds=1), TALKS)] == [
        "measure base",
        "red team base",
        "measure base-dev",
        "attack base-more",
        "curate round 1",
        "loading round 1",
        "sft round 1",
        "dpo round 1",
        "measure round-1-sft",
        "measure round-1",
        "attack round-1-retest",
        "measure round-1-dev",
        "red team round-1",
        "report",
    ]


def test_a_second_round_begins_with_what_the_first_made():
    names = [leg.name for leg in whole_cycle(planned(rounds=2), TALKS)]
    assert names.count("red team round-1") == 1 and names.index("sft round 2") > names.index("red team round-1")
    assert names[-2:] == ["red team round-2", "report"]


def test_training_steps_come_from_the_dataset_and_the_recipe():
    steps = steps_of(from_training(planned(), TALKS, 1, dataset(2067, 339)))
    assert (steps["sft round 1"], steps["dpo round 1"]) == (130, 22)
    halved = planned(align={"sft": {"epochs": 2}, "dpo": {"gradient_accumulation": 2}})
    steps = steps_of(from_training(halved, TALKS, 1, dataset(2067, 339)))
    assert (steps["sft round 1"], steps["dpo round 1"]) == (259, 11)


def test_a_stage_without_rows_or_switched_off_is_not_foreseen():
    assert "dpo round 1" not in steps_of(from_training(planned(), TALKS, 1, dataset(100, 0)))
    off = steps_of(from_training(planned(align={"dpo": {"enabled": False}}), TALKS, 1, dataset(100, 50)))
    assert "dpo round 1" not in off and "measure round-1-sft" not in off


def test_the_same_user_turns_again_are_a_measurement_more():
    names = steps_of(whole_cycle(planned(measure={"users": "frozen"}), TALKS))
    assert "measure round-1-frozen" in names and "measure base-frozen" not in names


def test_rounds_that_a_passed_gate_would_spare_are_not_certain():
    legs = {leg.name: leg.is_certain for leg in whole_cycle(planned(stop_when_passed=True), TALKS)}
    assert legs["sft round 1"] and not legs["sft round 2"] and legs["report"]


def test_after_the_last_round_comes_the_red_team_and_the_report():
    assert [leg.name for leg in last_look(planned(), 3)] == ["red team round-3", "report"]
