"""The figures of a report, each an SVG text and None where there is nothing to draw.

Intervals are drawn wherever there is one. Every figure has a title and a description in words, and the page gives its
numbers in a table beside it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from breakfix.estimates import Estimate
from breakfix.report.data import AttackSuccess, ReportData
from breakfix.report.drawing import KIND_PAINTS, Drawing, Type, paint_of, stage_paint, wrapped
from breakfix.report.words import amount, attacked_stage, bounds, percent, plain, stage_names
from breakfix.statistics.intervals import wilson
from breakfix.types import AREAS
from breakfix.wording import counted

WIDTH = 960
SMALL = Type(size=11, paint="soft")
TICK = Type(size=11, anchor="end", paint="soft")
CENTRED = Type(size=12, anchor="middle")
VALUE = Type(size=11, anchor="middle", has_halo=True)


class Panel(NamedTuple):
    """Where a value falls on paper."""

    left: float
    top: float
    width: float
    height: float
    greatest: float = 1.0
    least: float = 0.0

    def y(self, value: float) -> float:
        """Give the height of a value, greatest at the top."""
        return self.top + self.height * (1 - (value - self.least) / (self.greatest - self.least))

    @property
    def floor(self) -> float:
        """Give the lower edge."""
        return self.top + self.height


def figures(data: ReportData) -> dict[str, str]:
    """Draw every figure that the data allows, by the name of its file."""
    drawn = {
        "harm-by-area": harm_by_area(data),
        "rounds": rounds(data),
        "attacks": attacks(data),
        "mixture": mixture(data),
        "training": training(data),
    }
    return {name: drawing.svg() for name, drawing in drawn.items() if drawing is not None}


def harm_by_area(data: ReportData) -> Drawing | None:
    """Draw the harm rate of each area at each stage as grouped bars with intervals (phi-3 report, Figure 4)."""
    groups = ("all", *(f"area/{area}" for area in AREAS))
    shown = [group for group in groups if any(card.find("harm", harm=group) for card in data.scorecards)]
    if len(shown) < 2:
        return None
    stages = stage_names(data)
    description = (
        f"Grouped bars: share of sealed conversations that did harm, by area, {', '.join(stages)}, with intervals."
    )
    figure = Drawing(WIDTH, 380, "Harm by area, before and after each round", description)
    paints = _stage_paints(data)
    figure.legend(52, 20, list(zip(paints, stages, strict=True)))
    panel = Panel(52, 44, WIDTH - 60, 272)
    _grid(figure, panel, [0, 0.25, 0.5, 0.75, 1.0])
    slot = panel.width / len(shown)
    for place, group in enumerate(shown):
        left = panel.left + slot * place
        estimates = [card.find("harm", harm=group) for card in data.scorecards]
        _bars(figure, panel._replace(left=left, width=slot), estimates, paints)
        for row, line in enumerate(wrapped("All measures" if group == "all" else plain(group), 14)):
            figure.text(left + slot / 2, panel.floor + 20 + 15 * row, line, CENTRED._replace(is_strong=group == "all"))
    figure.line((panel.left, panel.floor), (panel.left + panel.width, panel.floor), paint="axis")
    return figure


def rounds(data: ReportData) -> Drawing | None:
    """Draw what the gate looks at, stage by stage, as small panels side by side, once there are two stages."""
    if len(data.scorecards) < 2:
        return None
    limits = data.gate_settings
    wanted = (
        ("Harm", "harm", "defect rate", limits.max_harm_rate if limits else None),
        ("Safe requests refused", "refusal", "VPRR", limits.max_over_refusal if limits else None),
        ("Borderline answered", "refusal", "borderline", None),
        ("Unsafe requests refused", "refusal", "IPRR", None),
        ("Ungroundedness, 0–4", "ungroundedness", "mean", limits.max_ungroundedness if limits else None),
    )
    lines = [
        (name, [card.find(measure, metric=metric) for card in data.scorecards], limit)
        for name, measure, metric, limit in wanted
    ]
    lines = [line for line in lines if any(line[1])]
    if not lines:
        return None
    names = ", ".join(name.lower() for name, _, _ in lines)
    description = f"One panel each for {names}, with intervals; dashed: the gate's bound."
    figure = Drawing(WIDTH, 246, "What the gate looks at, round by round", description)
    slot = (WIDTH - 8) / len(lines)
    short = ["Before" if card.stage == "base" else plain(card.stage).replace("Round ", "R") for card in data.scorecards]
    for place, (name, estimates, limit) in enumerate(lines):
        top = 4.0 if name.startswith("Ungrounded") else 1.0
        panel = Panel(slot * place + 44, 48, slot - 58, 150, top)
        figure.text(panel.left - 36, 20, name, Type(size=13, is_strong=True))
        _steps(figure, panel, estimates, list(zip(short, _stage_paints(data), strict=True)), limit)
    return figure


def attacks(data: ReportData) -> Drawing | None:
    """Draw attack success by technique as dots with Wilson intervals, the most successful first."""
    rows = [row for row in data.attacks if row.by == "technique" and row.tried]
    if not rows:
        return None
    stages = list(dict.fromkeys(row.stage for row in rows))
    named = {stage: attacked_stage(stage, stages) for stage in stages}
    rates = {(row.name, row.stage): row for row in rows}
    names = sorted({row.name for row in rows}, key=lambda name: -_rate(rates, name, stages))
    pitch = 13 * len(stages) + 14
    figure = Drawing(
        WIDTH,
        84 + pitch * len(names),
        "Attack success by technique",
        f"Dots with intervals: share of attacks that succeeded, by technique, {', '.join(named.values())}.",
    )
    paints = {stage: stage_paint(stage, place) for place, stage in enumerate(stages)}
    figure.legend(210, 20, [(paints[stage], named[stage]) for stage in stages])
    left, width, floor = 210.0, WIDTH - 290.0, 44 + pitch * len(names)
    for tick in (0, 0.25, 0.5, 0.75, 1.0):
        figure.line((left + width * tick, 40), (left + width * tick, floor), paint="grid")
        figure.text(left + width * tick, floor + 18, percent(tick), Type(size=11, anchor="middle", paint="soft"))
    for row, name in enumerate(names):
        top = 44 + pitch * row
        figure.text(left - 14, top + pitch / 2 + 4, plain(name), Type(size=13, anchor="end"))
        for place, stage in enumerate(stages):
            if one := rates.get((name, stage)):
                y = top + 13 * (place + 0.5) + 7
                low, high = wilson(one.succeeded, one.tried)
                rate, paint = one.succeeded / one.tried, paints[stage]
                figure.line((left + width * low, y), (left + width * high, y), paint=paint, width=2)
                tip = f"{plain(name)}, {named[stage]}: {one.succeeded} of {one.tried}"
                figure.dot(left + width * rate, y, 5, paint=paint, tip=tip)
                figure.text(left + width + 14, y + 4, f"{one.succeeded} of {one.tried}", SMALL)
    return figure


def mixture(data: ReportData) -> Drawing | None:
    """Draw what each round's dataset is made of, as one bar a round."""
    sets = [(done.round, done.dataset) for done in data.rounds if done.dataset is not None]
    if not sets:
        return None
    kinds = list(dict.fromkeys(kind for _, dataset in sets for kind in dataset.mixture))
    paints = {kind: KIND_PAINTS[place % len(KIND_PAINTS)] for place, kind in enumerate(kinds)}
    figure = Drawing(
        WIDTH, 52 + 44 * len(sets), "What each round was trained on", f"One bar a round: rows of {', '.join(kinds)}."
    )
    figure.legend(80, 20, [(paints[kind], plain(kind)) for kind in kinds])
    most = max(sum(dataset.mixture.values()) for _, dataset in sets) or 1
    scale = (WIDTH - 200) / most
    for place, (number, dataset) in enumerate(sets):
        top, x = 40 + 44 * place, 80.0
        figure.text(66, top + 19, f"Round {number}", Type(size=13, anchor="end"))
        for kind, rows in dataset.mixture.items():
            figure.rect(
                (x, top, rows * scale - 1.5, 28), paint=paints[kind], tip=f"{plain(kind)}: {counted(rows, 'row')}"
            )
            if rows * scale > 40:
                figure.text(
                    x + rows * scale / 2, top + 19, str(rows), Type(anchor="middle", paint="paper", is_strong=True)
                )
            x += rows * scale
        figure.text(x + 10, top + 19, counted(sum(dataset.mixture.values()), "row").replace(",", " "), SMALL)
    return figure


def training(data: ReportData) -> Drawing | None:
    """Draw loss and preference margin over training steps, one line a round."""
    panels: dict[str, list[tuple[int, list[tuple[float, float]]]]] = {}
    for done in data.rounds:
        for stage, logged in (done.checkpoint.curves if done.checkpoint else {}).items():
            for name, key in _curve_keys(logged):
                run = [(row["step"], row[key]) for row in logged if "step" in row and key in row]
                panels.setdefault(f"{stage.upper()} {name}", []).append((done.round, run))
    panels = {name: [line for line in lines if len(line[1]) > 1] for name, lines in panels.items()}
    panels = {name: lines for name, lines in panels.items() if lines}
    if not panels:
        return None
    figure = Drawing(WIDTH, 262, "Training", f"Lines over training steps, one a round: {', '.join(panels)}.")
    numbers = sorted({number for lines in panels.values() for number, _ in lines})
    figure.legend(44, 18, [(paint_of(number), f"Round {number}") for number in numbers])
    slot = WIDTH / len(panels)
    for place, (name, lines) in enumerate(panels.items()):
        _curves(figure, Panel(slot * place + 44, 66, slot - 60, 150), name, lines)
    return figure


# ── parts ──


def _stage_paints(data: ReportData) -> list[str]:
    return [stage_paint(card.stage, place) for place, card in enumerate(data.scorecards)]


def _grid(figure: Drawing, panel: Panel, ticks: Sequence[float]) -> None:
    for tick in ticks:
        figure.line((panel.left, panel.y(tick)), (panel.left + panel.width, panel.y(tick)), paint="grid")
        words = percent(tick) if panel.greatest == 1 else f"{tick:g}"
        figure.text(panel.left - 8, panel.y(tick) + 4, words, TICK)


def _bars(figure: Drawing, panel: Panel, estimates: Sequence[Estimate | None], paints: Sequence[str]) -> None:
    width = min(30.0, panel.width * 0.84 / len(estimates))
    start = panel.left + (panel.width - width * len(estimates)) / 2
    for place, one in enumerate(estimates):
        x = start + width * place
        if one is None or one.value is None or one.low is None or one.high is None:
            figure.text(x + width / 2, panel.floor - 4, "n/a", Type(size=9, anchor="middle", paint="soft"))
            continue
        height = max(1.5, panel.floor - panel.y(one.value))
        tip = f"{amount(one.value, one.metric)} ({bounds(one.low, one.high, one.metric)}), n = {one.n}"
        figure.rect((x + 1, panel.floor - height, width - 2, height), paint=paints[place], tip=tip)
        figure.whisker(x + width / 2, panel.y(one.low), panel.y(one.high))
        if width >= 17:
            figure.text(x + width / 2, panel.y(one.high) - 5, f"{100 * one.value:.0f}", VALUE)


def _steps(
    figure: Drawing,
    panel: Panel,
    estimates: Sequence[Estimate | None],
    stages: Sequence[tuple[str, str]],
    limit: float | None,
) -> None:
    _grid(figure, panel, [0, panel.greatest / 2, panel.greatest])
    step = panel.width / max(1, len(estimates))
    if limit is not None:
        y = panel.y(limit)
        figure.line((panel.left, y), (panel.left + panel.width, y), paint="limit", width=1.5, dash="5 4")
    known = [(panel.left + step * (place + 0.5), one, place) for place, one in enumerate(estimates)]
    seen = [(x, one, one.value, place) for x, one, place in known if one is not None and one.value is not None]
    figure.curve([(x, panel.y(value)) for x, _, value, _ in seen], paint="axis", width=1.5)
    for x, one, value, place in seen:
        low, high = one.low or 0.0, one.high if one.high is not None else value
        figure.whisker(x, panel.y(low), panel.y(high))
        name, paint = stages[place]
        tip = f"{name}: {amount(value, one.metric)} ({bounds(low, high, one.metric)}), n = {one.n}"
        figure.dot(x, panel.y(value), 5, paint=paint, tip=tip)
        figure.text(x, panel.y(high) - 7, amount(value, one.metric).replace(" %", ""), VALUE)
    for place, (name, _) in enumerate(stages):
        figure.text(
            panel.left + step * (place + 0.5), panel.floor + 20, name, Type(size=11, anchor="middle", paint="soft")
        )
    if limit is not None:
        words = f"gate: at most {limit:g}" if panel.greatest > 1 else f"gate: at most {percent(limit)}"
        figure.text(panel.left, panel.floor + 40, words, Type(size=11, paint="limit"))


def _curves(figure: Drawing, panel: Panel, name: str, lines: Sequence[tuple[int, list[tuple[float, float]]]]) -> None:
    values = [value for _, run in lines for _, value in run]
    furthest = max(step for _, run in lines for step, _ in run) or 1
    least, greatest = min(0.0, min(values)), max(values)
    panel = panel._replace(least=least, greatest=greatest if greatest > least else least + 1)
    figure.text(panel.left - 36, panel.top - 20, name, Type(size=13, is_strong=True))
    for tick in (panel.least, (panel.least + panel.greatest) / 2, panel.greatest):
        figure.line((panel.left, panel.y(tick)), (panel.left + panel.width, panel.y(tick)), paint="grid")
        figure.text(panel.left - 8, panel.y(tick) + 4, f"{tick:.2g}", TICK)
    for number, run in lines:
        points = [(panel.left + panel.width * step / furthest, panel.y(value)) for step, value in run]
        figure.curve(points, paint=paint_of(number))
    figure.text(panel.left, panel.floor + 20, "step 0", SMALL)
    figure.text(panel.left + panel.width, panel.floor + 20, f"{furthest:g}", TICK)


def _curve_keys(logged: Sequence[dict[str, float]]) -> list[tuple[str, str]]:
    keys = {key for row in logged for key in row}
    margin = next((key for key in sorted(keys) if key.endswith(("margin", "margins"))), None)
    return [(name, key) for name, key in (("loss", "loss"), ("margin", margin)) if key is not None and key in keys]


def _rate(rates: dict[tuple[str, str], AttackSuccess], name: str, stages: Sequence[str]) -> float:
    first = next((rates[name, stage] for stage in stages if (name, stage) in rates), None)
    return first.succeeded / first.tried if first else 0.0
