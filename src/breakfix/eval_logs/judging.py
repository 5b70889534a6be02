"""A judge over the conversations that a log brought, and findings of those that failed and may teach (not sealed)."""

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from breakfix.eval_logs.writing import scenarios_in, told_in
from breakfix.findings import find_groups
from breakfix.judge_alone import Opened, judged
from breakfix.judges import facts_of
from breakfix.judging.recorded import Recorded
from breakfix.project import Run
from breakfix.roles import check_judge, open_judge
from breakfix.types import Verdict

WRITTEN_AT_ONCE = 100


class Judged(NamedTuple):
    """What came of judging."""

    verdicts: int
    findings: int


async def judge_brought(run: Run) -> Judged:
    """Judge what the run's judge has not judged yet, or left unscored; group what failed into findings of round 1."""
    judge = open_judge(run)
    check_judge(run.settings, list(run.store.scenarios(run.name)))
    run.store.save_run(run.name, status="running", **facts_of(run, judge, target=run.settings.target or ""))
    opened = Opened(run.settings.judge or "", judge, run.calls.width, run)
    run.progress.stage(f"judge {run.name}", None)
    count = 0
    async for some in _batches(judged(opened, _waiting(run, judge.judge_id))):
        run.store.add_verdicts(run.name, some)
        count += len(some)
        run.progress.advance(len(some))
    run.progress.done()
    store, name = run.store, run.name
    said = store.conversations(name)
    found = find_groups(store.scenarios(name), said, store.verdicts(name, judge.judge_id), run=name, round=1)
    store.add_findings(name, found)
    return Judged(count, len(found))


def _waiting(run: Run, judge_id: str) -> Iterator[Recorded]:
    for told in told_in(run, scenarios_in(run)):
        if all(verdict.judge_id != judge_id or verdict.unscored for verdict in told.verdicts):
            yield Recorded(told.conversation.id, told.scenario, told.conversation)


async def _batches(pairs: AsyncIterator[tuple[Recorded, Verdict]]) -> AsyncIterator[list[Verdict]]:
    batch: list[Verdict] = []
    async for _, verdict in pairs:
        batch.append(verdict)
        if len(batch) >= WRITTEN_AT_ONCE:
            yield batch
            batch = []
    yield batch
