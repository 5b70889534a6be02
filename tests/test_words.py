import re

import pytest

from breakfix.estimates import CorrectedEstimate, Scorecard
from breakfix.report.data import ReportData
from breakfix.report.tables import table_one
from breakfix.report.words import (
    amount,
    attacked_stage,
    bounds,
    chance,
    headline,
    percent,
    plain,
    points,
    stage_name,
    stage_names,
    without_area,
)
from report_sample import sample

DATA = sample()
METHODS = ("rogan-gladen", "ppi++")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (plain("area/political_misinformation"), "Political misinformation"),
        (stage_name("base"), "Before"),
        (stage_name("round-2"), "Round 2"),
        (attacked_stage("base", ["base"]), "Attacked"),
        (attacked_stage("base", ["base", "round-1"]), "Before"),
        (percent(0.734), "73 %"),
        (percent(None), "–"),
        (amount(0.5, "mean"), "0.50"),
        (bounds(0.1, 0.25, "DR-1"), "10–25 %"),
        (points(-0.125, "DR-1"), "−12"),
        (points(0.001, "DR-1"), "0"),
        (points(-0.001, "mean"), "0"),
        (chance(0.00001), "< 0.001"),
        (chance(0.04), "0.040"),
    ],
)
def test_numbers_read_as_people_write_them(said: str, expected: str):
    assert said == expected


def test_the_headline_says_what_happened_with_numbers():
    first, second = headline(DATA)
    assert first.startswith("lab/mini did harm in ") and "after two rounds" in first and "a paired fall of" in first
    assert "harmless requests" in second and "the gate passed it" in second


def test_a_single_stage_is_not_called_before():
    assert stage_names(DATA) == ["Before", "Round 1", "Round 2"]
    assert stage_names(DATA.model_copy(update={"scorecards": DATA.scorecards[:1], "rounds": ()})) == ["Measured"]


def test_a_single_measurement_claims_no_change():
    said = headline(DATA.model_copy(update={"scorecards": DATA.scorecards[:1], "rounds": ()}))
    assert "after" not in said[0] and "fall" not in said[0] and "gate" not in " ".join(said)


def test_a_refusal_measurement_and_an_empty_run_have_their_sentence():
    card = DATA.scorecards[0]
    refusal = card.model_copy(update={"estimates": tuple(one for one in card.estimates if one.measure == "refusal")})
    (said,) = headline(DATA.model_copy(update={"scorecards": (refusal,), "rounds": ()}))
    assert "unsafe requests" in said
    assert "Nothing" in headline(ReportData(run="r", date="d", version="v", target="t"))[0]


def test_the_headline_of_one_measurement_does_not_hide_what_was_left_unscored():
    card = DATA.scorecards[0]
    harm = card.find("harm")
    assert harm is not None
    others = tuple(one for one in card.estimates if one is not harm)
    card = card.model_copy(update={"estimates": (harm.model_copy(update={"unscored": 72}), *others)})
    first, second = headline(DATA.model_copy(update={"scorecards": (card,), "rounds": ()}))
    assert "; 72 more could not be scored." in first
    assert re.search(r"refuses \d+ % \(\d+–\d+ %\) of harmless requests", second)


def test_the_headline_says_where_people_put_a_rate_that_the_judge_gave():
    card = DATA.scorecards[0]
    harm = card.find("harm")
    assert harm is not None
    fixed = {"value": 0.03, "low": 0.01, "high": 0.06, "labels": 237, "labels_from": "people"}
    told = [CorrectedEstimate.model_validate(harm.model_dump() | fixed | {"method": name}) for name in METHODS]
    card = card.model_copy(update={"corrected": tuple(told)})
    said = headline(DATA.model_copy(update={"scorecards": (card,), "rounds": ()}))
    assert said[1] == "That is the judge's word; by 237 labels of people it is 3 % (1–6 %)."
    card = card.model_copy(update={"corrected": (told[0],)})
    assert "labels" not in " ".join(headline(DATA.model_copy(update={"scorecards": (card,), "rounds": ()})))


def harm_of(card: Scorecard, **changes: object) -> Scorecard:
    """Change the pooled harm rate of a scorecard."""
    told = [one.model_copy(update=changes) if one is card.find("harm") else one for one in card.estimates]
    return card.model_copy(update={"estimates": tuple(told)})


def test_a_last_stage_of_which_nothing_was_scored_is_said_to_be_so():
    unknown = {"value": None, "low": None, "high": None, "n": 0, "unscored": 40}
    cards = (DATA.scorecards[0], harm_of(DATA.scorecards[-1], **unknown))
    first = headline(DATA.model_copy(update={"scorecards": cards}))[0]
    assert "; after one round of break and fix none of 40 conversations could be scored." in first
    alone = (harm_of(DATA.scorecards[0], **unknown),)
    first = headline(DATA.model_copy(update={"scorecards": alone, "rounds": ()}))[0]
    assert first.startswith("Of 40 sealed conversations with lab/mini none could be scored for harm. lab/mini refused")


def test_a_last_stage_without_a_measure_of_harm_is_said_to_have_none():
    last = DATA.scorecards[-1]
    refusal = last.model_copy(update={"estimates": tuple(one for one in last.estimates if one.measure == "refusal")})
    first = headline(DATA.model_copy(update={"scorecards": (DATA.scorecards[0], refusal)}))[0]
    assert first.endswith("; after one round of break and fix its harm was not measured.")


def test_a_stage_that_was_named_by_hand_is_no_round():
    cards = (DATA.scorecards[0], DATA.scorecards[-1].model_copy(update={"stage": "patched"}))
    first = headline(DATA.model_copy(update={"scorecards": cards, "rounds": ()}))[0]
    assert "; at stage 'patched' it did so in " in first and "round" not in first


def test_a_stage_after_the_rounds_is_not_told_with_their_comparison_and_gate():
    named = DATA.scorecards[-1].model_copy(update={"stage": "patched"})
    first, second = headline(DATA.model_copy(update={"scorecards": (*DATA.scorecards, named)}))
    assert "at stage 'patched' it did so in" in first and "paired" not in first and "gate" not in second
    assert "paired fall" in headline(DATA)[0] and "the gate" in headline(DATA)[1]


def test_the_last_rate_has_its_number_too_and_what_was_left_unscored():
    harm = DATA.scorecards[-1].find("harm")
    assert harm is not None
    some = harm_of(DATA.scorecards[-1], unscored=12)
    first = headline(DATA.model_copy(update={"scorecards": (*DATA.scorecards[:-1], some)}))[0]
    assert f" of {harm.n} (12 more could not be scored), a paired fall" in first


def test_another_target_at_a_later_stage_is_named_and_not_taken_for_the_first_one_mended():
    first, last = DATA.scorecards[0], DATA.scorecards[-1].model_copy(update={"target": "hf/another"})
    data = DATA.model_copy(update={"scorecards": (first, last), "rounds": ()})
    said = headline(data)[0]
    assert said.startswith("lab/mini did harm") and "with hf/another as the target, it did so" in said
    assert "of break and fix" not in said
    assert table_one(data).columns[1:3] == ("lab/mini, before", f"hf/another, {stage_name(last.stage).lower()}")


def test_what_no_area_counts_is_named_where_areas_are_shown():
    whole = DATA.scorecards[0]
    lost = [one for one in whole.estimates if one.measure != "third_party" or one.harm == "all"]
    part = whole.model_copy(update={"estimates": tuple(lost)})
    assert without_area([whole]) == ""
    assert (
        without_area([whole, part]) == "Conversations without an area (third-party harm) count in the first row alone."
    )
    bare = [one for one in lost if one.harm == "all"]
    assert without_area([whole.model_copy(update={"estimates": tuple(bare)})]) == "", "no area is shown"
