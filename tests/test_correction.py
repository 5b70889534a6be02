"""Corrected rates: the published formulas, what they refuse, and that they hold the truth where the raw rate fails."""

import asyncio
import math
import random

import pytest

from breakfix.conversations.dialogue import converse
from breakfix.lab.oracle import LabJudge
from breakfix.lab.phrasing import comply, decline
from breakfix.lab.roles import LabSimulator, ask_of
from breakfix.lab.scenarios import lab_scenarios
from breakfix.statistics.correction import (
    FEWEST_LABELS,
    Confusion,
    Counts,
    Labelled,
    Unlabelled,
    ppi,
    rogan_gladen,
    tuned_weight,
)
from breakfix.statistics.intervals import mean_interval, wilson
from breakfix.types import Message, Reply, Scenario

WORLDS = 400


def drawn(draw: random.Random, n: int, rate: float, errors: tuple[float, float]) -> tuple[list[float], list[float]]:
    """Draw n truths and what a judge with this sensitivity and specificity says of them."""
    truth = [float(draw.random() < rate) for _ in range(n)]
    return truth, [judged_as(draw, one, errors) for one in truth]


def judged_as(draw: random.Random, truth: float, errors: tuple[float, float]) -> float:
    sensitivity, specificity = errors
    return float(draw.random() < sensitivity) if truth else float(draw.random() >= specificity)


def confusion(truth: list[float], judged: list[float]) -> Confusion:
    pairs = list(zip(truth, judged, strict=True))
    return Confusion(*(float(pairs.count(pair)) for pair in ((1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0))))


def test_a_rate_is_corrected_by_the_judges_errors():
    """The example of the research notes: true 2 %, sensitivity 0.90, specificity 0.95 are seen as 6.7 %."""
    found = rogan_gladen(Counts(67, 1000), Confusion(900, 50, 100, 950))
    assert found.value == pytest.approx((0.067 + 0.95 - 1) / 0.85)
    assert found.low is not None and found.high is not None and found.low < found.value < found.high < 0.067
    assert found.method == "rogan-gladen" and found.n == 1000 and found.labels == 2000 and found.caveat is None


def test_the_interval_is_lang_and_reiczigels():
    """Equations 6, 7, 16 and 17 of the paper, written out as the R package asht does."""
    k, n, tp, of_positive, tn, of_negative, z = 40, 200, 45, 50, 90, 100, 1.959963984540054
    se_, sp_ = (tp + 1) / (of_positive + 2), (tn + 1) / (of_negative + 2)
    ap_ = (k + z * z / 2) / (n + z * z)
    p_ = (ap_ + sp_ - 1) / (se_ + sp_ - 1)
    shift = 2 * z * z * (p_ * se_ * (1 - se_) / (of_positive + 2) - (1 - p_) * sp_ * (1 - sp_) / (of_negative + 2))
    noise = ap_ * (1 - ap_) / (n + z * z) + p_**2 * se_ * (1 - se_) / (of_positive + 2)
    noise += (1 - p_) ** 2 * sp_ * (1 - sp_) / (of_negative + 2)
    reach = z * math.sqrt(noise) / (se_ + sp_ - 1)
    found = rogan_gladen(Counts(k, n), Confusion(tp, of_negative - tn, of_positive - tp, tn))
    assert (found.low, found.high) == pytest.approx((p_ + shift - reach, p_ + shift + reach))


def test_labels_without_end_leave_only_the_noise_of_the_rate():
    found = rogan_gladen(Counts(30, 300), Confusion(10**9, 0, 0, 10**9))
    assert (found.low, found.high) == pytest.approx(wilson(30, 300), abs=0.003)


@pytest.mark.parametrize(
    ("labelled", "why"),
    [
        (Confusion(5, 5, 5, 5), "not shown to be better than chance"),
        (Confusion(1, 30, 9, 20), "not shown to be better than chance"),
        (Confusion(3, 4, 2, 6), "not shown to be better than chance"),
        (Confusion(0, 4, 0, 60), "no labelled positive"),
        (Confusion(40, 0, 4, 0), "no labelled negative"),
    ],
)
def test_a_judge_that_is_not_known_to_be_any_good_corrects_nothing(labelled: Confusion, why: str):
    found = rogan_gladen(Counts(10, 100), labelled)
    assert (found.value, found.low, found.high, found.method) == (None, None, None, "none")
    assert found.caveat is not None and why in found.caveat


def test_few_controls_are_said():
    for labelled, few in (
        (Confusion(8, 1, 0, 60), "8 labelled positives"),
        (Confusion(50, 0, 0, 4), "4 labelled negatives"),
        (Confusion(9, 0, 0, 8), "9 labelled positives and 8 labelled negatives"),
        (Confusion(1, 0, 0, 5000), "1 labelled positive"),
    ):
        caveat = rogan_gladen(Counts(10, 100), labelled).caveat
        assert caveat == f"only {few}: the judge's error there is hardly known"


@pytest.mark.parametrize(
    ("counts", "labelled"), [((5, 4), (9, 1, 1, 9)), ((0, 0), (9, 1, 1, 9)), ((1, 4), (9, -1, 1, 9))]
)
def test_impossible_counts_are_refused(counts: tuple[int, int], labelled: tuple[int, int, int, int]):
    with pytest.raises(ValueError, match="no rate of"):
        rogan_gladen(Counts(*counts), Confusion(*labelled))


@pytest.mark.parametrize("rate", [0.0, 0.02, 1.0])
def test_corrected_bounds_stay_within_the_range(rate: float):
    found = rogan_gladen(Counts(rate * 100, 100), Confusion(45, 5, 5, 45))
    assert found.value is not None and found.low is not None and found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_perfect_judge_lends_its_rows_and_a_blind_one_none():
    draw = random.Random(1)
    truth, judged = drawn(draw, 1000, 0.3, (1.0, 1.0))
    helped = ppi(Labelled(judged[:100], truth[:100]), Unlabelled(judged[100:]))
    alone = mean_interval(truth[:100], range(100))
    assert helped.method == "ppi++" and (helped.n, helped.labels) == (1000, 100)
    assert helped.high is not None and helped.low is not None
    assert helped.high - helped.low < 0.6 * (alone.high - alone.low)
    blind = [float(draw.random() < 0.5) for _ in judged]
    assert tuned_weight(Labelled(blind[:100], truth[:100]), Unlabelled(blind[100:])) < 0.2


def test_the_weight_and_the_estimate_are_those_of_ppi_plus_plus():
    """Written out from the paper for a mean: weight Cov(Y, f) / ((1 + n/N) Var(f))."""
    np = pytest.importorskip("numpy")
    draw = np.random.default_rng(2)
    labels = draw.random(80)
    judged, others = np.clip(labels + draw.normal(0, 0.3, 80), 0, 1), draw.random(400)
    weight = np.cov(labels, judged)[0, 1] / (1 + 80 / 400) / np.var(np.concatenate([judged, others]), ddof=1)
    found = ppi(Labelled(judged.tolist(), labels.tolist()), Unlabelled(others.tolist()))
    assert 0 < weight < 1 and tuned_weight(Labelled(judged, labels), Unlabelled(others)) == pytest.approx(weight)
    assert found.value == pytest.approx(labels.mean() - weight * (judged.mean() - others.mean()))


def test_few_labels_stand_alone_and_say_so():
    draw = random.Random(3)
    truth, judged = drawn(draw, 500, 0.3, (0.9, 0.9))
    few = FEWEST_LABELS - 1
    found = ppi(Labelled(judged[:few], truth[:few]), Unlabelled(judged[few:]))
    assert found.method == "labels-wilson" and found.n == found.labels == few
    assert found.caveat is not None and f"{few} independent labels, fewer than {FEWEST_LABELS}" in found.caveat
    assert (found.low, found.high) == pytest.approx(wilson(sum(truth[:few]), few))


@pytest.mark.parametrize(
    ("judged", "others", "why"),
    [
        ([1.0, 0.0] * 30, [1.0, 0.0] * 90, "correlate by 0.00 only"),
        ([1.0] * 60, [1.0] * 90, "are alike"),
        ([1.0] * 30 + [0.0] * 30, [], "no unlabelled rows"),
    ],
)
def test_a_judge_that_adds_nothing_is_left_out(judged: list[float], others: list[float], why: str):
    found = ppi(Labelled(judged, [1.0] * 30 + [0.0] * 30), Unlabelled(others))
    assert found.method == "labels-wilson" and found.caveat is not None and why in found.caveat


def test_rows_that_share_a_family_widen_the_interval():
    draw = random.Random(4)
    truth, judged = drawn(draw, 150, 0.3, (0.9, 0.95))
    thrice = [value for value in truth for _ in range(3)], [value for value in judged for _ in range(3)]
    families = [place // 3 for place in range(450)]
    rows = Labelled(thrice[1][:225], thrice[0][:225], families[:225])
    apart = ppi(rows._replace(clusters=()), Unlabelled(thrice[1][225:]))
    together = ppi(rows, Unlabelled(thrice[1][225:], families[225:]))
    assert together.value == apart.value
    assert together.high is not None and together.low is not None and apart.high is not None and apart.low is not None
    assert together.high - together.low > 1.4 * (apart.high - apart.low)


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "said"),
    [
        (Labelled([], []), Unlabelled([1.0]), "needs its judge's value and its label"),
        (Labelled([1.0], [1.0, 0.0]), Unlabelled([1.0]), "needs its judge's value and its label"),
        (Labelled([1.0], [1.0], ["a", "b"]), Unlabelled([1.0]), "every row its cluster or none"),
        (Labelled([2.0], [1.0]), Unlabelled([1.0]), "from 0 to 1"),
        (Labelled([1.0], [math.nan]), Unlabelled([1.0]), "from 0 to 1"),
    ],
)
def test_unfit_rows_are_refused(labelled: Labelled, unlabelled: Unlabelled, said: str):
    with pytest.raises(ValueError, match=said):
        ppi(labelled, unlabelled)


@pytest.mark.parametrize(("rate", "errors"), [(0.05, (0.9, 0.9)), (0.3, (0.6, 0.95)), (0.5, (0.95, 0.8))])
def test_corrected_intervals_hold_the_truth_and_the_raw_one_does_not(rate: float, errors: tuple[float, float]):
    """400 worlds: 600 judged rows, of which 100 were labelled; and for Rogan-Gladen 200 labels from elsewhere."""
    draw, held = random.Random(5), {"raw": 0, "rogan-gladen": 0, "ppi": 0}
    for _ in range(WORLDS):
        truth, judged = drawn(draw, 600, rate, errors)
        known = confusion(*drawn(draw, 200, 0.5, errors))
        raw = mean_interval(judged, range(600))
        one = rogan_gladen(Counts(sum(judged), 600), known)
        two = ppi(Labelled(judged[:100], truth[:100]), Unlabelled(judged[100:]))
        held["raw"] += raw.low <= rate <= raw.high
        for name, found in (("rogan-gladen", one), ("ppi", two)):
            assert found.low is not None and found.high is not None
            held[name] += found.low <= rate <= found.high
    assert held["rogan-gladen"] / WORLDS >= 0.92 and held["ppi"] / WORLDS >= 0.92
    assert held["raw"] / WORLDS < 0.7


# ── in the lab, where truth is known ──


class Half:
    """A target that grants some of the lab's requests, drawn by scenario, and declines the others."""

    def __init__(self, scenarios: list[Scenario], rate: float) -> None:
        self._scenarios = {one.id: one for one in scenarios}
        self._rate = rate

    def thread(self, scenario_id: str, sample: int = 0) -> "Says":
        ask = ask_of(self._scenarios[scenario_id])
        grants = random.Random(f"{scenario_id} {sample}").random() < self._rate
        return Says(comply(ask.thing, ask.verb) if grants else decline(ask.thing, ask.seed))


class Says:
    """Says the same thing whatever is asked."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def ask(self, messages: list[Message]) -> Reply:
        return Reply(text=self._text, finish_reason="stop")


def lab_truths(rate: float) -> list[float]:
    """Hold 300 lab conversations, and give what the exact judge finds: harmful or not."""
    scenarios = lab_scenarios("jailbreak", "sealed", n=300, seed=3, turns=2)
    target, simulator, judge = Half(scenarios, rate), LabSimulator(), LabJudge()

    async def one(scenario: Scenario) -> float:
        said = await converse(scenario, simulator, target, run="r", target_id="t", max_turns=2)
        verdict = await judge.judge(scenario, said)
        assert verdict.unscored is None
        return float(bool(verdict.harmful))

    async def whole() -> list[float]:
        return [await one(scenario) for scenario in scenarios]

    return asyncio.run(whole())


@pytest.mark.parametrize(("rate", "errors"), [(0.1, (0.9, 0.85)), (0.4, (0.7, 0.95))])
def test_in_the_lab_a_corrupted_judge_is_corrected_to_what_the_exact_one_finds(
    rate: float, errors: tuple[float, float]
):
    """200 corruptions of 600 conversations drawn from 300 that were held; truth is what the exact judge found."""
    pool = lab_truths(rate)
    truth, draw, held = sum(pool) / len(pool), random.Random(8), {"raw": 0, "rogan-gladen": 0, "ppi": 0}
    assert truth == pytest.approx(rate, abs=0.07)
    for _ in range(200):
        drawn_now, others = draw.choices(pool, k=600), draw.choices(pool, k=200)
        said, elsewhere = ([judged_as(draw, one, errors) for one in rows] for rows in (drawn_now, others))
        raw = mean_interval(said, range(600))
        one = rogan_gladen(Counts(sum(said), 600), confusion(others, elsewhere))
        two = ppi(Labelled(said[:100], drawn_now[:100]), Unlabelled(said[100:]))
        held["raw"] += raw.low <= truth <= raw.high
        for name, found in (("rogan-gladen", one), ("ppi", two)):
            assert found.low is not None and found.high is not None
            held[name] += found.low <= truth <= found.high
    assert held["rogan-gladen"] >= 182 and held["ppi"] >= 182
    assert held["raw"] < 120
