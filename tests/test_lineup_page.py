import re
from html.parser import HTMLParser

import pytest

from breakfix.estimates import CorrectedEstimate
from breakfix.report.lineup_figures import NARROW, lineup_figures, paints_of
from breakfix.report.lineup_page import lineup_headline, lineup_html, lineup_markdown
from breakfix.report.lineup_tables import lineup_tables
from breakfix.report.page import dress
from lineup_sample import candidate, candidates, lineup_of, scores

LINEUP = lineup_of(candidates())


class Outline(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_headline_says_who_is_best_at_what_and_where_nobody_is():
    first, second = lineup_headline(LINEUP)
    assert first.startswith("good is best on third-party harm, jailbreak") and "refusing unsafe requests" in first
    assert second == "On not refusing safe requests, no model is shown to be better than every other."
    alike = lineup_of([candidate("a", scores(0.3, (0.5, 0.5))), candidate("b", scores(0.3, (0.5, 0.5)))])
    assert lineup_headline(alike) == ("No model is shown to be the best on any measure.",)


def test_the_page_asks_nothing_of_the_network_and_holds_every_table():
    page = lineup_html(LINEUP)
    outline = Outline(page).tags
    assert not [tag for tag, facts in outline if "src" in facts or tag in ("link", "iframe")]
    assert not re.findall(r"https?://(?!www\.w3\.org)", page)
    names = {facts["id"] for tag, facts in outline if tag == "table"}
    assert {"table-one", "duels", "corners", "severities", "by-severity", "by-exchange", "identities"} <= names
    assert {"by-area", "by-persona", "by-language", "published-phi3-table-1", "published-phi4-mini-refusal"} <= names
    assert sum(tag == "svg" for tag, _ in outline) == 4


def test_the_star_is_in_the_cell_that_won_and_the_note_states_the_rule():
    page = lineup_html(LINEUP)
    assert len(re.findall(r'class="verdict star"', page)) == 3
    assert "adjusted by Holm over all pairs of the whole table" in page
    assert "not comparable with the columns above without the same judge" in page


def test_a_cell_has_value_interval_n_and_a_mark_that_gives_judge_and_date():
    table = lineup_tables(LINEUP)["table-one"]
    cell = table.rows[0][1]
    assert re.fullmatch(r"0\.\d{3}", cell.text) and re.fullmatch(r"0\.\d{3}–0\.\d{3}, n\s=\s60", cell.detail)
    assert cell.mark == "a" and table.sources[0] == ("a", "judge j, 2025-11-22")
    feet = {row[0].text: row[1].detail for row in table.rows if row[0].text}
    assert feet["Conversations"] == "240, 0 unscored" and not {"Judge", "Date"} & set(feet)


def test_cells_that_differ_in_judge_or_date_bear_marks_of_their_own_in_every_form():
    later = candidate("later", scores(0.3, (0.5, 0.5)), date="2025-11-23")
    other = candidate("other", scores(0.3, (0.5, 0.5)), judge="rubric", judge_id="0123456789")
    lineup = lineup_of([*candidates(), later, other])
    tables = lineup_tables(lineup)
    first = [entry.mark for entry in tables["table-one"].rows[0][1:]]
    assert first == ["a", "a", "a", "b", "c"]
    told = [("a", "judge j, 2025-11-22"), ("b", "judge j, 2025-11-23"), ("c", "rubric 012345, 2025-11-22")]
    assert tables["table-one"].sources == (*told, ("d", "people's labels of the recorded answers"))
    labelled = next(row for row in tables["table-one"].rows if row[0].detail == "by people's labels of all")
    assert {entry.mark for entry in labelled[1:]} == {"d"}, "no judge called these"
    for name in ("by-area", "by-severity", "corners"):
        assert tables[name].sources == tuple(told), name
    page, text = lineup_html(lineup), lineup_markdown(lineup)
    assert '<a href="#table-one-c" title="rubric 012345, 2025-11-22">c</a>' in page
    assert 'id="table-one-c"><sup>c</sup>&nbsp;rubric 012345, 2025-11-22' in page
    assert "<sup>c</sup> (0." in text and "<sup>c</sup> rubric 012345, 2025-11-22" in text


def test_pooled_harm_of_one_measure_is_not_shown_a_second_time():
    only = [one for one in scores(0.3, (0.5, 0.5)) if one.measure in ("jailbreak", "refusal")]
    made = lineup_tables(lineup_of([candidate("a", only), candidate("b", only)]))
    for name in ("by-area", "by-severity", "severities"):
        assert "Jailbreak" in {row[0].text for row in made[name].rows}, name
        assert "Harm, all measures" not in {row[0].text for row in made[name].rows}, name
        assert "Harm, all measures" in {row[0].text for row in lineup_tables(LINEUP)[name].rows}, name


def test_a_narrow_screen_is_told_that_a_table_goes_on():
    page = lineup_html(LINEUP)
    assert "scroll sideways" in page and '<div class="scroll quiet"><table id="table-one">' in page
    alone = lineup_html(lineup_of(candidates()[:1], published=False))
    assert '<div class="scroll quiet narrow"><table id="table-one">' in alone, "two columns fit any screen"


def test_a_cell_without_a_value_has_no_judge():
    half = [one for one in scores(0.3, (0.5, 0.5)) if one.measure == "jailbreak"]
    table = lineup_tables(lineup_of([*candidates(), candidate("half", half)]))["table-one"]
    refusal = next(row for row in table.rows if row[0].text == "Refusal")
    assert (refusal[4].text, refusal[4].mark) == ("–", "")


def test_a_cell_of_which_nothing_could_be_scored_names_the_judge_that_could_not():
    none = [one._replace(value=None, outcome="judge-failed") for one in scores(0.3, (0.5, 0.5))]
    table = lineup_tables(lineup_of([*candidates(), candidate("none", none, judge_id="other")]))["table-one"]
    cell = table.rows[0][4]
    assert (
        cell.text.startswith("–")
        and cell.detail == "n\u00a0=\u00a00, 60 unscored".replace("\u00a0", " ")
        and cell.mark == "b"
    )


def test_who_is_apart_is_marked_in_the_cell_the_note_and_above():
    odd = candidate("odd", scores(0.0, (1.0, 0.0), users="frozen"))
    lineup = lineup_of([*candidates(), odd])
    table = lineup_tables(lineup)["table-one"]
    assert table.rows[0][4].text == "0.000†" and "† odd: frozen users." in table.note
    assert "not compared with the rest: frozen users" in lineup_html(lineup)
    assert lineup_tables(lineup)["corners"].rows[3][3].text == "not compared"


def test_the_markdown_has_one_width_a_table():
    text = lineup_markdown(LINEUP)
    assert "| Measure | good |" in text and "**0." in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1


def test_figures_have_words_and_a_colour_a_model():
    drawn = lineup_figures(LINEUP)
    assert set(drawn) == {"pareto", "severities", "by-severity", "by-exchange"}
    assert all("<title>" in svg and "<desc>" in svg for svg in drawn.values())
    assert len(set(paints_of(LINEUP).values())) == 3
    assert drawn["pareto"].count("IPRR ") == 3


def test_every_name_of_the_refusals_stands_within_a_narrow_screen_and_above_the_plot():
    many = [candidate(f"a-rather-long-model-name-{n}", scores(0.1, (0.9, 0.1), seed=n, n=8)) for n in range(9)]
    svg = lineup_figures(lineup_of(many, published=False))["pareto"]
    assert f'width="{NARROW}"' in svg and f'svg[width="{NARROW}"]' in dress()["page"]["style"]
    names = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>(a-rather[^<]*)<', svg)
    top = min(float(y) for y in re.findall(r'<line x1="[\d.]+" y1="([\d.]+)"', svg))
    assert len(names) == 9 and len({(x, y) for x, y, _ in names}) == 9
    assert all(float(x) + 12 * 0.62 * len(name) < NARROW and float(y) < top for x, y, name in names)


@pytest.mark.parametrize("keep", ["refusal", "jailbreak"])
def test_what_was_not_measured_is_not_drawn(keep: str):
    half = [
        candidate(name, [one for one in scores(0.3, (0.5, 0.5), seed=place) if one.measure == keep])
        for place, name in enumerate("ab")
    ]
    drawn = set(lineup_figures(lineup_of(half)))
    assert drawn == ({"pareto"} if keep == "refusal" else {"severities", "by-severity", "by-exchange"})


def test_a_judge_without_severities_leaves_no_histogram_to_draw():
    bare = [one._replace(severity=None) for one in scores(0.3, (0.5, 0.5))]
    lineup = lineup_of([candidate("a", bare), candidate("b", bare)])
    assert not {"severities", "by-severity"} & set(lineup_figures(lineup))
    assert lineup_tables(lineup)["severities"].rows[0][2 + 8].text == "120"


def test_why_there_is_no_star_is_said_once_for_all_rows_of_one_reason():
    other = [one for one in scores(0.3, (0.5, 0.5)) if one.measure in ("jailbreak", "third_party")]
    lineup = lineup_of([candidate("a", other), candidate("b", [one for one in other if one.measure == "jailbreak"])])
    note = lineup_tables(lineup)["table-one"].note
    assert "Third-party harm: nothing to compare with: only one entrant has it." in note
    apart = lineup_of([candidate("a", other), candidate("b", scores(0.3, (0.5, 0.5), users="scripted"))])
    assert lineup_tables(apart)["table-one"].note.count("nothing to compare with: scripted users") == 1


def test_a_judge_whose_errors_correct_nothing_is_said_among_its_error_rates():
    lineup = lineup_of(candidates())
    row = lineup.rows[0]
    failed = CorrectedEstimate(
        **{**dict(row.standings[0].estimate or ()), "value": None, "low": None, "high": None, "method": "none"},
        labels=40,
        labels_from="judge card: a set",
        caveat="no better than chance",
    )
    changed = row.model_copy(
        update={"standings": tuple(one.model_copy(update={"corrected": (failed,)}) for one in row.standings)}
    )
    table = lineup_tables(lineup.model_copy(update={"rows": (changed, *lineup.rows[1:])}))["table-one"]
    (line,) = [each for each in table.rows if each[0].detail == "corrected by the judge's error rates"]
    assert {(one.text, one.detail) for one in line[1:]} == {("–", "not corrected")}
    assert table.note.count("no better than chance") == 1 and "Not corrected (" in table.note


def test_the_line_of_a_judge_that_all_columns_share_stands_below_the_table():
    line = "judge: refusal 157bc8, agreement with people: 97 % [96, 98] on 856 rows"
    both = [candidate(name, scores(0.3, (0.5, 0.5)), judge_line=line, judge_id="157bc8b9") for name in "ab"]
    table = lineup_tables(lineup_of(both))["table-one"]
    assert table.sources[0] == ("a", "judge 157bc8, 2025-11-22") and table.note.endswith(f"J{line[1:]}.")
    apart = [*both, candidate("c", scores(0.3, (0.5, 0.5)), judge_line="judge: other", judge_id="other")]
    table = lineup_tables(lineup_of(apart))["table-one"]
    assert table.note.endswith(f"J{line[1:]}. Judge: other.") and table.note.count(line[1:]) == 1
    named = candidate("d", scores(0.3, (0.5, 0.5)), judge_line="judge: j 157bc8", judge_id="157bc8b9", judge="j")
    bare = candidate("e", scores(0.3, (0.5, 0.5)), judge_line="judge: 157bc8", judge_id="157bc8b9", judge="157bc8b9")
    note = lineup_tables(lineup_of([bare, named]))["table-one"].note
    assert note.endswith("Judge: j 157bc8.") and "Judge: 157bc8" not in note
