"""Progress for people: what is said, where, and how often."""

import os
import pty
import subprocess
import sys
import time

import pytest

from breakfix.cli.live import Plain, clock, drawn_bars, in_words, watch
from breakfix.progress import Leg, Silent


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (75, "1:15"), (3725, "1:02:05")])
def test_a_duration_is_written_as_a_clock(seconds: float, text: str):
    assert clock(seconds) == text


def test_facts_are_written_in_words():
    assert in_words({"harm_rate": 0.25, "calls": 7, "cost": None}) == "harm rate 0.25  calls 7"


def test_away_from_a_terminal_a_stage_is_two_lines_on_standard_error(capsys: pytest.CaptureFixture[str]):
    told = watch()
    assert isinstance(told, Plain)
    told.stage("measure base", 3)
    for number in range(3):
        told.advance(harm_rate=number / 2)
    told.note("a word between")
    told.stage("report")
    told.done()
    told.done()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "measure base: 3 to do",
        "a word between",
        "measure base: 3/3  harm rate 1.00  done in 0:00",
        "report ...",
        "report: done in 0:00",
    ]


def test_where_stages_to_come_are_foreseen_each_begins_with_the_time_left_in_all(
    capsys: pytest.CaptureFixture[str],
):
    told = Plain()
    told.ahead([Leg("measure base", 20), Leg("measure round-1", 20), Leg("sft round 1", 20)])
    for name in ("measure base", "measure round-1", "judge"):
        told.stage(name, 20)
        for _ in range(20):
            told.advance()
            time.sleep(0.001)
        if name == "measure base":
            told.ahead([Leg("measure round-1", 20)])
    told.done()
    began = [line for line in capsys.readouterr().err.splitlines() if "to do" in line]
    assert began == ["measure base: 20 to do", "measure round-1: 20 to do  about 5 s left in all", "judge: 20 to do"]


def test_a_stage_that_was_stopped_does_not_say_done(capsys: pytest.CaptureFixture[str]):
    watching = Plain()
    watching.stage("measure base", 3)
    watching.advance()
    watching.halt()
    watching.done()
    assert capsys.readouterr().err.splitlines() == ["measure base: 3 to do", "measure base: 1/3  stopped after 0:00"]


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]):
    told = watch(quiet=True)
    assert isinstance(told, Silent)
    told.stage("x", 1)
    told.advance()
    told.note("y")
    told.done()
    assert capsys.readouterr() == ("", "")


IN_A_TERMINAL = """
import time
from breakfix.cli.live import watch
told = watch()
told.stage("measure base", 4)
for number in range(4):
    told.advance(harm_rate=0.25 * number)
    time.sleep(0.3)
told.note("a word [between]")
told.stage("report")
told.done()
print("the result")
"""


def test_in_a_terminal_each_stage_leaves_one_line_and_results_stay_apart():
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL], stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm"}
    )
    out, _ = process.communicate(timeout=30)
    os.close(theirs)
    time.sleep(0.05)
    drawn = os.read(ours, 100_000).decode()
    os.close(ours)
    assert out == b"the result\n"
    assert "✓ measure base  4/4  harm rate 0.75  0:0" in drawn and "✓ report" in drawn
    assert "a word [between]" in drawn and "about 5 s left" in drawn


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_what_is_drawn_is_one_line_with_the_time_left_whole(columns: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    bars = drawn_bars(lambda: "at least 12 min left in all")
    bars.add_task("measure round-2-dev", total=576, completed=40, facts="harm rate 0.25  unscored 12  calls 7805")
    lines = bars.console.render_lines(bars.get_renderable())
    drawn = ["".join(piece.text for piece in line).strip() for line in lines]
    assert len(drawn) == 1
    assert "measure round-2-dev" in drawn[0]
    assert "40/576" in drawn[0]
    assert drawn[0].endswith("at least 12 min left in all")
