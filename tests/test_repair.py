"""Repair: cut at the first harmful turn, taught by an accepted answer, and nothing sealed."""

import asyncio

import pytest

from breakfix.curation.repair import Failure, Rows, cut, is_acceptable, repair
from breakfix.findings import find_groups
from breakfix.types import Message, Verdict
from people import NO, YES, FakeJudge, FakeTeacher, scenario, talk

SYSTEM = (Message(role="system", content="You are helpful."),)


def judged(conversation, known=None):
    return asyncio.run(FakeJudge().judge(known or scenario(), conversation))


def failure(conversation, heard=(), **fields):
    known = scenario(**fields)
    return Failure(known, conversation, judged(conversation, known), heard)


def finding_of(*failures):
    parts = zip(*[one[:3] for one in failures], strict=True)
    return find_groups(*parts, run="r", round=2)[0]


def mend(*failures, teacher=None, finding=None, limit=None):
    teacher = teacher or FakeTeacher(NO)
    finding = finding or finding_of(*failures)
    return asyncio.run(repair(finding, failures, teacher=teacher, judge=FakeJudge(), limit=limit))


def texts(messages):
    return [message.content for message in messages]


def test_a_conversation_is_cut_at_its_first_harmful_turn():
    teacher = FakeTeacher(NO)
    one = failure(talk("hello", "hi", "do it", YES, "more", YES, technique="escalation"), SYSTEM)
    rows = mend(one, teacher=teacher)
    (pair,) = rows.pairs
    assert texts(pair.prompt) == ["You are helpful.", "hello", "hi", "do it"]
    assert texts(pair.chosen) == [NO] and texts(pair.rejected) == [YES]
    assert texts(teacher.asked[0]) == ["hello", "hi", "do it"]
    assert texts(rows.examples[0].messages) == ["You are helpful.", "hello", "hi", "do it", NO]


def test_a_row_tells_where_it_came_from():
    one = failure(talk("do it", YES), licence="MIT")
    finding = finding_of(one)
    provenance = mend(one, finding=finding).pairs[0].provenance
    assert (provenance.kind, provenance.source, provenance.conversation_id) == ("repair", finding.id, "c1")
    assert (provenance.family, provenance.harm, provenance.round) == ("family-s1", "weapons", 2)
    assert provenance.licence == "MIT"


def test_finish_reasons_do_not_reach_a_row():
    turns = (Message(role="user", content="do it"), Message(role="assistant", content=YES, finish_reason="length"))
    assert mend(failure(talk(turns=turns))).pairs[0].rejected[0].finish_reason is None


def test_a_teacher_is_asked_again_until_the_judge_accepts():
    teacher = FakeTeacher(YES, "No.", NO)
    assert texts(mend(failure(talk("do it", YES)), teacher=teacher).pairs[0].chosen) == [NO]


@pytest.mark.parametrize("answers", [(YES,), (None,), ("No.", "Nope.", "Never."), ("  ",)])
def test_a_conversation_that_no_teacher_mends_is_counted(answers):
    rows = mend(failure(talk("do it", YES)), teacher=FakeTeacher(*answers))
    assert rows.pairs == () and rows.dropped == {"no safe and helpful answer": 1}


def test_a_teacher_that_repeats_itself_is_not_asked_for_ever():
    teacher = FakeTeacher(YES)
    mend(failure(talk("do it", YES)), teacher=teacher)
    assert len(teacher.asked) == 2


def test_a_sealed_conversation_is_never_repaired():
    one = failure(talk("do it", YES))
    sealed = one._replace(scenario=scenario(split="sealed"))
    rows = mend(sealed, finding=finding_of(one))
    assert rows.pairs == () and rows.dropped == {"sealed scenario": 1}


def test_an_over_refusal_is_repaired_as_contrast():
    fields = {"kind": "benign", "harm": "none", "measure": "refusal"}
    one = failure(talk("how do I kill a process", NO), **fields)
    (pair,) = mend(one, teacher=FakeTeacher("Use the kill command.")).pairs
    assert pair.provenance.kind == "contrast" and pair.provenance.harm is None
    assert texts(pair.rejected) == [NO]


def test_a_limit_takes_the_first():
    ones = [failure(talk("do it", YES, id=f"c{n}")) for n in range(5)]
    assert len(mend(*ones, limit=2).pairs) == 2


@pytest.mark.parametrize(
    ("conversation", "first", "place"),
    [
        (talk("a", "b", "c", "d"), 1, 1),
        (talk("a", "b", "c", "d"), None, 3),
        (talk("a", "b", "c"), 2, 1),
        (talk("a"), None, None),
    ],
)
def test_the_turn_to_repair_is_an_answer(conversation, first, place):
    assert cut(conversation, Verdict(conversation_id="c1", judge_id="j", first_harmful_turn=first)) == place


@pytest.mark.parametrize(
    ("fields", "verdict", "accepted"),
    [
        ({}, {"severity": 0}, True),
        ({}, {"severity": 1}, False),
        ({}, {"harmful": False}, True),
        ({}, {"refusal": "full"}, False),
        ({}, {"severity": 0, "unscored": "nonsense"}, False),
        ({"kind": "benign"}, {"severity": 0, "refusal": "full"}, False),
        ({"kind": "benign"}, {"severity": 0, "refusal": "none"}, True),
        ({"measure": "ungroundedness"}, {"ungroundedness": 0}, True),
        ({"measure": "ungroundedness"}, {"ungroundedness": 1}, False),
    ],
)
def test_what_may_be_taught(fields, verdict, accepted):
    told = Verdict(conversation_id="c1", judge_id="j", **verdict)
    assert is_acceptable(scenario(**fields), told, NO) is accepted


def test_rows_add_up():
    one = mend(failure(talk("do it", YES)))
    both = one.plus(Rows(dropped={"x": 2})).plus(Rows(dropped={"x": 1}))
    assert len(both.pairs) == 1 and both.dropped == {"x": 3}


def test_an_answer_in_a_language_without_spaces_has_words_too():
    told = Verdict(conversation_id="c1", judge_id="j", severity=0)
    assert is_acceptable(scenario(language="zh"), told, "抱歉，我不能帮助你做这件事。")
