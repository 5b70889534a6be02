from breakfix.estimates import Cause, CorrectedEstimate
from breakfix.report.data import ReportData
from breakfix.report.tables import tables
from breakfix.types import Usage
from report_sample import sample

DATA = sample()
MADE = tables(DATA)


def test_every_table_is_rectangular():
    assert len(MADE) == 15
    for table in MADE.values():
        assert {len(row) for row in table.rows} == {len(table.columns)}, table.name


def test_table_one_has_every_target_with_n_and_interval():
    table = MADE["table-one"]
    assert table.columns[1:] == ("lab/mini, before", "lab/mini, round 1", "lab/mini, round 2", "lab/small")
    assert [row[0].text for row in table.rows[:5]] == [
        "Ungroundedness", "Third-party harm", "Harmful content continuation", "Harmful content summarization",
        "Jailbreak",
    ]  # fmt: skip
    assert all("n = " in entry.detail for row in table.rows for entry in row[1:])


def test_verdicts_carry_their_tone():
    cyber = next(row for row in MADE["earlier-comparisons"].rows if row[0].text == "Cyber")
    assert (cyber[-1].text, cyber[-1].tone) == ("not fixed", "bad")
    assert {row[2].text for row in MADE["gates"].rows} <= {"passed", "failed", "cannot tell"}


def test_an_interval_without_0_beside_cannot_tell_is_explained():
    def note(verdict: str, low: float, high: float) -> str:
        odd = (
            DATA.rounds[-1]
            .comparisons[0]
            .model_copy(update={"harm": "all", "verdict": verdict, "low": low, "high": high})
        )
        last = DATA.rounds[-1].model_copy(update={"comparisons": (odd,)})
        return tables(DATA.model_copy(update={"rounds": (last,)}))["comparisons"].note

    assert "Holm's adjustment" in note("cannot_tell", -0.4, -0.1)
    assert "Holm" not in note("cannot_tell", -0.4, 0.1) + note("fixed", -0.4, -0.1)


def test_unscored_conversations_are_shown():
    blocked = MADE["outcomes"].columns.index("Blocked")
    assert sum(int(row[blocked].text) for row in MADE["outcomes"].rows) > 0
    assert any("unscored" in entry.detail for row in MADE["glance"].rows for entry in row)


def test_attacks_that_were_not_scored_are_shown_beside_the_rate_and_alone():
    some = [row.model_copy(update={"unscored": 7}) for row in DATA.attacks if row.by == "technique"]
    none = some[0].model_copy(update={"name": "all-lost", "tried": 0, "succeeded": 0})
    made = tables(DATA.model_copy(update={"attacks": (*some, none)}))["techniques"]
    assert all(entry.detail.endswith(", 7 unscored") for row in made.rows for entry in row[1:] if entry.detail)
    assert made.rows[-1][1][:2] == ("–", "n = 0, 7 unscored") and "neither successes nor safe" in made.note
    assert "unscored" not in MADE["techniques"].note


def test_pooled_harm_of_one_measure_is_no_row_of_its_own():
    only = [one for one in DATA.rounds[-1].comparisons if one.measure in ("harm", "jailbreak")]
    rounds = (*DATA.rounds[:-1], DATA.rounds[-1].model_copy(update={"comparisons": tuple(only)}))
    names = [row[0].text for row in tables(DATA.model_copy(update={"rounds": rounds}))["comparisons"].rows]
    assert "Jailbreak" in names and "Harm, all measures" not in names and "Cyber" in names
    assert "Harm, all measures" in [row[0].text for row in MADE["comparisons"].rows]


def test_why_conversations_were_left_unscored_stands_below_how_they_ended():
    why = Cause(measure="jailbreak", outcome="judge-failed", cause="cut off", n=3, conversation_id="0123456789ab")
    cards = (*DATA.scorecards[:-1], DATA.scorecards[-1].model_copy(update={"causes": (why,)}))
    made = tables(DATA.model_copy(update={"scorecards": cards}))
    (row,) = made["causes"].rows
    assert [entry.text for entry in row] == ["Round 2", "Jailbreak", "Judge failed", "cut off", "3"]
    assert row[-1].detail == "01234567" and list(made).index("causes") == list(made).index("outcomes") + 1


def test_what_was_not_measured_is_a_dash_and_not_a_zero():
    card = DATA.scorecards[0]
    bare = card.model_copy(update={"estimates": tuple(one for one in card.estimates if one.metric != "VPRR")})
    made = tables(DATA.model_copy(update={"scorecards": (bare, *DATA.scorecards[1:])}))["glance"]
    assert made.rows[0][made.columns.index("Safe refused")].text == "–"
    alone = tables(DATA.model_copy(update={"scorecards": (bare,), "rounds": ()}))["glance"]
    assert "Safe refused" not in alone.columns and "Gate" not in alone.columns


def test_corrected_rates_stand_beside_the_raw_ones_with_their_labels_and_caveats():
    assert "corrected" not in MADE
    card = DATA.scorecards[0]
    raw = card.find("refusal", metric="VPRR")
    assert raw is not None
    fixed = {"value": 0.25, "low": 0.1, "high": 0.4, "method": "ppi++"}
    more = {"labels": 60, "labels_from": "people's labels of 60", "caveat": "not drawn"}
    told = CorrectedEstimate.model_validate(raw.model_dump() | fixed | more)
    known = card.model_copy(update={"corrected": (told,), "judge_line": "judge: x 1a2b3c, no card"})
    made = tables(DATA.model_copy(update={"scorecards": (known, *DATA.scorecards[1:])}))
    (row,) = made["corrected"].rows
    cells = dict(zip(made["corrected"].columns, row, strict=True))
    assert cells["Raw"].text != cells["Corrected"].text == "25 %"
    assert (cells["By"].text, cells["By"].detail, cells["Caveat"].text) == ("PPI++", told.labels_from, "caveat 1")
    assert "Caveat 1: not drawn." in made["corrected"].note
    for name in ("glance", "areas", "table-one", "corrected"):
        assert "Judge: x 1a2b3c, no card." in made[name].note


def test_a_run_without_anything_has_no_tables():
    assert tables(ReportData(run="r", date="d", version="v", target="t")) == {}


def test_a_judge_has_one_line_though_other_runs_were_measured_before_its_card():
    card = DATA.scorecards[0].model_copy(update={"judge_line": "judge: x, agrees with people"})
    older = card.model_copy(update={"judge_line": "judge: x, no card", "run": "older"})
    other = card.model_copy(update={"judge_line": "judge: y, no card", "judge_id": "y"})
    made = tables(DATA.model_copy(update={"scorecards": (card,), "rounds": (), "others": (older, other)}))
    note = made["table-one"].note
    assert note.endswith("Judge: x, agrees with people. Judge: y, no card.") and "x, no card" not in note


def test_corrected_rates_of_areas_have_a_table_of_their_own():
    card = DATA.scorecards[0]
    told = [
        CorrectedEstimate.model_validate(raw.model_dump() | {"method": "ppi++", "labels": 60, "labels_from": "people"})
        for raw in card.estimates
        if raw.measure == "harm" and raw.harm in ("all", "area/cyber")
    ]
    known = card.model_copy(update={"corrected": tuple(told)})
    made = tables(DATA.model_copy(update={"scorecards": (known,), "rounds": (), "others": ()}))
    assert len(made["corrected"].rows) == 1
    ((_, name, *_),) = made["corrected-areas"].rows
    assert name.text.endswith(", cyber")


def test_calls_that_were_repeated_withheld_or_cut_are_shown():
    shown = {row[0].text: row[1].text for row in MADE["usage"].rows}
    assert (shown["Tried again after a failure"], shown["Withheld by a content filter"]) == ("12", "3")
    assert shown["Target's answers cut off"] == "41"


def test_calls_made_and_answers_of_the_journal_are_told_apart_and_a_small_cost_is_not_nothing():
    took = Usage(calls=412, journalled=1748, cost_usd=0.00123)
    shown = {row[0].text: row[1].text for row in tables(DATA.model_copy(update={"usage": took}))["usage"].rows}
    assert (shown["Model calls made"], shown["Answered by the journal instead"]) == ("412", "1 748")
    assert shown["Cost"] == "$0.0012"


def test_a_harm_named_like_its_area_stands_there_once():
    first = DATA.findings[0]
    alike = DATA.model_copy(update={"findings": (first.model_copy(update={"harm": "violence", "area": "violence"}),)})
    (row,) = tables(alike)["findings"].rows
    assert row[2].text == "Violence" and not row[2].detail


def test_harm_whose_judge_gives_no_severity_has_none():
    first = DATA.findings[0]
    made = tables(DATA.model_copy(update={"findings": (first.model_copy(update={"is_rated": False}), first)}))
    place = made["findings"].columns.index("Severity")
    assert [row[place].text for row in made["findings"].rows] == ["–", f"{first.severity:.1f}"]


def test_of_many_findings_those_still_open_are_shown_and_the_settled_ones_cut():
    one = DATA.findings[0]
    settled = [one.model_copy(update={"id": f"settled{n:02}", "state": "verified", "rank": n}) for n in range(80)]
    late = [
        one.model_copy(update={"id": f"{state}-late", "round": 3, "state": state}) for state in ("open", "regressed")
    ]
    made = tables(DATA.model_copy(update={"findings": (*settled, *late)}))["findings"]
    assert [row[-1].text for row in made.rows[:3]] == ["regressed", "open", "verified"]
    assert len(made.rows) == 60 and made.note.startswith("22 more")


def test_a_finding_of_no_harm_is_not_said_to_be_of_a_harm_none():
    one = DATA.findings[0].model_copy(update={"harm": "none", "area": None, "technique": "ungroundedness"})
    made = tables(DATA.model_copy(update={"findings": (one,)}))
    assert made["findings"].rows[0][2].text == "–"
    link = DATA.rounds[0].lineage[0].model_copy(update={"finding_id": one.id})
    taught = DATA.rounds[0].model_copy(update={"lineage": (link,)})
    told = tables(DATA.model_copy(update={"findings": (one,), "rounds": (taught,)}))
    assert told["lineage"].rows[0][1].text == "Ungroundedness"


def test_after_a_round_attack_success_is_said_to_be_on_seen_scenarios():
    assert "seen ones" in MADE["techniques"].note
    first = tuple(one for one in DATA.attacks if one.stage == "base")
    assert "seen ones" not in tables(DATA.model_copy(update={"attacks": first}))["techniques"].note
