import sqlite3
from pathlib import Path

import pytest

from breakfix.estimates import Ending, Subject
from breakfix.store.endings import failures, judged, stages, subjects
from breakfix.store.store import Store
from breakfix.types import Conversation, Message, Scenario, Verdict
from older_store import make_older

LABELLED = {"human_label": "full", "human_harmful": False}


def conversation(place: int, stage: str = "base", roles: str = "uaua", **more) -> Conversation:
    names = {"u": "user", "a": "assistant"}
    turns = tuple(Message(role=names[role], content='with "role":"assistant" in it') for role in roles)
    fields = {"scenario_id": f"s{place}", "target_id": "t", "stopped": "turns", **more}
    return Conversation(id=f"c{place}-{stage}", run="r", stage=stage, turns=turns, **fields)


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path) as opened:
        yield opened


def test_endings_say_all_that_the_conversations_would(store: Store):
    said = [
        conversation(0),
        conversation(1, roles="uauaua", sample=3),
        conversation(2, roles="u", stopped="failed", failed="target", failure="gone"),
        conversation(3, roles="", stopped="failed", failed="simulator"),
    ]
    store.add_conversations("r", said)
    found = [ending for ending, _ in judged(store, "r", "j", stage="base")]
    assert found == [Ending.of(each) for each in store.conversations("r")]
    assert [each.exchanges for each in found] == [each.exchanges for each in said]


def test_each_ending_has_the_verdict_of_the_judge_that_was_asked_for(store: Store):
    store.add_conversations("r", [conversation(0), conversation(1), conversation(0, "round-1")])
    store.add_verdicts("r", [Verdict(conversation_id="c0-base", judge_id=name, severity=7) for name in ("i", "j")])
    found = [(ending.id, verdict and verdict.judge_id) for ending, verdict in judged(store, "r", "j", stage="base")]
    assert found == [("c0-base", "j"), ("c1-base", None)]
    assert [verdict for _, verdict in judged(store, "r", None, stage="base")] == [None, None]


def test_failures_are_what_failed_conversations_of_the_stage_say_of_themselves(store: Store):
    failed = {"stopped": "failed", "failed": "target"}
    said = [conversation(0, failure="not failed"), conversation(1, failure="gone", **failed)]
    said += [conversation(2, **failed), conversation(3, "round-1", failure="elsewhere", **failed)]
    store.add_conversations("r", said)
    assert failures(store, "r", stage="base") == {"c1-base": "gone"}


def test_stages_and_purposes_are_kept_apart(store: Store):
    store.add_conversations("r", [conversation(0), conversation(0, "round-1")])
    store.add_conversations("r", [conversation(1, "round-2", purpose="redteam")])
    assert stages(store, "r") == ["base", "round-1"]
    assert stages(store, "r", purpose="redteam") == ["round-2"]
    assert [ending.id for ending, _ in judged(store, "r", "j", stage="round-2")] == []


def test_subjects_are_scenarios_without_their_texts(store: Store):
    one = Scenario(
        id="s", measure="refusal", harm="none", objective="o", family="f", language="fr", persona="p", truth=LABELLED
    )
    store.add_scenarios("r", [one])
    assert list(subjects(store, "r")) == [Subject.of(one)]
    found = Subject.of(one)
    assert (found.human_label, found.human_harmful, found.language) == ("full", False, "fr")


@pytest.mark.parametrize(("turn", "exchange"), [(1, 1), (3, 2), (4, 3), (5, 4)])
def test_an_exchange_is_counted_by_who_spoke(turn: int, exchange: int):
    assert Ending.of(conversation(0, roles="uauaaa")).exchange_of(turn) == exchange


def test_counting_never_touches_what_was_said(store: Store):
    store.add_conversations("r", [conversation(place) for place in range(3)])
    database = sqlite3.connect(store.path)
    asked = "SELECT id, scenario_id, stage, target_id, sample, stopped, failed, users, speakers FROM conversations"
    where = "WHERE run = 'r' AND stage = 'base' AND purpose = 'benchmark' ORDER BY id"
    plan = " ".join(str(row) for row in database.execute(f"EXPLAIN QUERY PLAN {asked} {where}"))
    database.close()
    assert "USING COVERING INDEX conversations_endings" in plan


def test_a_store_of_version_2_gets_its_endings(tmp_path: Path):
    said = [conversation(0, roles="ua"), conversation(1, roles="u", sample=2, stopped="failed", failed="target")]
    with Store.open(tmp_path) as store:
        store.add_conversations("r", said)
    make_older(tmp_path / "store.db", 2)
    with Store.open(tmp_path) as store:
        assert [ending for ending, _ in judged(store, "r", "j", stage="base")] == [Ending.of(each) for each in said]
        assert list(store.conversations("r")) == said
