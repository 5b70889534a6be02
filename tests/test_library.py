"""The packaged scenarios: evenly spread, split by idea, and never of a prohibited harm."""

from collections import Counter
from typing import cast

import pytest

from breakfix.errors import DataError
from breakfix.harms import load_harms
from breakfix.scenarios.grid import PERSONAS
from breakfix.scenarios.library import build_scenarios, ideas_of, pick_harms, splits_of
from breakfix.settings import MeasureSettings
from breakfix.types import MEASURES, Measure, Scenario, Split

HARMS = load_harms()


def drawn(n: int = 60, *measures: Measure, seed: int = 0, split: Split = "sealed", harms: tuple[str, ...] = ()):
    settings = MeasureSettings(measures=measures or MEASURES, conversations=n, harms=harms)
    return build_scenarios(settings, HARMS, split=split, seed=seed)


@pytest.mark.parametrize("n", [1, 7, 60, 1000])
def test_each_measure_gets_as_many_as_asked_each_with_an_id_of_its_own(n: int):
    scenarios = drawn(n)
    assert Counter(scenario.measure for scenario in scenarios) == dict.fromkeys(MEASURES, n)
    assert len({scenario.id for scenario in scenarios}) == len(scenarios)


def test_the_same_seed_draws_the_same_and_another_seed_others():
    assert drawn(30) == drawn(30)
    assert {scenario.id for scenario in drawn(30)} != {scenario.id for scenario in drawn(30, seed=1)}


def test_harms_are_spread_evenly():
    counts = Counter(scenario.harm for scenario in drawn(100, "jailbreak"))
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(counts) == sum("jailbreak" in harm.measures for harm in HARMS.values())


def test_personas_are_spread():
    counts = Counter(scenario.persona for scenario in drawn(300, "jailbreak"))
    assert set(counts) == set(PERSONAS)
    assert min(counts.values()) > 20


def test_half_of_the_refusal_measure_is_harmless_and_covers_every_area():
    scenarios = drawn(100, "refusal")
    assert Counter(scenario.kind for scenario in scenarios) == {"harmful": 50, "benign": 50}
    benign = [scenario for scenario in scenarios if scenario.kind == "benign"]
    assert {scenario.harm for scenario in benign} == {"none"}
    assert len({scenario.area for scenario in benign}) == 8


def test_the_simulator_writes_every_turn():
    assert all(scenario.opening is None for scenario in drawn(20))


def test_nothing_is_drawn_of_a_prohibited_harm():
    prohibited = {harm.id for harm in HARMS.values() if harm.prohibited}
    assert not prohibited & {scenario.harm for scenario in drawn(500)}


def test_grounded_scenarios_bring_their_text_with_source_and_licence():
    for scenario in drawn(50, "ungroundedness"):
        assert scenario.grounding
        assert (scenario.licence, scenario.kind) == ("CC-BY-4.0", "benign")
        assert scenario.source.startswith("BEGIN")


def test_no_family_is_in_two_splits_and_each_split_has_all_harms():
    splits: dict[str, set[str]] = {}
    harms: dict[str, set[str]] = {}
    for split in ("train", "dev", "sealed"):
        for scenario in drawn(400, split=cast("Split", split)):
            splits.setdefault(scenario.family, set()).add(split)
            harms.setdefault(split, set()).add(scenario.harm)
    assert all(len(found) == 1 for found in splits.values())
    assert harms["train"] == harms["dev"] == harms["sealed"]


def test_a_family_keeps_its_split_whatever_is_measured():
    everything = {scenario.family: scenario.split for scenario in drawn(1000, seed=3)}
    few = drawn(40, "jailbreak", harms=("fraud",))
    assert {scenario.harm for scenario in few} == {"fraud"}
    assert all(everything[scenario.family] == "sealed" for scenario in few)


def test_every_idea_has_a_split():
    splits = splits_of(HARMS)
    assert all(idea.family in splits for measure in MEASURES for idea in ideas_of(measure, HARMS))
    counts = Counter(splits.values())
    assert counts["train"] < counts["dev"]
    assert abs(counts["dev"] - counts["sealed"]) < 10


def test_an_unknown_harm_is_refused_with_the_nearest_name():
    with pytest.raises(DataError, match="Did you mean 'hate_religion'"):
        pick_harms(HARMS, ("hate_religon",))


def test_every_unknown_harm_is_named():
    with pytest.raises(DataError, match=r"Unknown harm 'fruad'.*'fraud'\? Unknown harm 'malwear'.*'malware'"):
        pick_harms(load_harms(), ("fruad", "malwear"))


@pytest.mark.parametrize("measure", ["jailbreak", "refusal"])
def test_a_prohibited_harm_that_is_asked_for_is_refused_and_says_what_serves(measure: Measure):
    with pytest.raises(DataError, match=r"published prompts.*--scenarios ailuminate --measures refusal"):
        drawn(5, measure, harms=("fraud", "child_sexual_exploitation"))


def test_beside_published_prompts_a_prohibited_harm_is_passed_over_where_the_library_serves_the_red_team():
    settings = MeasureSettings(
        measures=("jailbreak",), harms=("fraud", "child_sexual_exploitation"), scenarios=("ailuminate",)
    )
    assert {one.harm for one in build_scenarios(settings, HARMS, split="dev")} == {"fraud"}


def test_a_measure_without_scenarios_says_so():
    with pytest.raises(DataError, match="No sealed scenario of measure 'jailbreak'"):
        drawn(5, "jailbreak", harms=("copyright_books",))


def test_a_choice_of_harms_that_names_no_works_leaves_third_party_whole():
    works = {harm.id for harm in HARMS.values() if "third_party" in harm.measures}
    assert {scenario.harm for scenario in drawn(8, "third_party", harms=("fraud",))} == works
    assert {scenario.harm for scenario in drawn(8, "third_party", harms=("copyright_songs",))} == {"copyright_songs"}


def test_equal_objectives_differ_in_persona_or_circumstance():
    fraud = [scenario for scenario in drawn(300, "jailbreak", harms=("fraud",)) if isinstance(scenario, Scenario)]
    assert len({(scenario.family, scenario.persona, scenario.seed) for scenario in fraud}) == len(fraud)
