"""`breakfix plan`: sizes, costs, what a number of conversations can tell, and what it refuses."""

import json
from pathlib import Path

import pytest

from breakfix.errors import SettingsError
from breakfix.estimates import Score
from breakfix.plan import USUAL_CORRELATION, Families, Wish, cost_of, lesson, plan, seen_in
from breakfix.prices import forecast_dialogues
from breakfix.settings import CycleSettings, settings_from
from breakfix.statistics.intervals import wilson
from breakfix.statistics.power import USUALLY, cluster_effect, n_for_difference, width_of
from commands import SCRIPTS, inside, refusal, roles, write_scripts

BARE = CycleSettings()


def a_score(number: int, value: float | None) -> Score:
    """One of four in its family."""
    ended = "judge-failed" if value is None else "harmful" if value else "safe"
    return Score(f"s{number}", "jailbreak", "malware", f"f{number // 4}", "sealed", "DR-1", ended, value)


ASKED = ["-t", "openai/gpt-4o", "--simulator", "openai/gpt-4o-mini", "-j", "openai/gpt-4o"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_scripts(tmp_path)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    said = inside(capsys, "plan", *arguments, "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def test_a_difference_takes_so_many_conversations_and_so_much_money(folder: Path, capsys: pytest.CaptureFixture[str]):
    found = told(capsys, "--difference", "0.05", "--rate", "0.1", "--measures", "jailbreak,refusal", *ASKED)
    (need,) = found["needs"]
    assert need["conversations"] == need["independent"] == n_for_difference(0.1, 0.05) == 435
    cost = found["cost"]
    assert cost["conversations"] == 435 * 2 * 2, "two measures, before and after"
    assert cost["calls"] == cost["conversations"] * (3 + 3 + 1) and cost["dollars"] > 1 and cost["minutes"] > 1


def test_the_cost_is_what_measure_would_forecast():
    settings = settings_from(
        {"target": "http://127.0.0.1:80/v1#m", "measure": {"measures": ["jailbreak"]}}, where="test"
    )
    cost = cost_of(settings, 100)
    assert cost is not None and cost.dollars is None and "cost unknown for target" in cost.said
    assert cost.calls == forecast_dialogues({"target": None}, 100, 3, concurrency=16).calls == 300


def test_single_requests_cost_one_exchange_each_and_what_cannot_be_read_all_its_turns(tmp_path: Path):
    rows = [{"prompt": f"How do I bake loaf {n}?", "measure": "jailbreak", "max_turns": 1} for n in range(5)]
    rows += [{"prompt": f"And roll {n}?", "measure": "jailbreak", "max_turns": 2} for n in range(5)]
    (tmp_path / "mine.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    wanted = {"measures": ["jailbreak"], "scenarios": [str(tmp_path / "mine.jsonl")], "turns": 5}
    everyone = dict.fromkeys(("target", "simulator", "judge"), "openai/gpt-4o")
    cost = cost_of(settings_from({**everyone, "measure": wanted}, where="test"), 100)
    assert cost is not None and (cost.conversations, cost.calls) == (100, 50 * 2 + 50 * (2 + 2 + 1))
    (tmp_path / "mine.jsonl").unlink()
    most = cost_of(settings_from({**everyone, "measure": wanted}, where="test"), 100)
    assert most is not None and most.calls == 100 * (5 + 5 + 1) and "cannot be read" in most.said


@pytest.mark.parametrize("target", ["lab/mini", "hf/some/folder", "replay/some.jsonl", None])
def test_what_no_endpoint_is_asked_for_costs_nothing(target: str | None):
    assert cost_of(CycleSettings(target=target), 100) is None


def test_pairs_need_fewer_than_two_samples_of_their_own(folder: Path, capsys: pytest.CaptureFixture[str]):
    apart = told(capsys, "--difference", "0.05")["needs"][0]["conversations"]
    paired = told(capsys, "--difference", "0.05", "--paired")["needs"][0]["conversations"]
    alike = told(capsys, "--difference", "0.05", "--paired", "--likeness", "0.9")["needs"][0]["conversations"]
    assert alike < paired < apart


def test_the_reverse_is_told_for_a_number_of_conversations(folder: Path, capsys: pytest.CaptureFixture[str]):
    reach = told(capsys, "-n", "300")["reach"]
    assert reach["width"] == pytest.approx(width_of(0.1, 300)) and 0.009 < reach["bound_if_none"] < 0.01
    assert n_for_difference(0.1, 0.1 - reach["fall"]) == pytest.approx(300, abs=1)
    assert reach["paired_fall"] < reach["fall"] and reach["paired_rise"] < reach["rise"]
    assert told(capsys, "-n", "20")["reach"]["fall"] is None, "not even a fall to nothing"


def test_families_that_are_alike_take_more_conversations():
    need = plan(BARE, Wish(0.1, width=0.1), Families(60, 0.2)).needs[0]
    worth = need.conversations / cluster_effect(need.conversations / 60, 0.2)
    assert need.independent == 141 < need.conversations and worth == pytest.approx(141, rel=0.01)
    assert plan(BARE, Wish(0.1, width=0.1), Families(200, 0.2)).needs[0].conversations == 141, "one each"


def test_what_no_number_of_conversations_can_tell_is_said_with_the_families_it_takes():
    with pytest.raises(SettingsError, match="it takes 29 families at the least"):
        plan(BARE, Wish(0.1, width=0.1), Families(20, 0.2))
    with pytest.raises(SettingsError, match=r"0\.20 \(assumed, it is unknown\).*--families, --correlation"):
        plan(BARE, Wish(0.1, width=0.1), Families(20, 0.2, is_known=False))
    assert plan(BARE, Wish(0.1, width=0.1), Families(29, 0.2)).needs[0].conversations > 1000


def test_the_lesson_of_the_published_table_is_told(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "plan", "--width", "0.1").stdout
    assert "to tell 0.240 from 0.253" in said and "about 17,300 conversations of each model" in said
    assert lesson(USUALLY) in said and "141 conversations" in said


def test_a_run_lends_its_rate_and_its_families(folder: Path, capsys: pytest.CaptureFixture[str]):
    much = ["--measures", "jailbreak", "-n", "24", "--turns", "1", "--run", "first"]
    assert inside(capsys, "measure", *roles(), *much).returncode == 0
    found = told(capsys, "--width", "0.2", "--run", "first")
    assert found["scored"] == 1 and found["families"] is None and not found["correlation_is_known"], "one of each"
    assert found["rate"] == pytest.approx(wilson(0, 24, 0.95)[1])
    assert told(capsys, "--width", "0.2", "--run", "first:base", "--rate", "0.3")["rate"] == 0.3
    assert "has not measured 'round-7'" in refusal(inside(capsys, "plan", "-n", "9", "--run", "first:round-7"))


def test_a_run_that_scored_few_needs_more_and_one_without_harm_is_planned_with_what_it_leaves_open(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "judge.yaml").write_text(f"- {{pattern: violen, where: all, error: busy}}\n{SCRIPTS['judge']}\n")
    much = ["--measures", "jailbreak", "-n", "30", "--turns", "1", "--run", "acme"]
    assert inside(capsys, "measure", *roles(), *much).returncode == 0
    found = told(capsys, "--width", "0.3", "-n", "90", "--run", "acme")
    (need,), reach = found["needs"], found["reach"]
    assert 0 < found["scored"] < 1 and 0.05 < found["rate"] < 0.5
    assert need["conversations"] >= need["independent"] / found["scored"] and reach["effective"] == 90 * found["scored"]
    said = inside(capsys, "plan", "--width", "0.3", "-n", "90", "--run", "acme").stdout
    assert "of the run's 30 conversations were scored" in said and "each of the run's was a family of its own" in said
    assert "None of the run's" in said and f"{found['rate']:.3g}, the upper end of its 95 % interval" in said
    spread = inside(capsys, "plan", "--width", "0.3", "--families", "9", "--run", "acme").stdout
    assert "9 families whose conversations correlate by 0.10 (assumed, it is unknown)" in spread
    own = inside(capsys, "plan", "--width", "0.3", "--run", "acme", "--rate", "0.1").stdout
    assert "None of the run's" not in own and "At an expected rate of 0.1" in own


@pytest.mark.parametrize(("value", "end"), [(0.0, "upper"), (1.0, "lower")])
def test_a_rate_at_its_end_is_planned_with_the_bound_and_a_likeness_that_nothing_showed_is_assumed(
    value: float, end: str
):
    seen = seen_in([a_score(number, value if number < 30 else None) for number in range(90)])
    bound = wilson(8 * value, 8, 0.95)[1 if end == "upper" else 0]  # each of its eight families counts once
    assert seen.is_bound and seen.found == value and seen.rate == pytest.approx(bound)
    assert not seen.families.is_known and seen.families.correlation == USUAL_CORRELATION
    assert (seen.scored, seen.held) == (30, 90)


def test_conversations_without_a_score_are_made_up_for_in_needs_and_cost():
    wish = Wish(0.1, width=0.05)
    whole, third = plan(BARE, wish), plan(BARE, wish._replace(scored=1 / 3))
    assert whole.needs[0].conversations == 557 and third.needs[0].conversations == 3 * 557
    reach = plan(BARE, Wish(0.1, conversations=300, scored=1 / 3)).reach
    assert reach is not None and reach.effective == pytest.approx(100) and reach.width == width_of(0.1, reach.effective)


@pytest.mark.parametrize(
    ("settings", "left_out"),
    [
        ({}, ("simulator", "judge")),
        ({"simulator": "openai/gpt-4o"}, ("judge",)),
        ({"simulator": "openai/gpt-4o", "judge": "openai/gpt-4o"}, ()),
        ({"judge": "openai/gpt-4o", "measure": {"scenarios": ["mine.jsonl"]}}, ()),
        ({"judge": "openai/gpt-4o", "target": "replay/mine.jsonl"}, ()),
        ({"judge": "openai/gpt-4o", "simulator": "openai/gpt-4o", "target": None}, ("target",)),
    ],
)
def test_roles_that_measuring_needs_and_nobody_plays_are_said_to_be_left_out(settings: dict, left_out: tuple[str, ...]):
    cost = cost_of(settings_from({"target": "openai/gpt-4o", **settings}, where="test"), 10)
    assert cost is not None and cost.left_out == left_out
    assert all(f"--{role}" in cost.said for role in left_out) and ("without" in cost.said) == bool(left_out)


def test_likeness_within_families_is_seen_in_scores():
    alike = [a_score(number, float(number // 4 % 2)) for number in range(80)]
    seen = seen_in([*alike, a_score(81, None)])
    assert (seen.rate, seen.families.of, seen.scored, seen.held) == (0.5, 20, 80, 81) and not seen.is_bound
    assert seen.families.correlation == pytest.approx(1, abs=0.05) and seen.families.is_known
    mixed = seen_in([a_score(number, float(number % 2)) for number in range(80)])
    assert mixed.families.correlation == 0 and mixed.families.is_known
    with pytest.raises(SettingsError, match="scored no conversation of a harm measure"):
        seen_in([a_score(1, None)])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Say what is wanted: --width W, --difference D, or -n N"),
        (["--width", "2"], "a width lies between 0 and 1, not 2"),
        (["--width", "0"], "a width lies between 0 and 1, not 0"),
        (["--width", "1e-12"], "more than 1,000,000,000 conversations"),
        (["--difference", "0.2"], "a rate of 0.1 cannot change by -0.2"),
        (["--difference", "0"], "two equal rates cannot be told apart"),
        (["--difference", "-0.95"], "cannot change by 0.95"),
        (["--difference", "0.05", "--rate", "1.2"], "less than or equal to 1"),
        (["--difference", "0.05", "--power", "1"], "less than or equal to 0.999"),
        (["-n", "0"], "greater than or equal to 1"),
        (["--width", "0.1", "--correlation", "0.1"], "--correlation needs --families"),
        (
            ["--width", "0.02", "--families", "60", "--correlation", "0.3"],
            "no number of conversations over 60 families",
        ),
        (["--width", "0.1", "--run", "gone"], "No store in '.breakfix'"),
        (["--width", "0.1", "--measures", "nonsense"], "measure.measures"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
):
    assert said in refusal(inside(capsys, "plan", *arguments))


def test_what_cannot_happen_is_said_in_words(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "plan", "-n", "20", "--families", "10").stdout
    assert "no fall, not even the greatest there could be, or a rise by 0." in said and "–" not in said
    assert "over 10 families whose conversations correlate by 0.10" in said
