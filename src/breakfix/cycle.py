"""The cycle: measure, break, fix, prove, round after round.

This file reads like the story; every line is a loop of its own, and all of them meet in the run's store. After a kill
the same cycle is run again: finished calls come from the journal, finished training from its folder.
"""

from collections import Counter
from typing import NamedTuple

from breakfix.align import align, weights_of
from breakfix.attacks.techniques import load_techniques
from breakfix.compare import compare, gate
from breakfix.curate import check_sources, curate, has_lessons
from breakfix.errors import ModelError
from breakfix.estimates import GateDecision
from breakfix.forecasts import forecast_cycle
from breakfix.itinerary import from_training, last_look, whole_cycle
from breakfix.measure import measure, sealed_scenarios
from breakfix.measured import Measurement
from breakfix.personas import load_personas
from breakfix.project import Run
from breakfix.redteam import ordinary_scenarios, redteam
from breakfix.reporting import Reported, report
from breakfix.retest import retest
from breakfix.roles import open_attacker, open_judge, open_simulator, open_target, open_teacher
from breakfix.store.records import RoundRecord
from breakfix.types import Checkpoint, Dataset, Finding
from breakfix.users import frozen_users
from breakfix.wording import counted


class State(NamedTuple):
    """A target at some point of the cycle: its stage, and its weights by model name (None: as the settings say)."""

    stage: str
    target: str | None = None


async def run_cycle(run: Run) -> Reported:
    """Take the target through rounds of break and fix, until the gate passes or the rounds are spent; then report."""
    look_ahead(run)
    state = State("base")
    before = await measure(run, stage=state.stage)
    refuse_blindness(before)
    number = 0
    for number in range(1, run.settings.rounds + 1):
        siege = await redteam(run, target=state.target, stage=state.stage, number=number)
        if not has_lessons(run, siege.findings, number):
            run.progress.note("Nothing was found that could be taught, and curate.sources is empty: the rounds end.")
            return await report(run)
        dataset = await curate(run, siege.findings, target=state.target, stage=state.stage, number=number)
        run.progress.ahead(from_training(run.settings, len(before.scores), number, dataset))
        checkpoint = await align(run, dataset, base=state.target, number=number)
        state = State(f"round-{number}", f"hf/{checkpoint.path}")
        await measure_sft_alone(run, checkpoint, number)
        after = await measure(run, target=state.target, stage=state.stage)
        await measure_frozen(run, state)
        decision = decide(run, before, after)
        await retest(run, found_so_far(run, number), target=f"hf/{checkpoint.path}", stage=state.stage)
        close_round(run, number, dataset, checkpoint=checkpoint, decision=decision)
        if decision.verdict == "passed" and run.settings.stop_when_passed:
            break
    run.progress.ahead(last_look(run.settings, number))
    await redteam(run, target=state.target, stage=state.stage, number=number + 1)
    return await report(run)


def look_ahead(run: Run) -> None:
    """Refuse now what would fail hours later: a role without a model, weights that are not here, a wrong name."""
    from breakfix.alignment.launch import require_libraries
    from breakfix.alignment.recipes import resolve_recipe

    settings = run.settings
    open_target(run)
    weights_of(settings.target or "")
    require_libraries()
    for open_role in (open_simulator, open_judge, open_attacker, open_teacher):
        open_role(run)
    load_techniques(settings.redteam.techniques)
    load_personas(settings.redteam.personas)
    resolve_recipe(settings.align)
    check_sources(run)
    look_at_cost(run)


def look_at_cost(run: Run) -> None:
    """Say what the whole cycle may ask of endpoints, and foresee its stages, before it asks anything."""
    measured = sealed_scenarios(run)
    asked = ordinary_scenarios(run, "dev", run.settings.redteam.ordinary)
    if forecast := forecast_cycle(run.settings, measured, asked):
        run.progress.note(f"Forecast for the cycle, at most: {forecast}.")
    run.progress.ahead(whole_cycle(run.settings, len(measured) * run.settings.measure.samples))


def refuse_blindness(before: Measurement) -> None:
    """Stop where nothing at all could be scored: what follows would cost calls and show nothing. Raises ModelError."""
    causes = Counter(one.outcome for one in before.scores)
    if before.scores and all(one.value is None for one in before.scores):
        counts = ", ".join(f"{count} {outcome}" for outcome, count in causes.most_common())
        raise ModelError(
            f"None of {counted(len(before.scores), 'conversation')} could be scored ({counts}), so there is nothing to"
            " improve on. Export the run's conversations or verdicts to see why (breakfix runs export), mend it,"
            " and run again."
        )


async def measure_sft_alone(run: Run, checkpoint: Checkpoint, number: int) -> None:
    """Measure the target between SFT and DPO, so that a report can say what each contributed."""
    if "dpo" in checkpoint.stages and "sft" in checkpoint.stage_paths:
        await measure(run, target=f"hf/{checkpoint.stage_paths['sft']}", stage=f"round-{number}-sft")


async def measure_frozen(run: Run, state: State) -> None:
    """Measure the target again with the user turns of the start, so that what changed is not the simulated user."""
    if run.settings.measure.users == "frozen":
        users = frozen_users(run, run.name, "base")
        await measure(run, target=state.target, stage=f"{state.stage}-frozen", users=users)


def decide(run: Run, before: Measurement, after: Measurement) -> GateDecision:
    """Compare with the target as it was at the start, and let the gate decide."""
    changes = compare(before.scores, after.scores, run.settings.measure, seed=run.settings.seed)
    labelled = compare(before.labelled, after.labelled, run.settings.measure, seed=run.settings.seed)
    return gate(after.card, changes, run.settings.gate, before=before.card, labelled=labelled)


def found_so_far(run: Run, number: int) -> list[Finding]:
    """Give the findings of this round and those before, trained on or not."""
    return [one for one in run.store.findings(run.name) if one.round <= number]


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
