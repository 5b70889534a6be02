"""Watch a measurement while it runs, and end its harm measures as soon as the gate's bound on harm is decided.

Families are held in an order drawn by seed, and counted in that order whatever the order in which they finish: so a
rerun, or one continued after a kill, stops at the same family. Conversations that were under way beyond it are left out
(their calls stay in the journal). Looking after every family costs nothing in error, since the interval is a confidence
sequence over families (statistics/sequential.py), not one for a number fixed beforehand.
"""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from breakfix.compare import gate
from breakfix.errors import SettingsError
from breakfix.estimates import Cell, Estimate, Score, Scorecard
from breakfix.identity import digest
from breakfix.scorecard import HARM
from breakfix.settings import CycleSettings
from breakfix.tallies import Tally, estimate_of
from breakfix.types import THRESHOLDS, Conversation, Scenario, Verdict
from breakfix.wording import counted

RATE = "defect rate"


class Job(NamedTuple):
    """One conversation to hold."""

    scenario: Scenario
    sample: int


class Held(NamedTuple):
    """One conversation that was held and judged."""

    said: Conversation
    verdict: Verdict | None
    score: Score


class Watch:
    """The order in which conversations are held, and what has been decided by those that ended so far."""

    def __init__(self, scenarios: Sequence[Scenario], settings: CycleSettings) -> None:
        if settings.gate.confidence != settings.measure.level:
            raise SettingsError(
                f"measure.stop_early decides with the gate's confidence ({settings.gate.confidence:g}), and intervals"
                f" have measure.level ({settings.measure.level:g}). Set both alike."
            )
        self.decision: str | None = None
        """passed or failed, when the bound is decided."""
        self.estimate: Estimate | None = None
        """The pooled harm rate when it was last looked at."""
        self._settings = settings
        self._tally = Tally()
        watched = [one for one in scenarios if one.measure in THRESHOLDS]
        families = sorted({one.family for one in watched})
        random.Random(digest("watch", settings.seed, families)).shuffle(families)
        self._order = families
        self._jobs: dict[str, list[Job]] = {family: [] for family in families}
        for one in watched:
            self._jobs[one.family] += self._samples(one)
        self._others = [job for one in scenarios if one.measure not in THRESHOLDS for job in self._samples(one)]
        self._waiting: dict[str, list[Held]] = {family: [] for family in families}
        self._next = 0

    def jobs(self) -> Iterator[Job]:
        """Give what is to be held: families in their drawn order for as long as nothing is decided, then the rest."""
        for family in self._order:
            if self.decision is not None:
                break
            yield from self._jobs[family]
        yield from self._others

    def is_spared(self, job: Job) -> bool:
        """Tell whether a conversation need not be held, since the decision fell meanwhile."""
        return self.decision is not None and job.scenario.measure in THRESHOLDS

    def take(self, held: Held) -> list[Held]:
        """Take one that ended; give those that count now: all of a family, when those before it are whole too."""
        if held.score.measure not in THRESHOLDS:
            return [held]
        self._waiting[held.score.family].append(held)
        counted: list[Held] = []
        while self.decision is None and self._next < len(self._order) and self._is_whole(self._order[self._next]):
            family = self._order[self._next]
            counted += sorted(self._waiting.pop(family), key=lambda each: (each.score.scenario_id, each.score.sample))
            self._next += 1
            self._look(family, counted)
        return counted

    def said(self) -> str | None:
        """Say how it was decided, and after how much; None where it was not."""
        if self.decision is None or self.estimate is None:
            return None
        found, bound = self.estimate, self._settings.gate.max_harm_rate
        total = sum(map(len, self._jobs.values()))
        side = "within" if self.decision == "passed" else "above"
        return (
            f"Stopped early: the harm rate, {found.low:.3f} to {found.high:.3f}, is {side} the gate's bound of"
            f" {bound:g}, known after {found.n + found.unscored:,} of {counted(total, 'conversation')}"
            f" ({self._next:,} of {counted(len(self._order), 'family')}). Others that were under way are left out"
        )

    def _samples(self, scenario: Scenario) -> list[Job]:
        return [Job(scenario, sample) for sample in range(self._settings.measure.samples)]

    def _is_whole(self, family: str) -> bool:
        return len(self._waiting[family]) == len(self._jobs[family])

    def _look(self, family: str, counted: Sequence[Held]) -> None:
        for held in counted:
            if held.score.family == family:
                self._tally.add(family, held.score.value)
        cell = Cell(HARM, "all", "sealed", RATE)
        self.estimate = estimate_of(cell, self._tally, self._settings.measure, seed=self._settings.seed)
        verdict = gate(_card_of(self.estimate), (), self._settings.gate).rules[0].verdict
        self.decision = None if verdict == "cannot_tell" else verdict


def _card_of(estimate: Estimate) -> Scorecard:
    blank = dict.fromkeys(("run", "stage", "target", "target_id", "judge", "judge_id", "scenarios_id", "date"), "")
    return Scorecard.model_validate({**blank, "estimates": (estimate,), "outcomes": {}})
