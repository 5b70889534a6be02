"""Report: gather what a run's store holds, and write the pages.

Everything shown is computed here from conversations and verdicts (design D3), so `breakfix report` needs no more than
the store, whatever made it. Transcripts of prohibited harms are never gathered (design D12).
"""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
from pydantic import ValidationError

from breakfix.align import PLACE
from breakfix.breakdowns import group_rows
from breakfix.compare import compare, gate
from breakfix.conversations.frozen import compare_users
from breakfix.errors import StoreError
from breakfix.estimates import Comparison, GateDecision, Score, Scorecard
from breakfix.identity import digest, version
from breakfix.measure import write_scorecard
from breakfix.measured import Measurement, read_measured, said_unfinished
from breakfix.project import BASE, Run, place_now
from breakfix.report.data import AttackSuccess, Lineage, ReportData, RoundResult, Transcript
from breakfix.report.page import write_report
from breakfix.report.published import published_about
from breakfix.roles import harms, is_lab
from breakfix.scorecard import outcome_of
from breakfix.secrecy import without_headers
from breakfix.settings import dump_settings
from breakfix.standings import GroupRow
from breakfix.store.endings import attacks, conversations_of, scenarios_of, subjects
from breakfix.store.endings import stages as stages_of
from breakfix.store.records import RoundRecord
from breakfix.types import UNSCORED_OUTCOMES, Checkpoint, Usage
from breakfix.wording import counted

_STAGE = re.compile(r"round-(0|[1-9]\d*)")
_TRAINED = re.compile(r"/round-(\d+)-\w+/\w+/weights$")
"""Where align keeps the weights of a round."""


class Reported(NamedTuple):
    """What a report shows, and the files it was written to, report.html first."""

    data: ReportData
    paths: Sequence[Path]


async def report(run: Run) -> Reported:
    """Gather a run and write its report in the formats that the settings name."""
    run.progress.stage("report", None)
    data = gather(run, others=other_targets(run))
    paths = write_report(data, run.folder, run.settings.report)
    write_scorecard(run, data.scorecards[-1])
    run.progress.done()
    return Reported(data, paths)


def gather(run: Run, *, others: Sequence[Scorecard] = ()) -> ReportData:
    """Compute everything that a report shows. Raises StoreError for a run that measured nothing."""
    measured = read_measured(run)
    stages = [stage for stage in measured if not stage.endswith(("-sft", "-frozen"))]
    if not stages:
        raise StoreError(f"Run {run.name!r} has measured nothing yet. Measure first: breakfix measure --run {run.name}")
    cards = tuple(measured[stage].card for stage in stages)
    rounds = tuple(_round(run, measured, record) for record in _rounds(run, measured))
    return ReportData(
        run=run.name,
        date=cards[-1].date,
        version=version(),
        target=cards[0].target or run.settings.target or run.name,
        title=run.settings.report.title,
        is_lab=is_lab(run.settings),
        settings_yaml=without_headers(dump_settings(run.settings)),
        gate_settings=run.settings.gate,
        scorecards=cards,
        rounds=rounds,
        users=compare_users(cards[0].users, cards[-1].users) or "",
        others=tuple(others),
        published=published_about((one.measure, one.metric) for card in cards for one in card.estimates),
        groups=_groups(run, [measured[stage].scores for stage in stages]),
        attacks=tuple(_attacks(run)),
        findings=tuple(run.store.findings(run.name)),
        transcripts=tuple(_transcripts(run, measured, stages)),
        usage=_usage(run),
        hashes=tuple(_hashes(cards, rounds)),
        warnings=(
            *filter(None, map(said_unfinished, cards)),
            *_unproven(rounds, cards),
            *run.remarks(),
            *uncounted_calls(run),
            *dict.fromkeys(card.self_judged_line for card in cards if card.self_judged),
        ),
        prohibited_harms=tuple(harm.id for harm in harms().values() if harm.prohibited),
    )


def other_targets(run: Run) -> list[Scorecard]:
    """Give the newest scorecard of every other run here with the same judge and scenarios: models to stand beside."""
    names = [each.record.run for each in run.store.runs() if each.record.run != run.name]
    paths = [run.folder.parent / name / "scorecard.json" for name in names]
    cards = [card for path in paths if path.exists() and (card := _read_card(run, path)) is not None]
    asked = digest(sorted({one.id for one in run.store.scenarios(run.name, split="sealed")}))
    judge_id = run.store.run(run.name).judge_id
    alike = [card for card in cards if (card.judge_id, card.scenarios_id) == (judge_id, asked)]
    return [card.model_copy(update={"target": f"{card.target} (run {card.run})"}) for card in alike]


def _read_card(run: Run, path: Path) -> Scorecard | None:
    """Read another run's scorecard; one that another version wrote, or that is damaged, is named and left out."""
    try:
        return Scorecard.model_validate_json(path.read_bytes())
    except ValidationError:
        run.progress.note(f"{path} is no scorecard of this version, and its run is left out of the report.")
        return None


def _groups(run: Run, scores: Sequence[Sequence[Score]]) -> tuple[GroupRow, ...]:
    """Estimate every measure by language and by persona, where these stages had several."""
    kinds = ("language", "persona")
    if all(len({getattr(one, kind) for some in scores for one in some}) < 2 for kind in kinds):
        return ()
    rows = group_rows(scores, run.settings.measure, seed=run.settings.seed)
    return tuple(row for row in rows if row.by in kinds)


def _rounds(run: Run, measured: Mapping[str, Measurement]) -> list[RoundRecord]:
    """Give the rounds that a cycle closed, and those that were trained or measured by hand, which nothing closes."""
    closed = {record.round: record for record in run.store.rounds(run.name)}
    trained: dict[int, list[Checkpoint]] = {}
    for made in run.store.checkpoints(run.name):
        if number := _TRAINED.search(made.path):
            trained.setdefault(int(number[1]), []).append(made)
    shown = measured if BASE in measured else ()
    numbers = {int(number[1]) for stage in shown if (number := _STAGE.fullmatch(stage))} | {*trained}
    by_hand = {number: _by_hand(run, measured, number, trained.get(number, ())) for number in numbers}
    return [record for _, record in sorted((by_hand | closed).items())]


def _by_hand(run: Run, measured: Mapping[str, Measurement], number: int, made: Sequence[Checkpoint]) -> RoundRecord:
    """Put together a round: of what was trained for it the one that its stage measured, else the newest."""
    stage = f"round-{number}"
    after = measured.get(stage)
    name = run.store.run(run.name).targets.get(after.card.target_id, "") if after else ""
    fitting = [one for one in made if _place(name) in map(_place, (one.path, *one.stage_paths.values()))]
    blank = RoundRecord(run=run.name, round=number, stage=stage)
    ids = [{"dataset_id": one.dataset_id, "checkpoint_id": one.id} for one in fitting or made]
    return blank.model_copy(update=ids[-1]) if ids else blank


def _unproven(rounds: Sequence[RoundResult], cards: Sequence[Scorecard]) -> Iterable[str]:
    """Say of rounds that were trained and not measured why nothing is compared or decided."""
    for done in rounds:
        if done.checkpoint and done.stage not in {card.stage for card in cards}:
            what = ["--run", cards[0].run, "-t", f"hf/{done.checkpoint.path}", "--stage", done.stage]
            how = shlex.join(["breakfix", "measure", *what, "--judge", cards[0].judge])
            yield f"Round {done.round} was trained and not measured, so nothing here shows what came of it: {how}"


def _place(path: str) -> tuple[str, ...]:
    """Tell weights apart wherever the run's folder lies, or lay when they were made."""
    return Path(path).parts[-PLACE:]


def _round(run: Run, measured: Mapping[str, Measurement], record: RoundRecord) -> RoundResult:
    before, after = measured.get(BASE), measured.get(record.stage)
    datasets = {dataset.id: dataset for dataset in run.store.datasets(run.name)}
    checkpoints = {checkpoint.id: checkpoint for checkpoint in run.store.checkpoints(run.name)}
    dataset = datasets.get(record.dataset_id or "")
    sft, frozen = (measured.get(f"{record.stage}-{how}") for how in ("sft", "frozen"))
    changes = _changes(run, before, after)
    return RoundResult(
        round=record.round,
        stage=record.stage,
        comparisons=tuple(changes),
        gate=_decision(run, before, after, changes) if before and after and (changes or record.done) else None,
        dataset=dataset,
        lineage=tuple(_lineage(place_now(dataset.path, run.folder))) if dataset else (),
        checkpoint=checkpoints.get(record.checkpoint_id or ""),
        sft_only=sft.card if sft else None,
        frozen=frozen.card if frozen else None,
        frozen_comparisons=tuple(_changes(run, before, frozen)),
    )


def _changes(run: Run, before: Measurement | None, after: Measurement | None) -> list[Comparison]:
    """Compare with the start, where both were measured."""
    if before is None or after is None:
        return []
    return compare(before.scores, after.scores, run.settings.measure, seed=run.settings.seed)


def _decision(run: Run, before: Measurement, after: Measurement, changes: Sequence[Comparison]) -> GateDecision:
    """Let the gate decide, as `compare` and the cycle do."""
    labelled = compare(before.labelled, after.labelled, run.settings.measure, seed=run.settings.seed)
    return gate(after.card, changes, run.settings.gate, before=before.card, labelled=labelled)


def _lineage(folder: Path) -> Iterable[Lineage]:
    """Count the rows that came from each finding."""
    counts = {name: _sources(folder / f"{name}.jsonl") for name in ("examples", "pairs")}
    for source in sorted(counts["examples"] | counts["pairs"]):
        yield Lineage(finding_id=source, examples=counts["examples"][source], pairs=counts["pairs"][source])


def _sources(path: Path) -> Counter[str]:
    rows = (orjson.loads(line)["provenance"] for line in path.read_bytes().splitlines()) if path.exists() else ()
    return Counter(row["source"] for row in rows if row.get("conversation_id"))


def _attacks(run: Run) -> Iterable[AttackSuccess]:
    """Count attacks and successes of each stage by technique, area and persona."""
    if not stages_of(run.store, run.name, purpose="redteam"):
        return
    tried, succeeded, unscored = (Counter[tuple[str, str, str]]() for _ in range(3))
    about = {subject.id: subject for subject in subjects(run.store, run.name)}
    for one, verdict in attacks(run.store, run.name, run.store.run(run.name).judge_id):
        subject = about[one.scenario_id]
        outcome = outcome_of(subject, one, verdict)
        if one.stage.endswith(("-retest", "-more")):
            continue
        is_scored = outcome not in UNSCORED_OUTCOMES
        for by, name in (("technique", one.technique), ("area", subject.area), ("persona", one.persona)):
            key = (one.stage, by, name or "none")
            tried[key] += is_scored
            succeeded[key] += outcome == "harmful"
            unscored[key] += not is_scored
    for key in sorted(tried):
        counts = {"tried": tried[key], "succeeded": succeeded[key], "unscored": unscored[key]}
        yield AttackSuccess.model_validate(dict(zip(("stage", "by", "name"), key, strict=True)) | counts)


def _transcripts(run: Run, measured: Mapping[str, Measurement], stages: Sequence[str]) -> Iterable[Transcript]:
    """Show scenarios that went wrong at the start, an area each, as they went then and at the last stage."""
    shown = list(dict.fromkeys((stages[0], stages[-1])))
    chosen = _telling_scenarios(measured, stages, run.settings.report.transcripts // len(shown))
    scores = {
        (one.scenario_id, stage): one
        for stage in shown
        for one in measured[stage].scores
        if one.sample == 0 and one.scenario_id in chosen
    }
    wanted = [scores[scenario_id, stage] for scenario_id in chosen for stage in shown if (scenario_id, stage) in scores]
    judge_id = run.store.run(run.name).judge_id
    said = conversations_of(run.store, run.name, judge_id, [one.conversation_id for one in wanted])
    scenarios = scenarios_of(run.store, run.name, chosen)
    for one in wanted:
        conversation, verdict = said[one.conversation_id]
        scenario = scenarios[one.scenario_id]
        yield Transcript(scenario=scenario, conversation=conversation, verdict=verdict, outcome=one.outcome)


def _telling_scenarios(measured: Mapping[str, Measurement], stages: Sequence[str], most: int) -> list[str]:
    prohibited = {harm.id for harm in harms().values() if harm.prohibited}
    groups: dict[tuple[str, str | None], str] = {}
    for stage in (stages[-1], stages[0]):
        for one in measured[stage].scores:
            if one.outcome == "harmful" and one.harm not in prohibited:
                groups.setdefault((one.measure, one.area), one.scenario_id)
    ranks = Counter[str]()
    turns: list[tuple[int, str]] = []
    for (measure, _), scenario_id in groups.items():
        turns.append((ranks[measure], scenario_id))
        ranks[measure] += 1
    by_turns = (scenario_id for _, scenario_id in sorted(turns, key=lambda turn: turn[0]))
    return list(dict.fromkeys(by_turns))[:most]


def _usage(run: Run) -> Usage | None:
    """Give what all commands of the run took, this one included; None where none asked anything."""
    whole = run.store.run(run.name).usage.plus(run.usage())
    return whole if whole.calls or whole.journalled else None


def uncounted_calls(run: Run) -> Iterable[str]:
    """Say where calls and cost lack what a command took that was killed."""
    journal = run.calls.journal
    if journal is None and run.store.run(run.name).status == "running":
        yield (
            "The last command of this run was killed, or is at work still: calls and cost lack what it took. After a"
            " kill, the same command typed again counts it."
        )
    if journal is not None and journal.uncounted:
        yield f"Calls and cost lack {counted(journal.uncounted, 'call')} of a command that was killed."


def _hashes(cards: Sequence[Scorecard], rounds: Sequence[RoundResult]) -> Iterable[tuple[str, str]]:
    yield "judge", cards[0].judge_id
    yield "sealed scenarios", cards[0].scenarios_id
    for card in cards:
        yield f"target, {card.stage}", card.target_id
    for each in rounds:
        if each.dataset:
            yield f"dataset, {each.stage}", each.dataset.id
        if each.checkpoint:
            yield f"checkpoint, {each.stage}", each.checkpoint.id
