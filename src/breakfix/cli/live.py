"""Progress for people, on standard error: drawn in a terminal, a line now and then elsewhere.

Standard output stays free for results.
"""

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

from breakfix.cli.remaining import TimeLeft, told
from breakfix.errors import Interrupted
from breakfix.progress import Fact, Leg, Progress, Silent

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import Task

PLAIN_EVERY_S = 10.0
DRAWN_A_SECOND = 4
BAR = 24
BESIDE_FACTS = 62
"""Columns of a terminal that a stage's name, its count and the time left take, with the gaps between them."""
WIDEST_FACTS = 40
FEWEST_FACTS = 12


def watch(*, quiet: bool = False) -> Progress:
    """Give the progress that suits where standard error goes."""
    if quiet:
        return Silent()
    return Drawn() if sys.stderr.isatty() else Plain()


class Plain:
    """A line when a stage begins, every ten seconds, and when it ends."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._total: int | None = None
        self._count = 0
        self._facts: dict[str, Fact] = {}
        self._began = self._said = 0.0
        self._left = TimeLeft()

    def ahead(self, legs: Sequence[Leg]) -> None:
        """Reckon with the stages to come."""
        self._left.ahead(legs)

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage."""
        self.done()
        self._name, self._total, self._count, self._facts = name, total, 0, {}
        self._began = self._said = time.monotonic()
        self._left.begin(self._began, name, total)
        parts = [f"{name} ..." if total is None else f"{name}: {total} to do", self._told() if total else ""]
        _tell("  ".join(part for part in parts if part))

    def advance(self, n: int = 1, **facts: Fact) -> None:
        """Count, and say so when it is time."""
        self._count += n
        self._facts.update(facts)
        now = time.monotonic()
        self._left.advance(now, n, facts.get("calls"))
        if now - self._said >= PLAIN_EVERY_S:
            self._said = now
            self._say(self._told())

    def note(self, text: str) -> None:
        """Say one line."""
        _tell(text)

    def done(self) -> None:
        """Say that the stage is done."""
        self._end("done in")

    def halt(self) -> None:
        """Say that the stage is not."""
        self._end("stopped after")

    def _end(self, how: str) -> None:
        if self._name is not None:
            now = time.monotonic()
            self._left.end(now)
            self._say(f"{how} {clock(now - self._began)}")
        self._name = None

    def _told(self) -> str:
        return told(self._left.left(time.monotonic()), whole=self._left.is_planned)

    def _say(self, ending: str) -> None:
        counted = "" if not self._count else f"{self._count}" if self._total is None else f"{self._count}/{self._total}"
        parts = [f"{self._name}:", counted, in_words(self._facts), ending]
        _tell("  ".join(part for part in parts if part).replace(":  ", ": ", 1))


class Drawn:
    """A bar that moves, and a line that stays for each stage that has ended."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._name = ""
        self._total: int | None = None
        self._count = 0
        self._facts: dict[str, Fact] = {}
        self._began = 0.0
        self._left = TimeLeft()

    def ahead(self, legs: Sequence[Leg]) -> None:
        """Reckon with the stages to come."""
        self._left.ahead(legs)

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage."""
        self.done()
        self._name, self._total, self._count, self._facts = name, total, 0, {}
        self._began = time.monotonic()
        self._left.begin(self._began, name, total)
        self._bars = drawn_bars(self._told)
        self._bars.add_task(name, total=total, facts="")
        self._bars.start()

    def advance(self, n: int = 1, **facts: Fact) -> None:
        """Move the bar."""
        self._count += n
        self._facts.update(facts)
        self._left.advance(time.monotonic(), n, facts.get("calls"))
        if self._bars:
            self._bars.update(self._bars.task_ids[0], advance=n, facts=in_words(self._facts))

    def note(self, text: str) -> None:
        """Say one line above the bar."""
        if self._bars:
            self._bars.console.print(text, markup=False, highlight=False)
        else:
            typer.echo(text, err=True)

    def done(self) -> None:
        """Leave one line of the stage."""
        self._end("✓")

    def halt(self) -> None:
        """Leave one line that says that it was stopped."""
        self._end("✗")

    def _end(self, mark: str) -> None:
        if self._bars is None:
            return
        now = time.monotonic()
        self._left.end(now)
        counted = "" if not self._count else f"{self._count}" if self._total is None else f"{self._count}/{self._total}"
        parts = [f"{mark} {self._name}", counted, in_words(self._facts), clock(now - self._began)]
        self._bars.stop()
        self._bars = None
        typer.echo("  ".join(part for part in parts if part), err=True)

    def _told(self) -> str:
        return told(self._left.left(time.monotonic()), whole=self._left.is_planned) or "–"


def _tell(text: str) -> None:
    """Say a line. Raises Interrupted where nobody reads any more: as in any pipe, the work ends, but it is not done."""
    try:
        typer.echo(text, err=True)
    except BrokenPipeError:
        raise Interrupted("nobody reads the progress") from None


def drawn_bars(left: Callable[[], str]) -> "Bars":
    """Make the one line that is drawn of a stage; `left` is asked for the time left each time."""
    from rich import progress
    from rich.console import Console
    from rich.table import Column
    from rich.text import Text

    class Left(progress.ProgressColumn):
        def render(self, task: "Task") -> Text:
            return Text(left(), style="dim")

    console = Console(stderr=True)
    room = console.width - BESIDE_FACTS  # one line, whatever the width: columns that wrap make the whole bar jump
    whole = Column(no_wrap=True)
    bar = [progress.BarColumn(bar_width=BAR)] if room >= BAR + WIDEST_FACTS else []
    cut = Column(no_wrap=True, max_width=max(room, 1))
    facts = (
        [progress.TextColumn("{task.fields[facts]}", markup=False, table_column=cut)] if room >= FEWEST_FACTS else []
    )
    return progress.Progress(
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}", markup=False),
        *bar,
        progress.MofNCompleteColumn(table_column=whole),
        *facts,
        Left(table_column=whole),
        console=console,
        refresh_per_second=DRAWN_A_SECOND,
        transient=True,
    )


def in_words(facts: dict[str, Fact]) -> str:
    """Write facts for people: harm_rate=0.25 becomes "harm rate 0.25"."""
    shown = [(name.replace("_", " "), value) for name, value in facts.items() if value is not None]
    return "  ".join(f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}" for name, value in shown)


def clock(seconds: float) -> str:
    """Write a duration as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
