"""From a command's options to an open run: its settings, its place, and one event loop that Ctrl-C ends cleanly."""

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from breakfix.cli.live import watch
from breakfix.cli.options import OUT, STORE, read_settings
from breakfix.errors import Interrupted

if TYPE_CHECKING:
    from breakfix.budget import Counts
    from breakfix.project import Run
    from breakfix.settings import CycleSettings
    from breakfix.store.store import Store

T = TypeVar("T")

FOR_THE_END = ("breakfix.corrections", "rich.console", "rich.table")
"""What results are reckoned and shown with: loaded while the first calls are waited for, not when all are answered."""
STOPS = (signal.SIGINT, signal.SIGTERM)
LOOK_S = 0.05
"""So often it is looked whether calls are under way, and so long they are given to leave."""


class Place(NamedTuple):
    """Where a command works: the store, the folder of results, the run, and a run whose calls may be used again."""

    store: Path = STORE
    out: Path = OUT
    run: str | None = None
    reuse: str | None = None


class Given(NamedTuple):
    """What a command was told of settings: file, `--set` lines, options (dotted key -> value; None: not given)."""

    file: Path | None = None
    overrides: list[str] | None = None
    options: Mapping[str, Any] = {}


def settle(place: Place, given: Given) -> "CycleSettings":
    """Give the settings of a command: of the file, or of the run that is named; options go over both."""
    file = given.file or (_saved(place) if place.run else None)
    kept = _kept(place, place.run) if place.run and file is None else ""
    return read_settings(file, given.overrides, {**given.options, "name": place.run}, saved=kept)


def stored(folder: Path) -> "Store":
    """Open a store for who reads it, or changes what it holds. Raises StoreError where none is: looking makes none."""
    from breakfix.errors import StoreError
    from breakfix.store.store import Store

    if not (folder / "store.db").exists():
        raise StoreError(
            f"No store in {str(folder)!r}. Name its folder with --store; or start a run: breakfix run SETTINGS, or"
            " breakfix demo"
        )
    return Store.open(folder)


def resume(place: Place) -> Place:
    """Name the run that a later stage works on: the one given, or the one written last. Raises StoreError."""
    with stored(place.store) as store:
        record = store.run(place.run) if place.run else store.latest_run()
    return place._replace(run=record.run)


def in_run(settings: "CycleSettings", place: Place, work: "Callable[[Run], Awaitable[T]]", *, stage: str = "base") -> T:
    """Open the run for work on a stage of its target, do the work, close it whatever happens."""

    async def whole() -> T:
        from breakfix.project import Project, open_run
        from breakfix.roles import unused_models

        project = Project(place.store, place.out)
        async with open_run(project, settings, stage=stage, progress=watch(), reuse=place.reuse) as run:
            for line in unused_models(settings, run.fixed_target()):
                run.progress.note(line)
            meanwhile = asyncio.create_task(load_meanwhile(run.calls.counts, FOR_THE_END))
            try:
                return await work(run)
            finally:
                meanwhile.cancel()

    return to_its_end(whole())


@contextmanager
def looking(place: Place, *, settings: "CycleSettings | None" = None) -> "Generator[Run]":
    """Give a run to read only: it is not locked, nothing is asked, and its state stays as it is."""
    from breakfix.calls import Calls
    from breakfix.project import Project, Run

    whole = settings or settle(place, Given())
    with stored(place.store) as store:
        record = store.run(place.run or "")
        yield Run(record.run, whole, Project(place.store, place.out), store=store, calls=Calls(None, whole.calls))


async def load_meanwhile(counts: "Counts", modules: Sequence[str]) -> None:
    """Import modules once the first calls are under way: whoever imports them later finds them loaded."""
    while not counts.in_flight:
        await asyncio.sleep(LOOK_S)
    await asyncio.sleep(LOOK_S)
    for name in modules:
        import_module(name)


def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Run one coroutine. Ctrl-C or SIGTERM cancels it, and raises Interrupted once it has closed what it holds.

    Neither is heard a second time: that would cut the closing short.
    """

    async def heeding() -> T:
        loop, whole = asyncio.get_running_loop(), asyncio.create_task(work)
        now = {number: signal.getsignal(number) for number in STOPS}
        before = {number: handler for number, handler in now.items() if handler is not signal.SIG_IGN}

        def stop(_number: int, _frame: object) -> None:
            for number in before:
                signal.signal(number, signal.SIG_IGN)
            loop.call_soon_threadsafe(whole.cancel)

        try:
            for number in before:
                signal.signal(number, stop)
            return await whole
        except asyncio.CancelledError:
            raise Interrupted("stopped by a signal") from None
        finally:
            if not whole.cancelling():
                for number, handler in before.items():
                    signal.signal(number, handler)

    return asyncio.run(heeding())


def _saved(place: Place) -> Path | None:
    path = place.out / (place.run or "") / "settings.yaml"
    return path if path.exists() else None


def _kept(place: Place, run: str) -> str:
    """Give what the store keeps of a run's settings: another --out has no file of them, and must not mean defaults."""
    from breakfix.store.store import Store

    if not (place.store / "store.db").exists():
        return ""
    with Store.open(place.store) as store:
        return store.run(run).settings if store.is_known(run) else ""


def forget_run(place: Place) -> None:
    """Delete a run whole: its rows, its journal and its folder of results."""
    from breakfix.journal import journal_path
    from breakfix.store.store import Store

    name = place.run or ""
    with Store.open(place.store) as store:
        store.delete_run(name)
    journal = journal_path(place.store, name)
    for path in journal.parent.glob(journal.name + "*"):
        path.unlink()
    shutil.rmtree(place.out / name, ignore_errors=True)
