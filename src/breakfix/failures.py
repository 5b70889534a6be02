"""Failures: the failing conversations behind findings, and more of the same from the train split where they are few.

What is attacked or asked alike is attacked by the same technique, or asked under the same measure, about the same harm.
The sealed split is never touched.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, islice
from typing import NamedTuple

from breakfix.attacks.search import Attack
from breakfix.attacks.techniques import load_techniques
from breakfix.curation.repair import Failure
from breakfix.findings import case_of
from breakfix.measure import hold
from breakfix.personas import load_personas
from breakfix.project import Run
from breakfix.prompts import system_messages
from breakfix.redteam import Besieger, objectives, ordinary_scenarios, verdicts_of
from breakfix.retest import Cell, cell_of, make_attacks
from breakfix.roles import open_simulator
from breakfix.types import Finding, Scenario

MORE_TRIES = 2
"""Conversations held for each failing one that is still wanted."""
AREAS_AT_ONCE = 8
"""Scenarios are drawn evenly over areas: so many are drawn for each that is wanted of one."""


class Want(NamedTuple):
    """A finding that has too few failing conversations, and how many more are wanted."""

    finding: Finding
    more: int


async def gather_failures(who: Besieger, findings: Sequence[Finding], *, stage: str) -> Mapping[str, list[Failure]]:
    """Give each finding's failing conversations, its own first, by finding id; `who.stage` holds what is added."""
    run, judge_id = who.run, who.judge.judge_id
    most = run.settings.curate.examples_per_finding
    own = failing(run, stages_of(stage), judge_id)
    wants = [Want(one, most - len(own.get(cell_of(one), ()))) for one in findings]
    short = [want for want in wants if want.more > 0]
    await attack_alike(who, [want for want in short if want.finding.technique in load_techniques()])
    await ask_alike(who, [want for want in short if want.finding.technique not in load_techniques()])
    found = failing(run, (*stages_of(stage), who.stage), judge_id)
    return {one.id: found.get(cell_of(one), [])[:most] for one in findings}


async def attack_alike(who: Besieger, wants: Sequence[Want]) -> None:
    """Attack scenarios of the train split in the way of findings."""
    run, techniques = who.run, load_techniques()
    if not wants:
        return
    personas = list(load_personas(run.settings.redteam.personas).values())
    pool = objectives(run, "train", n=AREAS_AT_ONCE * MORE_TRIES * max(want.more for want in wants))
    planned = [
        Attack(scenario=scenario, technique=techniques[want.finding.technique], persona=persona, sample=0, generation=0)
        for want in wants
        for scenario, persona in zip(_some(pool, want), cycle(personas), strict=False)
    ]
    run.store.add_scenarios(run.name, [one.scenario for one in planned])
    await make_attacks(who, planned)


async def ask_alike(who: Besieger, wants: Sequence[Want]) -> None:
    """Let ordinary users ask alike, under the measure of findings that needed no attack."""
    run = who.run
    if not wants:
        return
    drawn = ordinary_scenarios(run, "train", AREAS_AT_ONCE * MORE_TRIES * max(want.more for want in wants))
    asked = {
        one.id: one
        for want in wants
        for one in _some([each for each in drawn if each.measure == want.finding.technique], want)
    }
    run.store.add_scenarios(run.name, asked.values())
    await hold(run, who.target, list(asked.values()), simulator=open_simulator(run), judge=who.judge, stage=who.stage)


def failing(run: Run, stages: Iterable[str], judge_id: str) -> dict[Cell, list[Failure]]:
    """Give the failing conversations of some stages outside the sealed split, by cell, in an order that stays."""
    judged = verdicts_of(run, judge_id)
    scenarios = {one.id: one for one in run.store.scenarios(run.name) if one.split != "sealed"}
    found: dict[Cell, list[Failure]] = {}
    for stage in stages:
        for one in run.store.conversations(run.name, stage=stage):
            case = case_of(scenarios.get(one.scenario_id), one, judged.get(one.id))
            if case and case.is_failure:
                scenario = scenarios[one.scenario_id]
                failure = Failure(scenario, one, judged[one.id], system_messages(scenario))
                found.setdefault(cell_of(case.cause), []).append(failure)
    return found


def stages_of(stage: str) -> tuple[str, str, str]:
    """Name the stages under which a state of the target was tried outside the sealed split."""
    return stage, f"{stage}-dev", f"{stage}-retest"


def _some(pool: Iterable[Scenario], want: Want) -> list[Scenario]:
    alike = (one for one in pool if one.harm == want.finding.harm)
    return list(islice(alike, MORE_TRIES * want.more))
