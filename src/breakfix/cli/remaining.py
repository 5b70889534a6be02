"""The time left of a run: of the stage under way by its own pace, of those to come by what like stages took.

A stage costs a lead (loading, until its first step), a pace a step, and a tail (saving). Each is learnt from the
stages of this run: a kind of stage not yet seen goes at the pace of the same work (progress.Leg), and where that is
unknown too, what is told is the least that is left. Steps that asked nothing (answered from the journal) teach
nothing. Times are given by the caller, so that a recorded run can be reckoned again.
"""

import re
from collections.abc import Sequence
from math import exp
from typing import Literal, NamedTuple

from breakfix.progress import Leg

SETTLE_S = 5.0
"""How slowly what is shown follows what is reckoned: the time constant, with a fiftieth of the time left."""
MEMORY_S = 30.0
"""How far back a stage's pace looks: this long, or half of the stage."""
TRUSTED = 0.1
"""What like stages took counts as much as this share of the stage's steps."""
BURST = 64
"""So many steps may end together; more that asked nothing are the journal's."""
SHORTEST_S = 5.0
"""Less than this is not told as the least that is left."""
STATE = re.compile(r"base|round[- ]\d+")


class Left(NamedTuple):
    """How long a run still takes, and what kind of bound that is."""

    seconds: float
    bound: Literal["about", "at least", "up to"] = "about"


class Pace:
    """A running mean of seconds a step that forgets what is long past."""

    def __init__(self) -> None:
        self.seconds = self.steps = 0.0

    def add(self, seconds: float, steps: float, *, memory_s: float) -> None:
        """Count so many steps that took so long."""
        kept = exp(-seconds / memory_s)
        self.seconds, self.steps = self.seconds * kept + seconds, self.steps * kept + steps


class Stage:
    """The stage under way."""

    def __init__(self, leg: Leg, total: int | None, now: float, ended: float) -> None:
        self.leg = leg._replace(steps=total or 0)
        self.expected = leg.steps
        self.is_endless = total is None
        self.count = 0
        self.began = now
        self.ended = ended
        """When the one before it ended."""
        self.first: float | None = None
        """When its first step was done."""
        self.last = now
        self.pace = Pace()
        self.calls: object = None
        self.waiting = 0
        """Steps done since a call was asked last: few where several end together, many where a journal answers."""

    def advance(self, now: float, n: int, calls: object) -> None:
        """Count steps; the first ones only say that the stage has got going."""
        if self.first is None:
            self.first = now
        else:
            self.waiting += n
            if calls is None or calls != self.calls:
                memory_s = max(MEMORY_S, (now - self.first) / 2)
                self.pace.add(now - self.last, min(self.waiting, max(n, BURST)), memory_s=memory_s)
                self.waiting = 0
        self.calls, self.last, self.count = calls, now, self.count + n


class TimeLeft:
    """What is known of a run's paces, and the time left by it."""

    def __init__(self) -> None:
        self.is_planned = False
        """Whether stages to come were foreseen: the time left is of the whole run then."""
        self._legs: list[Leg] = []
        self._stage: Stage | None = None
        self._ended = 0.0
        self._paces: dict[str, float] = {}
        self._work: dict[str, float] = {}
        self._leads: dict[str, float] = {}
        self._tails: dict[str, float] = {}
        self._scales: dict[str, float] = {}
        self._is_first = True
        self._shown: tuple[float, float, str] | None = None
        """When it was reckoned, the end by that, and the kind of bound."""

    def ahead(self, legs: Sequence[Leg]) -> None:
        """Foresee these stages, in place of those foreseen before."""
        self._legs, self.is_planned = list(legs), True

    def begin(self, now: float, name: str, total: int | None) -> None:
        """Begin a stage; those foreseen before it will not come any more."""
        self.end(now)
        place = next((place for place, leg in enumerate(self._legs) if leg.name == name), None)
        leg = Leg(name, total or 0) if place is None else self._legs[place]
        if place is not None:
            del self._legs[: place + 1]
        self._stage = Stage(leg, total, now, self._ended or now)

    def advance(self, now: float, n: int = 1, calls: object = None) -> None:
        """Count steps of the stage; `calls` were asked so far, where the stage tells."""
        if self._stage:
            self._stage.advance(now, n, calls)

    def end(self, now: float) -> None:
        """End the stage and learn from it."""
        if self._stage:
            self._learn(self._stage, now)
            self._stage, self._ended, self._is_first = None, now, False

    def left(self, now: float) -> Left | None:
        """Reckon the time left; None where nothing is known of it. What is told moves slowly."""
        found = self._reckoned(now)
        if found is None:
            self._shown = None
            return None
        end = now + found.seconds
        if self._shown and self._shown[2] == found.bound:
            before, shown, _ = self._shown
            end = shown + (end - shown) * (1 - exp((before - now) / (SETTLE_S + found.seconds / 50)))
        self._shown = (now, end, found.bound)
        return Left(max(0.0, end - now), found.bound)

    def _reckoned(self, now: float) -> Left | None:
        costs = [(leg.is_certain, self._cost(leg)) for leg in self._legs]
        if stage := self._stage:
            costs.append((True, self._rest(stage, now)))
        known = [(is_certain, cost) for is_certain, cost in costs if cost is not None]
        if len(known) < len(costs):
            least = sum(cost for is_certain, cost in known if is_certain)
            return Left(least, "at least") if least >= SHORTEST_S else None
        is_certain = all(is_certain for is_certain, _ in known)
        return Left(sum(cost for _, cost in known), "about" if is_certain else "up to") if known else None

    def _cost(self, leg: Leg) -> float | None:
        """Reckon a whole stage to come; None where nothing is known of its pace."""
        if leg.seconds is not None:
            return leg.seconds
        pace = self._pace(leg)
        if pace is None:
            return None
        kind = _kind(leg.name)
        steps = leg.steps * self._scales.get(_role(leg.name), 1.0)
        return self._leads.get(kind, 0.0) + steps * pace + self._tails.get(kind, 0.0)

    def _rest(self, stage: Stage, now: float) -> float | None:
        """Reckon what is left of the stage under way."""
        leg, kind = stage.leg, _kind(stage.leg.name)
        if stage.is_endless:
            return None if leg.seconds is None else max(0.0, leg.seconds - (now - stage.began))
        pace = self._pace(leg)
        tail = self._tails.get(kind, 0.0)
        if pace is None:
            return None
        if stage.first is None:
            return max(0.0, self._leads.get(kind, 0.0) - (now - stage.ended)) + leg.steps * pace + tail
        undone = max(0.0, leg.steps - stage.count)
        since = now - stage.last
        if since > 10 * pace:  # it has stalled: so slow it is by now
            pace = max(pace, (stage.pace.seconds + since) / (stage.pace.steps + 1))
        return max(0.0, undone * pace - since if undone else tail - since) + (tail if undone else 0.0)

    def _pace(self, leg: Leg) -> float | None:
        """Give the seconds a step of a stage: of its kind, or of its work; the stage under way counts already."""
        kind, stage = _kind(leg.name), self._stage
        known = self._paces.get(kind)
        if known is None and leg.work in self._work:
            known = self._work[leg.work] * leg.weight
        if stage is None or not stage.pace.steps:
            return known
        live = stage.pace
        if _kind(stage.leg.name) == kind:
            trusted = 0.0 if known is None else max(1.0, TRUSTED * stage.leg.steps)
            return (live.seconds + trusted * (known or 0.0)) / (live.steps + trusted)
        if known is None and leg.work and stage.leg.work == leg.work and stage.leg.weight:
            return live.seconds / live.steps / stage.leg.weight * leg.weight
        return known

    def _learn(self, stage: Stage, now: float) -> None:
        leg, kind = stage.leg, _kind(stage.leg.name)
        if not stage.pace.steps or stage.first is None:
            return
        pace = stage.pace.seconds / stage.pace.steps
        if not self._is_first:  # the first stage of a run also loads what all stages need
            lead = stage.first - stage.ended
            self._leads[kind] = _between(self._leads.get(kind), lead)
        self._tails[kind] = _between(self._tails.get(kind), now - stage.last)
        self._paces[kind] = _between(self._paces.get(kind), pace)
        if leg.work and leg.weight:
            self._work[leg.work] = _between(self._work.get(leg.work), pace / leg.weight)
        if stage.expected and leg.steps:
            self._scales[_role(leg.name)] = leg.steps / stage.expected


def _between(before: float | None, now: float) -> float:
    return now if before is None else (before + now) / 2


def _kind(name: str) -> str:
    return name.partition(" ")[0]


def _role(name: str) -> str:
    """Leave the state of the target out of a stage's name: what is left is the same in every round."""
    return STATE.sub("", name)


def told(left: Left | None, *, whole: bool = False) -> str:
    """Say the time left for people, "about 2 min left"; empty where it is not known."""
    if left is None:
        return ""
    return f"{left.bound} {rounded(left.seconds)} left{' in all' if whole else ''}"


def rounded(seconds: float) -> str:
    """Write a duration as roughly as it is known: 5 s, 40 s, 2 min, 1 h 20 min."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    if seconds < 100:
        return f"{10 * round(seconds / 10)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(5 * round(seconds / 300), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
