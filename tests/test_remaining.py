"""The time left of a run: what it is reckoned from, and that it is honest where nothing is known."""

import pytest

from breakfix.cli.remaining import Left, TimeLeft, rounded, told
from breakfix.progress import Leg


def held(left: TimeLeft, begin: float, *, name: str, steps: int, pace: float, lead: float = 0.0) -> float:
    """Let a stage go at an even pace; gives when it ended."""
    left.begin(begin, name, steps)
    now = begin + lead
    left.advance(now, 0)
    for _ in range(steps):
        now += pace
        left.advance(now, 1)
    left.end(now)
    return now


def test_nothing_is_told_before_anything_is_known():
    left = TimeLeft()
    assert left.left(0) is None
    left.begin(0, "measure base", 100)
    assert left.left(5) is None and told(None) == ""


def test_a_stage_alone_is_reckoned_by_its_own_pace():
    left = TimeLeft()
    left.begin(0, "measure base", 100)
    for step in range(21):
        left.advance(float(step), 1)
    found = left.left(20)
    assert found is not None and found.bound == "about" and found.seconds == pytest.approx(79, abs=1)
    assert not left.is_planned


def test_stages_to_come_count_too_at_the_pace_of_those_seen():
    left = TimeLeft()
    left.ahead([Leg("measure base", 10), Leg("measure round-1", 50), Leg("report", seconds=3)])
    now = held(left, 0, name="measure base", steps=10, pace=2)
    found = left.left(now)
    assert found is not None and (found.seconds, found.bound) == (pytest.approx(103), "about")


def test_what_is_unknown_makes_it_a_least():
    left = TimeLeft()
    left.ahead([Leg("measure base", 10), Leg("measure round-1", 50), Leg("sft round 1", 100, "rows")])
    now = held(left, 0, name="measure base", steps=10, pace=2)
    assert left.left(now) == Left(pytest.approx(100), "at least")


def test_a_least_of_next_to_nothing_is_not_told():
    left = TimeLeft()
    left.ahead([Leg("report", seconds=2), Leg("sft round 1", 100)])
    assert left.left(0) is None


def test_a_stage_not_yet_seen_goes_at_the_pace_of_the_same_work():
    left = TimeLeft()
    left.ahead([Leg("sft round 1", 10, "rows", weight=16), Leg("dpo round 1", 10, "rows", weight=40)])
    now = held(left, 0, name="sft round 1", steps=10, pace=1)
    assert left.left(now) == Left(pytest.approx(25), "about")


def test_a_lead_seen_once_is_expected_again_but_not_that_of_the_very_first_stage():
    left = TimeLeft()
    left.ahead([Leg(name, 10) for name in ("measure base", "sft round 1", "measure round-1", "sft round 2")])
    now = held(left, 0, name="measure base", steps=10, pace=1, lead=60)
    now = held(left, now, name="sft round 1", steps=10, pace=1, lead=8)
    assert left.left(now) == Left(pytest.approx(10 + 8 + 10), "about")


def test_how_far_a_guess_was_off_is_carried_to_the_next_round():
    left = TimeLeft()
    left.ahead([Leg("attack round-1-retest", 10), Leg("attack round-2-retest", 10)])
    now = held(left, 0, name="attack round-1-retest", steps=30, pace=1)
    assert left.left(now) == Left(pytest.approx(30), "about")


def test_stages_that_may_not_come_make_it_a_most():
    left = TimeLeft()
    left.ahead([Leg("measure base", 10), Leg("measure round-1", 10, is_certain=False)])
    now = held(left, 0, name="measure base", steps=10, pace=1)
    assert left.left(now) == Left(pytest.approx(10), "up to")


def test_a_stage_that_comes_early_drops_those_foreseen_before_it():
    left = TimeLeft()
    left.ahead([Leg("attack base-more", 100), Leg("measure base", 10), Leg("report", seconds=7)])
    now = held(left, 0, name="measure base", steps=10, pace=1)
    assert left.left(now) == Left(pytest.approx(7), "about")


def test_steps_that_the_journal_answered_teach_no_pace():
    left = TimeLeft()
    left.ahead([Leg("measure base", 1000), Leg("measure round-1", 100)])
    left.begin(0, "measure base", 1000)
    for step in range(500):
        left.advance(step / 1000, 1, calls=0)
    assert left.left(0.5) is None
    for step in range(1, 101):
        left.advance(0.5 + step, 1, calls=step)
    found = left.left(100.5)
    assert found is not None and found.seconds == pytest.approx(500, rel=0.25)


def test_steps_that_end_together_all_count():
    left = TimeLeft()
    left.begin(0, "measure base", 320)
    for burst in range(1, 11):
        for _ in range(16):
            left.advance(burst * 2.0, 1, calls=burst * 48)
    found = left.left(20)
    assert found is not None and found.seconds == pytest.approx(20, rel=0.15)


def test_what_is_told_moves_slowly_to_a_new_reckoning():
    left = TimeLeft()
    left.begin(0, "measure base", 1000)
    now = 0.0
    for _ in range(100):
        now += 1
        left.advance(now, 1)
        before = left.left(now)
    left.ahead([Leg("measure round-1", 1000)])
    after = left.left(now + 1)
    assert before is not None and after is not None
    assert before.seconds - 2 < after.seconds < before.seconds + 100


def test_a_stage_that_stalls_is_expected_to_take_longer():
    left = TimeLeft()
    left.begin(0, "measure base", 100)
    for step in range(11):
        left.advance(float(step), 1)
    for now in range(11, 100):
        left.left(float(now))
    found = left.left(100)
    assert found is not None and found.seconds > 300


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "5 s"), (12, "10 s"), (41, "40 s"), (58, "60 s"), (89, "90 s"), (118, "2 min"), (3540, "59 min"),
     (3600, "1 h"), (4810, "1 h 20 min"), (7190, "2 h")],
)  # fmt: skip
def test_a_time_is_written_as_roughly_as_it_is_known(seconds: float, text: str):
    assert rounded(seconds) == text


def test_it_says_of_what_the_time_is_left():
    assert told(Left(120, "at least"), whole=True) == "at least 2 min left in all"
    assert told(Left(41)) == "about 40 s left"
