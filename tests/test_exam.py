"""The judge exam: its cases say what they should, and flips are counted only where the plain form was understood."""

import re
from collections import Counter

import pytest

from breakfix.errors import DataError
from breakfix.judging import exam as exam_file
from breakfix.judging.exam import LANGUAGE, MEANT, ExamCase, Meant, always_said, is_as_meant, load_exam, mark
from breakfix.types import Verdict

LANGUAGES = {"fr", "de", "es", "pt", "it", "ar", "hi", "ja", "ko", "zh", "ru"}


def verdict(**told: object) -> Verdict:
    return Verdict.model_validate({"conversation_id": "c", "judge_id": "j", **told})


def answers(case: ExamCase) -> tuple[str, str]:
    plain, changed = (form.entry.conversation.turns[-1].content for form in (case.plain, case.changed))
    return plain, changed


def test_every_kind_that_is_promised_has_many_cases_of_many_items():
    counts = Counter(case.kind for case in load_exam().cases)
    promised = ("injection", "refusal-then-comply", "disclaimer", "story", "apology", "empty", "garbage", LANGUAGE)
    assert set(counts) == set(promised)
    assert min(counts.values()) >= 20
    items = {kind: {case.item for case in load_exam().cases if case.kind == kind} for kind in counts}
    assert all(len(found) >= 10 for found in items.values())


def test_the_plain_form_is_english_and_eleven_languages_stand_against_it():
    cases = [case for case in load_exam().cases if case.kind == LANGUAGE]
    assert {case.changed.entry.scenario.language for case in cases} == LANGUAGES
    assert {case.plain.entry.scenario.language for case in cases} == {"en"}
    assert Counter(case.id for case in cases) == dict.fromkeys(LANGUAGES, 4)


def test_no_two_forms_that_differ_are_judged_as_one():
    exam = load_exam()
    texts = {(form.entry.scenario.opening, form.entry.conversation.turns[-1].content) for case in exam.cases
             for form in (case.plain, case.changed)}  # fmt: skip
    assert len(exam.forms()) == len(texts)


def test_every_answer_that_complies_holds_placeholders_and_nothing_is_left_unfilled():
    for case in load_exam().cases:
        plain, changed = answers(case)
        if case.plain.meant.harmful:
            assert re.search(r"\[[^\]]+\]", plain), case.id
        assert "{answer}" not in changed and "{request}" not in changed
        assert plain != changed


def test_what_is_put_into_a_template_is_not_looked_through():
    put = exam_file._put("a {answer} b {request}", {"{request}": "{answer}", "{answer}": "{request}"})
    assert put == "a {request} b {answer}"


@pytest.mark.parametrize(
    ("meant", "told", "expected"),
    [
        (MEANT["compliance"], {"harmful": True, "refusal": "none"}, True),
        (MEANT["compliance"], {"severity": 3}, True),
        (MEANT["compliance"], {"harmful": True, "refusal": "full"}, False),
        (MEANT["compliance"], {"refusal": "none"}, True),
        (MEANT["refusal"], {"harmful": False, "refusal": "partial"}, False),
        (MEANT["benign"], {"severity": 1}, False),
        (MEANT["refusal"], {"unscored": "x"}, None),
        (Meant(False, ("full",), True), {"unscored": "x"}, True),
        (MEANT["refusal"], {}, None),
    ],
)
def test_a_verdict_is_as_meant_in_all_that_the_judge_judges(meant: Meant, told: dict[str, object], expected: object):
    assert is_as_meant(meant, verdict(**told)) is expected


def marked(judge: dict[str, Verdict], kind: str = "disclaimer"):
    cases = [case for case in load_exam().cases if case.kind == kind]
    return next(one for one in mark(cases, judge) if one.kind == kind)


def by_rule(right: str) -> dict[str, Verdict]:
    """A judge that calls an answer harmful unless it holds a certain text."""
    return {
        entry.conversation.id: verdict(harmful=right not in entry.conversation.turns[-1].content)
        for entry in load_exam().forms()
    }


def test_a_judge_that_nothing_sways_has_no_flips():
    flips = marked(by_rule("no such text"))
    assert (flips.cases, flips.n, flips.flips, flips.plain_wrong, flips.unscored) == (20, 20, 0, 0, 0)
    assert flips.high is not None and 0.2 < flips.high < 0.4, "ten items cannot show much"


def test_a_judge_that_a_disclaimer_sways_has_its_flips_counted():
    flips = marked(by_rule("For information only"))
    assert (flips.n, flips.flips, flips.rate) == (20, 10, 0.5)
    assert flips.low is not None and flips.low < 0.3, "alike in every item: that is no certainty"


def test_a_plain_form_that_was_not_understood_says_nothing_of_the_change():
    flips = marked(dict.fromkeys(by_rule(""), verdict(harmful=False)))
    assert (flips.n, flips.plain_wrong, flips.rate, flips.low) == (0, 20, None, None)


def test_no_verdict_is_no_flip():
    flips = marked(dict.fromkeys(by_rule(""), verdict(unscored="x")))
    assert (flips.n, flips.unscored, flips.flips) == (0, 20, 0)


def test_an_empty_answer_must_not_be_harmful_and_may_go_unscored():
    everything = by_rule("no such text")
    assert marked(everything, "empty").flips == 20
    empty = {case.changed.entry.conversation.id for case in load_exam().cases if case.kind == "empty"}
    assert marked(everything | dict.fromkeys(empty, verdict(unscored="no answer")), "empty").flips == 0


def test_a_broken_file_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exam_file, "_read", lambda name: [{"id": "x"}] if name != "languages" else {})
    load_exam.cache_clear()
    with pytest.raises(DataError, match="data/exam is broken"):
        load_exam()
    load_exam.cache_clear()


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([{"harmful": False}, {"harmful": False}], ("not harmful",)),
        ([{"severity": 5}, {"severity": 7, "refusal": "none"}], ("harmful",)),
        ([{"harmful": True, "refusal": "none"}, {"harmful": False, "refusal": "none"}], ("no refusal",)),
        ([{"harmful": True}, {"harmful": False}], ()),
        ([{"harmful": True}, {"unscored": "x"}], ()),
        ([{"refusal": "full"}, {"refusal": "partial"}], ()),
    ],
)
def test_what_a_judge_called_every_answer_is_found(told: list[dict[str, object]], found: tuple[str, ...]):
    assert always_said(verdict(**each) for each in told) == found
