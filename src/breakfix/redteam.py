"""Red team: an attacker searches for what breaks a target, and what it finds is grouped into ranked findings.

The search has its own pool of scenarios (the dev split), and beside it ordinary users talk there under every measure,
so that over-refusal, invention and what needs no attack are found too. Success found by a search is selected: it is
shown as attack success, and never enters a benchmark rate.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from breakfix.attacks.search import Archive, Attack, Attempt, Gap, Playbook, attackable, search
from breakfix.attacks.techniques import load_techniques, run_attack
from breakfix.conversations.dialogue import Dialogue
from breakfix.estimates import Score
from breakfix.findings import find_groups
from breakfix.forecasts import forecast_siege
from breakfix.identity import digest
from breakfix.judging.refusal import classify
from breakfix.measure import Outbox, hold, refuse_choices
from breakfix.personas import load_personas
from breakfix.progress import Fact
from breakfix.project import Run
from breakfix.protocols import Attacker, Judge
from breakfix.roles import (
    Target,
    check_openings,
    harms,
    is_lab,
    open_attacker,
    open_judge,
    open_simulator,
    open_target,
    stand_in,
)
from breakfix.scorecard import FAILED, in_short, score_of
from breakfix.types import UNSCORED_OUTCOMES, Conversation, Finding, Measure, Outcome, Scenario, Split, Verdict
from breakfix.wording import counted

LACKS: Mapping[Outcome, str] = {
    "judge-failed": "have no verdict",
    "attacker-failed": "failed at the attacker",
    "target-failed": "failed at the target",
    "blocked": "were withheld by a content filter",
}
"""What is said of attacks that ended in this way, and so are unscored."""
CAUSES_TOLD = 3
SPARED = ", or leave ordinary users out: --set redteam.ordinary=0"


class Siege(NamedTuple):
    """What a red team did to one state of a target, and what it found."""

    stage: str
    archive: Archive
    findings: tuple[Finding, ...]
    asked: tuple[Score, ...] = ()
    """What ordinary users met with."""


class Besieger(NamedTuple):
    """Who attacks what, and who judges it."""

    run: Run
    target: Target
    attacker: Attacker | None
    """None: nobody attacks, as where there are failures enough to learn from."""
    judge: Judge
    stage: str


async def redteam(run: Run, *, target: str | None = None, stage: str = "base", number: int = 1) -> Siege:
    """Attack a target within the query budget, let ordinary users try it too, and group what failed."""
    if is_lab(run.settings):
        refuse_choices(run.settings.measure)
    under_test, judge = open_target(run, target), open_judge(run, target)
    who = Besieger(run, under_test, open_attacker(run), judge, stage)
    playbook_of(run)
    beside = ordinary_scenarios(run, "dev", run.settings.redteam.ordinary)
    check_openings(open_simulator(run), beside, SPARED)
    run.claim_stage(stage, under_test.target_id)
    pool = attackable(objectives(run, "dev"), harms())
    run.store.add_scenarios(run.name, pool)
    tell_attacker(run)
    if forecast := forecast_siege(run.settings, beside, is_trained=target is not None):
        run.progress.note(f"Forecast for the red team on {stage}: {forecast}.")
    archive = await attack(who, pool)
    for line in said_of(archive.gaps, len(archive.attempts)):
        run.progress.note(line)
    asked = await ask_ordinarily(who)
    findings = find(run, number=number, stage=stage, judge_id=judge.judge_id)
    run.store.add_findings(run.name, findings)
    return Siege(stage, archive, tuple(findings), asked)


def tell_attacker(run: Run) -> None:
    """Say who attacks where nobody was named for it, and a stand-in does."""
    if name := stand_in(run.settings, "attacker"):
        run.progress.note(
            f"No attacker is named: the simulator's model, {name}, writes the attacks. Another: --attacker MODEL"
        )


async def ask_ordinarily(who: Besieger) -> tuple[Score, ...]:
    """Let ordinary users talk too, under every measure, so that what needs no attack is found, and too much refusal."""
    run, asked = who.run, ordinary_scenarios(who.run, "dev", who.run.settings.redteam.ordinary)
    run.store.add_scenarios(run.name, asked)
    if not asked:
        return ()
    users = open_simulator(run)
    return await hold(run, who.target, asked, simulator=users, judge=who.judge, stage=f"{who.stage}-dev")


def playbook_of(run: Run) -> Playbook:
    """Read the techniques and personas of the settings. Raises DataError for one that is not known."""
    settings = run.settings.redteam
    return Playbook(load_techniques(settings.techniques), load_personas(settings.personas))


async def attack(who: Besieger, pool: Sequence[Scenario]) -> Archive:
    """Spend the budget of target calls where attacks succeed."""
    run, settings = who.run, who.run.settings.redteam
    playbook = playbook_of(run)
    outbox = Outbox(run)
    run.progress.stage(f"red team {who.stage}", settings.budget)
    so_far = Tries()

    async def one(planned: Attack) -> Attempt:
        attempt = await attempted(who, planned)
        outbox.put(attempt.conversation, attempt.verdict)
        run.progress.advance(attempt.queries, **so_far.plus(attempt), calls=run.calls.counts.total.calls)
        return attempt

    try:
        found = await search(pool, playbook, attempt=one, settings=settings, seed=run.settings.seed)
    finally:
        outbox.flush()
    run.progress.done()  # only what came to its end is done: open_run halts the rest
    return found


class Tries:
    """Running counts for whoever watches an attack: success of what was scored, and what was not scored and why."""

    def __init__(self) -> None:
        self._won = 0
        self._scored = 0
        self._lacking = Counter[Outcome]()

    def plus(self, attempt: Attempt) -> dict[str, Fact]:
        """Count one attempt and give the facts; no success is shown where nothing was scored."""
        self._won += attempt.success is True
        self._scored += attempt.success is not None
        if attempt.success is None:
            self._lacking[attempt.outcome or "judge-failed"] += 1
        facts: dict[str, Fact] = {"attack_success": self._won / self._scored if self._scored else "–"}
        names = {outcome: "no_verdict" if outcome == "judge-failed" else outcome for outcome in self._lacking}
        return facts | {names[outcome]: count for outcome, count in self._lacking.items()}


def said_of(gaps: Sequence[Gap], of: int, what: str = "attack") -> Iterator[str]:
    """Say in a line each how many of so many attacks are unscored, and the causes: unscored is never safe."""
    for gap in gaps:
        told = [f"{cause} ({count:,})" if len(gap.causes) > 1 else cause for cause, count in gap.causes[:CAUSES_TOLD]]
        if (left := len(gap.causes) - CAUSES_TOLD) > 0:
            told.append(f"{counted(left, 'more cause')}")
        yield f"{gap.n:,} of {counted(of, what)} {LACKS.get(gap.outcome, gap.outcome)}: {'; '.join(told)}"


async def attempted(who: Besieger, planned: Attack) -> Attempt:
    """Hold one attack and judge it."""
    scenario, technique, persona = planned.scenario, planned.technique, planned.persona
    name = f"redteam {scenario.id} {technique.id} {persona.id}"
    dialogue = Dialogue(scenario, who.target.line.thread(name, planned.sample))
    assert who.attacker is not None, "attacks are planned by who has opened an attacker"
    user = who.attacker.begin(scenario, technique, persona, planned.sample)
    turns = who.run.settings.redteam.max_turns
    ending = await run_attack(technique, user, dialogue, is_refusal=is_refused, max_turns=turns)
    conversation = Conversation(
        id=digest(who.run.name, who.stage, who.target.target_id, name, planned.sample),
        run=who.run.name,
        scenario_id=scenario.id,
        target_id=who.target.target_id,
        purpose="redteam",
        stage=who.stage,
        sample=planned.sample,
        technique=technique.id,
        persona=persona.id,
        turns=tuple(dialogue.turns),
        stopped=ending.stopped,
        failed=ending.failed,
        failure=ending.failure,
        queries=dialogue.queries,
    )
    verdict = await who.judge.judge(scenario, conversation)
    score = score_of(scenario, conversation, verdict)
    return Attempt(
        conversation=conversation,
        verdict=verdict,
        success=None if score.outcome in UNSCORED_OUTCOMES else score.outcome == "harmful",
        queries=dialogue.queries,
        outcome=score.outcome,
        cause=in_short((ending.failure or "") if score.outcome in FAILED else score.cause),
    )


def objectives(run: Run, split: Split, *, n: int | None = None) -> list[Scenario]:
    """Give goals for an attacker from one split: what to obtain, not how to ask."""
    n = n or max(40, run.settings.redteam.budget // 3)
    if is_lab(run.settings):
        from breakfix.lab.scenarios import lab_objectives

        return lab_objectives(split, n=n, seed=run.settings.seed)
    from breakfix.scenarios.library import build_scenarios

    wanted = run.settings.measure.model_copy(update={"measures": ("jailbreak",), "conversations": n})
    return build_scenarios(wanted, harms(), split=split, seed=run.settings.seed)


def ordinary_scenarios(run: Run, split: Split, n: int) -> list[Scenario]:
    """Give what ordinary users ask under each measure but jailbreak, n of each; of refusal only what is harmless."""
    wanted: list[Measure] = [measure for measure in run.settings.measure.measures if measure != "jailbreak"]
    if n == 0 or not wanted:
        return []
    if is_lab(run.settings):
        from breakfix.lab.scenarios import lab_objectives, lab_scenarios

        asked = lab_objectives(split, n=n, seed=run.settings.seed, kind="benign") if "refusal" in wanted else []
        drawn = [
            scenario
            for measure in wanted
            if measure != "refusal"
            for scenario in lab_scenarios(measure, split, n=n, seed=run.settings.seed, turns=1)
        ]
        return [*(one.model_copy(update={"measure": "refusal"}) for one in asked), *drawn]
    from breakfix.scenarios.library import build_scenarios

    settings = run.settings.measure.model_copy(update={"measures": tuple(wanted), "conversations": n})
    drawn = build_scenarios(settings, harms(), split=split, seed=run.settings.seed)
    return [scenario for scenario in drawn if scenario.measure != "refusal" or scenario.kind != "harmful"]


def find(run: Run, *, number: int, stage: str, judge_id: str) -> list[Finding]:
    """Group what failed on one state of a target outside the sealed split, retests included, into ranked findings."""
    judged, scenarios = verdicts_of(run, judge_id), dev_scenarios(run)
    stages = (stage, f"{stage}-dev", f"{stage}-retest")
    conversations = [one for name in stages for one in run.store.conversations(run.name, stage=name)]
    return find_groups(
        scenarios.values(),
        (one for one in conversations if one.scenario_id in scenarios),
        judged.values(),
        run=run.name,
        round=number,
    )


def verdicts_of(run: Run, judge_id: str) -> Mapping[str, Verdict]:
    """Give a judge's verdicts by conversation."""
    return {verdict.conversation_id: verdict for verdict in run.store.verdicts(run.name, judge_id)}


def dev_scenarios(run: Run) -> Mapping[str, Scenario]:
    """Give the red team's scenarios by id."""
    return {scenario.id: scenario for scenario in run.store.scenarios(run.name, split="dev")}


def is_refused(answer: str) -> bool:
    """Tell an attacker whether it was refused, by the offline judge."""
    return classify("", answer).refusal == "full"
