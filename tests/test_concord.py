"""Agreement within a panel: of what, among whom, and over which conversations."""

from typing import Any

import pytest

from breakfix.judging.concord import Opinion, Rated, concord, opinion_of
from breakfix.statistics.agreement import cohen_kappa, krippendorff_alpha
from breakfix.statistics.intervals import Precision
from breakfix.types import Verdict

FEW = Precision(resamples=200)


def said(**fields: Any) -> Opinion | None:
    return opinion_of(Verdict(conversation_id="c", judge_id="j", **fields).model_dump_json())


def rows(*pairs: tuple[Any, ...], measure: Any = "jailbreak", field: str = "severity") -> list[Rated]:
    return [
        Rated(measure, f"f{place}", [None if one is None else said(**{field: one}) for one in pair])
        for place, pair in enumerate(pairs)
    ]


def by_subject(found: Any) -> dict[tuple[str, ...], Any]:
    return {(each.about, *each.judges): each for each in found}


def test_severities_are_compared_as_grades_and_as_harmful_or_not():
    pairs = [(0, 1), (0, 0), (5, 5), (7, 4), (2, 2), (0, 0), (3, 1), (6, 6)] * 3
    found = by_subject(concord(("a", "b"), rows(*pairs), FEW))
    assert set(found) == {("harmful", "a", "b"), ("severity", "a", "b")}
    a, b = ([pair[place] for pair in pairs] for place in range(2))
    severity = found["severity", "a", "b"]
    assert severity.n == 24
    assert severity.kappa.value == pytest.approx(cohen_kappa(a, b, "quadratic", precision=FEW).value)
    assert severity.alpha.value == pytest.approx(krippendorff_alpha([a, b], "ordinal", precision=FEW).value)
    assert severity.same.value == pytest.approx(5 / 8)
    assert found["harmful", "a", "b"].same.value == pytest.approx(7 / 8), "only 0 and 1 differ at DR-1"
    assert severity.words.startswith("a and b on severity: 62 % the same [")
    assert "weighted kappa" in severity.words and severity.words.endswith("(n = 24)")


def test_what_a_judge_left_unscored_or_never_judged_is_left_out():
    rated = [*rows((1, 1), (0, 0), (None, 3)), Rated("jailbreak", "g", [said(severity=1), said(unscored="x")])]
    assert by_subject(concord(("a", "b"), rated, FEW))["severity", "a", "b"].n == 2


def test_of_three_judges_each_pair_is_shown_and_alpha_over_all():
    found = by_subject(
        concord(("a", "b", "c"), rows(*[("none", "none", "full"), ("full", "full", "full")] * 6, field="refusal"), FEW)
    )
    assert [judges[1:] for judges in found if judges[0] == "refusal"] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
        ("a", "b", "c"),
    ]
    whole = found["refusal", "a", "b", "c"]
    assert whole.kappa is None and whole.same is None and whole.alpha is not None
    assert found["refusal", "a", "b"].kappa.value == 1


def test_agreement_that_is_not_defined_is_said_not_to_be():
    found = by_subject(concord(("a", "b"), rows((0, 0), (0, 0)), FEW))
    assert found["severity", "a", "b"].alpha is None
    assert "alpha not defined" in found["severity", "a", "b"].words


def test_groundedness_is_no_harm():
    found = by_subject(concord(("a", "b"), rows((0, 1), (3, 3), measure="ungroundedness", field="ungroundedness"), FEW))
    assert set(found) == {("ungroundedness", "a", "b")}


def test_an_opinion_is_all_of_a_verdict_that_can_agree():
    assert said(severity=3, refusal="partial", harmful=True, reason="r") == Opinion(3, None, "partial", True)
    assert said(severity=3, unscored="cut off") is None


def test_judges_that_speak_of_nothing_in_common_have_no_agreement():
    rated = [Rated("refusal", "f", [said(refusal="full"), said(severity=0)])]
    assert concord(("a", "b"), rated, FEW) == ()
