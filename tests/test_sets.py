"""The packaged table of published sets keeps its contract."""

import re
from pathlib import Path

import pytest

from breakfix.errors import DataError
from breakfix.harms import load_harms
from breakfix.prohibited import PROHIBITED
from breakfix.scenarios.forms import FORMS
from breakfix.scenarios.published import read_set
from breakfix.scenarios.sets import GROUPS, PublishedSet, load_sets, members_of
from breakfix.scenarios.sources import open_sources
from breakfix.types import AREAS
from written import lines

SETS = load_sets()
HARMS = load_harms()
GUIDE = (Path(__file__).parent.parent / "docs" / "guide.md").read_text(encoding="utf-8")
WANTED = (
    "harmbench", "advbench", "strongreject", "jailbreakbench", "xstest", "ailuminate", "ailuminate-fr", "do-not-answer",
    "multijail", "red-instruct", "mitre-frr", "cosafe", "safety-tuned-llamas", "simplesafetytests", "hh-rlhf",
    "toxigen", "summedits", "begin", "halueval",
)  # fmt: skip


@pytest.mark.parametrize("name", WANTED)
def test_every_wanted_set_has_a_reader(name: str):
    assert members_of(name)


@pytest.mark.parametrize("known", SETS.values(), ids=lambda known: known.name)
def test_a_set_s_entry_is_whole(known: PublishedSet):
    assert known.form in FORMS
    assert known.licence and known.source and known.languages and known.measures and known.columns
    assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in known.checksums.values())
    assert {*known.third_party, *known.refusal_only} <= set(known.topics)
    if known.form == "grounded":
        assert known.measures == ("ungroundedness",)
        assert known.grounding in known.columns


@pytest.mark.parametrize("known", SETS.values(), ids=lambda known: known.name)
def test_categories_map_to_harms_and_areas_that_there_are(known: PublishedSet):
    own = (known.area, known.harm)
    for area, harm in [own, *((topic.area, topic.harm) for name in known.topics if (topic := known.topic_of(name)))]:
        assert area is None or area in AREAS
        assert harm == "none" or HARMS[harm].area == area


def test_prohibited_harms_are_those_of_the_harms_file():
    assert set(PROHIBITED) == {harm.id for harm in HARMS.values() if harm.prohibited}
    assert all(HARMS[name].area == area for name, area in PROHIBITED.items())


def test_groups_name_sets_that_there_are():
    assert all(len(members_of(name)) == len(names) for name, names in GROUPS.items())
    assert not set(GROUPS) & set(SETS)


@pytest.mark.parametrize("name", [*SETS, *GROUPS])
def test_every_set_is_in_the_guide_with_its_licence(name: str):
    assert f"`{name}`" in GUIDE
    assert all(f"| {known.licence}" in GUIDE for known in members_of(name))


def test_an_unknown_set_and_a_missing_folder_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with pytest.raises(DataError, match=r"Did you mean 'xstest'"):
        list(open_sources("xtest"))
    with pytest.raises(DataError, match=r"Known sets: .*xstest"):
        list(open_sources("qqq"))
    monkeypatch.delenv("BREAKFIX_DATA", raising=False)
    with pytest.raises(DataError, match="BREAKFIX_DATA"):
        list(open_sources("xstest"))
    monkeypatch.setenv("BREAKFIX_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"No file .* or name its place on the hub: hub:Paul/XSTest@train\."):
        list(open_sources("xstest"))


def test_of_a_name_for_several_sets_those_that_are_here_are_read_and_the_others_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "halueval").mkdir()
    row = {"ID": "1", "user_query": "Hello?", "chatgpt_response": "Hi.", "hallucination": "no"}
    lines(tmp_path / "halueval" / "general_data.json", row, row | {"ID": "2", "user_query": "And you?"})
    monkeypatch.setenv("BREAKFIX_DATA", str(tmp_path))
    found = read_set("halueval", "refusal")
    assert [one.source for one in found.scenarios] == ["halueval-general"] * 2
    assert found.notes == (
        "halueval: no files of halueval-qa, halueval-summarization under BREAKFIX_DATA; read without.",
    )
    monkeypatch.setenv("BREAKFIX_DATA", str(tmp_path / "halueval"))
    with pytest.raises(DataError, match="No file"):
        read_set("halueval", "refusal")
