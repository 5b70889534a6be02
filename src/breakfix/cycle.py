"""The cycle: measure, break, fix, prove, round after round.

This file reads like the story; every line is a loop of its own, and all of them meet in the run's store. After a kill
the same cycle is run again: finished calls come from the journal, finished training from its folder.
"""

from typing import NamedTuple

from breakfix.align import align
from breakfix.compare import compare, gate
from breakfix.curate import curate
from breakfix.measure import Measurement, measure
from breakfix.project import Run
from breakfix.redteam import Siege, redteam
from breakfix.reporting import Reported, report
from breakfix.retest import retest
from breakfix.store.records import RoundRecord
from breakfix.types import Checkpoint, Dataset, Finding, GateDecision


class State(NamedTuple):
    """A target at some point of the cycle: its stage, and its weights by model name (None: as the settings say)."""

    stage: str
    target: str | None = None


async def run_cycle(run: Run) -> Reported:
    """Take the target through rounds of break and fix, until the gate passes or the rounds are spent; then report."""
    state = State("base")
    before = await measure(run, stage=state.stage)
    for number in range(1, run.settings.rounds + 1):
        siege = await redteam(run, target=state.target, stage=state.stage, number=number)
        dataset = await curate(run, siege.findings, target=state.target, stage=state.stage, number=number)
        checkpoint = await align(run, dataset, base=state.target, number=number)
        was, state = state, State(f"round-{number}", f"hf/{checkpoint.path}")
        await measure_sft_alone(run, checkpoint, number)
        after = await measure(run, target=state.target, stage=state.stage)
        decision = decide(run, before, after)
        await retest(run, trained(run, siege), before=was.stage, target=f"hf/{checkpoint.path}", stage=state.stage)
        close_round(run, number, dataset, checkpoint=checkpoint, decision=decision)
        if decision.verdict == "passed" and run.settings.stop_when_passed:
            break
    await redteam(run, target=state.target, stage=state.stage, number=run.settings.rounds + 1)
    return await report(run)


async def measure_sft_alone(run: Run, checkpoint: Checkpoint, number: int) -> None:
    """Measure the target between SFT and DPO, so that a report can say what each contributed."""
    if "dpo" in checkpoint.stages and "sft" in checkpoint.stage_paths:
        await measure(run, target=f"hf/{checkpoint.stage_paths['sft']}", stage=f"round-{number}-sft")


def decide(run: Run, before: Measurement, after: Measurement) -> GateDecision:
    """Compare with the target as it was at the start, and let the gate decide."""
    changes = compare(before.scores, after.scores, run.settings.measure, seed=run.settings.seed)
    return gate(after.card, changes, run.settings.gate)


def trained(run: Run, siege: Siege) -> list[Finding]:
    """Give the findings of a siege that went into training."""
    ids = {finding.id for finding in siege.findings}
    return [one for one in run.store.findings(run.name) if one.id in ids and one.state != "open"]


def close_round(run: Run, number: int, dataset: Dataset, *, checkpoint: Checkpoint, decision: GateDecision) -> None:
    """Put on record what a round made and what the gate said."""
    record = RoundRecord(
        run=run.name,
        round=number,
        stage=f"round-{number}",
        dataset_id=dataset.id,
        checkpoint_id=checkpoint.id,
        gate=decision.verdict,
        done=True,
    )
    run.store.save_round(record)
