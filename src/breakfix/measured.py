"""What a run's store holds of its measurements, scored anew: a stage at a time, and of each conversation its score.

Estimates are never kept (design D3). What was said is not read for it, so a run of a hundred thousand conversations
takes seconds. This module writes nothing.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from breakfix.errors import StoreError
from breakfix.estimates import Score, Scorecard, Subject
from breakfix.identity import digest
from breakfix.judges import read_concord
from breakfix.project import Run
from breakfix.roles import offline_judge, role_name
from breakfix.scorecard import causes_of, score, score_of
from breakfix.store.endings import failures, judged, stages, subjects
from breakfix.types import Scenario
from breakfix.wording import counted

MEASURED = "measure {}"
"""Why a measurement opens the sealed split: so the record of openings tells when each stage was measured."""


class Measurement(NamedTuple):
    """A scorecard, and the scores it came from."""

    card: Scorecard
    scores: tuple[Score, ...]
    labelled: tuple[Score, ...] = ()
    """What people's labels make of those conversations that have one."""


def read_measured(run: Run) -> dict[str, Measurement]:
    """Score every stage that the run measured, in the order of the cycle: base, round-1-sft, round-1, round-2 ..."""
    about = _sealed(run)
    found = {stage: read_stage(run, stage, about) for stage in _stages(run)}
    return {stage: measurement for stage, measurement in found.items() if measurement is not None}


def read_one(run: Run, stage: str) -> Measurement:
    """Score one stage. Raises StoreError with the stages there are."""
    about = _sealed(run)
    measurement = read_stage(run, stage, about)
    if measurement is None:
        known = ", ".join(name for name in _stages(run) if _is_measured(run, name, about)) or "nothing"
        raise StoreError(f"Run {run.name!r} has not measured {stage!r}; it has measured {known}.")
    return measurement


def read_stage(run: Run, stage: str, about: Mapping[str, Subject]) -> Measurement | None:
    """Score the benchmark conversations of one stage on the scenarios given; None where there are none."""
    record = run.store.run(run.name)
    scores: list[Score] = []
    target_id = ""
    for ending, verdict in judged(run.store, run.name, record.judge_id, stage=stage):
        if (subject := about.get(ending.scenario_id)) is not None:
            scores.append(score_of(subject, ending, verdict))
            target_id = ending.target_id
    if not scores:
        return None
    ordered = tuple(sorted(scores, key=lambda each: (each.scenario_id, each.sample)))
    blank = Scorecard(
        run=run.name,
        stage=stage,
        target=target_name(run, target_id),
        target_id=target_id,
        judge=judge_name(run),
        judge_id=record.judge_id or "",
        scenarios_id=digest(sorted({each.scenario_id for each in ordered})),
        date=measured_on(run, stage) or record.updated[:10],
        estimates=(),
        outcomes={},
        agreement=read_concord(run, stage, about),
        self_judged=bool(record.judge_id) and record.self_judged == record.judge_id,
        unheld=max(0, record.planned.get(stage, 0) - len(ordered)),
    )
    card = with_causes(run, score(blank, ordered, run.settings.measure, seed=run.settings.seed), ordered)
    from breakfix.corrections import corrected  # a measurement that begins needs it not yet

    return Measurement(corrected(run, card, ordered), ordered, by_people(run, ordered))


def by_people(run: Run, scores: Sequence[Score]) -> tuple[Score, ...]:
    """Give the scores that people's labels alone make of those conversations that have one, every label used.

    Nothing is held back, as it is where labels correct a judge: here no judge is asked.
    """
    from breakfix.corrections import People, said_of
    from breakfix.labels import merged_labels

    every = run.settings.measure.model_copy(update={"label_share": 1.0})
    people = People(merged_labels(run.store.labels(run.name)), every, run.settings.seed)
    told = ((one, said_of(one, people)) for one in scores)
    return tuple(one._replace(value=said.value) for one, said in told if said is not None)


def judge_name(run: Run) -> str:
    """Name the judge whose verdicts count, as it was named when it measured; its id alone where that is unknown.

    Nobody, "", where none judged yet. The settings name the judge of the newest command, which may have been another.
    """
    record = run.store.run(run.name)
    judge_id = record.judge_id or ""
    if not judge_id:
        return ""
    if known := record.judges.get(judge_id):
        return known
    named = role_name(run.settings, "judge") or ""
    offline = offline_judge(named)
    is_another = bool(record.judges) or (offline is not None and offline.judge_id != judge_id)
    return judge_id if is_another else named


def target_name(run: Run, target_id: str) -> str:
    """Name a target as it was named when it was measured; a checkpoint of this run by the target that it came from."""
    record = run.store.run(run.name)
    first = record.targets.get(record.target_id or "")
    name = record.targets.get(target_id) or first or run.settings.target or ""
    return first if first and run.is_checkpoint(name) else name


def begin_stage(run: Run, stage: str, scenarios: Sequence[Scenario]) -> None:
    """Record how many conversations a stage holds once all of these were held, beside others that it holds already."""
    chosen = {each.id for each in scenarios if each.split == "sealed"}
    before = judged(run.store, run.name, None, stage=stage)
    others = [ending.scenario_id for ending, _ in before if ending.scenario_id not in chosen]
    sealed = _sealed(run) if others else {}
    whole = len(chosen) * run.settings.measure.samples + sum(one in sealed for one in others)
    record = run.store.run(run.name)
    run.store.put_run(record.model_copy(update={"planned": record.planned | {stage: whole}}))


def end_stage(run: Run, stage: str) -> None:
    """Record that a stage's measurement came to its end, be it early, since the gate was decided."""
    record = run.store.run(run.name)
    planned = {name: whole for name, whole in record.planned.items() if name != stage}
    run.store.put_run(record.model_copy(update={"planned": planned}))


def said_unfinished(card: Scorecard) -> str:
    """Say that a measurement was ended before all was held, so that its rates are of a part; empty where it was not."""
    if not card.unheld:
        return ""
    held = sum(n for row in card.outcomes.values() for n in row.values())
    return (
        f"Not finished: of {counted(held + card.unheld, 'conversation')} of {card.run}:{card.stage} {held:,} were held;"
        " its rates are of these alone. The command that measured it, given again, holds the rest."
    )


def with_causes(run: Run, card: Scorecard, scores: Sequence[Score]) -> Scorecard:
    """Add to a scorecard why conversations were left unscored."""
    if all(one.value is not None for one in scores):
        return card
    told = failures(run.store, run.name, stage=card.stage)
    return card.model_copy(update={"causes": causes_of(scores, told)})


def measured_on(run: Run, stage: str) -> str | None:
    """Give the day on which a stage was measured last: a report or a later stage moves the run's own date on.

    None where nothing is on record, as for a run that was imported.
    """
    found = [opening.at for opening in run.store.sealed_openings(run.name) if opening.why == MEASURED.format(stage)]
    return found[-1][:10] if found else None


def _sealed(run: Run) -> dict[str, Subject]:
    return {subject.id: subject for subject in subjects(run.store, run.name, split="sealed")}


def _is_measured(run: Run, stage: str, about: Mapping[str, Subject]) -> bool:
    """Tell whether a stage holds sealed conversations: that of ordinary users beside a red team does not."""
    held = judged(run.store, run.name, run.store.run(run.name).judge_id, stage=stage)
    return any(ending.scenario_id in about for ending, _ in held)


def _stages(run: Run) -> list[str]:
    return sorted(stages(run.store, run.name), key=_place)


def _place(stage: str) -> tuple[int, str]:
    number = re.search(r"\d+", stage)
    return int(number[0]) if number else 0, "" if stage.endswith("-sft") else stage
