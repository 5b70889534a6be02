"""Rates language by language and persona by persona, a column a stage; only where a run holds more than one."""

from collections.abc import Callable

from breakfix.languages import load_languages
from breakfix.report.data import ReportData
from breakfix.report.entries import Entry, Table
from breakfix.report.rates import judged_by, value_cell
from breakfix.report.words import MEASURE_NAMES, METRIC_NAMES, plain, stage_names
from breakfix.standings import GroupKind, GroupRow

NAMES: dict[GroupKind, str] = {"language": "Language by language", "persona": "Persona by persona"}
SAME = (
    "Estimates without tests: that two differ here shows nothing by itself, and a judge may err more in one language"
    " than in another."
)


def by_language(data: ReportData) -> Table:
    """Every measure in each language of the user's turns."""
    return _grouped(data, "language", _language, note=SAME)


def by_persona(data: ReportData) -> Table:
    """Every measure with each kind of simulated user."""
    return _grouped(data, "persona", plain, note="Estimates without tests.")


def _grouped(data: ReportData, by: GroupKind, name: Callable[[str], str], *, note: str) -> Table:
    rows = [
        (Entry(_measure(row), METRIC_NAMES.get(row.metric, row.metric)), Entry(name(row.group)),
         *map(value_cell, row.estimates))
        for row in data.groups
        if row.by == by
    ]  # fmt: skip
    columns = ("Measure", plain(by), *stage_names(data))
    return Table(f"by-{by}", NAMES[by], columns, tuple(rows), judged_by(data, note))


def _language(code: str) -> str:
    known = load_languages().get(code)
    return f"{known.name} ({code})" if known else code


def _measure(row: GroupRow) -> str:
    return MEASURE_NAMES.get(row.measure, row.measure)
