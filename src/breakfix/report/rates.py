"""What several tables of a report share: how a rate is written in a cell, and the line of who judged."""

from breakfix.estimates import Estimate
from breakfix.report.data import ReportData
from breakfix.report.entries import Entry
from breakfix.report.words import NONE, amount, bounds


def value_cell(one: Estimate | None, *, fraction: bool = False) -> Entry:
    """Write an estimate with its interval, n and what was left unscored below; a dash for none."""
    if one is None:
        return Entry(NONE)
    missing = f", {one.unscored} unscored" if one.unscored else ""
    if one.value is None or one.low is None or one.high is None:
        return Entry(NONE, f"n = 0{missing}")
    if fraction:
        return Entry(f"{one.value:.3f}", f"{one.low:.3f}–{one.high:.3f}, n = {one.n}{missing}")
    return Entry(amount(one.value, one.metric), f"{bounds(one.low, one.high, one.metric)}, n = {one.n}{missing}")


def judged_by(data: ReportData, note: str) -> str:
    """Add who judged: of each judge the first line; cards of other runs may be from before it had a card."""
    known = [(card.judge_id, card.self_judged, card.judge_line) for card in (*data.scorecards, *data.others)]
    lines = {(judge, is_self): line for judge, is_self, line in reversed(known) if line}
    return " ".join((note, *(f"{line[:1].upper()}{line[1:]}." for line in reversed(lines.values()))))
