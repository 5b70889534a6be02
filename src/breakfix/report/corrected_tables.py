"""Rates beside what they come to when the judge's errors are corrected, and which correction to believe."""

from collections.abc import Sequence

from breakfix.estimates import CorrectedEstimate, Estimate, Scorecard, alone_in_harm
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
    " Where people labelled every answer, believe their own rate over all: it needs no correction."
)
BY_ALL = "a check: people labelled all"


def corrected(data: ReportData) -> Table:
    """Raw rates and what they come to when the judge's errors are corrected by people's labels."""
    note = "The judge's errors, as people's labels show them, taken out of its rates; intervals hold their noise, too."
    made = _corrected(data, "corrected", "Corrected for the judge's errors")
    return made._replace(note=judged_by(data, " ".join(filter(None, (note, BELIEVE, made.note)))))


def corrected_areas(data: ReportData) -> Table:
    """The same of single areas, whose labels are few."""
    return _corrected(data, "corrected-areas", "Corrected, area by area")


def people_of(card: Scorecard, raw: Estimate) -> Estimate | None:
    """Find what people's own labels of recorded answers come to, over all those that have one; of wholes alone."""
    return card.find(raw.measure, metric=f"{raw.metric}-people") if raw.harm == "all" else None


def reading(one: CorrectedEstimate, beside: Sequence[CorrectedEstimate], *, people: Estimate | None = None) -> str:
    """Say how a correction is to be read, given all corrections of its rate; docs/methods.md has the rule.

    `people` is people's own rate; where it is of every answer there is nothing left to correct.
    """
    if one.value is None:
        return NONE
    if people is not None and people.value is not None and people.n >= max(one.n, *(other.n for other in beside), 1):
        return BY_ALL
    if one.is_of_these:
        return "believe this"
    return "a check" if any(other.is_of_these for other in beside) else "an indication"


def _corrected(data: ReportData, table: str, caption: str) -> Table:
    names = [*stage_names(data), *(card.target for card in data.others)]
    is_whole = table == "corrected"
    every = [
        (name, card, raw, one)
        for name, card in zip(names, (*data.scorecards, *data.others), strict=True)
        for raw in card.estimates
        if is_whole is (raw.harm == "all") and not (raw.measure == "harm" and alone_in_harm(card.outcomes))
        for one in card.find_corrected(raw)
    ]
    caveats = list(dict.fromkeys(one.caveat for *_, one in every if one.caveat))
    rows = [
        (
            Entry(MEASURE_NAMES.get(raw.measure, raw.measure), METRIC_NAMES.get(raw.metric, raw.metric)),
            Entry(name if is_whole else f"{name}, {plain(raw.harm).lower()}"),
            value_cell(raw),
            value_cell(one.model_copy(update={"unscored": 0})),
            value_cell(people_of(card, raw)),
            Entry(CORRECTIONS.get(one.method, one.method), one.labels_from),
            Entry(reading(one, card.find_corrected(raw), people=people_of(card, raw))),
            Entry(f"caveat {caveats.index(one.caveat) + 1}" if one.caveat else NONE),
        )
        for name, card, raw, one in every
    ]
    # A caveat is a sentence or more, and often the same of many rows: in the cells it has a number.
    note = " ".join(f"Caveat {place}: {caveat}." for place, caveat in enumerate(caveats, 1))
    return Table(table, caption, COLUMNS, tuple(rows), note)
