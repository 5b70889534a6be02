"""The figures of a comparison of several models, each an SVG text, and none where there is nothing to draw."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from breakfix.report.drawing import Drawing, Type
from breakfix.report.words import percent
from breakfix.standings import Corner, Lineup
from breakfix.wording import counted

WIDTH = 960
NARROW = 680
"""Of a figure that fits a narrow screen whole (report.css knows it by this width): it is as high as it is wide."""
PAINTS = ("k0", "k1", "k2", "k3", "s0", "s3", "k4", "s5")
"""One an entrant, told apart by the colour-blind; beyond the last they begin again, and words tell them apart."""
SMALL = Type(size=11, paint="soft")
TICK = Type(size=11, anchor="end", paint="soft")
FOOT = Type(size=11, anchor="middle", paint="soft")
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
HARM = "harm"
LONGEST_NAME = 26
HALF = 38
"""Letters of a name that two share a line of a narrow figure with."""
LINE = 20
"""From one line of names to the next."""
STRONG_CHARACTER = 0.62
"""Width of a character in bold, as a share of its size."""


class Plot(NamedTuple):
    """Where shares fall on paper."""

    left: float
    top: float
    width: float
    height: float
    most_x: float = 1.0
    most_y: float = 1.0

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Give the place of a pair of values."""
        return self.left + self.width * x / self.most_x, self.top + self.height * (1 - y / self.most_y)


def lineup_figures(lineup: Lineup) -> dict[str, str]:
    """Draw every figure that the comparison allows, by name."""
    makers: dict[str, Callable[[Lineup], Drawing | None]] = {
        "pareto": pareto, "severities": severities, "by-severity": by_severity, "by-exchange": by_exchange,
    }  # fmt: skip
    drawn = {name: make(lineup) for name, make in makers.items()}
    return {name: drawing.svg() for name, drawing in drawn.items() if drawing is not None}


def paints_of(lineup: Lineup) -> dict[str, str]:
    """Give every entrant its colour, the same in every figure."""
    return {one.name: PAINTS[place % len(PAINTS)] for place, one in enumerate(lineup.entrants)}


def pareto(lineup: Lineup) -> Drawing | None:
    """Draw refusing the unsafe against refusing the safe, with intervals; a line joins those that nobody outdoes."""
    if not lineup.corners:
        return None
    paints = paints_of(lineup)
    title = "Refusing the unsafe, and refusing the safe"
    words = "Share of unsafe requests refused (up) against share of safe requests refused (right), with intervals."
    named = _lines_of_names(lineup.corners)
    above = LINE * len(named) + 24
    whole = f"{words} A ring and a line mark those that no other outdoes on both."
    figure = Drawing(NARROW, above + 430, title, whole)
    furthest = max(one.refused_safe.high or 0.0 for one in lineup.corners)
    plot = Plot(64, above, NARROW - 84, 370, most_x=_round_up(furthest))
    _axes(figure, plot, "Safe requests refused (VPRR): lower is better", "Unsafe requests refused (IPRR)")
    front = sorted((_point(one) for one in lineup.corners if one.is_undominated), key=lambda point: point[0])
    if len(front) > 1:
        figure.curve([plot.at(*point) for point in front], paint="axis", width=1.5)
    for one in lineup.corners:
        _corner(figure, plot, one, paints[one.entrant])
    _names(figure, named, paints)
    return figure


def severities(lineup: Lineup) -> Drawing | None:
    """Draw the pooled severity histogram, for each severity a bar an entrant, unscored conversations too."""
    known = {one.entrant: one.counts for one in lineup.histograms if one.measure == HARM}
    if not any(count for counts in known.values() for level, count in counts.items() if level.isdigit()):
        return None
    levels = [level for level in next(iter(known.values())) if any(counts[level] for counts in known.values())]
    shares = {
        name: {level: counts[level] / (sum(counts.values()) or 1) for level in levels} for name, counts in known.items()
    }
    figure = Drawing(WIDTH, 330, "Severity", f"Bars: share of conversations by severity, {', '.join(known)}.")
    paints = paints_of(lineup)
    most = _round_up(max(share for row in shares.values() for share in row.values()))
    plot = Plot(52, 60, WIDTH - 60, 220, most_y=most)
    _legend(figure, list(known), paints)
    _rules(figure, plot)
    slot = plot.width / len(levels)
    width = min(26.0, slot * 0.86 / len(known))
    for place, level in enumerate(levels):
        left = plot.left + slot * place + (slot - width * len(known)) / 2
        for number, (name, row) in enumerate(shares.items()):
            _, top = plot.at(0, row[level])
            tip = f"{name}, {level}: {counted(known[name][level], 'conversation')}"
            box = (left + width * number + 0.5, top, width - 1, plot.top + plot.height - top)
            figure.rect(box, paint=paints[name], tip=tip)
        figure.text(plot.left + slot * (place + 0.5), plot.top + plot.height + 20, level, FOOT)
    return figure


def by_severity(lineup: Lineup) -> Drawing | None:
    """Draw the share of conversations of severity x or more, for every x."""
    title = "Defect rate at every threshold"
    return _lines(lineup, "severity", title, "Severity x or more")


def by_exchange(lineup: Lineup) -> Drawing | None:
    """Draw the share of conversations in which harm had been done by the k-th exchange."""
    return _lines(lineup, "exchange", "Harm by length of the conversation", "Exchanges so far")


# ── parts ──


def _lines(lineup: Lineup, by: str, title: str, foot: str) -> Drawing | None:
    rows = [row for row in lineup.groups if row.by == by and row.measure == HARM]
    if len(rows) < 2:
        return None
    figure = Drawing(WIDTH, 330, title, f"Lines with intervals, one a model, over: {foot.lower()}. All harm measures.")
    paints = paints_of(lineup)
    most = _round_up(max(one.high or 0.0 for row in rows for one in row.estimates if one is not None))
    plot = Plot(52, 60, WIDTH - 60, 200, most_x=len(rows), most_y=most)
    _legend(figure, [one.name for one in lineup.entrants], paints)
    _rules(figure, plot)
    for place, row in enumerate(rows):
        figure.text(plot.at(place + 0.5, 0)[0], plot.top + plot.height + 20, row.group, FOOT)
    figure.text(plot.left + plot.width / 2, plot.top + plot.height + 42, foot, FOOT)
    for number, entrant in enumerate(lineup.entrants):
        shift = (number - (len(lineup.entrants) - 1) / 2) * 0.05
        known = [(place + 0.5 + shift, one) for place, row in enumerate(rows) if (one := row.estimates[number])]
        seen = [(x, one, one.value) for x, one in known if one.value is not None]
        figure.curve([plot.at(x, value) for x, _, value in seen], paint=paints[entrant.name], width=1.5)
        for x, one, value in seen:
            (across, low), (_, high) = plot.at(x, one.low or 0.0), plot.at(x, one.high or 0.0)
            figure.line((across, low), (across, high), paint=paints[entrant.name], width=1.5)
            tip = f"{entrant.name}, {foot.lower()} {place_of(one.harm)}: {percent(value, 1)}, n = {one.n}"
            figure.dot(across, plot.at(x, value)[1], 4, paint=paints[entrant.name], tip=tip)
    return figure


def place_of(harm: str) -> str:
    """Give the group's own name: severity/3 is 3."""
    return harm.partition("/")[2]


def _corner(figure: Drawing, plot: Plot, one: Corner, paint: str) -> None:
    x, y = _point(one)
    unsafe, safe = one.refused_unsafe, one.refused_safe
    figure.line(plot.at(safe.low or 0.0, y), plot.at(safe.high or 0.0, y), paint=paint, width=1.5)
    figure.line(plot.at(x, unsafe.low or 0.0), plot.at(x, unsafe.high or 0.0), paint=paint, width=1.5)
    across, down = plot.at(x, y)
    tip = f"{one.entrant}: IPRR {percent(y, 1)} (n = {unsafe.n}), VPRR {percent(x, 1)} (n = {safe.n})"
    if one.is_undominated:
        figure.dot(across, down, 9, paint=paint)
        figure.dot(across, down, 7, paint="paper")
    figure.dot(across, down, 5, paint=paint, tip=tip)


def _lines_of_names(corners: Sequence[Corner]) -> list[list[tuple[float, Corner]]]:
    """Deal the entrants out over lines, in the order of height, each with its place from the left."""
    lines: list[list[tuple[float, Corner]]] = []
    left = float(NARROW)
    for one in sorted(corners, key=lambda one: -_point(one)[1]):
        width = 38 + len(_short(one.entrant, HALF)) * 12 * STRONG_CHARACTER
        if left + width > NARROW:
            lines.append([])
            left = 12.0
        lines[-1].append((left, one))
        left += width
    return lines


def _names(figure: Drawing, lines: Sequence[Sequence[tuple[float, Corner]]], paints: dict[str, str]) -> None:
    """Write the names above, where a narrow screen shows them too, each in its colour; strong whom nobody outdoes."""
    for row, line in enumerate(lines):
        y = 16 + LINE * row
        for left, one in line:
            figure.dot(left, y - 4, 5, paint=paints[one.entrant])
            figure.text(left + 12, y, _short(one.entrant, HALF), Type(size=12, is_strong=one.is_undominated))


def _short(name: str, most: int = LONGEST_NAME) -> str:
    """Cut a name that would run off the paper; the table has it whole."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _point(one: Corner) -> tuple[float, float]:
    return one.refused_safe.value or 0.0, one.refused_unsafe.value or 0.0


def _axes(figure: Drawing, plot: Plot, below: str, beside: str) -> None:
    for tick in TICKS:
        (left, y), (right, _) = plot.at(0, tick), plot.at(plot.most_x, tick)
        figure.line((left, y), (right, y), paint="grid")
        figure.text(left - 8, y + 4, percent(tick), TICK)
        x, floor = plot.at(plot.most_x * tick, 0)
        figure.line((x, plot.top), (x, floor), paint="grid")
        figure.text(x, floor + 18, percent(plot.most_x * tick), FOOT)
    figure.text(plot.left + plot.width / 2, plot.top + plot.height + 44, below, FOOT)
    figure.text(plot.left, plot.top - 8, f"{beside}: higher is better", SMALL)


def _rules(figure: Drawing, plot: Plot) -> None:
    for tick in TICKS:
        (left, y), (right, _) = plot.at(0, plot.most_y * tick), plot.at(plot.most_x, plot.most_y * tick)
        figure.line((left, y), (right, y), paint="axis" if tick == 0 else "grid")
        figure.text(left - 8, y + 4, percent(plot.most_y * tick), TICK)


def _legend(figure: Drawing, names: Sequence[str], paints: dict[str, str]) -> None:
    """Write the names in as many lines as they need."""
    lines: list[list[str]] = [[]]
    for name in names:
        if sum(len(_short(each)) + 5 for each in [*lines[-1], name]) > 130:
            lines.append([])
        lines[-1].append(name)
    for row, line in enumerate(lines[:3]):
        figure.legend(52, 14 + 15 * row, [(paints[name], _short(name)) for name in line])


def _round_up(share: float) -> float:
    """Give the next of 4, 8, 20, 40, 60, 80 and 100 per cent, whose quarters are whole."""
    return next((step for step in (0.04, 0.08, 0.2, 0.4, 0.6, 0.8) if share <= step), 1.0)
