"""Judge alone: any judge on recorded conversations, outside a measurement, in order and streaming.

A judge that asks no model needs nothing. One that does has a run of its own, named after the judge and what it judges:
its calls are journalled there, so that the same command goes on where it was stopped, and `breakfix runs` lists and
deletes it like any other.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import NamedTuple, Protocol, runtime_checkable

from breakfix.errors import SettingsError
from breakfix.identity import digest
from breakfix.judging.recorded import Recorded
from breakfix.progress import Progress
from breakfix.project import Project, Run, open_run
from breakfix.protocols import Judge
from breakfix.roles import EXACT, offline_judge, open_judge
from breakfix.settings import CycleSettings
from breakfix.types import Conversation, Scenario, Verdict

TOGETHER = 1024
"""Conversations given at once to a judge that takes many."""


@runtime_checkable
class ManyJudge(Protocol):
    """A judge that is much faster on many conversations at once."""

    def judge_many(self, asked: Sequence[tuple[Scenario, Conversation]]) -> Sequence[Verdict]:
        """Judge each as `judge` would, in the same order."""
        ...


class Opened(NamedTuple):
    """A judge, ready to be asked."""

    name: str
    judge: Judge
    width: int = 1
    """Conversations judged at a time."""
    run: Run | None = None
    """Where its calls are kept; None for a judge that makes none."""


@asynccontextmanager
async def open_alone(
    name: str, about: str, *, project: Project, settings: CycleSettings | None = None, progress: Progress | None = None
) -> AsyncGenerator[Opened]:
    """Open a judge by its name to judge `about` (a file, or a purpose). Raises what opening a judge or a run does.

    `settings` say how models are reached; equal names and purposes find their run again.
    """
    if name == EXACT:
        raise SettingsError(
            f"Judge {name!r} knows the truth about the lab's own conversations, which only a measurement holds;"
            " recorded answers and the exam it cannot judge. Name 'refusal', 'embedded', guard/<family> or a model."
        )
    if offline := offline_judge(name):
        yield Opened(name, offline)
        return
    named = {"judge": name, "name": _run_name(name, about), "target": None}  # nobody is measured in such a run
    whole = (settings or CycleSettings()).model_copy(update=named)
    async with open_run(project, whole, progress=progress) as run:
        judge = open_judge(run)
        run.store.save_run(run.name, status="running", judge_id=judge.judge_id)
        yield Opened(name, judge, run.calls.width, run)


async def judged(opened: Opened, entries: Iterable[Recorded]) -> AsyncIterator[tuple[Recorded, Verdict]]:
    """Judge entries as they come, and give each with its verdict in the same order; few are held at a time."""
    if isinstance(opened.judge, ManyJudge):
        source = iter(entries)
        while some := list(islice(source, TOGETHER)):
            verdicts = opened.judge.judge_many([(each.scenario, each.conversation) for each in some])
            for pair in zip(some, verdicts, strict=True):
                yield pair
        return
    waiting: deque[tuple[Recorded, asyncio.Task[Verdict]]] = deque()
    try:
        for entry in entries:
            waiting.append((entry, asyncio.create_task(_one(opened.judge, entry))))
            if len(waiting) >= opened.width:
                first, task = waiting.popleft()
                yield first, await task
        while waiting:
            first, task = waiting.popleft()
            yield first, await task
    finally:
        left = [task for _, task in waiting]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _one(judge: Judge, entry: Recorded) -> Verdict:
    return await judge.judge(entry.scenario, entry.conversation)


def _run_name(judge: str, about: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", judge).strip("-.")[-40:].lstrip("-.")
    return f"judge-{slug or 'model'}-{digest(judge, about)[:6]}"
