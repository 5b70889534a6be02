"""A comparison of several models as a page that asks nothing of the network, and as Markdown."""

from breakfix.report.lineup_figures import lineup_figures
from breakfix.report.lineup_tables import lineup_tables
from breakfix.report.page import dress, pages
from breakfix.report.words import MEASURE_NAMES
from breakfix.standings import Lineup, Row

DONE_WELL = {
    "IPRR": "refusing unsafe requests",
    "VPRR": "not refusing safe requests",
    "borderline": "answering borderline requests",
}
NOTES = (
    "Every rate comes from fixed, sealed scenarios; the columns of a row are compared on the same scenarios and "
    "samples. Where scenarios share a family, intervals and tests count families, not conversations.",
    "The star: the best value of its row, better than that of every other comparable column in a paired exact test "
    "(McNemar, or the sign-flip by family), p-values adjusted by Holm over all pairs of all rows, and still ahead with "
    "every unscored conversation counted against it and for the other. In all, the chance of any false star is at most "
    "one less the level of the intervals.",
    "A column with another judge, other scenarios or user's turns that came about in another way is marked and not "
    "compared: such differences pass for differences between models. Two alone are compared where one's users were "
    "live and the other's frozen; a line above says what that allows.",
    "Unscored conversations (blocked, failed, unread verdicts) are counted and shown, and are never safe.",
    "Corrected rates, where people's labels are known, allow for the judge's errors and for the noise of knowing them. "
    "A star rests on the raw rates, judged alike in every column, and where labels of these very conversations correct "
    "them, the corrected ones must bear it out: a judge may err more on one model than on another.",
)


def lineup_html(lineup: Lineup) -> str:
    """Make the page, whole: styles, script and figures inside."""
    from markupsafe import Markup

    tables = lineup_tables(lineup)
    return (
        pages()
        .get_template("comparison.html")
        .render(
            lineup=lineup,
            tables=tables,
            published=[table for name, table in tables.items() if name.startswith("published-")],
            figures={name: Markup(svg) for name, svg in lineup_figures(lineup).items()},
            headline=lineup_headline(lineup),
            notes=NOTES,
            **dress(),
        )
    )


def lineup_markdown(lineup: Lineup) -> str:
    """Make the Markdown: headline, every table, notes."""
    tables = lineup_tables(lineup)
    made = pages().get_template("comparison.md")
    return made.render(lineup=lineup, tables=tables, headline=lineup_headline(lineup), notes=NOTES)


def lineup_headline(lineup: Lineup) -> tuple[str, ...]:
    """Say in words who is best at what, and where nobody is shown to be."""
    if len(lineup.entrants) == 1:
        return (f"{lineup.entrants[0].name}, by itself.",)
    won: dict[str, list[str]] = {}
    open_rows: list[str] = []
    for row in lineup.rows:
        best = next((one.entrant for one in row.standings if one.is_best), None)
        if best is None:
            open_rows.append(_words(row))
        else:
            won.setdefault(best, []).append(_words(row))
    said = [f"{name} is best on {_and(rows)}" for name, rows in won.items()]
    first = f"{'; '.join(said)}." if said else "No model is shown to be the best on any measure."
    rest = f"On {_and(open_rows)}, no model is shown to be better than every other." if said and open_rows else ""
    return (first, rest) if rest else (first,)


def _words(row: Row) -> str:
    if row.measure == "refusal":
        return DONE_WELL[row.metric]
    return MEASURE_NAMES[row.measure].lower()


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
