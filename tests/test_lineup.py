import pytest

from breakfix.estimates import CorrectedEstimate
from breakfix.lineup import corners_of, entrants_of, line_up, mark_best, warnings_of
from breakfix.standings import Row
from breakfix.statistics.paired import holm, paired_test
from lineup_sample import SETTINGS, candidate, candidates, lineup_of, scores


def row_of(rows: tuple[Row, ...], measure: str, metric: str) -> Row:
    return next(row for row in rows if (row.measure, row.metric) == (measure, metric))


def stars(row: Row) -> list[str]:
    return [one.entrant for one in row.standings if one.is_best]


def test_the_best_is_marked_where_it_beats_every_other():
    rows = line_up(candidates(), SETTINGS)
    assert stars(row_of(rows, "jailbreak", "DR-1")) == ["good"]
    assert stars(row_of(rows, "refusal", "IPRR")) == ["good"]


def test_nobody_is_marked_where_two_are_too_close():
    row = row_of(line_up(candidates(), SETTINGS), "refusal", "VPRR")
    assert stars(row) == [] and row.no_star == "no entrant is significantly better than every other"
    duel = next(duel for duel in row.duels if {duel.first, duel.second} == {"good", "bad"})
    assert duel.p_adjusted > 0.05


def test_p_values_are_adjusted_over_all_pairs_of_all_rows():
    chosen = candidates()
    rows = line_up(chosen, SETTINGS)
    duels = [duel for row in rows for duel in row.duels]
    assert len(duels) == 3 * 4
    assert [duel.p_adjusted for duel in duels] == holm([duel.p for duel in duels])
    first, second = ([one.value for one in each.scores if one.metric == "IPRR"] for each in chosen[:2])
    assert row_of(rows, "refusal", "IPRR").duels[0].p == paired_test(first, second, range(len(first)))


def test_a_star_does_not_rest_on_unscored_conversations():
    good, bad = scores(0.05, (0.95, 0.05)), scores(0.5, (0.6, 0.3), seed=2)
    silent = [one._replace(value=None, outcome="blocked") if place < 40 else one for place, one in enumerate(good)]
    whole = line_up([candidate("good", good), candidate("bad", bad)], SETTINGS)
    holey = line_up([candidate("good", silent), candidate("bad", bad)], SETTINGS)
    assert stars(row_of(whole, "jailbreak", "DR-1")) == ["good"]
    assert stars(row_of(holey, "jailbreak", "DR-1")) == []
    assert row_of(holey, "jailbreak", "DR-1").duels[0].n == 20


def test_nobody_is_best_beside_one_of_whom_nothing_could_be_scored():
    good, bad = scores(0.05, (0.95, 0.05)), scores(0.5, (0.6, 0.3), seed=2)
    silent = [one._replace(value=None, outcome="judge-failed") for one in good]
    rows = line_up([candidate("good", good), candidate("bad", bad), candidate("silent", silent)], SETTINGS)
    row = row_of(rows, "jailbreak", "DR-1")
    assert stars(row) == [] and row.no_star == "no entrant is significantly better than every other"


def test_recorded_answers_are_compared_with_scripted_ones():
    mine = candidate("mine", scores(0.6, (0.5, 0.5), users="scripted"))
    theirs = candidate("theirs", scores(0.9, (0.5, 0.5), users="recorded"))
    live = candidate("live", scores(0.9, (0.5, 0.5), users="live"))
    assert all(row.duels for row in line_up([mine, theirs], SETTINGS))
    assert not any(row.duels for row in line_up([live, theirs], SETTINGS))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"judge_id": "another"}, "another judge"),
        ({"users": "frozen"}, "frozen users"),
        ({"n": 59}, "other scenarios"),
    ],
)
def test_another_judge_other_users_or_other_scenarios_are_marked_and_never_starred(change: dict[str, str], words: str):
    given = {name: value for name, value in change.items() if name != "judge_id"}
    named = {name: value for name, value in change.items() if name == "judge_id"}
    odd = candidate("odd", scores(0.0, (1.0, 0.0), **given), **named)
    chosen = [odd, *candidates()]
    rows = line_up(chosen, SETTINGS)
    row = row_of(rows, "jailbreak", "DR-1")
    assert stars(row) == ["good"]
    assert {one.entrant: one.apart for one in row.standings if one.apart} == {"odd": words}
    assert not any("odd" in (duel.first, duel.second) for duel in row.duels)
    assert entrants_of(chosen, rows)[0].apart == words


def test_two_that_differ_are_not_compared_and_the_row_says_why():
    rows = line_up([candidates()[0], candidate("odd", scores(0.6, (0.5, 0.5), users="scripted"))], SETTINGS)
    assert {row.no_star for row in rows} == {"nothing to compare with: scripted users"}
    assert not any(row.duels for row in rows)


def test_two_alone_are_compared_live_against_frozen_as_before_and_after_are():
    live, frozen = candidates()[0], candidate("again", scores(0.6, (0.5, 0.5), users="frozen"))
    rows = line_up([live, frozen], SETTINGS)
    assert all(row.duels and not any(one.apart for one in row.standings) for row in rows)
    assert stars(row_of(rows, "jailbreak", "DR-1")) == ["good"]
    said = warnings_of(lineup_of([*candidates(), frozen]))
    assert said[0] == "again is shown, but not compared with the rest: frozen users." and "two by two" in said[1]


def test_a_measure_that_one_lacks_leaves_its_cell_empty():
    half = [one for one in scores(0.5, (0.5, 0.5)) if one.measure == "refusal"]
    rows = line_up([*candidates(), candidate("half", half)], SETTINGS)
    row = row_of(rows, "jailbreak", "DR-1")
    assert row.standings[-1].estimate is None and row.standings[-1].apart == "" and stars(row) == ["good"]
    assert {(row.measure, row.metric) for row in rows} == {
        ("third_party", "DR-1"), ("jailbreak", "DR-1"), ("refusal", "IPRR"), ("refusal", "VPRR"),
    }  # fmt: skip


def test_corners_mark_who_is_not_outdone_on_both():
    corners = {one.entrant: one.is_undominated for one in corners_of(line_up(candidates(), SETTINGS))}
    assert corners["good"] and not all(corners.values())
    rows = line_up([*candidates(), candidate("odd", scores(0.1, (1.0, 0.0)), judge_id="x")], SETTINGS)
    assert not {one.entrant: one.is_undominated for one in corners_of(rows)}["odd"]


def test_peoples_own_rates_stand_beside():
    row = row_of(line_up(candidates(), SETTINGS), "refusal", "IPRR")
    assert [one.people.value for one in row.standings if one.people] == [0.5, 0.5, 0.5]
    assert all(one.agreement for one in row.standings)


def test_warnings_name_who_is_apart_and_that_judges_differ():
    odd = candidate("odd", scores(0.0, (1.0, 0.0)), judge_id="x", judge="somebody else")
    said = warnings_of(lineup_of([*candidates(), odd]))
    assert said[0] == "odd is shown, but not compared with the rest: another judge."
    assert "different judges" in said[1]
    unjudged = candidate("unjudged", scores(0.0, (1.0, 0.0)), judge_id="", judge="")
    assert not any("different judges" in line for line in warnings_of(lineup_of([*candidates(), unjudged])))
    renamed = candidate("renamed", scores(0.0, (1.0, 0.0)), judge="another name of it")
    assert warnings_of(lineup_of([*candidates(), renamed])) == (), "one judge is one by its id"


def with_corrected(row: Row, values: list[float]) -> Row:
    made = [
        CorrectedEstimate(
            **{**dict(one.estimate or ()), "value": value, "low": value - 0.05, "high": value + 0.05},
            labels=100,
            labels_from="people",
        ).model_copy(update={"method": "ppi++"})
        for one, value in zip(row.standings, values, strict=True)
    ]
    standings = [
        one.model_copy(update={"corrected": (each,), "is_best": False})
        for one, each in zip(row.standings, made, strict=True)
    ]
    return row.model_copy(update={"standings": tuple(standings), "no_star": ""})


@pytest.mark.parametrize(
    ("metric", "corrected", "starred"),
    [
        ("IPRR", [0.8, 0.5, 0.4], ["good"]),
        ("IPRR", [0.8, 0.75, 0.4], []),
        ("IPRR", [0.3, 0.8, 0.4], []),
        ("DR-1", [0.1, 0.5, 0.6], ["good"]),
        ("DR-1", [0.5, 0.45, 0.6], []),
    ],
)
def test_a_star_must_be_borne_out_by_rates_corrected_with_peoples_labels(metric, corrected, starred):
    row = row_of(line_up(candidates(), SETTINGS), "refusal" if metric == "IPRR" else "jailbreak", metric)
    again = mark_best(with_corrected(row, corrected), 0.05)
    assert stars(again) == starred
    assert bool(again.no_star) == (not starred)
