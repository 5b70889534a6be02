"""Names and numbers as people read them, and the two sentences that open a report."""

import re
from collections.abc import Sequence

from breakfix.estimates import Comparison, Estimate, GateDecision, Scorecard
from breakfix.report.data import ReportData, RoundResult
from breakfix.standings import BY_ERRORS
from breakfix.types import AREAS, THRESHOLDS
from breakfix.wording import counted

MEASURE_NAMES = {
    "harm": "Harm, all measures",
    "ungroundedness": "Ungroundedness",
    "third_party": "Third-party harm",
    "continuation": "Harmful content continuation",
    "summarization": "Harmful content summarization",
    "jailbreak": "Jailbreak",
    "refusal": "Refusal",
}
METRIC_NAMES = {
    "mean": "mean, 0-4",
    "defect rate": "share harmful",
    "IPRR": "unsafe requests refused",
    "VPRR": "safe requests refused",
    "borderline": "borderline requests answered",
    "IPRR-partial": "unsafe requests refused in part",
    "VPRR-partial": "safe requests refused in part",
}
VERDICT_NAMES = {
    "fixed": "fixed",
    "not_fixed": "not fixed",
    "regressed": "regressed",
    "cannot_tell": "cannot tell",
    "passed": "passed",
    "failed": "failed",
}
NONE = "–"
_ROUND = re.compile(r"round-\d+")


def plain(name: str) -> str:
    """Turn an id into words: political_misinformation becomes Political misinformation."""
    words = name.removeprefix("area/").replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def stage_name(stage: str) -> str:
    """Name a stage: base is Before, round-1 is Round 1."""
    return "Before" if stage == "base" else plain(stage)


def stage_names(data: ReportData) -> list[str]:
    """Name the stages of a report's scorecards; a single one, with no round after it, is simply what was measured."""
    if len(data.scorecards) == 1 and not data.rounds:
        return ["Measured"]
    return [stage_name(card.stage) for card in data.scorecards]


def attacked_stage(stage: str, stages: Sequence[str]) -> str:
    """Name a stage that was attacked; where none came after the first, it is before nothing."""
    return "Attacked" if list(stages) == ["base"] else stage_name(stage)


def without_area(cards: Sequence[Scorecard]) -> str:
    """Say which measures' conversations no area counts: the areas then add up to fewer than the whole."""
    if not any(card.find("harm", harm=f"area/{area}") for card in cards for area in AREAS):
        return ""
    left = [measure for measure in THRESHOLDS if any(_is_partly_without(measure, card) for card in cards)]
    names = ", ".join(MEASURE_NAMES[measure].lower() for measure in left)
    return f"Conversations without an area ({names}) count in the first row alone." if left else ""


def percent(value: float | None, places: int = 0) -> str:
    """Write a share as a percentage."""
    return NONE if value is None else f"{100 * value:.{places}f} %"


def amount(value: float | None, metric: str) -> str:
    """Write an estimate's value: a mean with two places, a share in per cent."""
    if value is None:
        return NONE
    return f"{value:.2f}" if metric == "mean" else percent(value)


def bounds(low: float | None, high: float | None, metric: str) -> str:
    """Write an interval: 12-34 %, or 0.21-0.43."""
    if low is None or high is None:
        return NONE
    return f"{low:.2f}–{high:.2f}" if metric == "mean" else f"{100 * low:.0f}–{100 * high:.0f} %"


def points(value: float | None, metric: str) -> str:
    """Write a difference: with its sign, in percentage points where it is one of shares."""
    if value is None:
        return NONE
    text = f"{value:+.2f}" if metric == "mean" else f"{100 * value:+.0f}"
    return "0" if float(text) == 0 else text.replace("-", "−")


def chance(p: float | None) -> str:
    """Write a p-value."""
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def headline(data: ReportData) -> tuple[str, ...]:
    """Say in two sentences what happened, with the numbers; in a third what people's labels make of the judge's."""
    if not data.scorecards:
        return (f"Nothing of {data.target} has been measured yet.",)
    first, last = data.scorecards[0], data.scorecards[-1]
    said = [_harm_sentence(data, first, last), _people_sentence(last), _cost_sentence(data, first, last)]
    return tuple(sentence for sentence in said if sentence)


def _is_partly_without(measure: str, card: Scorecard) -> bool:
    whole = card.find(measure)
    if whole is None:
        return False
    parts = (card.find(measure, harm=f"area/{area}", metric=whole.metric) for area in AREAS)
    return whole.n > sum(part.n for part in parts if part)


def _harm_sentence(data: ReportData, first: Scorecard, last: Scorecard) -> str:
    before, after = first.find("harm"), last.find("harm")
    if before is None or before.value is None:
        return f"{_unscored(data, before)}{_refusal_only(data, first)}"
    opening = f"{data.target} did harm in {_with_interval(before)} of {counted(before.n, 'sealed conversation')}"
    if first is last:
        unknown = f"; {before.unscored} more could not be scored" if before.unscored else ""
        return f"{opening}{unknown}."
    if after is None:
        return f"{opening}; {_since(data)} its harm was not measured."
    if after.value is None:
        return f"{opening}; {_since(data)} none of {counted(after.unscored, 'conversation')} could be scored."
    unknown = f" ({after.unscored} more could not be scored)" if after.unscored else ""
    text = f"{opening}; {_since(data)} it did so in {_with_interval(after)} of {after.n:,}{unknown}"
    done = _round_of(data, last)
    change = _primary(done.comparisons) if done else None
    if change is None or change.difference is None:
        return text + "."
    direction = "fall" if change.difference < 0 else "rise"
    size = abs(round(100 * change.difference))
    return f"{text}, a paired {direction} of {size} points (p {_equals(chance(change.p))})."


def _since(data: ReportData) -> str:
    """Say what lies between the first scorecard and the last: rounds, or a state that the user named."""
    later = [card.stage for card in data.scorecards[1:]]
    if (other := data.scorecards[-1].target) != data.scorecards[0].target:
        return f"at stage {later[-1]!r}, with {other} as the target,"
    if all(_ROUND.fullmatch(stage) for stage in later):
        return f"after {_count(len(later), 'round')} of break and fix"
    return f"at stage {later[-1]!r}"


def _unscored(data: ReportData, harm: Estimate | None) -> str:
    if harm is None or not harm.unscored:
        return ""
    return f"Of {counted(harm.unscored, 'sealed conversation')} with {data.target} none could be scored for harm. "


def _people_sentence(card: Scorecard) -> str:
    harm = card.find("harm")
    found = [one for one in card.find_corrected(harm) if one.method != BY_ERRORS] if harm is not None else []
    if not found or found[0].value is None:
        return ""
    return (
        f"That is the judge's word; by {counted(found[0].labels, 'label')} of people it is {_with_interval(found[0])}."
    )


def _refusal_only(data: ReportData, card: Scorecard) -> str:
    unsafe, safe = card.find("refusal", metric="IPRR"), card.find("refusal", metric="VPRR")
    parts = [
        f"{_with_interval(one)} of {one.n} {what}"
        for one, what in ((unsafe, "unsafe requests"), (safe, "safe ones"))
        if one is not None and one.value is not None
    ]
    return f"{data.target} refused {' and '.join(parts)}." if parts else f"{data.target} was measured."


def _cost_sentence(data: ReportData, first: Scorecard, last: Scorecard) -> str:
    if last.find("harm") is None and not data.rounds:
        return ""
    over, was = last.find("refusal", metric="VPRR"), first.find("refusal", metric="VPRR")
    border = last.find("refusal", metric="borderline")
    parts: list[str] = []
    if over is not None and over.value is not None:
        earlier = f" ({percent(was.value)} before)" if was is not None and first is not last else ""
        parts.append(f"refuses {_with_interval(over)} of harmless requests{earlier}")
    if border is not None and border.value is not None:
        parts.append(f"answers {_with_interval(border)} of borderline ones")
    done = _round_of(data, last)
    decision = done.gate if done else None
    gate = {"passed": "the gate passed it", "failed": "the gate failed it", "cannot_tell": "the gate cannot tell"}
    text = "It " + " and ".join(parts) if parts else ""
    if decision is None:
        return text + "." if text else ""
    ruling = gate[decision.verdict] + _open_rules(decision)
    return f"{text}; {ruling}." if text else f"{ruling[:1].upper()}{ruling[1:]}."


def _round_of(data: ReportData, last: Scorecard) -> RoundResult | None:
    """Give the round that led to the last scorecard; none where a stage was measured after the rounds."""
    return next((done for done in data.rounds if done.stage == last.stage), None)


def _open_rules(decision: GateDecision) -> str:
    if decision.verdict == "passed":
        return ""
    broken = [rule.rule for rule in decision.rules if rule.verdict == decision.verdict]
    return f" on: {'; '.join(broken)}"


def _primary(comparisons: Sequence[Comparison]) -> Comparison | None:
    return next((one for one in comparisons if (one.measure, one.harm) == ("harm", "all")), None)


def _with_interval(one: Estimate) -> str:
    return f"{amount(one.value, one.metric)} ({bounds(one.low, one.high, one.metric)})"


def _count(number: int, noun: str) -> str:
    words = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
    return f"{words.get(number, str(number))} {noun}{'' if number == 1 else 's'}"


def _equals(text: str) -> str:
    return text if text.startswith("<") else f"= {text}"
