"""Watch a measurement while it runs, and end its harm measures as soon as the gate's bound on harm is decided.

Families are held in an order drawn by seed, and counted in that order whatever the order in which they finish: so a
rerun, or one continued after a kill, stops at the same family. No more are begun ahead of those that count than the
decision may still take, by what was seen so far; conversations of other measures are held meanwhile. What was under way
beyond the decision is left out (its calls stay in the journal): of conversations that are under way together the short
ones end first, and are no fair draw. Looking after every family costs nothing in error, since the interval is a
confidence sequence over families (statistics/sequential.py), not one for a number fixed beforehand.
"""

import asyncio
import random
from collections import deque
from collections.abc import Iterator, Sequence
from statistics import fmean as mean
from typing import NamedTuple

from breakfix.compare import gate
from breakfix.errors import SettingsError
from breakfix.estimates import Cell, Estimate, Score, Scorecard
from breakfix.identity import digest
from breakfix.scorecard import HARM
from breakfix.settings import CycleSettings
from breakfix.statistics.sequential import more_needed
from breakfix.tallies import Tally, estimate_of
from breakfix.types import THRESHOLDS, Conversation, Scenario, Verdict
from breakfix.wording import counted

RATE = "defect rate"
FIRST = 2
"""Of the families that a decision would take were half of them harmful, so many times are begun before one ended."""
SHARE_AHEAD = 16
"""One in so many of those that count may be under way beyond them in any case, so that a forecast holds up nothing."""


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
        self._others = deque(job for one in scenarios if one.measure not in THRESHOLDS for job in self._samples(one))
        ordered = [job for family in families for job in self._jobs[family]]
        self._places = {(job.scenario.id, job.sample): place for place, job in enumerate(ordered)}
        self._watched = deque(ordered)
        self._waiting: dict[str, list[Held]] = {family: [] for family in families}
        self._next = 0
        self._values: tuple[list[float], list[float]] = ([], [])
        """Of every family that counts the share of harm, with what is unscored at its best and at its worst."""
        self._begun = self._counted = 0
        self._is_halted = False
        self._moved = asyncio.Event()
        self._ahead = FIRST * self._likely()

    def jobs(self) -> Iterator[Job]:
        """Give what is to be held: families in their drawn order for as long as nothing is decided, and the rest.

        Other measures fill the time in which no family may be begun yet.
        """
        while True:
            is_open = self.decision is None and len(self._watched) > 0
            if is_open and (self._is_near(self._watched[0]) or not self._others):
                yield self._watched.popleft()
            elif self._others:
                yield self._others.popleft()
            else:
                return

    async def may_begin(self, job: Job) -> bool:
        """Wait until a conversation's turn has come; False: it need not be held, since the decision fell meanwhile."""
        if job.scenario.measure not in THRESHOLDS:
            return True
        while not self.is_spared(job) and not self._is_near(job) and not self._is_halted:
            await self._moved.wait()
        if self.is_spared(job) or self._is_halted:
            return False
        self._begun += 1
        return True

    def halt(self) -> None:
        """Let nobody begin or wait any more: something stopped the measurement."""
        self._is_halted = True
        self._moved.set()

    def is_spared(self, job: Job) -> bool:
        """Tell whether a conversation need not be held, since the decision fell meanwhile."""
        return self.decision is not None and job.scenario.measure in THRESHOLDS

    def take(self, held: Held) -> list[Held]:
        """Take one that ended; give those that count now: all of a family, when those before it are whole too."""
        if held.score.measure not in THRESHOLDS:
            return [held]
        self._waiting[held.score.family].append(held)
        whole: list[Held] = []
        while self.decision is None and self._next < len(self._order) and self._is_whole(self._order[self._next]):
            family = self._order[self._next]
            whole += sorted(self._waiting.pop(family), key=lambda each: (each.score.scenario_id, each.score.sample))
            self._next += 1
            self._look(family, whole)
            self._look_ahead(len(self._jobs[family]))
        return whole

    def said(self) -> str | None:
        """Say how it was decided, and after how much; None where it was not."""
        if self.decision is None or self.estimate is None:
            return None
        found, bound = self.estimate, self._settings.gate.max_harm_rate
        side = "within" if self.decision == "passed" else "above"
        so_many, of = counted(len(self._places), "conversation"), counted(len(self._order), "family")
        return (
            f"Stopped early: the harm rate, {found.low:.3f} to {found.high:.3f}, is {side} the gate's bound of"
            f" {bound:g}, known after {self._counted:,} of {so_many} ({self._next:,} of {of}). {self._left_out()}"
        )

    def _left_out(self) -> str:
        """Say what became of the conversations that do not count."""
        more, unbegun = self._begun - self._counted, len(self._places) - self._begun
        rest = f"{unbegun:,} {'was' if unbegun == 1 else 'were'} never begun"
        if not more:
            return f"None was under way beyond it; {rest}"
        return (
            f"{more:,} more {'was' if more == 1 else 'were'} under way when it fell, held to the end, and neither"
            " counted nor kept in the store: those that happen to end first are no fair draw. Their calls stay in the"
            f" journal; to hold the rest, run again with --to-the-end. {rest}"
        )

    def _is_near(self, job: Job) -> bool:
        """Tell whether a conversation is of the next family to count, or among those that may be held ahead of it."""
        if self._next >= len(self._order):
            return True
        place, front = self._places[job.scenario.id, job.sample], self._jobs[self._order[self._next]]
        first = self._places[front[0].scenario.id, front[0].sample]
        return place < first + max(self._ahead, len(front))

    def _likely(self) -> int:
        """Guess how many more conversations the decision takes, either way, as the gate counts unscored ones."""
        rest, bound, level = self._order[self._next :], self._settings.gate.max_harm_rate, self._settings.measure.level
        best, worst = self._values
        below = more_needed(worst, bound, level, most=len(rest))
        above = more_needed([1 - value for value in best], 1 - bound, level, most=len(rest))
        return sum(len(self._jobs[family]) for family in rest[: min(below, above)])

    def _look_ahead(self, newly: int) -> None:
        self._counted += newly
        self._ahead = max(self._likely(), self._counted // SHARE_AHEAD)
        self._moved.set()
        self._moved = asyncio.Event()

    def _samples(self, scenario: Scenario) -> list[Job]:
        return [Job(scenario, sample) for sample in range(self._settings.measure.samples)]

    def _is_whole(self, family: str) -> bool:
        return len(self._waiting[family]) == len(self._jobs[family])

    def _look(self, family: str, whole: Sequence[Held]) -> None:
        mine = [held.score.value for held in whole if held.score.family == family]
        for value in mine:
            self._tally.add(family, value)
        for values, unknown in zip(self._values, (0.0, 1.0), strict=True):
            values.append(mean(unknown if value is None else value for value in mine))
        cell = Cell(HARM, "all", "sealed", RATE)
        self.estimate = estimate_of(cell, self._tally, self._settings.measure, seed=self._settings.seed)
        verdict = gate(_card_of(self.estimate), (), self._settings.gate).rules[0].verdict
        self.decision = None if verdict == "cannot_tell" else verdict


def _card_of(estimate: Estimate) -> Scorecard:
    blank = dict.fromkeys(("run", "stage", "target", "target_id", "judge", "judge_id", "scenarios_id", "date"), "")
    return Scorecard.model_validate({**blank, "estimates": (estimate,), "outcomes": {}})
