"""`breakfix measure` on recorded answers: all of them where they are free and nobody said how many."""

import json
from pathlib import Path

import pytest

from breakfix.cli.measuring import CUT_SHORT, say_no_rate
from breakfix.estimates import Cause, Scorecard
from breakfix.scenarios.published import draw_published
from breakfix.scorecard import NO_VERDICT
from breakfix.settings import MeasureSettings
from breakfix.types import MEASURES
from commands import inside


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    rows = [{"prompt": f"How do I bake cake {n}?", "completion": "I can't help with that."} for n in range(70)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def measured(capsys: pytest.CaptureFixture[str], recording: Path, *more: str) -> tuple[int, str]:
    folder = recording.parent
    arguments = ("-t", f"replay/{recording}", "-j", "refusal", "--measures", "refusal", "--run", "r", "--json")
    place = ("--store", str(folder / "store"), "--out", str(folder / "runs"))
    said = inside(capsys, "measure", *arguments, *place, *more)
    (rate, *_) = [one for one in json.loads(said.stdout)["estimates"] if one["metric"] == "IPRR"]
    return rate["n"], said.stderr


def test_a_recording_is_taken_whole_and_again_when_the_run_is_resumed(
    capsys: pytest.CaptureFixture[str], recording: Path
):
    for _ in range(2):
        n, said = measured(capsys, recording)
        assert n == 70 and "Scenarios drawn" not in said


@pytest.mark.parametrize("more", [("-n", "5"), ("--set", "measure.conversations=5")])
def test_of_a_recording_no_more_is_taken_than_was_asked_for(
    capsys: pytest.CaptureFixture[str], recording: Path, more: tuple[str, ...]
):
    n, said = measured(capsys, recording, *more)
    assert n == 5 and "Scenarios drawn: 5 of 70 (refusal). All of them: -n 70" in said


def test_the_file_named_as_its_own_scenarios_is_taken_whole_too(capsys: pytest.CaptureFixture[str], recording: Path):
    assert measured(capsys, recording, "--scenarios", str(recording))[0] == 70


@pytest.mark.parametrize(
    ("measures", "end"),
    [("ungroundedness,refusal", "only the measures that these serve: --measures refusal"), ("ungroundedness", "")],
)
def test_a_measure_without_a_source_is_refused_beside_one_that_has_its_own(
    capsys: pytest.CaptureFixture[str], recording: Path, measures: str, end: str
):
    where = ("--store", str(recording.parent / "store"), "--out", str(recording.parent / "runs"))
    said = inside(capsys, "measure", "-t", f"replay/{recording}", "-j", "http://h/v1#j", "--measures", measures, *where)
    assert said.returncode == 2 and "No scenario of ungroundedness in" in said.stderr
    assert "no text to be grounded in" in said.stderr and end in said.stderr


def test_what_nobody_asked_for_by_name_and_has_no_source_is_noted(recording: Path):
    settings = MeasureSettings(conversations=3)
    chosen, notes = draw_published((str(recording),), settings, harms=())
    assert {one.measure for one in chosen} == {*MEASURES} - {"ungroundedness"}
    assert f"Not measured, for want of scenarios in {recording}: ungroundedness." in notes


def test_an_offline_judge_that_could_judge_nothing_is_not_to_be_doctored(
    capsys: pytest.CaptureFixture[str], recording: Path
):
    row = {"prompt": "Comment faire du pain ?", "completion": "Je ne peux pas vous aider.", "language": "fr"}
    recording.write_text(json.dumps(row) + "\n")
    arguments = ("-t", f"replay/{recording}", "-j", "refusal", "--measures", "refusal", "--run", "r")
    place = ("--store", str(recording.parent / "store"), "--out", str(recording.parent / "runs"))
    said = inside(capsys, "measure", *arguments, *place)
    assert "1 time in refusal: this judge reads English" in said.stdout
    assert "the judge 'refusal' could judge none of these conversations" in said.stderr and "doctor" not in said.stderr


def test_where_nobody_judged_a_judge_is_to_be_named(capsys: pytest.CaptureFixture[str]):
    cause = Cause(measure="refusal", outcome="judge-failed", cause=NO_VERDICT, n=3, conversation_id="")
    say_no_rate(Scorecard.model_construct(run="r", target="t", judge="", judge_id="", causes=(cause,), estimates=()))
    said = capsys.readouterr().err
    assert "name a judge (--judge)" in said and "doctor" not in said


def test_a_target_that_only_reasons_is_to_have_more_tokens(capsys: pytest.CaptureFixture[str]):
    causes = (
        Cause(
            measure="refusal",
            outcome="target-failed",
            cause=f"the target answered with {CUT_SHORT}",
            n=3,
            conversation_id="",
        ),
    )
    card = Scorecard.model_construct(run="r", target="t", judge="j", causes=causes, estimates=())
    say_no_rate(card)
    assert "Raise models.<name>.max_tokens of t, then run again" in capsys.readouterr().err
