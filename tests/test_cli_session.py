"""A command's run: what is loaded while its calls are waited for, and what is left when its work has ended."""

import asyncio
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from breakfix.budget import Counts
from breakfix.cli.session import FOR_THE_END, STOPS, Place, in_run, load_meanwhile, to_its_end
from breakfix.errors import Interrupted
from breakfix.project import Run
from breakfix.settings import CycleSettings
from commands import inside, refusal

SOME_MODULE = "needed_at_the_end"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / f"{SOME_MODULE}.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield SOME_MODULE
    sys.modules.pop(SOME_MODULE, None)


def test_modules_are_loaded_once_the_first_calls_are_under_way_and_not_before(module: str):
    async def go() -> None:
        counts = Counts()
        loading = asyncio.create_task(load_meanwhile(counts, [module]))
        await asyncio.sleep(0.15)
        assert module not in sys.modules
        counts.in_flight = 1
        await asyncio.sleep(0)
        assert module not in sys.modules  # the call was not even sent
        await loading
        assert module in sys.modules

    asyncio.run(go())


def test_what_is_loaded_for_the_end_is_what_a_result_is_made_with():
    from breakfix import measure
    from breakfix.cli import results

    late = [line.strip() for module in (measure, results) for line in Path(module.__file__).read_text().splitlines()]
    assert all(any(line.startswith(f"from {name} import ") for line in late) for name in FOR_THE_END)


def test_work_that_asks_nothing_ends_though_the_loading_still_waits(tmp_path: Path):
    async def work(run: Run) -> list[str]:
        await asyncio.sleep(0)
        return [run.name, *(task.get_name() for task in asyncio.all_tasks() if "load" in repr(task.get_coro()))]

    place = Place(tmp_path / "store", tmp_path / "runs", "r")
    name, *loading = in_run(CycleSettings(name="r"), place, work)
    assert name == "r" and len(loading) == 1


@pytest.fixture
def handlers() -> Generator[None]:
    before = {number: signal.getsignal(number) for number in STOPS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", STOPS)
def test_a_signal_ends_the_work_and_others_do_not_cut_its_closing_short(number: signal.Signals):
    closed: list[str] = []

    async def work() -> None:
        try:
            signal.raise_signal(number)
            await asyncio.sleep(5)
        finally:
            for again in STOPS:
                signal.raise_signal(again)
            await asyncio.sleep(0)
            closed.append("whole")

    with pytest.raises(Interrupted):
        to_its_end(work())
    assert closed == ["whole"]


@pytest.mark.usefixtures("handlers")
def test_where_a_shell_has_ctrl_c_ignored_it_stays_so_and_sigterm_ends_the_work():
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def work(number: signal.Signals) -> str:
        signal.raise_signal(number)
        await asyncio.sleep(0.05)
        return "done"

    assert to_its_end(work(signal.SIGINT)) == "done"
    with pytest.raises(Interrupted):
        to_its_end(work(signal.SIGTERM))


def test_work_that_ends_leaves_the_signals_as_they_were():
    before = [signal.getsignal(number) for number in STOPS]
    to_its_end(asyncio.sleep(0))
    assert [signal.getsignal(number) for number in STOPS] == before


LOOKS = ("runs list", "runs export r", "runs delete r --yes", "show c1", "findings --run r", "report", "compare r",
         "export weights", "label r --sample 1 --out rows.jsonl")  # fmt: skip


@pytest.mark.parametrize("words", LOOKS)
def test_who_looks_into_a_store_that_is_not_there_is_told_so_and_makes_none(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert "No store in 'typo'." in refusal(inside(capsys, *words.split(), "--store", "typo"))
    assert not list(tmp_path.iterdir())
