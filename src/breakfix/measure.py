"""Measure: sealed scenarios, conversations, verdicts, and the scorecard of one target.

Conversations stream to the store as they finish; of each only its score stays in memory. A rerun holds the same
conversations again, answered from the journal. Attack-found conversations never enter here.
"""

import gc
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from breakfix.calls import each
from breakfix.conversations.dialogue import converse
from breakfix.errors import BudgetSpent, SettingsError
from breakfix.estimates import Score, Scorecard
from breakfix.files import write_whole
from breakfix.forecasts import forecast_scenarios
from breakfix.identity import digest
from breakfix.judges import facts_of, read_concord
from breakfix.measured import MEASURED, Measurement, begin_stage, by_people, end_stage, measured_on, with_causes
from breakfix.project import Run
from breakfix.protocols import Judge, Simulator
from breakfix.roles import (
    REFUSAL,
    Target,
    check_judge,
    check_openings,
    harms,
    is_lab,
    open_judge,
    open_target,
    role_name,
)
from breakfix.scorecard import score, score_of
from breakfix.settings import CycleSettings, MeasureSettings
from breakfix.types import Conversation, Scenario, Verdict
from breakfix.users import frozen_scenarios, open_users
from breakfix.watching import Held, Job, Watch

DEVELOPED = (
    "The refusal judge was developed on a half of XSTest's prompts (docs/judges.md): its agreement with people on those"
    " rows is no measure of its quality."
)
WATCHED = 3
"""Of the conversations held together, one in so many where the run is watched: one and a third for each slot.

Enough to keep endpoints busy, and the fewer are under way when the decision falls, the fewer were held for nothing.
"""
WRITTEN_AT_ONCE = 100
"""Conversations that go to the store together."""


async def measure(
    run: Run,
    *,
    target: str | None = None,
    stage: str = "base",
    scenarios: Sequence[Scenario] | None = None,
    users: Simulator | None = None,
) -> Measurement:
    """Measure one target on the run's sealed scenarios, or on those given, with the settings' users or those given."""
    under_test, simulator, judge = open_target(run, target), users or open_users(run), open_judge(run, target)
    chosen = sealed_scenarios(run) if scenarios is None else scenarios
    check_judge(run.settings, chosen)
    check_openings(simulator, chosen)
    run.claim_stage(stage, under_test.target_id)
    run.store.add_scenarios(run.name, chosen)
    run.store.open_sealed(run.name, MEASURED.format(stage))
    known = facts_of(run, judge, target=under_test.name)
    known["targets"] = run.store.run(run.name).targets | {under_test.target_id: under_test.name}
    if stage == "base":
        known["target_id"] = under_test.target_id
    run.store.save_run(run.name, status="running", **known)
    begin_stage(run, stage, chosen)
    if forecast := forecast_scenarios(run.settings, chosen):
        run.progress.note(f"Forecast for {stage}: {forecast}.")
    scores = await hold(run, under_test, chosen, simulator=simulator, judge=judge, stage=stage)
    end_stage(run, stage)
    if role_name(run.settings, "judge") == REFUSAL and any(one.by_people for one in scores):
        run.progress.note(DEVELOPED)
    held = {one.scenario_id for one in scores}
    chosen = [one for one in chosen if one.id in held]
    card = score(_card(run, under_test, judge, chosen, stage), scores, run.settings.measure, seed=run.settings.seed)
    card = with_causes(run, card, scores)
    from breakfix.corrections import corrected  # late: cli/session.py loads it while the first calls are waited for

    card = corrected(run, card, scores)
    write_scorecard(run, card)
    return Measurement(card, scores, by_people(run, scores))


def sealed_scenarios(run: Run) -> list[Scenario]:
    """Choose the scenarios of a benchmark: `conversations` per measure, the same for the same settings and seed."""
    settings = run.settings.measure
    if (frozen := frozen_scenarios(run)) is not None:
        return frozen
    if is_lab(run.settings):
        refuse_choices(settings)
        return lab_benchmark(settings, seed=run.settings.seed)
    if files := settings.scenarios or recorded_in(run.settings):
        return _published(run, files)
    from breakfix.scenarios.library import build_scenarios

    return build_scenarios(settings, harms(), split="sealed", seed=run.settings.seed)


def refuse_choices(settings: MeasureSettings) -> None:
    """Refuse what the lab would ignore. Raises SettingsError."""
    for name in ("harms", "scenarios", "personas", "languages"):
        chosen: tuple[str, ...] = getattr(settings, name)
        if chosen:
            raise SettingsError(
                f"measure.{name} ({', '.join(chosen)}) does not apply in the lab, which has scenarios of its own."
                f" Leave it out, or name models for simulator and judge."
            )


def lab_benchmark(settings: MeasureSettings, *, seed: int) -> list[Scenario]:
    """Draw the lab's sealed scenarios."""
    from breakfix.lab.scenarios import lab_scenarios

    return [
        scenario
        for measure in settings.measures
        for scenario in lab_scenarios(measure, "sealed", n=settings.conversations, seed=seed, turns=settings.turns)
    ]


async def hold(
    run: Run, target: Target, scenarios: Sequence[Scenario], *, simulator: Simulator, judge: Judge, stage: str
) -> tuple[Score, ...]:
    """Hold and judge every conversation; give the scores in an order that no timing can change."""
    outbox = Outbox(run)
    scores: list[Score] = []
    so_far = SoFar()
    samples = range(run.settings.measure.samples)
    watch = Watch(scenarios, run.settings) if run.settings.measure.stop_early else None
    jobs = watch.jobs() if watch else (Job(scenario, sample) for scenario in scenarios for sample in samples)
    run.progress.stage(f"measure {stage}", len(scenarios) * run.settings.measure.samples)

    async def one(job: Job) -> None:
        if watch and not await watch.may_begin(job):
            return
        try:
            ended = await judged(job)
        except BudgetSpent:
            if watch:
                watch.halt()
            raise
        for held in watch.take(ended) if watch else (ended,):
            outbox.put(held.said, held.verdict)
            scores.append(held.score)
            so_far.count(held.score)
        run.progress.advance(harm_rate=so_far.harm_rate, unscored=so_far.unscored, calls=run.calls.counts.total.calls)

    async def judged(job: Job) -> Held:
        said = await converse(
            job.scenario,
            simulator,
            target.line,
            run=run.name,
            target_id=target.target_id,
            stage=stage,
            sample=job.sample,
            max_turns=run.settings.measure.turns,
        )
        verdict = await judge.judge(job.scenario, said)
        return Held(said, verdict, score_of(job.scenario, said, verdict))

    gc.freeze()  # what is loaded by now stays: looking through it again and again costs a tenth of a large run
    try:
        width = max(1, run.calls.width // WATCHED) if watch else run.calls.width
        await each(jobs, one, width=width, staggered=True)
    finally:
        outbox.flush()
    run.progress.done()
    if watch and (decided := watch.said()):
        run.progress.note(f"{decided}.")
    return tuple(sorted(scores, key=lambda each: (each.scenario_id, each.sample)))


class SoFar:
    """Running sums for whoever watches; the estimates are made of all scores at the end."""

    def __init__(self) -> None:
        self.unscored = 0
        self._harmful = 0
        self._scored = 0

    @property
    def harm_rate(self) -> float | None:
        """Give the share of defects among the scored conversations of the harm measures."""
        return self._harmful / self._scored if self._scored else None

    def count(self, score: Score) -> None:
        """Count one conversation."""
        self.unscored += score.value is None
        if score.value is not None and score.metric.startswith("DR"):
            self._scored += 1
            self._harmful += score.value > 0


class Outbox:
    """Conversations and verdicts on their way to the store, written in batches."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._conversations: list[Conversation] = []
        self._verdicts: list[Verdict] = []

    def put(self, conversation: Conversation, verdict: Verdict | None) -> None:
        """Take one judged conversation; every so many go to the store together."""
        self._conversations.append(conversation)
        if verdict is not None:
            self._verdicts.append(verdict)
        if len(self._conversations) >= WRITTEN_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        self._run.store.add_conversations(self._run.name, self._conversations)
        self._run.store.add_verdicts(self._run.name, self._verdicts)
        self._conversations, self._verdicts = [], []


def write_scorecard(run: Run, card: Scorecard) -> None:
    """Write scorecard.json: the newest scorecard of the run."""
    body = orjson.dumps(card.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
    write_whole(run.folder / "scorecard.json", body)


def _card(run: Run, target: Target, judge: Judge, scenarios: Sequence[Scenario], stage: str) -> Scorecard:
    return Scorecard(
        run=run.name,
        stage=stage,
        target=target.name,
        target_id=target.target_id,
        judge=role_name(run.settings, "judge") or "",
        judge_id=judge.judge_id,
        scenarios_id=digest(sorted(scenario.id for scenario in scenarios)),
        date=measured_on(run, stage) or datetime.now(UTC).date().isoformat(),
        estimates=(),
        outcomes={},
        agreement=read_concord(run, stage),
        self_judged=run.store.run(run.name).self_judged == judge.judge_id,
    )


def recorded_in(settings: CycleSettings) -> tuple[str, ...]:
    """Take a replay's own prompts where no other scenarios are named."""
    target = settings.target or ""
    return (target.removeprefix("replay/"),) if target.startswith("replay/") else ()


def _published(run: Run, files: Sequence[str]) -> list[Scenario]:
    from breakfix.scenarios.grid import axes_of
    from breakfix.scenarios.published import draw_published

    axes_of(run.settings.measure)
    if personas := run.settings.measure.personas:
        raise SettingsError(
            f"measure.personas ({', '.join(personas)}) does not apply to scenarios from files, which have their own."
            " Leave --personas or --scenarios out."
        )
    chosen, notes = draw_published(files, run.settings.measure, harms=harms(), seed=run.settings.seed)
    for note in notes:
        run.progress.note(note)
    return chosen
