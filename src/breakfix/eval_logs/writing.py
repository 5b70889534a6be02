"""A run as an Inspect log (`.eval`), which `inspect view` opens: a sample for each conversation.

The file is written sample by sample, so a run of any length needs little memory. Its layout is Inspect's documented one
(a zip of JSON members), which every version reads; what stands in the members is made by the installed Inspect.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Generic, NamedTuple, TypeVar
from zipfile import ZIP_DEFLATED, ZipFile

from pydantic import BaseModel

from breakfix.errors import DataError, unwritable
from breakfix.estimates import Estimate, Label
from breakfix.eval_logs.samples import KEPT, SCORER, Told, need_inspect, sample_of
from breakfix.files import draft_of
from breakfix.identity import digest, version
from breakfix.measured import Measurement, read_measured
from breakfix.project import Run
from breakfix.secrecy import without_headers
from breakfix.types import Scenario, Verdict

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalMetric, EvalResults, EvalScore

    from breakfix.store.records import RunRecord

BESIDE = ("-partial", "-people", "agreement")
"""Metrics beside the measure's own, of the same conversations."""
R = TypeVar("R", Verdict, Label)


def write_log(run: Run, path: Path) -> int:
    """Write a run's conversations, verdicts and estimates as a log; gives the number of samples.

    The file appears whole or not at all. Raises MissingExtra, or DataError where it cannot be written.
    """
    need_inspect("Export as an Inspect log")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            draft_of(path) as draft,
            ZipFile(draft, "w", ZIP_DEFLATED) as archive,
            tempfile.TemporaryFile() as summaries,
        ):
            return _write(run, archive, summaries)
    except OSError as error:
        raise DataError(f"Cannot write {str(path)!r}: {unwritable(error, 'name another file with --to')}") from None


class Known(NamedTuple):
    """What every sample of a run needs."""

    scenarios: dict[str, str]
    """Id -> JSON: a long run's scenarios as nouns would take several times the room."""
    model: str
    judge_id: str | None


def _write(run: Run, archive: ZipFile, summaries: IO[bytes]) -> int:
    record = run.store.run(run.name)
    known = Known(
        scenarios_in(run),
        run.settings.target or record.target or "unknown",
        record.judge_id,
    )
    ids: list[str] = []
    for told in told_in(run, known.scenarios):
        sample = sample_of(told, model=known.model, judge_id=known.judge_id)
        archive.writestr(f"samples/{sample.id}_epoch_{sample.epoch}.json", _json(sample))
        summaries.write(b",\n" if ids else b"[")
        summaries.write(_json(sample.summary()))
        ids.append(str(sample.id))
    summaries.write(b"]" if ids else b"[]")
    summaries.seek(0)
    with archive.open("summaries.json", "w", force_zip64=True) as member:
        shutil.copyfileobj(summaries, member)
    log = _header(run, record, known, ids)
    archive.writestr("_journal/start.json", log.model_dump_json(include={"version", "eval", "plan"}, exclude_none=True))
    archive.writestr("header.json", _json(log))
    return len(ids)


def scenarios_in(run: Run) -> dict[str, str]:
    """Give a run's scenarios by id, as JSON."""
    return {scenario.id: scenario.model_dump_json() for scenario in run.store.scenarios(run.name)}


def told_in(run: Run, scenarios: Mapping[str, str]) -> Iterator[Told]:
    """Stream a run's conversations with their scenarios (id -> JSON), verdicts and labels.

    The store gives all of them in the order of conversations' ids. Raises DataError where a scenario is missing.
    """
    verdicts = _Beside((each.conversation_id, each) for each in run.store.verdicts(run.name))
    labels = _Beside((each.conversation_id, each) for each in run.store.labels(run.name))
    for said in run.store.conversations(run.name):
        if said.scenario_id not in scenarios:
            raise DataError(
                f"Run {run.name!r} holds conversation {said.id[:8]}, but not its scenario {said.scenario_id!r}, and so "
                "it cannot be exported."
            )
        scenario = Scenario.model_validate_json(scenarios[said.scenario_id])
        yield Told(scenario, said, verdicts.of(said.id), labels.of(said.id))


class _Beside(Generic[R]):
    """Rows about conversations, in the order of their ids, for who asks for conversations in the same order."""

    def __init__(self, rows: Iterable[tuple[str, R]]) -> None:
        self._groups = groupby(rows, key=itemgetter(0))
        self._next: tuple[str, Iterator[tuple[str, R]]] | None = next(self._groups, None)

    def of(self, conversation_id: str) -> tuple[R, ...]:
        while self._next is not None and self._next[0] < conversation_id:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != conversation_id:
            return ()
        return tuple(row for _, row in self._next[1])


def _header(run: Run, record: "RunRecord", known: Known, ids: list[str]) -> "EvalLog":
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSpec, EvalStats

    mark = digest(record.run, record.created)
    told = record.model_copy(update={"settings": without_headers(record.settings), "command": ""})
    spec = EvalSpec(
        eval_id=mark,
        run_id=mark,
        task_id=mark,
        created=record.created,
        task=f"breakfix {record.run}",
        task_registry_name=None,
        model=known.model,
        dataset=EvalDataset(name=record.run, samples=len(ids), sample_ids=ids),
        config=EvalConfig(epochs=1),
        packages={"breakfix": version(), "inspect_ai": metadata.version("inspect_ai")},
        metadata={KEPT: told.model_dump_json()},
    )
    return EvalLog(
        status="success",
        eval=spec,
        results=_results(read_measured(run), len(ids)),
        stats=EvalStats(started_at=record.created, completed_at=record.updated),
    )


def _results(measured: Mapping[str, Measurement], samples: int) -> "EvalResults":
    """Give the estimates of every stage as metrics: value, ends of the interval, bounds, by measure."""
    from inspect_ai.log import EvalResults

    scores = [score for stage, each in measured.items() for score in _stage_scores(stage, each, len(measured) > 1)]
    return EvalResults(total_samples=samples, completed_samples=samples, logged_samples=samples, scores=scores)


def _stage_scores(stage: str, measurement: Measurement, is_one_of_many: bool) -> "Iterator[EvalScore]":
    from inspect_ai.log import EvalScore

    whole = [each for each in measurement.card.estimates if each.harm == "all" and each.value is not None]
    for measure, found in groupby(whole, key=lambda each: each.measure):
        estimates = list(found)
        own = [each for each in estimates if not each.metric.endswith(BESIDE)]
        yield EvalScore(
            name=f"{measure} ({stage})" if is_one_of_many else measure,
            scorer=SCORER,
            scored_samples=sum(each.n for each in own),
            unscored_samples=sum(each.unscored for each in own),
            params={"stage": stage, "judge_id": measurement.card.judge_id},
            metrics=dict(metric for each in estimates for metric in _metrics(each)),
        )


def _metrics(estimate: Estimate) -> "Iterator[tuple[str, EvalMetric]]":
    """Give an estimate as metrics of one group, which the viewer shows side by side."""
    from inspect_ai.log import EvalMetric

    for part in ("", "low", "high", "best", "worst"):
        value: float | None = getattr(estimate, part or "value")
        if value is not None:
            name = part or estimate.metric
            yield f"{estimate.metric} {part}".strip(), EvalMetric(name=name, group=estimate.metric, value=value)


def _json(written: BaseModel) -> bytes:
    """Write one of Inspect's models as Inspect does: nothing for None, NaN for what is unscored."""
    return written.model_dump_json(exclude_none=True).encode()
