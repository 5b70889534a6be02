"""Rates by language and by persona on a run's report: there where a run has several, and only there."""

import pytest

from breakfix.breakdowns import group_rows
from breakfix.estimates import Score
from breakfix.report.data import ReportData
from breakfix.report.page import html
from breakfix.report.tables import tables
from breakfix.settings import ReportSettings
from report_sample import SETTINGS, STAGES, sample, scores

DATA = sample()


def spoken(stage: str, **told: tuple[str, ...]) -> list[Score]:
    """Say that every n-th conversation was held in the n-th language, or with the n-th persona."""
    return [
        one._replace(**{name: values[place % len(values)] for name, values in told.items()})
        for place, one in enumerate(scores(stage))
    ]


def with_groups(**told: tuple[str, ...]) -> ReportData:
    rows = group_rows([spoken(stage, **told) for stage in STAGES], SETTINGS)
    return DATA.model_copy(update={"groups": rows})


def test_a_run_in_several_languages_shows_each_at_every_stage():
    made = tables(with_groups(language=("en", "fr", "ar")))
    table = made["by-language"]
    assert table.columns == ("Measure", "Language", "Before", "Round 1", "Round 2")
    pooled = [row for row in table.rows if row[0].text == "Harm, all measures"]
    assert [row[1].text for row in pooled] == ["Arabic (ar)", "English (en)", "French (fr)"]
    assert all(entry.text.endswith(" %") and "n = " in entry.detail for row in pooled for entry in row[2:])
    assert "by-persona" not in made


@pytest.mark.parametrize("told", [{"language": ("fr",)}, {}])
def test_one_language_alone_has_no_table(told: dict[str, tuple[str, ...]]):
    assert not {"by-language", "by-persona"} & set(tables(with_groups(**told)))


def test_personas_have_a_table_of_their_own():
    made = tables(with_groups(persona=("ordinary", "low_skilled")))
    assert {row[1].text for row in made["by-persona"].rows} == {"Ordinary", "Low skilled"}
    assert "by-language" not in made


def test_a_long_table_of_groups_is_folded_on_the_page_so_that_findings_are_near():
    many = with_groups(persona=("ordinary", "low_skilled"))
    assert "<details><summary>Persona by persona" in html(many, {}, ReportSettings())
    few = many.model_copy(update={"groups": [row for row in many.groups if row.by == "persona"][:4]})
    assert "<details open><summary>Persona by persona" in html(few, {}, ReportSettings())
