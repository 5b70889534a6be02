import json
import re
from pathlib import Path

import pytest

from breakfix.cli.results import show_comparisons
from breakfix.compare import compare
from breakfix.comparing import Wanted, side_by_side, write_comparison
from breakfix.errors import DataError
from breakfix.estimates import Score
from breakfix.measured import Measurement
from breakfix.scorecard import score_of
from breakfix.settings import CycleSettings, dump_settings
from breakfix.store.store import Store
from breakfix.types import Scenario
from commands import inside, refusal
from lineup_sample import SETTINGS, card, scenario, scores, talk, verdict

WANTED = Wanted(SETTINGS)


def measurement(target: str, run: str = "r", stage: str = "base", found: list[Score] | None = None) -> Measurement:
    found = scores(0.4, (0.5, 0.5)) if found is None else found
    return Measurement(card(run, found, target=target, stage=stage), tuple(found))


@pytest.mark.parametrize(
    ("measured", "names"),
    [
        ([("hf/org/mini", "a", "base"), ("openai/big", "b", "base")], ["mini", "big"]),
        ([("http://host/v1#mini", "a", "base"), ("hf/mini", "b", "base")], ["mini (a)", "mini (b)"]),
        ([("hf/mini", "a", "base"), ("hf/mini", "a", "round-1")], ["mini (base)", "mini (round-1)"]),
        ([("hf/lab/mini", "a", "base"), ("hf//x/round-1/dpo/weights", "a", "round-1")], ["mini", "a:round-1"]),
        ([("replay/data/all.csv", "gpt", "base"), ("replay/data/all.csv#Claude", "b", "base")], ["gpt", "Claude"]),
    ],
)
def test_columns_are_named_by_target_and_told_apart(measured: list[tuple[str, str, str]], names: list[str]):
    lineup = side_by_side([measurement(*each) for each in measured], WANTED)
    assert [one.name for one in lineup.entrants] == names


def test_published_numbers_come_only_when_asked_for_and_only_where_they_match():
    two = [measurement("hf/a"), measurement("hf/b")]
    assert side_by_side(two, WANTED).published == ()
    assert len(side_by_side(two, WANTED._replace(published=True)).published) == 2
    refusals = [[one for one in each.scores if one.measure == "refusal"] for each in two]
    only = [measurement("hf/a", found=refusals[0]), measurement("hf/b", found=refusals[1])]
    assert [one.id for one in side_by_side(only, WANTED._replace(published=True)).published] == ["phi4-mini-refusal"]


def test_runs_without_a_measure_of_the_table_are_refused():
    empty = [measurement("hf/a", found=[]), measurement("hf/b", found=[])]
    with pytest.raises(DataError, match="None of these runs has scored a measure"):
        side_by_side(empty, WANTED)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    lineup = side_by_side([measurement("hf/a"), measurement("hf/b")], WANTED)
    with pytest.raises(DataError, match=r"Cannot write to .*file.*--out"):
        write_comparison(lineup, tmp_path / "file")


# ── the command ──

HARM = {"good": 0, "middling": 1, "bad": 2}
"""Of three conversations so many do harm."""


def asked() -> list[Scenario]:
    return [scenario("jailbreak", place) for place in range(60)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with Store.open(tmp_path / ".breakfix") as store:
        for run, harm in HARM.items():
            settings = dump_settings(CycleSettings(target=f"hf/{run}", judge="scripted/j.yaml"))
            store.save_run(run, status="done", settings=settings, target=f"hf/{run}", judge_id="j")
            store.add_scenarios(run, asked())
            said = [talk(each, run=run) for each in asked()]
            store.add_conversations(run, said)
            bad = [place % 3 < harm for place in range(60)]
            verdicts = [
                verdict(one, severity=4 if is_bad else 0, first_harmful_turn=1 if is_bad else None)
                for one, is_bad in zip(said, bad, strict=True)
            ]
            store.add_verdicts(run, verdicts)
    return tmp_path


def test_three_runs_make_a_table_and_five_files(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "compare", "good", "middling", "bad", "--out", "side")
    assert said.returncode == 0, said.stderr
    assert "0.000 ★ᵃ" in said.stdout and re.search(
        r"Judge and date: ᵃ scripted/j.yaml j, \d{4}-\d\d-\d\d\.", said.stdout
    )
    assert "Comparison: side/comparison.html (and .md, .tex, .csv, .json)" in said.stdout
    assert sorted(path.name for path in (folder / "side").iterdir()) == [
        f"comparison.{form}" for form in ("csv", "html", "json", "md", "tex")
    ]
    assert not (folder / "runs").exists(), "the store alone is read"


def test_the_table_as_json_has_rows_duels_and_paths(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "compare", "good", "middling", "bad", "--json", "--published")
    tree = json.loads(said.stdout)
    (row,) = tree["rows"]
    assert tree["schema"] == "breakfix/1" and tree["paths"]["html"] == "runs/comparison.html"
    assert [one["is_best"] for one in row["standings"]] == [True, False, False]
    assert [one["estimate"]["value"] for one in row["standings"]] == [0, pytest.approx(1 / 3), pytest.approx(2 / 3)]
    assert len(row["duels"]) == 3 and tree["published"][0]["id"] == "phi3-table-1"


def test_two_runs_are_before_and_after_with_the_gate(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "compare", "bad", "good:base", "--json")
    tree = json.loads(said.stdout)
    assert said.returncode == 1 and {"schema", "before", "after", "comparisons", "gate"} <= set(tree)
    assert tree["comparisons"][0]["verdict"] == "fixed"


def test_two_runs_are_set_side_by_side_where_that_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "compare", "bad", "good", "--table")
    assert said.returncode == 0 and "Every measure, model by model" in said.stdout


def test_the_level_of_the_command_holds_for_every_column(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "compare", "good", "bad", "--table", "--json", "--set", "measure.level=0.8")
    (row,) = json.loads(said.stdout)["rows"]
    assert {one["estimate"]["level"] for one in row["standings"]} == {0.8}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["good", "bad", "good:base"], "the same measurement twice (good:base)"),
        (["good", "bda"], "No run 'bda'"),
        (["good:round-9", "bad"], "has not measured 'round-9'; it has measured base"),
    ],
)
def test_names_that_cannot_be_compared_are_refused_in_one_line(
    folder: Path, names: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    assert words in refusal(inside(capsys, "compare", *names))


def test_one_run_alone_is_broken_down_and_compared_with_nothing(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "compare", "middling", "--out", "alone")
    assert said.returncode == 0, said.stderr
    assert all(f"By {by}" in said.stdout for by in ("persona", "language", "severity x or more"))
    assert "Harm, all measures" in said.stdout and said.stdout.count("Jailbreak") == 1
    assert "One model alone: nothing is compared." in said.stdout and "★" not in said.stdout
    assert "One model measured" in (folder / "alone" / "comparison.html").read_text()


def test_before_and_after_name_the_judge_and_how_many_are_paired(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "compare", "bad", "good").stdout
    assert "Paired: 60 of 60 before and 60 after." in said and "judge: scripted/j.yaml" in said
    assert "< 0.0001" in said and "0.0000" not in said


def test_what_was_held_and_not_scored_is_counted_beside_the_pairs(folder: Path, capsys: pytest.CaptureFixture[str]):
    with Store.open(folder / ".breakfix") as store:
        unscored = [scenario("jailbreak", place) for place in range(60, 80)]
        store.add_scenarios("bad", unscored)
        store.add_conversations("bad", [talk(each, run="bad") for each in unscored])
    said = inside(capsys, "compare", "bad", "good").stdout
    assert "Paired: 60 of 80 before (20 unscored) and 60 after." in said


def test_a_comparison_that_takes_anothers_place_says_so(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert "Replaced" not in inside(capsys, "compare", "good", "bad", "--table").stderr
    assert "Replaced the comparison that runs held" in inside(capsys, "compare", "good", "middling", "--table").stderr
    assert "Replaced" not in inside(capsys, "compare", "good", "bad", "--table", "--out", "other").stderr


def test_a_clear_interval_without_a_verdict_is_explained(capsys: pytest.CaptureFixture[str]):
    def harmful(places: range, value: float) -> list[Score]:
        asked = [scenario("jailbreak", place) for place in places]
        found = [(each, talk(each)) for each in asked]
        return [score_of(each, said, verdict(said, severity=int(4 * value))) for each, said in found]

    every = range(64)
    fallen = {place for place in every if place % 8 == 0}
    before = [one._replace(value=float(place in fallen)) for place, one in enumerate(harmful(every, 0))]
    changes = compare(before, harmful(every, 0), SETTINGS)
    show_comparisons(changes, "x")
    said = capsys.readouterr().out
    (area,) = [one for one in changes if one.measure == "harm" and one.before == 1]
    assert area.verdict == "cannot_tell" and (area.high or 0) < 0 and area.p == pytest.approx(2 * 0.5**8)
    name = area.harm.removeprefix("area/").replace("_", " ")
    assert (
        f"harm {name} {area.metric} 0.0078 alone, 0.0625 adjusted" in said
        and "Cannot tell though the interval leaves out 0" in said
    )
    show_comparisons([one for one in changes if one.harm == "all"], "x")
    assert "Cannot tell though" not in capsys.readouterr().out
