import csv
import io
import json
import re
from pathlib import Path

from breakfix.report.lineup_files import ROWS_A_PAGE, lineup_csv, lineup_json, lineup_latex, write_lineup
from breakfix.report.lineup_tables import lineup_tables
from breakfix.report.published import load_published, published_about
from lineup_sample import HOSTILE, candidate, candidates, lineup_of, scores

LINEUP = lineup_of(candidates())


def test_five_files_are_written(tmp_path: Path):
    paths = write_lineup(LINEUP, tmp_path / "new")
    assert [path.name for path in paths] == [f"comparison.{form}" for form in ("html", "md", "tex", "csv", "json")]
    assert all(path.stat().st_size > 500 for path in paths)


def test_the_csv_has_every_estimate_with_judge_and_date():
    rows = list(csv.DictReader(io.StringIO(lineup_csv(LINEUP))))
    own = [row for row in rows if row["source"] == "measured" and not row["by"] and row["kind"] == "raw"]
    assert len(own) == len(LINEUP.rows) * 3
    assert {(row["judge"], row["judge_id"], row["date"]) for row in own} == {("judge", "j", "2025-11-22")}
    best = [(row["model"], row["metric"]) for row in own if row["is_best"] == "True"]
    assert ("good", "IPRR") in best and all(model == "good" for model, _ in best)
    assert {"severity", "area", "persona", "language", "exchange"} <= {row["by"] for row in rows}
    published = [row for row in rows if row["kind"] == "published"]
    assert all(row["source"].startswith("published: ") for row in published)
    assert ("phi-3-mini 3.8b", "DR-3", "0.007") in [(row["model"], row["metric"], row["value"]) for row in published]


def test_the_json_holds_the_whole_comparison():
    tree = json.loads(lineup_json(LINEUP))
    assert tree["schema"] == "breakfix/comparison/1"
    assert [one["name"] for one in tree["entrants"]] == ["good", HOSTILE, "bad"]
    assert tree["rows"][0]["duels"][0]["p_adjusted"] >= tree["rows"][0]["duels"][0]["p"]
    assert sum(tree["histograms"][0]["counts"].values()) == 120


def test_the_latex_is_balanced_escaped_and_bold_where_there_is_a_star():
    text = lineup_latex(LINEUP)
    body = re.sub(r"\\[&%$#_{}]", "", text)
    assert body.count("{") == body.count("}") and text.count(r"\begin{") == text.count(r"\end{")
    assert all(mark in text for mark in (r"\toprule", r"\midrule", r"\bottomrule", r"\textbf{0."))
    assert text.count(r"\textbf{0.") == len(re.findall(r"\\textbf\{[\d.]+\}\$\^\\star\$", text)), (
        "the caption speaks of a star"
    )
    assert r"100\% \$x\_1\$" in text and "<b>" not in text
    for table in text.split(r"\midrule")[1:]:
        widths = {line.count(" & ") for line in table.split(r"\bottomrule")[0].splitlines() if line.endswith(r"\\")}
        assert len(widths) == 1, "every line has as many cells"


def test_every_latex_cell_names_its_judge_and_date_by_a_mark_below_the_table():
    text = lineup_latex(LINEUP)
    first = text[text.index(r"\midrule") :].splitlines()[1]
    assert first.count(r"\textsuperscript{a}") == 3
    assert r"Judge and date: \textsuperscript{a}~judge j, 2025-11-22;" in text
    phi3 = text[text.index("tab:published-phi3") :]
    assert "textsuperscript" not in phi3, "whoever published those did not use our judge"


def test_the_latex_has_every_table_that_the_page_has_cut_where_a_page_ends():
    text = lineup_latex(LINEUP)
    known = lineup_tables(LINEUP)
    assert {"by-severity", "by-area", "by-persona", "by-language", "by-exchange", "severities"} <= set(known)
    assert all(rf"\label{{tab:{name}}}" in text for name in known)
    long = next(table for table in known.values() if len(table.rows) > ROWS_A_PAGE)
    assert rf"\label{{tab:{long.name}-2}}" in text and f"{long.caption}, continued." in text
    counts = [part.split(r"\bottomrule")[0].count("\n") - 1 for part in text.split(r"\midrule")[1:]]
    assert max(counts) <= 2 * ROWS_A_PAGE


def test_a_latex_row_of_small_print_alone_stands_beside_its_name():
    lines = lineup_latex(LINEUP).splitlines()
    users = next(line for line in lines if line.startswith("User's turns"))
    assert users.count("scriptsize") == 3 and not any(line.startswith(" & ") and "unscored" in line for line in lines)
    (held,) = (line for line in lines if line.startswith("Conversations &"))
    assert held.count("0 unscored") == 3


def test_names_with_marks_of_their_own_stay_text_in_every_form(tmp_path: Path):
    page, words, *_ = (path.read_text() for path in write_lineup(LINEUP, tmp_path))
    assert "<b>model</b>" not in page and "&lt;b&gt;model&lt;/b&gt;" in page
    assert r"\<b\>model\</b\>" in words


def test_published_tables_carry_source_and_note():
    tables = {table.id: table for table in load_published()}
    phi3, phi4 = tables["phi3-table-1"], tables["phi4-mini-refusal"]
    assert len(phi3.models) == 7 and {len(row.values) for row in phi3.rows} == {7} and "2404.14219" in phi3.source
    assert phi4.rows[0].values == (0.935, 0.87, 0.925, 0.92) and "2503.01743" in phi4.source
    assert [table.id for table in published_about([("refusal", "VPRR")])] == ["phi4-mini-refusal"]
    assert published_about([("refusal", "borderline")]) == ()


def test_a_comparison_without_harm_measures_is_written_too(tmp_path: Path):
    only = [one for one in scores(0.1, (0.9, 0.1)) if one.measure == "refusal"]
    other = [one for one in scores(0.1, (0.2, 0.1), seed=5) if one.measure == "refusal"]
    lineup = lineup_of([candidate("a", only), candidate("b", other)], published=False)
    assert len(write_lineup(lineup, tmp_path)) == 5 and not lineup.histograms
