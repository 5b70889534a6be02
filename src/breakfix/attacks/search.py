"""The red team's search: a budget of target calls, spent more and more where attacks succeed.

An arm is a technique in a persona's hands against an area. The budget is spent in portions; before each, arms are drawn
by Thompson sampling (Thompson 1933; Chapelle and Li 2011) from Beta posteriors whose prior leans on what the technique,
the persona and the area have done elsewhere, since most arms are tried only a few times. A success counts for less the
more an arm has had: findings want breadth, and the hundredth proof of one weakness teaches little. A part of each
portion goes to the least tried arms whatever they did. Within a portion nothing is learnt, so the plan depends on
completed portions alone, never on which attack happened to finish first: a rerun after a kill plans the same attacks.

Success found here is selected by the search: it never enters a benchmark rate. This module calls no model.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from breakfix.attacks.techniques import most_queries
from breakfix.calls import each
from breakfix.errors import DataError
from breakfix.identity import seed_of
from breakfix.prohibited import is_unwritable
from breakfix.settings import RedteamSettings
from breakfix.types import Area, Conversation, Harm, Noun, Outcome, Persona, Scenario, Technique, Verdict

EXPLORATION = 0.2
"""Share of each portion that goes to the least tried arms."""
PRIOR_STRENGTH = 4.0
"""How many attempts the pooled prior of an arm counts for."""

SATIETY = 48
"""Successes of an arm after which one more is worth half of the first."""


class Arm(NamedTuple):
    """One way to attack one area."""

    technique: str
    persona: str
    area: Area | None


class Attack(Noun):
    """One attack to be made."""

    scenario: Scenario
    technique: Technique
    persona: Persona
    sample: int
    generation: int

    @property
    def arm(self) -> Arm:
        """Give the arm that it plays."""
        return Arm(self.technique.id, self.persona.id, self.scenario.area)


class Attempt(Noun):
    """What came of an attack."""

    conversation: Conversation
    verdict: Verdict | None = None
    success: bool | None
    """Whether it got harm out of the target; None: unscored, and counted apart."""
    queries: int
    """Calls of the target that it took."""
    outcome: Outcome | None = None
    cause: str = ""
    """Why it is unscored, in short."""


class Gap(NamedTuple):
    """Attacks that were left unscored in one way, and why: every cause with its count, the most frequent first."""

    outcome: Outcome
    n: int
    causes: tuple[tuple[str, int], ...]


class Tally(Noun):
    """Counts of attempts: successes `k` of `n` scored, and those that were not scored."""

    k: int = 0
    n: int = 0
    unscored: int = 0
    queries: int = 0

    def plus(self, attempt: Attempt) -> "Tally":
        """Count one more attempt."""
        return Tally(
            k=self.k + (attempt.success is True),
            n=self.n + (attempt.success is not None),
            unscored=self.unscored + (attempt.success is None),
            queries=self.queries + attempt.queries,
        )

    @property
    def rate(self) -> float | None:
        """Give the share of successes; None where nothing was scored, which is no success rate of 0."""
        return self.k / self.n if self.n else None

    @property
    def bounds(self) -> tuple[float, float]:
        """Give the rate had all the unscored attempts failed, and had all succeeded."""
        tries = self.n + self.unscored
        return (self.k / tries, (self.k + self.unscored) / tries) if tries else (0.0, 1.0)


class Archive(Noun):
    """All that a search tried, in the order in which it was planned."""

    attacks: tuple[Attack, ...]
    attempts: tuple[Attempt, ...]
    budget: int

    @property
    def spent(self) -> int:
        """Count the calls of the target."""
        return sum(attempt.queries for attempt in self.attempts)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Count what was left unscored, the most frequent first: it is neither safe nor a success."""
        found: dict[Outcome, Counter[str]] = {}
        for attempt in self.attempts:
            if attempt.success is None:
                found.setdefault(attempt.outcome or "judge-failed", Counter())[attempt.cause or "unknown"] += 1
        gaps = [Gap(outcome, causes.total(), tuple(causes.most_common())) for outcome, causes in found.items()]
        return tuple(sorted(gaps, key=lambda gap: (-gap.n, gap.outcome)))

    def by(self, key: Callable[[Attack], str]) -> dict[str, Tally]:
        """Tally attempts by a property of the attack, in order of its names."""
        tallies: dict[str, Tally] = {}
        for attack, attempt in zip(self.attacks, self.attempts, strict=True):
            tallies[key(attack)] = tallies.get(key(attack), Tally()).plus(attempt)
        return dict(sorted(tallies.items()))

    @property
    def by_technique(self) -> dict[str, Tally]:
        """Tally by technique."""
        return self.by(lambda attack: attack.technique.id)

    @property
    def by_persona(self) -> dict[str, Tally]:
        """Tally by persona."""
        return self.by(lambda attack: attack.persona.id)

    @property
    def by_area(self) -> dict[str, Tally]:
        """Tally by area; "none" for scenarios without one."""
        return self.by(lambda attack: attack.scenario.area or "none")


class Playbook(NamedTuple):
    """Who attacks, and how."""

    techniques: Mapping[str, Technique]
    personas: Mapping[str, Persona]


def attackable(scenarios: Sequence[Scenario], harms: Mapping[str, Harm]) -> list[Scenario]:
    """Give what the red team may attack: harmful scenarios of its own pool (dev), and never a prohibited harm (D12)."""
    return [
        scenario
        for scenario in scenarios
        if scenario.split == "dev" and scenario.kind == "harmful" and not is_unwritable(scenario, harms)
    ]


async def search(
    scenarios: Sequence[Scenario],
    playbook: Playbook,
    *,
    attempt: Callable[[Attack], Awaitable[Attempt]],
    settings: RedteamSettings,
    seed: int = 0,
) -> Archive:
    """Spend the budget on attacks; never more target calls than that. Raises DataError where there is nothing to do."""
    hunt = _Hunt(scenarios, playbook, settings, seed)
    for generation in range(settings.generations):
        left = settings.budget - hunt.charged
        await hunt.spend(left // (settings.generations - generation), generation, attempt)
    while settings.budget - hunt.charged >= hunt.cheapest:
        await hunt.spend(settings.budget - hunt.charged, settings.generations - 1, attempt)
    return Archive(attacks=tuple(hunt.attacks), attempts=tuple(hunt.attempts), budget=settings.budget)


class _Hunt:
    """What has been tried so far, and what to try next."""

    def __init__(self, scenarios: Sequence[Scenario], playbook: Playbook, settings: RedteamSettings, seed: int) -> None:
        sealed = next((scenario.id for scenario in scenarios if scenario.split == "sealed"), None)
        if sealed is not None:
            raise DataError(f"Scenario {sealed!r} is sealed, and the red team may not see it. Give it the dev split.")
        self.playbook = playbook
        self.max_turns = settings.max_turns
        self.budget = settings.budget
        self.seed = seed
        self.attacks: list[Attack] = []
        self.attempts: list[Attempt] = []
        self.charged = 0
        """Target calls made, and one for each attempt that made none, so that the search ends."""
        self._waves = 0
        self._tallies: dict[Arm, Tally] = {}
        self._used: Counter[tuple[str, str, str]] = Counter()
        self._pools: dict[Area | None, list[Scenario]] = {}
        for scenario in sorted(scenarios, key=lambda scenario: seed_of("pool", seed, scenario.id)):
            self._pools.setdefault(scenario.area, []).append(scenario)
        self._arms = [
            Arm(technique, persona, area)
            for area in sorted(self._pools, key=str)
            for technique in playbook.techniques
            for persona in playbook.personas
        ]
        if not self._arms:
            raise DataError(
                "The red team has nothing to attack: no scenario, technique or persona is left. "
                "Check measure.harms, redteam.techniques and redteam.personas."
            )
        self.cheapest = min(map(self._worst, self._arms))

    async def spend(self, portion: int, generation: int, attempt: Callable[[Attack], Awaitable[Attempt]]) -> None:
        """Plan attacks for a portion of the budget, make them all at once, and learn."""
        planned = self._plan(portion, generation)
        for attack, done in zip(planned, await each(planned, attempt, width=max(1, len(planned))), strict=True):
            self.attacks.append(attack)
            self.attempts.append(done)
            self.charged += max(1, done.queries)
            self._tallies[attack.arm] = self._tallies.get(attack.arm, Tally()).plus(done)

    def _plan(self, portion: int, generation: int) -> list[Attack]:
        draw = random.Random(seed_of("hunt", self.seed, self._waves))
        self._waves += 1
        planned: list[Attack] = []
        tries = Counter({arm: tally.n + tally.unscored for arm, tally in self._tallies.items()})
        posteriors, costs = self._posteriors(), self._costs()
        expected, room = 0.0, self.budget - self.charged
        while arms := [arm for arm in self._arms if self._worst(arm) <= room]:
            if expected >= portion:
                break
            arm = self._choose(arms, tries, posteriors, draw)
            tries[arm] += 1
            expected += costs[arm.technique]
            room -= self._worst(arm)
            planned.append(self._attack(arm, generation))
        return planned

    def _choose(
        self,
        arms: Sequence[Arm],
        tries: Mapping[Arm, int],
        posteriors: Mapping[Arm, tuple[float, float]],
        draw: random.Random,
    ) -> Arm:
        """Choose a least tried arm at first and for exploration; else the best of one draw from each posterior."""
        if not posteriors or draw.random() < EXPLORATION:
            fewest = min(tries.get(arm, 0) for arm in arms)
            return draw.choice([arm for arm in arms if tries.get(arm, 0) == fewest])
        values = {arm: draw.betavariate(*posteriors[arm]) for arm in arms}
        return max(arms, key=lambda arm: values[arm] * self._appetite(arm, tries))

    def _appetite(self, arm: Arm, tries: Mapping[Arm, int]) -> float:
        """Weigh a further success: less, the more there are and the more are hoped for of what is planned."""
        tally = self._tallies.get(arm, Tally())
        planned = tries.get(arm, 0) - tally.n - tally.unscored
        hoped = planned * tally.k / tally.n if tally.n else 0.0
        return SATIETY / (SATIETY + tally.k + hoped)

    def _posteriors(self) -> dict[Arm, tuple[float, float]]:
        """Give each arm's Beta posterior; none before anything was tried."""
        if not self._tallies:
            return {}
        priors = _pooled(self._tallies)
        posteriors: dict[Arm, tuple[float, float]] = {}
        for arm in self._arms:
            prior = sum(priors.get(part, priors[""]) for part in _parts(arm)) / 3
            tally = self._tallies.get(arm, Tally())
            posteriors[arm] = tally.k + PRIOR_STRENGTH * prior, tally.n - tally.k + PRIOR_STRENGTH * (1 - prior)
        return posteriors

    def _costs(self) -> dict[str, float]:
        """Expect of a technique what an attempt has cost so far; before that, what it may cost at most."""
        costs = {name: float(most_queries(one, self.max_turns)) for name, one in self.playbook.techniques.items()}
        queries, tries = Counter[str](), Counter[str]()
        for arm, tally in self._tallies.items():
            queries[arm.technique] += tally.queries
            tries[arm.technique] += tally.n + tally.unscored
        return costs | {name: max(queries[name] / count, 0.5) for name, count in tries.items() if count}

    def _worst(self, arm: Arm) -> int:
        return most_queries(self.playbook.techniques[arm.technique], self.max_turns)

    def _attack(self, arm: Arm, generation: int) -> Attack:
        """Take the scenario that this technique and persona have tried least."""

        def used(scenario: Scenario) -> int:
            return self._used[scenario.id, arm.technique, arm.persona]

        scenario = min(self._pools[arm.area], key=used)
        sample = used(scenario)
        self._used[scenario.id, arm.technique, arm.persona] += 1
        return Attack(
            scenario=scenario,
            technique=self.playbook.techniques[arm.technique],
            persona=self.playbook.personas[arm.persona],
            sample=sample,
            generation=generation,
        )


def _pooled(tallies: Mapping[Arm, Tally]) -> dict[str, float]:
    """Give the success rate of each technique, persona and area, and of all (""), each smoothed towards one half."""
    wins, tries = Counter[str](), Counter[str]()
    for arm, tally in tallies.items():
        for part in ("", *_parts(arm)):
            wins[part] += tally.k
            tries[part] += tally.n
    return {part: (wins[part] + 0.5) / (count + 1) for part, count in tries.items()}


def _parts(arm: Arm) -> tuple[str, str, str]:
    return f"technique {arm.technique}", f"persona {arm.persona}", f"area {arm.area}"
