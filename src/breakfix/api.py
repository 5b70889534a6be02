"""The loops as functions: what the command line does, for a notebook or a program of one's own.

    from breakfix.api import load_settings, measure
    found = measure(load_settings(Path("settings.yaml")))
    for estimate in found.estimates:
        print(estimate.measure, estimate.harm, estimate.value, estimate.low, estimate.high)

Each function opens the run that the settings name, alone, and closes it; what a user can mend is a BreakfixError.
Where an event loop runs already, as in a notebook, it works in a thread of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from breakfix.align import align as align_run
from breakfix.curate import curate as curate_run
from breakfix.cycle import run_cycle as cycle_run
from breakfix.errors import BreakfixError
from breakfix.estimates import Scorecard
from breakfix.measure import measure as measure_run
from breakfix.progress import Progress
from breakfix.project import Project, Run, open_run
from breakfix.redteam import redteam as redteam_run
from breakfix.report.data import ReportData
from breakfix.reporting import report as report_run
from breakfix.settings import CycleSettings, load_settings, settings_from
from breakfix.types import Checkpoint, Dataset, Finding

__all__ = [
    "BreakfixError",
    "Checkpoint",
    "CycleSettings",
    "Dataset",
    "Finding",
    "Progress",
    "Project",
    "ReportData",
    "Scorecard",
    "align",
    "curate",
    "load_settings",
    "measure",
    "redteam",
    "report",
    "run_cycle",
    "settings_from",
]
HERE = Project(Path(".breakfix"), Path("runs"))
T = TypeVar("T")


def measure(
    settings: CycleSettings, *, project: Project = HERE, stage: str = "base", progress: Progress | None = None
) -> Scorecard:
    """Measure the settings' target on its sealed scenarios."""
    found = _in_run(settings, project, progress, lambda run: measure_run(run, stage=stage), stage=stage)
    return found.card


def redteam(
    settings: CycleSettings, *, project: Project = HERE, stage: str = "base", progress: Progress | None = None
) -> list[Finding]:
    """Attack the settings' target within its query budget; give the findings, best ranked first."""
    siege = _in_run(settings, project, progress, lambda run: redteam_run(run, stage=stage), stage=stage)
    return list(siege.findings)


def curate(
    settings: CycleSettings, *, project: Project = HERE, stage: str = "base", progress: Progress | None = None
) -> Dataset:
    """Make a frozen dataset of the run's open findings and the settings' sources."""

    async def work(run: Run) -> Dataset:
        return await curate_run(run, run.store.findings(run.name, state="open"), stage=stage)

    return _in_run(settings, project, progress, work, stage=stage)


def align(
    settings: CycleSettings, dataset: Dataset, *, project: Project = HERE, progress: Progress | None = None
) -> Checkpoint:
    """Train the settings' target on a dataset: SFT, then DPO."""
    return _in_run(settings, project, progress, lambda run: align_run(run, dataset))


def run_cycle(settings: CycleSettings, *, project: Project = HERE, progress: Progress | None = None) -> ReportData:
    """Measure, break, fix and prove, round after round; give what the report shows."""
    reported = _in_run(settings, project, progress, cycle_run)
    return reported.data


def report(settings: CycleSettings, *, project: Project = HERE, progress: Progress | None = None) -> ReportData:
    """Write the report of a run from what its store holds."""
    reported = _in_run(settings, project, progress, report_run)
    return reported.data


def _in_run(
    settings: CycleSettings,
    project: Project,
    progress: Progress | None,
    work: Callable[[Run], Awaitable[T]],
    *,
    stage: str = "base",
) -> T:
    async def whole() -> T:
        async with open_run(project, settings, stage=stage, progress=progress) as run:
            return await work(run)

    return _aside(whole) if _is_in_loop() else asyncio.run(whole())


def _aside(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do the work in a thread of its own; an interruption here ends it there, as Ctrl-C ends a command."""
    begun: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []

    async def told() -> T:
        task = asyncio.ensure_future(work())
        begun.append((asyncio.get_running_loop(), task))
        return await task

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(lambda: asyncio.run(told()))
        try:
            return done.result()
        except KeyboardInterrupt:
            for loop, task in begun:
                with suppress(RuntimeError):  # the work ended meanwhile, and its loop is closed
                    loop.call_soon_threadsafe(task.cancel)
            raise


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
