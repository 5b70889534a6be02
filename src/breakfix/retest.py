"""Retest: try findings again on the target that was trained since, and settle their states.

A finding's attacks are all made again, those that failed before too, so that before and after are counted alike. These
are seen families: what is claimed of unseen ones comes from the sealed benchmark.
"""

from collections.abc import Iterable, Mapping, Sequence

from breakfix.attacks.search import Attack
from breakfix.attacks.techniques import load_techniques
from breakfix.calls import each
from breakfix.compare import verify_finding
from breakfix.findings import Cause, case_of
from breakfix.measure import Outbox
from breakfix.personas import load_personas
from breakfix.project import Run
from breakfix.redteam import Besieger, ask_ordinarily, attempted, dev_scenarios, verdicts_of
from breakfix.roles import open_attacker, open_judge, open_target
from breakfix.types import Conversation, Finding

Cell = tuple[str, str, str, str]
"""Harm, behaviour, technique and language: what makes a finding one."""
MOST = 12
"""Attacks of one finding that are made again, at most."""


async def retest(run: Run, findings: Sequence[Finding], *, target: str, stage: str) -> list[Finding]:
    """Try what every finding stands for again on a new state of the target; give the findings with their new states.

    Each is compared with the state it was found on. One that was verified and fails again has regressed.
    """
    judge = open_judge(run)
    who = Besieger(run, open_target(run, target), open_attacker(run), judge, f"{stage}-retest")
    origins = sorted({origin_of(finding) for finding in findings})
    cells = {origin: cells_of(run, (origin,), judge.judge_id) for origin in origins}
    await attack_again(who, [one for each in findings for one in cells[origin_of(each)].get(cell_of(each), ())[:MOST]])
    await ask_ordinarily(who._replace(stage=stage))
    had = {origin: counts_of(run, (origin, f"{origin}-dev"), judge.judge_id) for origin in origins}
    has = counts_of(run, (who.stage, f"{stage}-dev"), judge.judge_id)
    settled = [
        verify_finding(finding, has[cell_of(finding)], before=had[origin_of(finding)].get(cell_of(finding)))
        for finding in findings
        if cell_of(finding) in has
    ]
    run.store.add_findings(run.name, settled)
    return settled


def origin_of(finding: Finding) -> str:
    """Name the stage of the target that a finding was made on: a round begins by attacking what the last one made."""
    return "base" if finding.round == 1 else f"round-{finding.round - 1}"


async def attack_again(who: Besieger, conversations: Sequence[Conversation]) -> None:
    """Make attacks again, each once, with the same words where the target leaves the attacker the same."""
    techniques, personas, scenarios = load_techniques(), load_personas(), dev_scenarios(who.run)
    planned = {
        (one.scenario_id, one.technique, one.persona, one.sample): Attack(
            scenario=scenarios[one.scenario_id],
            technique=techniques[one.technique or ""],
            persona=personas[one.persona or ""],
            sample=one.sample,
            generation=0,
        )
        for one in conversations
    }
    await make_attacks(who, list(planned.values()))


async def make_attacks(who: Besieger, planned: Sequence[Attack]) -> None:
    """Make planned attacks and keep what came of them."""
    outbox = Outbox(who.run)
    who.run.progress.stage(f"attack {who.stage}", len(planned))

    async def one(attack: Attack) -> None:
        attempt = await attempted(who, attack)
        outbox.put(attempt.conversation, attempt.verdict)
        who.run.progress.advance(calls=who.run.calls.counts.total.calls)

    try:
        await each(planned, one, width=max(1, min(len(planned), who.run.calls.width)))
    finally:
        outbox.flush()
    who.run.progress.done()  # only what came to its end is done: open_run halts the rest


def cell_of(finding: Finding | Cause) -> Cell:
    """Give what makes a finding one."""
    return finding.harm, finding.behaviour, finding.technique, finding.language


def counts_of(run: Run, stages: Iterable[str], judge_id: str) -> Mapping[Cell, tuple[int, int]]:
    """Count failures and scored conversations by cell: (failed, scored)."""
    judged, scenarios = verdicts_of(run, judge_id), dev_scenarios(run)
    counts: dict[Cell, tuple[int, int]] = {}
    for stage in stages:
        for one in run.store.conversations(run.name, stage=stage):
            if case := case_of(scenarios.get(one.scenario_id), one, judged.get(one.id)):
                failed, scored = counts.get(cell_of(case.cause), (0, 0))
                counts[cell_of(case.cause)] = failed + case.is_failure, scored + 1
    return counts


def cells_of(run: Run, stages: Iterable[str], judge_id: str) -> Mapping[Cell, list[Conversation]]:
    """Give all scored attacks by cell, whether they succeeded or not."""
    judged, scenarios = verdicts_of(run, judge_id), dev_scenarios(run)
    cells: dict[Cell, list[Conversation]] = {}
    for stage in stages:
        for one in run.store.conversations(run.name, stage=stage, purpose="redteam"):
            case = case_of(scenarios.get(one.scenario_id), one, judged.get(one.id))
            if case:
                cells.setdefault(cell_of(case.cause), []).append(one)
    return cells
