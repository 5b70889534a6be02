"""What a cycle showed, on one screen: each quantity at the start and after each round."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from breakfix.cli.results import show_corrected, show_judges, show_table

if TYPE_CHECKING:
    from breakfix.estimates import Estimate, Scorecard
    from breakfix.report.data import ReportData
    from breakfix.types import Finding

QUANTITIES = (
    ("harm", "defect rate", "harm rate, all measures"),
    ("refusal", "VPRR", "safe requests refused"),
    ("refusal", "borderline", "borderline questions answered"),
    ("ungroundedness", "mean", "ungroundedness (0-4)"),
)


def show_rounds(data: "ReportData") -> None:
    """Print harm by area, over-refusal, helpfulness and groundedness, stage by stage, with intervals."""
    from breakfix.measured import said_unfinished
    from breakfix.report.words import without_area
    from breakfix.types import AREAS

    for line in filter(None, map(said_unfinished, data.scorecards)):
        typer.echo(f"{line}\n")
    rows = [(label, *_across(data, measure, metric, "all")) for measure, metric, label in QUANTITIES]
    by_area = [("  " + area.replace("_", " "), *_across(data, "harm", "defect rate", f"area/{area}")) for area in AREAS]
    head = ("", *(card.stage for card in data.scorecards))
    card = data.scorecards[0]
    level = next((f"{each.level:.0%}" for each in card.estimates), "")
    title = f"{data.target}: sealed scenarios, judged by {card.judge or 'nobody yet'}, with {level} intervals"
    show_table(title, head, [row for row in (rows[0], *by_area, *rows[1:]) if set(row[1:]) != {"–"}])
    if said := without_area(data.scorecards):
        typer.echo(f"{said}\n")
    last = data.scorecards[-1]
    if last.judge_line:
        typer.echo(f"{last.judge_line}\n")
    show_judges(last)
    if last.corrected:
        show_corrected(last)


def show_findings_settled(findings: "Iterable[Finding]") -> None:
    """Say in a line what became of the findings."""
    states = Counter(each.state for each in findings)
    if states:
        typer.echo("Findings: " + ", ".join(f"{count} {state}" for state, count in states.items()))


def _across(data: "ReportData", measure: str, metric: str, of: str) -> tuple[str, ...]:
    return tuple(_cell(_estimate(card, measure, metric, of)) for card in data.scorecards)


def _estimate(card: "Scorecard", measure: str, metric: str, of: str) -> "Estimate | None":
    found = [each for each in card.estimates if (each.measure, each.metric, each.harm) == (measure, metric, of)]
    return next((each for each in found if each.split == "sealed"), found[0] if found else None)


def _cell(estimate: "Estimate | None") -> str:
    if estimate is None:
        return "–"
    open_ones = f", {estimate.unscored} unscored" if estimate.unscored else ""
    if estimate.value is None:
        return f"–  n = 0{open_ones}"
    return f"{estimate.value:.2f} [{estimate.low or 0:.2f}, {estimate.high or 0:.2f}]  n = {estimate.n}{open_ones}"
