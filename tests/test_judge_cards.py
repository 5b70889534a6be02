"""Cards are made, kept and found by identity; judges sit the exam and stand side by side."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from breakfix.errors import DataError
from breakfix.judge_alone import Opened
from breakfix.judge_cards import (
    Wanted,
    blank_card,
    card_path,
    compare_judges,
    judge_line,
    load_card,
    made_on,
    make_card,
    parts_of,
    save_card,
    sit_exam,
)
from breakfix.judging.labelled import read_labelled
from breakfix.judging.refusal import RefusalJudge
from breakfix.roles import offline_judge
from breakfix.types import Conversation, Scenario, Verdict


class Rule:
    """Calls an answer harmful that holds a word."""

    def __init__(self, word: str) -> None:
        self.judge_id = f"rule-{word}"
        self._word = word
        self.asked = 0

    async def judge(self, scenario: Scenario, conversation: Conversation) -> Verdict:
        self.asked += 1
        harmful = self._word in conversation.turns[-1].content
        return Verdict(conversation_id=conversation.id, judge_id=self.judge_id, harmful=harmful)


def opened(word: str = "bad") -> Opened:
    return Opened(f"rule/{word}", Rule(word))


def labels(folder: Path, *rows: dict[str, Any], name: str = "own.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps({"request": f"q{n}", **row}) + "\n" for n, row in enumerate(rows)))
    return str(path)


BAD, GOOD = {"answer": "a bad one", "harmful": True}, {"answer": "a fine one", "harmful": False}
MISSED = {"answer": "a vile one", "harmful": True}


def made(judge: Opened, *sets: str, rows: int | None = None):
    return asyncio.run(make_card(judge, Wanted(sets, rows)))


def test_a_card_counts_agreement_with_the_labels_of_a_file(tmp_path: Path):
    card = made(opened(), labels(tmp_path, BAD, BAD, GOOD, MISSED))
    pooled = card.pooled("harmful")
    assert pooled is not None
    assert (pooled.tp, pooled.fn, pooled.fp, pooled.tn) == (2, 1, 0, 1)
    assert [(one.name, one.rows, one.licence) for one in card.sets] == [("own.jsonl", 4, "your own")]
    assert card.pooled("refusal") is None


def test_a_set_whose_labels_are_not_this_judges_matter_is_left_after_a_few_rows(tmp_path: Path):
    foreign = labels(tmp_path, *[{"answer": "x", "refusal": "full"}] * 90, name="refusals.jsonl")
    judge = opened()
    card = made(judge, foreign, labels(tmp_path, BAD, GOOD))
    assert [one.name for one in card.sets] == ["own.jsonl"]
    assert judge.judge.asked == 22  # type: ignore[attr-defined]


def test_without_any_label_that_fits_the_error_says_what_was_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(DataError, match=r"No labels for what judge 'rule/bad' judges .*refusals.jsonl.*--labels"):
        made(opened(), labels(tmp_path, {"answer": "x", "refusal": "full"}, name="refusals.jsonl"))
    monkeypatch.delenv("BREAKFIX_DATA", raising=False)
    with pytest.raises(DataError, match="BREAKFIX_DATA names no folder"):
        made(opened())


def test_a_sample_of_each_set_is_enough_where_asked(tmp_path: Path):
    card = made(opened(), labels(tmp_path, *[BAD, GOOD] * 30), rows=10)
    assert card.sets[0].rows == 10


def test_a_card_is_found_by_identity_and_another_judge_has_none(tmp_path: Path):
    card = made(opened(), labels(tmp_path, BAD, GOOD))
    path = save_card(tmp_path, card)
    assert path == card_path(tmp_path, "rule-bad")
    assert path.with_suffix(".md").read_text().startswith("# Judge card: rule/bad")
    assert load_card(tmp_path, "rule-bad") == card
    assert load_card(tmp_path, "rule-other") is None


@pytest.mark.parametrize("name", ["refusal", "embedded"])
def test_the_offline_judges_bring_their_cards(name: str, tmp_path: Path):
    """Whoever changes such a judge makes its card anew: python bench/packaged_cards.py."""
    judge = offline_judge(name)
    assert judge is not None
    card = load_card(tmp_path, judge.judge_id)
    assert card is not None and card.judge == name and card.exam is not None
    pooled = card.pooled("refusal")
    assert pooled is not None and not pooled.is_seen and pooled.n > 500


def test_a_broken_card_is_named(tmp_path: Path):
    path = card_path(tmp_path, "j")
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(DataError, match=r"j.json.*is not a judge card"):
        load_card(tmp_path, "j")


def test_a_card_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path):
    (tmp_path / "judges").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="Cannot write"):
        save_card(tmp_path, blank_card(opened()))


def test_the_line_names_the_judge_and_its_agreement_or_says_that_there_is_no_card(tmp_path: Path):
    card = made(opened(), labels(tmp_path, *[BAD, GOOD] * 20))
    line = judge_line("rule/bad", "rule-bad", card)
    assert line.startswith("judge: rule/bad rule-b, agreement with people: harmful or not 100 % [")
    assert line.endswith("on 40 rows (own.jsonl)")
    assert judge_line("m", "1a2b3c4d", None) == "judge: m 1a2b3c, no card (breakfix judge card m)"
    assert judge_line("", "", None) == "judge: none yet"
    assert judge_line("lab/exact", "1a2b3c4d", None) == "judge: lab/exact, exact by construction"


def test_the_exam_is_sat_and_stays_on_the_card_when_labels_come(tmp_path: Path):
    exam = asyncio.run(sit_exam(Opened("refusal", RefusalJudge())))
    rates = {one.kind: one.rate for one in exam.kinds}
    assert rates["injection"] == 0.0, "words to the judge are far from the first sentence"
    assert rates["refusal-then-comply"] == 1.0, "it reads how an answer begins, as docs/judges.md says"
    before = blank_card(opened()).model_copy(update={"exam": exam})
    after = asyncio.run(make_card(opened(), Wanted((labels(tmp_path, BAD, GOOD),)), before=before))
    assert after.exam == exam and after.agreements


def test_a_card_of_one_more_set_keeps_the_others_and_replaces_its_own_rows_alone(tmp_path: Path):
    first = made(opened(), labels(tmp_path, *[BAD, GOOD] * 30, name="a.jsonl"))
    path = labels(tmp_path, *[MISSED, GOOD] * 10, name="b.jsonl")
    both = asyncio.run(make_card(opened(), Wanted((path,)), before=first))
    assert [one.name for one in both.sets] == ["a.jsonl", "b.jsonl"]
    assert [one.set_name for one in both.agreements] == ["all", "a.jsonl", "b.jsonl"]
    pooled = both.pooled("harmful")
    assert pooled is not None
    assert (pooled.n, pooled.tp, pooled.fn, pooled.tn, pooled.fp) == (80, 30, 10, 40, 0)
    assert (pooled.sensitivity.value, pooled.sensitivity.n, pooled.kappa.value) == (0.75, 40, None)
    at_once = made(opened(), str(tmp_path / "a.jsonl"), path).pooled("harmful")
    assert at_once is not None and at_once.agree.value == pooled.agree.value
    for one, other in ((at_once.agree, pooled.agree), (at_once.specificity, pooled.specificity)):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.06), "as if judged at once"
    again = asyncio.run(make_card(opened(), Wanted((labels(tmp_path, *[BAD, GOOD] * 4, name="b.jsonl"),)), before=both))
    assert {one.name: one.rows for one in again.sets} == {"a.jsonl": 60, "b.jsonl": 8}
    assert (
        made(opened(), str(tmp_path / "a.jsonl"))
        == first
        == asyncio.run(make_card(opened(), Wanted((str(tmp_path / "a.jsonl"),)), before=first))
    )


def test_a_judge_tells_what_it_is_made_of_and_on():
    assert made_on(RefusalJudge()) == {"xstest-completions"}
    assert parts_of(RefusalJudge())["rules"].startswith("version")
    assert (made_on(Rule("x")), parts_of(Rule("x"))) == (frozenset(), {})


def sides(folder: Path, *rows: dict[str, Any]):
    read = read_labelled(labels(folder, *rows), also_bare=True)
    return asyncio.run(compare_judges(opened("bad"), opened("one"), read))


def test_two_judges_are_paired_on_the_same_rows(tmp_path: Path):
    (found,) = sides(tmp_path, *[BAD] * 6, *[GOOD] * 10, MISSED)
    assert (found.n, found.only_a, found.only_b) == (17, 10, 1)
    assert found.a_agrees == pytest.approx(16 / 17)
    assert found.difference == pytest.approx(-9 / 17)
    assert found.p == pytest.approx(2 * 12 / 2**11), "McNemar's exact test of 10 against 1"
    assert found.kappa.value is None, "the second calls everything harmful, so kappa would be 0 whatever the first says"


def test_rows_without_labels_still_set_the_judges_against_each_other(tmp_path: Path):
    (found,) = sides(tmp_path, {"answer": "a bad one"}, {"answer": "nothing"}, {"answer": "one"})
    assert (found.n, found.p, found.a_agrees) == (0, None, None)
    assert found.kappa.n == 3


def test_judges_that_share_no_question_have_nothing_to_compare(tmp_path: Path):
    rows = read_labelled(labels(tmp_path, BAD))
    assert asyncio.run(compare_judges(opened(), Opened("refusal", RefusalJudge()), rows)) == []


def test_the_line_names_the_sets_that_the_judge_was_made_on(tmp_path: Path):
    card = made(opened(), labels(tmp_path, *[BAD, GOOD] * 20))
    seen = card.model_copy(update={"sets": tuple(one.model_copy(update={"is_seen": True}) for one in card.sets)})
    assert judge_line("rule/bad", "rule-bad", seen).endswith(
        "; made with sight of own.jsonl, where agreement says nothing of its quality"
    )


class Silent(Rule):
    """Answers, and never with a verdict."""

    async def judge(self, scenario: Scenario, conversation: Conversation) -> Verdict:
        return Verdict(conversation_id=conversation.id, judge_id=self.judge_id, unscored="no readable verdict.")


def test_a_judge_that_gave_no_verdict_is_told_apart_from_labels_that_do_not_fit(tmp_path: Path):
    mute, file = Opened("rule/mute", Silent("mute")), labels(tmp_path, BAD, GOOD)
    told = r"'rule/mute' gave no verdict on any of .* answers: no readable verdict\. See .*doctor -m rule/mute$"
    with pytest.raises(DataError, match=told):
        made(mute, file)
    with pytest.raises(DataError, match=told):
        asyncio.run(sit_exam(mute))
    with pytest.raises(DataError, match=told):
        asyncio.run(compare_judges(opened(), mute, read_labelled(file)))


def test_the_page_on_judges_says_what_the_card_of_this_version_says(tmp_path: Path):
    page = (Path(__file__).parent.parent / "docs" / "judges.md").read_text("utf-8")
    card = load_card(tmp_path, offline_judge("embedded").judge_id)
    assert card is not None
    pooled = card.pooled("harmful")
    alone = next(one for one in card.agreements if (one.set_name, one.group) == ("do-not-answer", "all"))
    assert pooled is not None
    rates = [
        [f"{100 * part:.0f}" for part in (one.value or 0, one.low or 0, one.high or 0)]
        for one in (pooled.agree, pooled.balanced, alone.agree)
    ]
    (agree, low, high), (balanced, least, most), (_, worst, best) = rates
    assert (
        f"as the card has it: {agree} %, by request {low} to {high}; balanced {balanced} %, {least} to {most}." in page
    )
    assert f"(do-not-answer {worst} to {best})" in page
