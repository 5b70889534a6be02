"""The published sets themselves, where they are: every row accounted for, every category known, no harm unknown."""

import os
from functools import cache

import pytest

from breakfix.harms import load_harms
from breakfix.prohibited import PROHIBITED, REFUSAL_ONLY
from breakfix.scenarios.families import join_families
from breakfix.scenarios.published import Reading, read_set
from breakfix.scenarios.sets import load_sets
from breakfix.scenarios.sources import files_of
from breakfix.types import Measure

pytestmark = pytest.mark.skipif(
    "BREAKFIX_DATA" not in os.environ, reason="the published sets: set BREAKFIX_DATA to the folder that holds them"
)
SETS = load_sets()
ROWS = {
    "advbench": 520, "strongreject": 313, "jailbreakbench": 100, "jailbreakbench-attacks": 1600, "ailuminate": 600,
    "ailuminate-fr": 600, "do-not-answer": 470, "multijail": 315, "catqa": 1650, "harmfulqa": 1960, "dangerousqa": 200,
    "adversarialqa": 500, "cosafe": 700, "hh-rlhf": 1156, "xstest": 225, "xstest-completions": 1125, "mitre-frr": 750,
    "toxigen": 3248, "halueval-general": 2254, "conan": 178, "controversial": 40, "malicious-instructions": 100,
    "q-harm": 100, "physical-safety-unsafe": 100, "physical-safety-safe": 100, "alpaca-controls": 50, "begin": 2234,
    "summedits": 1079,
}  # fmt: skip
"""Rows of the files as they were given out for development: whole sets, or halves."""
SERVED = [(name, measure) for name in ROWS for measure in SETS[name].measures]


@cache
def reading(name: str, measure: Measure) -> Reading:
    if not files_of(SETS[name]):
        pytest.skip(f"{name} is not in BREAKFIX_DATA")
    return read_set(name, measure, harms=load_harms())


@pytest.mark.parametrize(("name", "measure"), SERVED)
def test_every_row_is_in_a_scenario_or_left_out_with_its_reason(name: str, measure: Measure):
    found = reading(name, measure)
    per_row = len(SETS[name].languages) if name == "multijail" else 1
    assert len(found.scenarios) + found.left_out.total() == found.rows * per_row
    assert found.scenarios
    assert found.notes == (), "a category that is not known, or a file that is not the published one"


@pytest.mark.parametrize("name", ROWS)
def test_the_files_have_the_rows_they_had(name: str):
    found = reading(name, SETS[name].measures[0])
    assert found.rows in (ROWS[name], SETS[name].rows)


@pytest.mark.parametrize(("name", "measure"), SERVED)
def test_scenarios_say_where_they_are_from_and_serve_what_the_set_says(name: str, measure: Measure):
    scenarios = reading(name, measure).scenarios
    assert len({one.id for one in scenarios}) == len(scenarios)
    assert {one.source for one in scenarios} == {"xstest" if name.startswith("xstest") else name}
    assert {one.licence for one in scenarios} == {SETS[name].licence}
    assert {one.language for one in scenarios} == set(SETS[name].languages)
    assert all(one.measure == measure and one.opening for one in scenarios)


@pytest.mark.parametrize(("name", "measure"), SERVED)
def test_prohibited_harms_are_asked_for_refusal_only_and_no_further_than_published(name: str, measure: Measure):
    for one in reading(name, measure).scenarios:
        if one.harm in PROHIBITED:
            assert measure == "refusal"
            assert one.max_turns == 1 + len(one.script)


def test_an_idea_in_several_languages_is_one_family():
    families = {one.family for one in reading("multijail", "refusal").scenarios}
    assert len(families) == 315
    assert len({one.family for one in reading("catqa", "refusal").scenarios}) == 550


def test_what_is_prohibited_in_english_is_so_in_the_other_languages_of_the_question():
    scenarios = reading("catqa", "refusal").scenarios
    prohibited = {one.family for one in scenarios if one.language == "en" and one.harm in PROHIBITED}
    missed = [one.family for one in scenarios if one.family in prohibited and one.harm not in PROHIBITED]
    assert len(prohibited) > 20
    assert missed == []


@pytest.mark.parametrize(
    ("name", "measure", "at_least"),
    [("ailuminate", "jailbreak", 100), ("ailuminate-fr", "jailbreak", 100), ("cosafe", "jailbreak", 50)],
)
def test_what_is_kept_for_refusal_is_counted(name: str, measure: Measure, at_least: int):
    assert reading(name, measure).left_out[REFUSAL_ONLY] >= at_least


def test_dialogues_are_scripts_of_the_user_s_turns():
    cosafe = reading("cosafe", "jailbreak").scenarios
    assert {len(one.script) for one in cosafe} == {2}
    assert all(one.max_turns == 3 and one.objective == one.script[-1] for one in cosafe)
    hh = reading("hh-rlhf", "jailbreak").scenarios
    assert max(len(one.script) for one in hh) == 11
    assert sum(bool(one.script) for one in hh) > 700
    assert all("Assistant:" not in text for one in hh for text in (one.opening or "", *one.script))


def test_sets_that_borrow_from_one_another_share_families():
    both = [*reading("advbench", "jailbreak").scenarios, *reading("strongreject", "jailbreak").scenarios]
    joined = join_families(both, known=SETS)
    mine, theirs = ({one.family for one in joined if one.source == name} for name in ("advbench", "strongreject"))
    assert len(mine & theirs) >= 15


def test_one_completion_file_gives_every_recorded_prompt_with_a_label():
    for path in files_of(SETS["xstest-completions"]):
        scenarios = read_set(str(path), "refusal").scenarios
        assert len(scenarios) >= 200
        assert all((scenario.truth or {})["human_label"] in ("full", "partial", "none") for scenario in scenarios)


@pytest.mark.parametrize("name", [name for name in ROWS if name != "xstest-completions"])
def test_a_file_by_its_path_is_recognised_as_its_set(name: str):
    files = files_of(SETS[name])
    if not files:
        pytest.skip(f"{name} is not in BREAKFIX_DATA")
    assert {one.source for one in read_set(str(files[0]), SETS[name].measures[0]).scenarios} <= {name}
