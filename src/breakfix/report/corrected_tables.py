"""Rates beside what they come to when the judge's errors are corrected, and which correction to believe."""

from collections.abc import Sequence

from breakfix.estimates import CorrectedEstimate, alone_in_harm
from breakfix.report.data import ReportData
from breakfix.report.entries import Entry, Table
from breakfix.report.rates import judged_by, value_cell
from breakfix.report.words import MEASURE_NAMES, METRIC_NAMES, NONE, plain, stage_names

CORRECTIONS = {
    "ppi++": "PPI++",
    "rogan-gladen": "Rogan-Gladen",
    "labels-wilson": "labels alone, Wilson",
    "labels-wilson-clusters": "labels alone, Wilson by family",
    "labels-cluster-bootstrap": "labels alone, cluster bootstrap",
}
COLUMNS = ("Measure", "Target", "Raw", "Corrected", "People", "By", "Read as", "Caveat")
BELIEVE = (
    "Believe the correction by labels of these very conversations (PPI++, or the labels alone): it takes nothing for"
    " granted but that these were drawn at random, and with 50 labels or more the gate goes by it. Rogan-Gladen beside"
    " it is a check: their intervals should overlap. By a judge card alone it is an indication, and decides nothing."
)


def corrected(data: ReportData) -> Table:
    """Raw rates and what they come to when the judge's errors are corrected by people's labels."""
    note = "The judge's errors, as people's labels show them, taken out of its rates; intervals hold their noise, too."
    note = f"{note} {BELIEVE}"
    return _corrected(data, "corrected", "Corrected for the judge's errors")._replace(note=judged_by(data, note))


def corrected_areas(data: ReportData) -> Table:
    """The same of single areas, whose labels are few."""
    return _corrected(data, "corrected-areas", "Corrected, area by area")


def reading(one: CorrectedEstimate, beside: Sequence[CorrectedEstimate]) -> str:
    """Say how a correction is to be read, given all corrections of its rate; docs/methods.md has the rule."""
    if one.value is None:
        return NONE
    if one.is_of_these:
        return "believe this"
    return "a check" if any(other.is_of_these for other in beside) else "an indication"


def _corrected(data: ReportData, table: str, caption: str) -> Table:
    names = [*stage_names(data), *(card.target for card in data.others)]
    is_whole = table == "corrected"
    rows = [
        (
            Entry(MEASURE_NAMES.get(raw.measure, raw.measure), METRIC_NAMES.get(raw.metric, raw.metric)),
            Entry(name if is_whole else f"{name}, {plain(raw.harm).lower()}"),
            value_cell(raw),
            value_cell(one.model_copy(update={"unscored": 0})),
            value_cell(card.find(raw.measure, metric=f"{raw.metric}-people") if is_whole else None),
            Entry(CORRECTIONS.get(one.method, one.method), one.labels_from),
            Entry(reading(one, card.find_corrected(raw))),
            Entry(one.caveat or NONE),
        )
        for name, card in zip(names, (*data.scorecards, *data.others), strict=True)
        for raw in card.estimates
        if is_whole is (raw.harm == "all") and not (raw.measure == "harm" and alone_in_harm(card.outcomes))
        for one in card.find_corrected(raw)
    ]
    return Table(table, caption, COLUMNS, tuple(rows))
