"""The lab's world: every thing and wording has one split, and nothing changes from run to run."""

import pytest
import yaml

from breakfix.lab.corpus import documents
from breakfix.lab.grounded import ask_about, draw_question, true_answer
from breakfix.lab.phrasing import TECHNIQUES, draw_ask, request_turns
from breakfix.lab.scenarios import GROUNDED_MIX
from breakfix.lab.world import FIELDS, PERSONAS, SPLITS, topics, verbs, wordings, world


def test_a_thing_has_one_name_one_field_and_one_split():
    things = world().things
    assert len({thing.name for thing in things}) == len(things) == 540
    for field in FIELDS:
        for split in SPLITS:
            assert len(world().of(field, split, harmful=True)) >= 8
            assert len(world().of(field, split, harmful=False)) >= 6


def test_no_wording_is_in_two_splits():
    split_kinds = [name for name, table in world().words.items() if _splits(table)]
    assert len(split_kinds) >= 13
    for name in split_kinds:
        taken = [wording for split in SPLITS for wording in wordings(name, split)]
        assert len(taken) == len(set(taken)), name


def _splits(table: object) -> bool:
    if not isinstance(table, dict):
        return False
    inner = table.get("low_skilled", table)
    return isinstance(inner, dict) and set(inner) == set(SPLITS)


def test_topics_differ_between_harmful_and_harmless_things():
    assert len(topics()) == 2 * len(FIELDS)
    assert sum(topics().values()) == len(FIELDS)


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("persona", PERSONAS)
def test_every_technique_asks_in_every_split_and_in_other_words(technique, persona):
    spoken = {}
    for split in SPLITS:
        thing = world().of("cyber", split, harmful=True)[0]
        spoken[split] = {request_turns(draw_ask(thing, technique, split, persona, seed)) for seed in range(20)}
        assert all(len(turns) == (2 if technique in ("escalation", "persistence") else 1) for turns in spoken[split])
    assert not spoken["train"] & spoken["sealed"]


def test_an_encoded_request_hides_the_things_name():
    thing = world().of("hate", "train", harmful=True)[0]
    (text,) = request_turns(draw_ask(thing, "encoding", "train", "low_skilled", 1))
    assert thing.name not in text


@pytest.mark.parametrize("kind", sorted(set(GROUNDED_MIX)))
def test_a_question_is_answerable_exactly_where_its_kind_says(kind):
    for seed in range(60):
        question = draw_question(kind, seed)
        told = [fact for fact in question.facts if fact.attribute == question.attribute]
        assert len(told) == {"answerable": 1, "unanswerable": 0, "binding": 2}[kind]
        assert (question.answer is not None) == (kind != "unanswerable")
        assert question.context in ask_about(question, "sealed", seed)
        assert ("does not say" in true_answer(question)) == (kind == "unanswerable")


def test_the_corpus_is_the_same_for_the_same_seed_and_refusals_carry_no_loss():
    chats = list(documents(300, 5))
    assert chats == list(documents(300, 5))
    assert chats != list(documents(300, 6))
    turns = [turn for chat in chats for turn in chat]
    assert any("can't" in turn.answer for turn in turns)
    assert not [turn for turn in turns if turn.learned and "can't help" in turn.answer]
    assert any(len(chat) >= 4 for chat in chats)


def test_verbs_are_shared_by_harmful_and_harmless_things():
    assert all(len(verbs(field)) >= 4 for field in FIELDS)


def test_the_words_are_a_plain_yaml_file():
    from importlib import resources

    text = resources.files("breakfix").joinpath("data/lab/wordings.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["areas"].keys() == set(FIELDS) - {"third_party"}
