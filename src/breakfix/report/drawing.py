"""A small drawing layer: SVG text, one shape a call.

Every shape carries its colour twice: as an attribute, for files that stand alone, and as a class, which the page's
style sheet overrides for dark screens. All words are escaped. This module knows nothing of what is drawn.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

PAINTS = {
    "paper": "#ffffff",
    "ink": "#1d2127",
    "soft": "#5d6570",
    "grid": "#e3e5e8",
    "axis": "#8a919b",
    "limit": "#9a6b00",
    "s0": "#c9512c",
    "s1": "#5b9bc8",
    "s2": "#1f5a86",
    "s3": "#7a5195",
    "s4": "#3b2a5c",
    "s5": "#4f5761",
    "k0": "#0072b2",
    "k1": "#d98a00",
    "k2": "#009e73",
    "k3": "#b8578c",
    "k4": "#5aa9d6",
}
"""Light colours by name: s0 is the target before, s1 on the rounds; k0 on are kinds. Told apart by the colour-blind."""
STAGE_PAINTS = ("s0", "s1", "s2", "s3", "s4", "s5")
KIND_PAINTS = ("k0", "k1", "k2", "k3", "k4")
FONTS = "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
CHARACTER = 0.56
"""Width of an average character, in font sizes."""


Point = tuple[float, float]
Box = tuple[float, float, float, float]


class Type(NamedTuple):
    """How a text is set."""

    size: float = 12
    anchor: str = "start"
    paint: str = "ink"
    is_strong: bool = False
    has_halo: bool = False
    """True: a rim of paper keeps it legible over lines."""


PLAIN = Type()


class Drawing:
    """One figure in the making."""

    def __init__(self, width: float, height: float, title: str, description: str) -> None:
        self.width, self.height = width, height
        self.title, self.description = title, description
        self._shapes: list[str] = []

    def rect(self, box: Box, *, paint: str, tip: str = "") -> None:
        """Draw a filled box: left, top, width, height."""
        x, y, width, height = box
        place = f'x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{max(0.0, height):.1f}"'
        self._add(f"<rect {place} {_fill(paint)}", tip)

    def line(self, start: Point, end: Point, *, paint: str, width: float = 1, dash: str = "") -> None:
        """Draw a straight line."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        ends = f'x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
        self._add(f'<line {ends} {_stroke(paint)} stroke-width="{width:g}"{dashes}', "")

    def dot(self, x: float, y: float, radius: float, *, paint: str, tip: str = "") -> None:
        """Draw a filled circle."""
        self._add(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" {_fill(paint)}', tip)

    def curve(self, points: Sequence[Point], *, paint: str, width: float = 2) -> None:
        """Draw a line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        joins = f'fill="none" stroke-width="{width:g}" stroke-linejoin="round" stroke-linecap="round"'
        self._add(f'<polyline points="{path}" {joins} {_stroke(paint)}', "")

    def text(self, x: float, y: float, words: str, setting: Type = PLAIN) -> None:
        """Write one line of text."""
        weight = ' font-weight="600"' if setting.is_strong else ""
        rim = f' stroke-width="3" stroke-linejoin="round" paint-order="stroke" stroke="{PAINTS["paper"]}"'
        halo = rim if setting.has_halo else ""
        colour = _fill(setting.paint).replace('class="', 'class="halo ') if halo else _fill(setting.paint)
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{setting.anchor}" font-size="{setting.size:g}"'
        self._shapes.append(f"<text {place}{weight}{halo} {colour}>{escape(words)}</text>")

    def whisker(self, x: float, low: float, high: float, *, cap: float = 3, paint: str = "ink") -> None:
        """Draw a vertical interval with its ends."""
        self.line((x, low), (x, high), paint=paint)
        self.line((x - cap, low), (x + cap, low), paint=paint)
        self.line((x - cap, high), (x + cap, high), paint=paint)

    def legend(self, x: float, y: float, entries: Sequence[tuple[str, str]]) -> None:
        """Write a row of coloured names, each (paint, words)."""
        for paint, words in entries:
            self.rect((x, y - 9, 11, 11), paint=paint)
            self.text(x + 16, y, words)
            x += 16 + len(words) * 12 * CHARACTER + 18

    def svg(self) -> str:
        """Give the whole figure."""
        size = f'viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" height="{self.height:g}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{FONTS}">'
        words = f"<title>{escape(self.title)}</title><desc>{escape(self.description)}</desc>"
        paper = f'<rect width="{self.width:g}" height="{self.height:g}" {_fill("paper")}/>'
        return "\n".join([head, words, paper, *self._shapes, "</svg>"])

    def _add(self, opened: str, tip: str) -> None:
        tag = opened[1:].split(" ", 1)[0]
        self._shapes.append(f"{opened}><title>{escape(tip)}</title></{tag}>" if tip else f"{opened}/>")


def paint_of(number: int) -> str:
    """Give the colour of a round by its number, 0 for before; beyond the last colour they share it."""
    return STAGE_PAINTS[min(number, len(STAGE_PAINTS) - 1)]


def stage_paint(stage: str, place: int) -> str:
    """Give the colour of a stage by its round, so that it is the same in every figure; by its place if it has none."""
    number = stage.rpartition("-")[2]
    return paint_of(0 if stage == "base" else int(number) if number.isdecimal() else place)


def wrapped(words: str, width: int) -> list[str]:
    """Break a short label into lines of at most `width` characters where it has spaces."""
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _fill(paint: str) -> str:
    return f'class="fill-{paint}" fill="{PAINTS[paint]}"'


def _stroke(paint: str) -> str:
    return f'class="stroke-{paint}" stroke="{PAINTS[paint]}"'
