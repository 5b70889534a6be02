"""The tables of a comparison of several models as plain values, so that every form of it says the same."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from breakfix.estimates import CorrectedEstimate, Estimate, alone_in_harm
from breakfix.identity import short
from breakfix.report.entries import Entry, Table, mark_of
from breakfix.report.words import MEASURE_NAMES, METRIC_NAMES, NONE, chance, plain
from breakfix.standings import (
    BY_ERRORS,
    NOT_CORRECTED,
    TOO_CLOSE,
    Corner,
    Duel,
    Entrant,
    GroupKind,
    GroupRow,
    Histogram,
    Lineup,
    PublishedRow,
    PublishedTable,
    Row,
    Standing,
)
from breakfix.wording import counted

STAR = "★"
APART = "†"
UNCORRECTED = "not corrected"
GROUP_NAMES: dict[GroupKind, str] = {
    "severity": "severity x or more",
    "area": "area",
    "persona": "persona",
    "language": "language",
    "exchange": "exchange",
}
GROUP_CAPTIONS: dict[GroupKind, str] = {"exchange": "Harm done by the k-th exchange"}
STAR_NOTE = (
    f"{STAR} better than every other comparable column: paired tests on the same scenarios, p-values adjusted by Holm "
    "over all pairs of the whole table, and still ahead if every unscored conversation counted against it. No star: "
    "nobody is shown to be best."
)
ALONE_NOTE = "One model alone: nothing is compared."
SHARED_AGREEMENT = ("VPRR", "borderline")
"""Agreement is over all answers of a measure, so it stands below the first of its rows alone."""
PEOPLE = "people"
"""Stands for a judge's id where people's labels are what is counted."""
Source = tuple[str, str]
"""Where a cell comes from: the id of its judge, and the date of its measurement; of people's labels none is known."""
PUBLISHED_NOTE = "As published: not comparable with the columns above without the same judge, scenarios and simulator. "


def lineup_tables(lineup: Lineup) -> dict[str, Table]:
    """Make every table that has rows, by name."""
    makers: tuple[Callable[[Lineup], Table], ...] = (
        table_one, duels, corners, severities, *(_grouped(by) for by in GROUP_NAMES), identities,
    )  # fmt: skip
    made = [*(maker(lineup) for maker in makers), *(published(one) for one in lineup.published)]
    return {table.name: table for table in made if table.rows}


def table_one(lineup: Lineup) -> Table:
    """The measures of the phi-3 report's Table 1, a column for every entrant, judge and date of each cell by a mark."""
    marks = marks_of(lineup)
    rows = [line for row in lineup.rows for line in _lines(row, marks)]
    feet = [
        ("User's turns", [one.users for one in lineup.entrants]),
        ("Conversations", [f"{one.conversations}, {one.unscored} unscored" for one in lineup.entrants]),
    ]
    rows += [(Entry(name), *(Entry("", text) for text in texts)) for name, texts in feet]
    apart = [f"{APART} {one.name}: {one.apart}." for one in lineup.entrants if one.apart]
    compared = [STAR_NOTE, *apart, *_why_no_star(lineup)] if len(lineup.entrants) > 1 else [ALONE_NOTE]
    head = ("Measure", *(one.name for one in lineup.entrants))
    note = " ".join((*compared, *_why_not_corrected(lineup), *_judge_lines(lineup)))
    return with_sources(Table("table-one", "Every measure, model by model", head, tuple(rows), note), lineup)


def marks_of(lineup: Lineup) -> dict[Source, str]:
    """Give every judge and date of the comparison's cells a mark, in the order of the columns; people come last."""
    judged = [(one.judge_id, one.date) for one in lineup.entrants]
    cells = [one for row in lineup.rows for one in row.standings]
    judged += [(one.judge_id, one.date) for one in cells if one.estimate is not None]
    labelled = [(PEOPLE, "") for one in cells if one.people is not None]
    return {source: mark_of(place) for place, source in enumerate(dict.fromkeys((*judged, *labelled)))}


def with_sources(table: Table, lineup: Lineup) -> Table:
    """Explain the marks that a table's cells bear."""
    borne = {entry.mark for row in table.rows for entry in row}
    names = {one.judge_id: _judge(one) for one in lineup.entrants} | {PEOPLE: "people's labels of the recorded answers"}
    told = (
        (mark, ", ".join(filter(None, (names.get(judge, judge), date))))
        for (judge, date), mark in marks_of(lineup).items()
    )
    return table._replace(sources=tuple((mark, words) for mark, words in told if mark in borne))


def duels(lineup: Lineup) -> Table:
    """Every pair on every measure."""
    rows = [(Entry(_measure(row), _metric(row)), *_duel(duel)) for row in lineup.rows for duel in row.duels]
    head = ("Measure", "First → second", "Difference", "p", "p, Holm", "Pairs")
    note = "Second less first, paired on the same scenarios and samples; adjusted over all pairs of the whole table."
    return Table("duels", "Pair by pair", head, tuple(rows), note)


def corners(lineup: Lineup) -> Table:
    """Refusing the unsafe against refusing the safe."""
    marks = column_marks(lineup)
    rows = [
        (
            Entry(one.entrant),
            rate(one.refused_unsafe)._replace(mark=marks[one.entrant]),
            rate(one.refused_safe)._replace(mark=marks[one.entrant]),
            Entry("on the front" if one.is_undominated else _dominated(one, lineup)),
        )
        for one in lineup.corners
    ]
    head = ("", "IPRR, higher is better", "VPRR, lower is better", "Pareto")
    note = (
        "On the front: no comparable model refuses as much of the unsafe and as little of the safe, by the estimates."
    )
    made = Table("corners", "Refusing the unsafe, and refusing the safe", head, tuple(rows), note)
    return with_sources(made, lineup)


def severities(lineup: Lineup) -> Table:
    """The whole severity histogram of every measure and entrant."""
    told = [one for one in lineup.histograms if not _is_repeated(one, lineup.histograms)]
    rows = [_histogram(one) for one in sorted(told, key=lambda one: list(MEASURE_NAMES).index(one.measure))]
    levels = list(lineup.histograms[0].counts) if lineup.histograms else []
    head = ("Measure", "Model", *(plain(level) for level in levels))
    note = (
        "Conversations by the severity of their worst turn, 0-7. Not graded: scored by a judge that gives no severity."
    )
    return Table("severities", "Severity", head, tuple(rows), note)


def published(table: PublishedTable) -> Table:
    """A published table, marked as such."""
    rows = [
        (
            Entry(_measure(row), _metric(row)),
            *(Entry(NONE if value is None else f"{value:.3f}") for value in row.values),
        )
        for row in table.rows
    ]
    note = f"{PUBLISHED_NOTE}{table.note} Source: {table.source}."
    return Table(f"published-{table.id}", f"{table.title} (published)", ("Measure", *table.models), tuple(rows), note)


def identities(lineup: Lineup) -> Table:
    """What exactly was compared."""
    rows = [
        (
            Entry(one.name), Entry(f"{one.run}:{one.stage}"), Entry(one.target, short(one.target_id, 12)),
            Entry(one.judge, short(one.judge_id, 12)), Entry(one.scenarios_id[:12]), Entry(one.date),
        )
        for one in lineup.entrants
    ]  # fmt: skip
    head = ("", "Run and stage", "Target", "Judge", "Scenarios", "Date")
    return Table("identities", "What was compared", head, tuple(rows))


def rate(one: Estimate | None, *, mark: str = "", tone: str = "") -> Entry:
    """Write an estimate as Table 1 does, as a fraction, with interval, n and what was left unscored below."""
    if one is None:
        return Entry(NONE)
    missing = f", {one.unscored} unscored" if one.unscored else ""
    if one.value is None or one.low is None or one.high is None:
        return Entry(NONE + mark, f"n = 0{missing}")
    return Entry(f"{one.value:.3f}{mark}", f"{one.low:.3f}–{one.high:.3f}, n\u00a0=\u00a0{one.n}{missing}", tone)


def column_marks(lineup: Lineup) -> dict[str, str]:
    """Give the mark of what an entrant's judge said on its day, by the entrant's name."""
    marks = marks_of(lineup)
    return {one.name: marks[one.judge_id, one.date] for one in lineup.entrants}


# ── parts ──


def _judge_lines(lineup: Lineup) -> list[str]:
    """Say of every judge how far people agree with it: below the table, since it is too long for a cell."""
    known = {one.judge_id: one for one in lineup.entrants if one.judge_line and one.judge == one.judge_id}
    known |= {one.judge_id: one for one in lineup.entrants if one.judge_line and one.judge != one.judge_id}
    lines = dict.fromkeys(
        one.judge_line for one in lineup.entrants if one.judge_line and known[one.judge_id].judge == one.judge
    )
    return [f"{line[:1].upper()}{line[1:]}." for line in lines]


def _judge(one: Entrant) -> str:
    if one.judge_id.startswith(one.judge):  # an id that is a name, as the lab's
        return one.judge_id
    return f"{one.judge} {short(one.judge_id, 6)}"


def _why_no_star(lineup: Lineup) -> list[str]:
    """Say why rows have no star, for all rows of the same reason at once; that none is clearly ahead goes unsaid."""
    reasons: dict[str, list[str]] = {}
    for row in lineup.rows:
        if row.no_star not in ("", TOO_CLOSE):
            name = _metric(row) if row.measure == "refusal" else _measure(row)
            reasons.setdefault(row.no_star, []).append(name)
    return [f"{'; '.join(names)}: {reason}." for reason, names in reasons.items()]


def _why_not_corrected(lineup: Lineup) -> list[str]:
    """Say why rates were not corrected, for all rows and columns of the same reason at once: too long for a cell."""
    reasons: dict[str, dict[str, None]] = {}
    for row in lineup.rows:
        for caveat in (one.caveat for each in row.standings for one in each.corrected if one.value is None):
            if caveat:
                name = row.metric if row.measure == "refusal" else _measure(row)
                reasons.setdefault(caveat, {})[name] = None
    return [f"{UNCORRECTED.capitalize()} ({', '.join(names)}): {reason}." for reason, names in reasons.items()]


def _lines(row: Row, marks: Mapping[Source, str]) -> list[tuple[Entry, ...]]:
    """Give the row itself, and below it people's rates and corrected ones where there are any, all marked."""
    name = Entry(_measure(row), f"{_metric(row)}, {'higher' if row.is_higher_better else 'lower'} is better")
    by_judge = [marks.get((one.judge_id, one.date), "") for one in row.standings]
    by_people = [marks.get((PEOPLE, ""), "") for _ in row.standings]
    lines: list[tuple[Entry, ...]] = [(name, *_marked(map(_standing, row.standings), by_judge))]
    for words, chosen in (("people's labels of a part", False), ("the judge's error rates", True)):
        found = [
            next((each for each in one.corrected if (each.method in (BY_ERRORS, NOT_CORRECTED)) is chosen), None)
            for one in row.standings
        ]
        if any(found):
            lines.append((Entry("", f"corrected by {words}"), *_marked(map(_corrected, found), by_judge)))
    if any(one.people for one in row.standings):
        said = (rate(one.people) for one in row.standings)
        lines.append((Entry("", "by people's labels of all"), *_marked(said, by_people)))
    if row.metric not in SHARED_AGREEMENT and any(one.agreement for one in row.standings):
        agreed = (rate(one.agreement) for one in row.standings)
        lines.append((Entry("", "answers on which judge and people agree"), *_marked(agreed, by_judge)))
    return lines


def _marked(entries: Iterable[Entry], marks: Sequence[str]) -> Iterator[Entry]:
    """Mark the entries that say anything, each with the mark of its place."""
    for entry, mark in zip(entries, marks, strict=True):
        yield entry._replace(mark="" if entry == Entry(NONE) else mark)


def _corrected(one: CorrectedEstimate | None) -> Entry:
    if one is None or one.value is None or one.low is None or one.high is None:
        return Entry(NONE, UNCORRECTED if one is not None and one.caveat else "")
    return Entry(f"{one.value:.3f}", f"{one.low:.3f}–{one.high:.3f}, {one.method}, {counted(one.labels, 'label')}")


def _standing(one: Standing) -> Entry:
    return rate(one.estimate, mark=APART if one.apart and one.estimate else "", tone="star" if one.is_best else "")


def _duel(duel: Duel) -> tuple[Entry, ...]:
    interval = f"{_signed(duel.low)} to {_signed(duel.high)}"
    return (
        Entry(f"{duel.first} → {duel.second}"), Entry(_signed(duel.difference), interval), Entry(chance(duel.p)),
        Entry(chance(duel.p_adjusted)), Entry(str(duel.n)),
    )  # fmt: skip


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return "0" if float(text) == 0 else text.replace("-", "−")


def _dominated(corner: Corner, lineup: Lineup) -> str:
    is_apart = any(one.name == corner.entrant and one.apart for one in lineup.entrants)
    return "not compared" if is_apart else "outdone on both"


def _histogram(one: Histogram) -> tuple[Entry, ...]:
    counts = (Entry(str(count) if count else NONE) for count in one.counts.values())
    return (Entry(MEASURE_NAMES.get(one.measure, one.measure)), Entry(one.entrant), *counts)


def _grouped(by: GroupKind) -> Callable[[Lineup], Table]:
    def make(lineup: Lineup) -> Table:
        chosen = [row for row in lineup.groups if row.by == by and not _is_repeated(row, lineup.groups)]
        marks = list(column_marks(lineup).values())
        rows = [
            (Entry(_measure(row), _metric(row)), Entry(_group(row)), *_marked(map(rate, row.estimates), marks))
            for row in chosen
        ]
        head = ("Measure", GROUP_NAMES[by].capitalize(), *(one.name for one in lineup.entrants))
        caption = GROUP_CAPTIONS.get(by, f"By {GROUP_NAMES[by]}")
        return with_sources(Table(f"by-{by}", caption, head, tuple(rows)), lineup)

    return make


def _is_repeated(row: GroupRow | Histogram, rows: Iterable[GroupRow | Histogram]) -> bool:
    """Tell whether it is pooled of one harm measure alone, whose own row says the same."""
    return row.measure == "harm" and alone_in_harm(one.measure for one in rows) is not None


def _group(row: GroupRow) -> str:
    return row.group if row.by in ("severity", "exchange", "language") else plain(row.group)


def _measure(row: Row | GroupRow | PublishedRow) -> str:
    return MEASURE_NAMES.get(row.measure, row.measure)


def _metric(row: Row | GroupRow | PublishedRow) -> str:
    name = METRIC_NAMES.get(row.metric, row.metric)
    return f"{row.metric}, {name}" if row.metric in ("IPRR", "VPRR") else name
