"""Curate: findings, seed data, harmless twins and ordinary data become one frozen dataset.

Only the train and dev splits may teach (design D9). Each row says where it came from, so that a finding can be followed
to the rows that were to fix it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from breakfix.calls import each
from breakfix.curation.contrast import contrast_rows, model_refuses, refusals_of
from breakfix.curation.freeze import freeze
from breakfix.curation.repair import Failure, Rows, repair
from breakfix.curation.screen import build_walls, screen
from breakfix.curation.teacher import ModelTeacher
from breakfix.errors import DataError, SettingsError, StoreError
from breakfix.failures import gather_failures, stages_of
from breakfix.identity import seed_of
from breakfix.measure import sealed_scenarios
from breakfix.overlap import words
from breakfix.project import Run
from breakfix.prompts import system_messages
from breakfix.protocols import Judge, Teacher
from breakfix.redteam import Besieger, dev_scenarios, verdicts_of
from breakfix.roles import harms, is_lab, open_judge, open_target, open_teacher
from breakfix.scorecard import NO_VERDICT, in_short
from breakfix.types import AREAS, Area, Conversation, Dataset, Example, Finding, Pair, Provenance, Scenario, Verdict
from breakfix.wording import counted

LAB_SEED = "lab/seed"
TELLING = 8
"""Words from which a user's turn in a sealed conversation may not be trained on; "I had a long day." is nobody's."""


class Lesson(NamedTuple):
    """Who repairs, who judges the repair, and what is learnt from."""

    run: Run
    teacher: Teacher
    judge: Judge
    number: int
    stage: str


async def curate(
    run: Run, findings: Sequence[Finding], *, target: str | None = None, stage: str = "base", number: int = 1
) -> Dataset:
    """Make the dataset of one round from its findings, best ranked first, and freeze it."""
    check_sources(run, number)
    lesson = Lesson(run, open_teacher(run), open_judge(run), number, stage)
    taken = worth_teaching(run, findings, number)
    under_test = open_target(run, target)
    check_target(run, stage, under_test.target_id)
    failures: Mapping[str, Sequence[Failure]] = {}
    if taken:
        besieger = Besieger(run, under_test, None, lesson.judge, f"{stage}-more")
        failures = await gather_failures(besieger, taken, stage=stage)
    else:
        run.progress.note("No findings to repair: the dataset holds other data only, and no pairs of the target's own.")
    run.progress.stage(f"curate round {number}", len(taken))
    repaired = Rows()
    for finding in taken:
        mended = await repair(finding, failures[finding.id], teacher=lesson.teacher, judge=lesson.judge)
        repaired = repaired.plus(mended)
        run.progress.advance(pairs=len(repaired.pairs))
    contrast = fewer_pairs(await twins(lesson, repaired.pairs), run.settings.curate.contrast_pairs)
    rows = repaired.plus(contrast).plus(retention(lesson, len(repaired.pairs)))
    kept = screened(run, rows.plus(seed_rows(run, number)))
    if not findings and not kept.pairs and not kept.examples:
        refuse_blindness(lesson)
    dataset = freeze(kept, run.folder / "datasets", about=about(lesson, taken))
    run.store.add_dataset(run.name, dataset)
    mark(run, taken, repaired)
    run.progress.done()
    return dataset


def refuse_blindness(lesson: Lesson) -> None:
    """Say that nothing was judged where that is why there is nothing to learn from. Raises DataError.

    A larger red team would only spend more on what nobody can tell.
    """
    run, judged = lesson.run, verdicts_of(lesson.run, lesson.judge.judge_id)
    told = [
        judged.get(one.id) for name in stages_of(lesson.stage) for one in run.store.conversations(run.name, stage=name)
    ]
    causes = Counter(one.unscored if one else NO_VERDICT for one in told if one is None or one.unscored)
    if told and causes.total() == len(told):
        raise DataError(
            f"Nothing can be learnt: {causes.total():,} of {counted(len(told), 'conversation')} of stage"
            f" {lesson.stage!r} have no verdict ({in_short(causes.most_common(1)[0][0] or '')})."
            " Mend the judge, or name another with --judge, and run breakfix redteam again."
        )


def check_target(run: Run, stage: str, target_id: str) -> None:
    """Refuse to add attacks on one target to what was found on another of this run. Raises StoreError.

    What came from elsewhere (a log, another run's findings) names its target in a way of its own, and may be learnt
    from all the same: a stage is another target's only where this run knows both, or has measured the other itself.
    """
    others: set[str] = set()
    for said in (one for name in stages_of(stage) for one in run.store.conversations(run.name, stage=name)):
        if said.target_id == target_id:
            others.clear()
            break
        if said.users != "recorded":
            others.add(said.target_id)
    measured = run.store.run(run.name).target_id
    if others and (measured in (*others, target_id) or _is_known(run, target_id)):
        raise StoreError(
            f"Run {run.name!r} holds under stage {stage!r} what was found on another target than this one (other"
            " weights, or asked in another way). Name that one with --target, or this one's own --stage."
        )
    run.claim_stage(f"{stage}-more", target_id)


def _is_known(run: Run, target_id: str) -> bool:
    return any(said.target_id == target_id for said in run.store.conversations(run.name))


def worth_teaching(run: Run, findings: Sequence[Finding], number: int) -> list[Finding]:
    """Choose open findings, best ranked first; in the first round none of the areas that its data leaves out."""
    settings = run.settings.curate
    left_out = settings.leave_out_areas if number == 1 else ()
    prohibited = {harm.id for harm in harms().values() if harm.prohibited}
    ranked = sorted(findings, key=lambda finding: finding.rank)
    chosen = [one for one in ranked if one.area not in left_out and one.harm not in prohibited]
    return chosen[: settings.findings]


def has_lessons(run: Run, findings: Sequence[Finding], number: int) -> bool:
    """Tell whether a round has anything to teach: findings, or data to mix in."""
    return bool(worth_teaching(run, findings, number) or sources_of(run))


def check_sources(run: Run, number: int = 1) -> None:
    """Look whether every data file is there, can be read, and is wanted at all.

    Raises DataError, naming file and line, and SettingsError.
    """
    settings = run.settings.curate
    if number == 1 and settings.sources and not settings.seed_examples:
        raise SettingsError(
            "curate.seed_examples is 0, so no row of curate.sources would be taken. Set it to how many are,"
            " or leave the sources out."
        )
    read_all([name for name in sources_of(run) if name != LAB_SEED], kind="seed")
    read_all(settings.retention_sources, kind="retention")


def sources_of(run: Run) -> Sequence[str]:
    """Name the data that is mixed in; in the lab its own, if no other is named."""
    return run.settings.curate.sources or ((LAB_SEED,) if is_lab(run.settings) else ())


async def twins(lesson: Lesson, repaired: Sequence[Pair]) -> Rows:
    """Give harmless twins of what was repaired, each pair rejecting a refusal in the model's own manner."""
    run = lesson.run
    wanted = round(run.settings.curate.contrast * len(repaired))
    if is_lab(run.settings):
        from breakfix.lab.lessons import contrast_examples, refusal_of

        areas = areas_of(repaired)
        drawn_twins = contrast_examples(areas, n=wanted, seed=seed_of(run.settings.seed, lesson.number))
        return contrast_rows(drawn_twins, refusal_of)
    teacher = lesson.teacher
    assert isinstance(teacher, ModelTeacher)  # roles.open_teacher refuses any other outside the lab
    said = [one for name in stages_of(lesson.stage) for one in run.store.conversations(run.name, stage=name)]
    refuse = model_refuses(refusals_of(said, verdicts_of(run, lesson.judge.judge_id)), run.settings.seed)
    scenarios = {one.id: one for split in ("dev", "train") for one in run.store.scenarios(run.name, split=split)}
    asked = [pair for pair in repaired if pair.provenance.scenario_id in scenarios][:wanted]

    async def twin(pair: Pair) -> Example | None:
        scenario = scenarios[pair.provenance.scenario_id or ""]
        return await teacher.twin(scenario, pair.prompt)

    made = await each(asked, twin, width=max(1, run.calls.width))
    return contrast_rows([one for one in made if one is not None], refuse)


def fewer_pairs(rows: Rows, share: float) -> Rows:
    """Keep a share of the pairs, and every example."""
    return rows._replace(pairs=rows.pairs[: round(share * len(rows.pairs))])


def areas_of(pairs: Sequence[Pair]) -> list[Area]:
    """Name the areas that rows are about, where a harm is an area, as in the lab."""
    harms_met = {pair.provenance.harm for pair in pairs}
    chosen: list[Area] = []
    for area in AREAS:
        if area in harms_met:
            chosen.append(area)
    return chosen


def retention(lesson: Lesson, repaired: int) -> Rows:
    """Give ordinary rows that keep what the model can do: the lab's, files, or its own good answers."""
    run = lesson.run
    settings, wanted = run.settings.curate, round(run.settings.curate.retention * repaired)
    if is_lab(run.settings) and not settings.retention_sources:
        from breakfix.lab.lessons import retention_examples

        return Rows(examples=tuple(retention_examples(n=wanted, seed=seed_of(run.settings.seed, lesson.number))))
    if settings.retention_sources:
        rows = read_all(settings.retention_sources, kind="retention")
        tell_left(run, settings.retention_sources, rows, wanted, key="retention")
        return drawn(rows, wanted, seed=run.settings.seed)
    judged, scenarios = verdicts_of(run, lesson.judge.judge_id), dev_scenarios(run)
    good = (
        own_answer(scenarios[one.scenario_id], one)
        for one in run.store.conversations(run.name, stage=f"{lesson.stage}-dev")
        if (verdict := judged.get(one.id)) and is_good(verdict) and not one.failed
        if scenarios[one.scenario_id].kind != "harmful"
    )
    return Rows(examples=tuple(good)[:wanted])


def is_good(verdict: Verdict) -> bool:
    """Tell whether a judge found help in an answer, and nothing made up or harmful."""
    return verdict.refusal == "none" and not (verdict.ungroundedness or verdict.severity or verdict.harmful)


def own_answer(scenario: Scenario, conversation: Conversation) -> Example:
    """Make a row of a conversation that went well."""
    provenance = Provenance(
        kind="retention",
        source=f"own answer {conversation.id[:8]}",
        licence=scenario.licence,
        conversation_id=conversation.id,
        scenario_id=scenario.id,
        family=scenario.family,
    )
    turns = tuple(turn.model_copy(update={"finish_reason": None}) for turn in conversation.turns)
    return Example(messages=(*system_messages(scenario), *turns), provenance=provenance)


def seed_rows(run: Run, number: int) -> Rows:
    """Give rows of the settings' sources: many in the first round, a replay against forgetting later."""
    settings = run.settings.curate
    wanted = settings.seed_examples if number == 1 else settings.replay
    sources = sources_of(run)
    own = [name for name in sources if name != LAB_SEED]
    read = read_all(own, kind="seed")
    tell_left(run, own, read, wanted, key="seed_examples" if number == 1 else "replay")
    rows = drawn(read, wanted, seed=run.settings.seed + number)
    if LAB_SEED in sources:
        from breakfix.lab.lessons import seed_examples

        seed = seed_of(run.settings.seed, "seed", number)
        return rows.plus(Rows(examples=tuple(seed_examples(settings.leave_out_areas, n=wanted, seed=seed))))
    return rows


def read_all(sources: Iterable[str], *, kind: str) -> Rows:
    """Read data files. Raises DataError."""
    from breakfix.curation.sources import read_rows

    read = Rows()
    for name in sources:
        read = read.plus(read_rows(name, kind=kind))
    return read


def tell_left(run: Run, sources: Sequence[str], read: Rows, wanted: int, *, key: str) -> None:
    """Say how many rows of data files are taken, where that is not all, and which setting decides it."""
    given = (len(read.pairs), len(read.examples))
    if max(given) > wanted:
        taken = sum(min(each, wanted) for each in given)
        run.progress.note(f"{taken:,} of {sum(given):,} rows of {', '.join(sources)} are taken (curate.{key}).")


def drawn(read: Rows, wanted: int, *, seed: int) -> Rows:
    """Draw so many examples and so many pairs, the same for the same seed."""
    order = sorted(range(len(read.examples)), key=lambda place: seed_of("draw", seed, place))[:wanted]
    pairs = sorted(range(len(read.pairs)), key=lambda place: seed_of("draw pair", seed, place))[:wanted]
    return Rows(
        tuple(read.pairs[place] for place in sorted(pairs)),
        tuple(read.examples[place] for place in sorted(order)),
        read.dropped,
    )


def screened(run: Run, rows: Rows) -> Rows:
    """Drop repeats, and whatever overlaps the sealed scenarios of this run."""
    near = run.settings.curate.near_duplicate
    prohibited = [harm.id for harm in harms().values() if harm.prohibited]
    measured = run.store.scenarios(run.name, split="sealed")
    sealed = {scenario.id: scenario for scenario in (*sealed_scenarios(run), *measured)}
    asked = sealed_talk(run, sealed)
    walls = build_walls(sealed.values(), said=asked, near_duplicate=near, prohibited=prohibited)
    return screen(rows, walls, near_duplicate=near)


def sealed_talk(run: Run, sealed: Collection[str]) -> Iterator[str]:
    """Give what users said in sealed conversations, each text once; what is too short to be telling is left out."""
    said: set[str] = set()
    for one in run.store.conversations(run.name, stage="base", purpose="benchmark", scenario_ids=sealed):
        said.update(turn.content for turn in one.turns if turn.role == "user" and len(words(turn.content)) >= TELLING)
    yield from sorted(said)


def mark(run: Run, taken: Sequence[Finding], repaired: Rows) -> None:
    """Set findings that became rows to curated."""
    sources = Counter(pair.provenance.source for pair in repaired.pairs)
    curated = [finding.model_copy(update={"state": "curated"}) for finding in taken if sources[finding.id]]
    run.store.add_findings(run.name, curated)


def about(lesson: Lesson, taken: Sequence[Finding]) -> dict[str, object]:
    """Say in the card who made the dataset."""
    run = lesson.run
    return {
        "run": run.name,
        "round": lesson.number,
        "teacher": lesson.teacher.identity,
        "judge": lesson.judge.judge_id,
        "findings": len(taken),
        "seed": run.settings.seed,
    }
