"""Failures: the failing conversations behind findings, and more of the same from the train split where they are few.

What is attacked or asked alike is attacked by the same technique, or asked under the same measure, about the same harm.
The sealed split is never touched.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import cycle, islice
from typing import NamedTuple

from breakfix.attacks.search import Attack
from breakfix.attacks.techniques import load_techniques, most_queries
from breakfix.calls import each
from breakfix.curation.repair import Failure
from breakfix.findings import case_of
from breakfix.forecasts import MORE_TRIES, forecast_more
from breakfix.measure import hold
from breakfix.personas import load_personas
from breakfix.project import Run
from breakfix.prompts import system_messages
from breakfix.redteam import Besieger, objectives, ordinary_scenarios, tell_attacker, verdicts_of
from breakfix.retest import Cell, cell_of, make_attacks
from breakfix.roles import check_openings, open_attacker, open_simulator
from breakfix.types import Conversation, Finding, Scenario
from breakfix.wording import counted

AREAS_AT_ONCE = 8
"""Scenarios are drawn evenly over areas: so many are drawn for each that is wanted of one."""


class Want(NamedTuple):
    """A finding that has too few failing conversations, and how many more are wanted."""

    finding: Finding
    more: int


class More(NamedTuple):
    """What is to be tried on the train split, since so many findings have too few failing conversations."""

    short: int
    attacks: Sequence[Attack]
    asked: Sequence[Scenario]
    """What ordinary users ask."""


async def gather_failures(who: Besieger, findings: Sequence[Finding], *, stage: str) -> Mapping[str, list[Failure]]:
    """Give each finding's failing conversations, its own first, by finding id; `who.stage` holds what is added.

    Says beforehand how much it will try, and why. Opens an attacker only where there is something to attack for.
    Raises SettingsError where nobody is named who is to attack, or to ask as a user.
    """
    run, judge_id = who.run, who.judge.judge_id
    await judge_first(who, findings, stage=stage)
    more, most = plan_more(run, findings, stage=stage, judge_id=judge_id), run.settings.curate.examples_per_finding
    if more.attacks:
        who = who._replace(attacker=open_attacker(run))
    if more.asked:
        check_openings(open_simulator(run), more.asked)
    tell_more(who, more)
    if more.attacks:
        run.store.add_scenarios(run.name, [one.scenario for one in more.attacks])
        await make_attacks(who, more.attacks)
    if more.asked:
        run.store.add_scenarios(run.name, more.asked)
        await hold(run, who.target, more.asked, simulator=open_simulator(run), judge=who.judge, stage=who.stage)
    found = failing(run, (*stages_of(stage), who.stage), judge_id)
    return {one.id: found.get(cell_of(one), [])[:most] for one in findings}


async def judge_first(who: Besieger, findings: Sequence[Finding], *, stage: str) -> None:
    """Judge the conversations that findings rest on and this judge has not judged, as many as are repaired of each.

    Findings from elsewhere bring no verdicts, and a judge that is named anew has given none. Says which conversations
    of the findings lie under other stages.
    """
    run, most = who.run, who.run.settings.curate.examples_per_finding
    behind = {id_ for one in findings for id_ in one.conversation_ids}
    told = (one for name in stages_of(stage) for one in run.store.conversations(run.name, stage=name))
    said = [one for one in told if one.id in behind]
    tell_elsewhere(run, behind - {one.id for one in said}, stage=stage)
    named = {id_ for one in findings for id_ in one.conversation_ids[:most]}
    known = verdicts_of(run, who.judge.judge_id)
    wanted = named - {id_ for id_, verdict in known.items() if not verdict.unscored}
    scenarios = {one.id: one for one in run.store.scenarios(run.name) if one.split != "sealed"}
    waiting = [one for one in said if one.id in wanted and one.scenario_id in scenarios]
    if not waiting:
        return

    async def judged(one: Conversation) -> None:
        run.store.add_verdicts(run.name, [await who.judge.judge(scenarios[one.scenario_id], one)])
        run.progress.advance(calls=run.calls.counts.total.calls)

    run.progress.note(f"This judge has not judged {counted(len(waiting), 'conversation')} of the findings: that first.")
    run.progress.stage(f"judge {stage}", len(waiting))
    await each(waiting, judged, width=run.calls.width)
    run.progress.done()


def tell_elsewhere(run: Run, missing: Collection[str], *, stage: str) -> None:
    """Say under which other stages conversations of the findings lie: they show another state of the target."""
    if not missing:
        return
    met = Counter(one.stage for one in run.store.conversations(run.name) if one.id in missing)
    if met:
        states = sorted({name.removesuffix("-dev").removesuffix("-retest") for name in met})
        run.progress.note(
            f"{counted(met.total(), 'conversation')} of the findings lie under stage {' and '.join(states)}, not under"
            f" {stage}: they are not learnt from. To do so, give that stage with --stage, its weights with --target."
        )


def plan_more(run: Run, findings: Sequence[Finding], *, stage: str, judge_id: str) -> More:
    """Plan what is tried for findings that have fewer failing conversations than are repaired of each."""
    own, most = failing(run, stages_of(stage), judge_id), run.settings.curate.examples_per_finding
    wants = [Want(one, most - len(own.get(cell_of(one), ()))) for one in findings]
    short = [want for want in wants if want.more > 0]
    attacks = attacks_alike(run, [want for want in short if want.finding.technique in load_techniques()])
    asked = asked_alike(run, [want for want in short if want.finding.technique not in load_techniques()])
    return More(len(short), attacks, asked)


def tell_more(who: Besieger, more: More) -> None:
    """Say how many attacks and conversations will be added, why, how to have fewer, and what endpoints are asked."""
    run, talks = who.run, len(more.asked) * who.run.settings.measure.samples
    if not more.attacks and not talks:
        return
    tell_attacker(run)
    most = run.settings.curate.examples_per_finding
    what = [counted(len(more.attacks), "attack")] if more.attacks else []
    what += [f"{counted(talks, 'conversation')} of ordinary users"] if talks else []
    lack = "finding has" if more.short == 1 else "findings have"
    run.progress.note(
        f"Curating tries {' and '.join(what)} more on the train split: {more.short:,} {lack} fewer than {most}"
        f" failing conversations to learn from; {MORE_TRIES} tries for each that is missing."
        " Fewer: --set curate.examples_per_finding=N"
    )
    queries = sum(most_queries(one.technique, run.settings.redteam.max_turns) for one in more.attacks)
    is_trained = who.target.name != run.settings.target
    if forecast := forecast_more(run.settings, queries, more.asked, is_trained=is_trained):
        run.progress.note(f"Forecast for these, at most: {forecast}.")


def attacks_alike(run: Run, wants: Sequence[Want]) -> list[Attack]:
    """Plan attacks on scenarios of the train split in the way of findings."""
    techniques = load_techniques()
    if not wants:
        return []
    personas = list(load_personas(run.settings.redteam.personas).values())
    pool = objectives(run, "train", n=AREAS_AT_ONCE * MORE_TRIES * max(want.more for want in wants))
    return [
        Attack(scenario=scenario, technique=techniques[want.finding.technique], persona=persona, sample=0, generation=0)
        for want in wants
        for scenario, persona in zip(_some(pool, want), cycle(personas), strict=False)
    ]


def asked_alike(run: Run, wants: Sequence[Want]) -> list[Scenario]:
    """Draw what ordinary users ask alike, under the measure of findings that needed no attack."""
    if not wants:
        return []
    drawn = ordinary_scenarios(run, "train", AREAS_AT_ONCE * MORE_TRIES * max(want.more for want in wants))
    asked = {
        one.id: one
        for want in wants
        for one in _some([each for each in drawn if each.measure == want.finding.technique], want)
    }
    return list(asked.values())


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
