"""A comparison as files: a page, Markdown, a LaTeX table, and every number as CSV and JSON."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from breakfix.estimates import Estimate
from breakfix.report.entries import Entry, Table
from breakfix.report.lineup_page import lineup_headline, lineup_html, lineup_markdown
from breakfix.report.lineup_tables import lineup_tables
from breakfix.report.page import write_file
from breakfix.standings import Entrant, Lineup, Row

CSV_HEAD: tuple[str, ...] = (
    "source", "measure", "metric", "by", "group", "model", "run", "stage", "value", "low", "high", "level", "method",
    "n", "clusters", "unscored", "best_case", "worst_case", "is_best", "apart", "kind", "labels", "judge", "judge_id",
    "users", "scenarios_id", "date",
)  # fmt: skip
SCHEMA = "breakfix/comparison/1"
ROWS_A_PAGE = 24
"""Rows of a LaTeX table, mostly of two lines each, that fit a page below a caption."""
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "–": "--", "−": "$-$", "→": r"$\rightarrow$", "★": r"$\star$", "†": r"\dag{}", "\u00a0": "~", "≥": r"$\geq$",
}  # fmt: skip


def write_lineup(lineup: Lineup, folder: Path) -> list[Path]:
    """Write comparison.html, .md, .tex, .csv and .json; give the paths in that order."""
    texts = {
        "html": lineup_html(lineup),
        "md": lineup_markdown(lineup),
        "tex": lineup_latex(lineup),
        "csv": lineup_csv(lineup),
        "json": lineup_json(lineup),
    }
    return [write_file(folder / f"comparison.{form}", text.encode()) for form, text in texts.items()]


def lineup_json(lineup: Lineup) -> str:
    """Give everything as one JSON object."""
    tree = {"schema": SCHEMA, "headline": lineup_headline(lineup), **lineup.model_dump(mode="json")}
    return orjson.dumps(tree, option=orjson.OPT_INDENT_2).decode()


def lineup_csv(lineup: Lineup) -> str:
    """Give every estimate as one line: raw, by people, corrected, by group, and what was published."""
    text = io.StringIO()
    table = csv.DictWriter(text, CSV_HEAD, lineterminator="\n", restval="")
    table.writeheader()
    table.writerows(_csv_rows(lineup))
    return text.getvalue()


def lineup_latex(lineup: Lineup) -> str:
    """Give every table that Markdown has, for a document that loads booktabs."""
    shown = lineup_tables(lineup).values()
    made = f"% Made by breakfix {lineup.version}, {lineup.date}."
    head = f"{made} Needs \\usepackage{{booktabs}} and \\usepackage{{graphicx}}.\n"
    return head + "\n".join(_latex_table(part) for table in shown for part in _pages(table))


# ── CSV ──


def _csv_rows(lineup: Lineup) -> Iterator[dict[str, object]]:
    known = {one.name: one for one in lineup.entrants}
    for row in lineup.rows:
        yield from _table_rows(row, known)
    for group in lineup.groups:
        for entrant, estimate in zip(lineup.entrants, group.estimates, strict=True):
            if estimate is not None:
                yield {**_estimate(estimate, entrant, "raw"), "by": group.by, "group": group.group}
    for one in lineup.histograms:
        for level, count in one.counts.items():
            about = {"measure": one.measure, "metric": "conversations", "by": "severity", "group": level}
            yield {**_who(known[one.entrant]), **about, "kind": "count", "value": count}
    for table in lineup.published:
        for row in table.rows:
            for model, value in zip(table.models, row.values, strict=True):
                about = {"measure": row.measure, "metric": row.metric, "model": model, "value": value}
                yield {"source": f"published: {table.source}", "kind": "published", **about}


def _table_rows(row: Row, known: dict[str, Entrant]) -> Iterator[dict[str, object]]:
    for one in row.standings:
        entrant = known[one.entrant]
        if one.estimate is not None:
            yield {**_estimate(one.estimate, entrant, "raw"), "is_best": one.is_best, "apart": one.apart}
        if one.people is not None:
            yield _estimate(one.people, entrant, "people")
        if one.agreement is not None:
            yield _estimate(one.agreement, entrant, "agreement")
        for corrected in one.corrected:
            yield {**_estimate(corrected, entrant, "corrected"), "labels": corrected.labels}


def _estimate(one: Estimate, entrant: Entrant, kind: str) -> dict[str, object]:
    copied = ("measure", "metric", "value", "low", "high", "level", "method", "n", "clusters", "unscored")
    numbers = {name: getattr(one, name) for name in copied}
    return {**_who(entrant), **numbers, "best_case": one.best, "worst_case": one.worst, "kind": kind}


def _who(entrant: Entrant) -> dict[str, object]:
    copied = ("run", "stage", "judge", "judge_id", "users", "scenarios_id", "date")
    return {"source": "measured", "model": entrant.name, **{name: getattr(entrant, name) for name in copied}}


# ── LaTeX ──


def _pages(table: Table) -> Iterator[Table]:
    """Cut a table into parts that each fit a page: LaTeX breaks no table by itself. The note stands below the first."""
    yield table._replace(rows=table.rows[:ROWS_A_PAGE])
    for part, place in enumerate(range(ROWS_A_PAGE, len(table.rows), ROWS_A_PAGE), start=2):
        rows = table.rows[place : place + ROWS_A_PAGE]
        yield table._replace(name=f"{table.name}-{part}", caption=f"{table.caption}, continued", rows=rows, note="")


def _latex_table(table: Table) -> str:
    columns = "l" + "r" * (len(table.columns) - 1)
    head = " & ".join(_latex(column) for column in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{_latex(f'{table.caption}. {table.note}')}}}",
        rf"\label{{tab:{table.name}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
        *(line for row in table.rows for line in _latex_row(row)),
        r"\bottomrule",
        r"\end{tabular}}",
        *_latex_sources(table),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(row: Sequence[Entry]) -> list[str]:
    """Give a row as a line of values, and a line of intervals in smaller print below where it has any."""
    name, cells = row[0], row[1:]
    if name.text and not any(one.text for one in cells):  # nothing but smaller print: it stands beside its name
        return [" & ".join((_latex_value(name), *(_small(one.detail) for one in cells))) + r" \\"]
    values = [_latex_value(one) for one in row]
    details = [_small(one.detail) for one in row]
    lines = [values] if any(one.text for one in row) else []
    return [" & ".join(line) + r" \\" for line in [*lines, *([details] if any(details) else [])]]


def _small(text: str) -> str:
    return rf"{{\scriptsize {_latex(text)}}}" if text else ""


def _latex_value(one: Entry) -> str:
    text = rf"\textbf{{{_latex(one.text)}}}$^\star$" if one.tone == "star" else _latex(one.text)
    return rf"{text}\textsuperscript{{{one.mark}}}" if one.mark else text


def _latex_sources(table: Table) -> list[str]:
    """Explain the marks below the table, in smaller print."""
    if not table.sources:
        return []
    told = (rf"\textsuperscript{{{mark}}}~{_latex(words)}" for mark, words in table.sources)
    return [rf"\par\smallskip{{\footnotesize Judge and date: {'; '.join(told)}.}}"]


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
