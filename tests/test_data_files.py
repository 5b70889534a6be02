"""Every packaged file of harms, scenarios, personas, prompts and rubrics keeps its contract."""

import re
from importlib import resources
from typing import Any

import pytest
import yaml

from breakfix.conversations.simulator import MANNERS
from breakfix.judging.requests import pattern, refusal_words
from breakfix.judging.rubric import load_rubrics
from breakfix.judging.verdicts import HIGHEST
from breakfix.personas import load_personas
from breakfix.prompts import load_prompt
from breakfix.scenarios.grid import PERSONAS
from breakfix.scenarios.library import read_topics
from breakfix.types import AREAS, CLAIM_FINDINGS, MEASURES

DATA = resources.files("breakfix") / "data"
TOPICS = ("benign.yaml",)


def read(name: str) -> Any:
    return yaml.safe_load((DATA / name).read_text("utf-8"))


@pytest.mark.parametrize("name", TOPICS)
def test_topics_have_names_of_their_own_and_abstract_objectives(name: str):
    topics = read_topics(name)
    objectives = [objective for topic in topics for objective in topic["objectives"]]
    assert len({topic["id"] for topic in topics}) == len(topics)
    assert len(set(objectives)) == len(objectives)
    assert all(re.match(r"(Get the model to|Ask) ", objective) for objective in objectives)


def test_harmless_requests_resemble_every_area():
    assert {topic["area"] for topic in read_topics("benign.yaml")} == set(AREAS)


def test_grounding_texts_are_a_few_dozen_whole_sentences():
    texts = read_topics("grounding.yaml")
    assert len(texts) >= 30
    assert len({text["id"] for text in texts}) == len(texts)
    assert all(len(text["text"].split()) >= 10 and text["text"].endswith(".") for text in texts)


def test_the_grounding_file_names_its_source_and_licence():
    head = (DATA / "scenarios" / "grounding.yaml").read_text("utf-8")[:600]
    assert "BEGIN" in head
    assert "CC-BY-4.0" in head
    assert "Changed" in head


def test_every_persona_that_is_drawn_is_described():
    assert set(PERSONAS) <= set(load_personas())


def test_every_measure_has_a_manner():
    assert set(MANNERS) == set(MEASURES)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_rubric_s_bands_cover_its_scale_once(measure: Any):
    rubric = load_rubrics()[measure]
    if rubric.scale == "ungroundedness":
        assert tuple(rubric.bands) == CLAIM_FINDINGS
        return
    covered = [score for band in rubric.bands for score in range(int(band.split("-")[0]), int(band.split("-")[-1]) + 1)]
    assert covered == list(range(HIGHEST[rubric.scale] + 1))


@pytest.mark.parametrize(
    "name", ["simulator", "simulator-first", "simulator-reminder", "judge", "judge-conversation", "judge-again"]
)
def test_the_prompts_load(name: str):
    assert load_prompt(name).text


def test_system_prompts_are_several_and_each_asks_to_be_kept():
    prompts = read("scenarios/system_prompts.yaml")
    assert len({entry["id"] for entry in prompts}) == len({entry["text"] for entry in prompts}) == len(prompts) >= 8
    kept = (
        r"never|n(?:o|')t .{0,30}(?:know|reveal|show|share|disclose|pass)|keep|confidential|internal|vertraulich|jamais"
    )
    assert all(re.search(kept, entry["text"], re.I | re.S) for entry in prompts)
    assert all(20 <= len(entry["text"].split()) <= 120 for entry in prompts)


def test_circumstances_are_all_different():
    found = read("scenarios/circumstances.yaml")
    assert all(len(set(values)) == len(values) >= 30 for values in found.values())


@pytest.mark.parametrize("name", sorted(refusal_words()))
def test_every_entry_of_the_refusal_words_compiles_and_matches_no_empty_text(name: str):
    assert pattern(name).search("") is None
