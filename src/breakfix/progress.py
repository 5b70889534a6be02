"""Progress: what a loop tells of itself while it runs, whoever shows it.

Loops and stages speak to a `Progress`; the command line has one that draws (cli/live.py), the Python interface is
silent unless given another. Facts are numbers and short words, never text that a model wrote.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

Fact = str | int | float | None


class Leg(NamedTuple):
    """A stage that is to come, as far as it can be foreseen: what the time left is reckoned from."""

    name: str
    """As `stage` will be told it; its first word says which stages go at one pace."""
    steps: float = 0
    """About so many."""
    work: str = ""
    """What its time goes with ("calls", "rows"): a stage of a kind not yet seen goes at the pace of the same work."""
    weight: float = 1.0
    """Work in one step."""
    seconds: float | None = None
    """How long it takes, where that is known beforehand."""
    is_certain: bool = True
    """False: the run may end before it."""


class Progress(Protocol):
    """Someone who is told how far a run has come."""

    def ahead(self, legs: Sequence[Leg]) -> None:
        """Foresee the stages to come, in order, in place of those foreseen before; the one under way is none of them.

        Stages that then come in another way, or not at all, do no harm.
        """
        ...

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage of `total` steps (None: unknown); the one before it has ended."""
        ...

    def advance(self, n: int = 1, **facts: Fact) -> None:
        """Count `n` steps done. Facts so far, by name (harm_rate=0.25), replace those told before."""
        ...

    def note(self, text: str) -> None:
        """Say one line that should stay readable."""
        ...

    def done(self) -> None:
        """End the last stage."""
        ...

    def halt(self) -> None:
        """Leave the last stage unfinished: something stopped it."""
        ...


class Silent:
    """Tells nobody."""

    def ahead(self, legs: Sequence[Leg]) -> None:
        """Ignore it."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Ignore it."""

    def advance(self, n: int = 1, **facts: Fact) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def done(self) -> None:
        """Ignore it."""

    def halt(self) -> None:
        """Ignore it."""
