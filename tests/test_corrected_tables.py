"""Which of a rate's corrections to believe is said beside each, by the rule of docs/methods.md."""

import pytest

from breakfix.estimates import CorrectedEstimate
from breakfix.report.corrected_tables import BELIEVE, BY_ALL, reading
from breakfix.report.rates import value_cell
from breakfix.report.tables import tables
from report_sample import sample

DATA = sample()


def by(method: str, value: float | None = 0.2) -> CorrectedEstimate:
    raw = DATA.scorecards[0].find("jailbreak")
    assert raw is not None
    body = raw.model_dump() | {"value": value, "method": method, "labels": 80, "labels_from": "people"}
    return CorrectedEstimate.model_validate(body)


@pytest.mark.parametrize(
    ("methods", "read"),
    [
        (("ppi++", "rogan-gladen"), ["believe this", "a check"]),
        (("labels-wilson", "rogan-gladen"), ["believe this", "a check"]),
        (("rogan-gladen",), ["an indication"]),
        (("ppi++",), ["believe this"]),
    ],
)
def test_labels_of_these_conversations_come_first(methods: tuple[str, ...], read: list[str]):
    found = [by(method) for method in methods]
    assert [reading(one, found) for one in found] == read
    card = DATA.scorecards[0].model_copy(update={"corrected": tuple(found)})
    table = tables(DATA.model_copy(update={"scorecards": (card, *DATA.scorecards[1:])}))["corrected"]
    assert [row[table.columns.index("Read as")].text for row in table.rows] == read
    assert BELIEVE in table.note


def test_a_correction_that_could_not_be_made_is_not_read_as_anything():
    assert reading(by("none", None), []) == "–" and value_cell(by("none", None)).text == "–"


@pytest.mark.parametrize(("labelled", "read"), [(200, BY_ALL), (150, "believe this"), (0, "believe this")])
def test_of_answers_that_people_all_labelled_their_own_rate_is_believed(labelled: int, read: str):
    half = by("labels-wilson").model_copy(update={"n": 90})
    found = [half, by("rogan-gladen").model_copy(update={"n": 200})]
    own = half.model_copy(update={"metric": "DR-1-people", "n": labelled, "value": 0.3 if labelled else None})
    assert reading(half, found, people=own) == read
    assert reading(found[1], found, people=own) == (BY_ALL if read == BY_ALL else "a check")
    assert reading(half, found, people=None) == "believe this"


def test_a_caveat_of_many_rows_stands_once_below_the_table():
    long = "the judge is not shown to be better than chance"
    found = [by(method).model_copy(update={"caveat": long}) for method in ("ppi++", "rogan-gladen")]
    card = DATA.scorecards[0].model_copy(update={"corrected": tuple(found)})
    table = tables(DATA.model_copy(update={"scorecards": (card, *DATA.scorecards[1:])}))["corrected"]
    assert [row[-1].text for row in table.rows] == ["caveat 1", "caveat 1"] and table.note.count(long) == 1
