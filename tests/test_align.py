"""Training as progress: a stage each, and one for the time until the first step."""

from types import SimpleNamespace
from typing import Any

from breakfix.align import shown
from breakfix.progress import Fact, Silent


class Told(Silent):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def stage(self, name: str, total: int | None = None) -> None:
        """Note a stage."""
        self.said.append((name, total))

    def advance(self, n: int = 1, **facts: Fact) -> None:
        """Note steps."""
        self.said.append(n)


def test_a_training_is_shown_from_the_moment_it_is_launched():
    run: Any = SimpleNamespace(progress=Told())
    tell = shown(run, 2)
    tell({"stage": "loading", "step": 0, "steps": 0})
    assert run.progress.said[0] == ("loading round 2", None)
    for step in (0, 1, 3):
        tell({"stage": "sft", "step": step, "steps": 3, "loss": 0.5})
    assert run.progress.said[2:] == [("sft round 2", 3), 0, 1, 2]
