"""The loops as functions, called from a program of one's own or from a notebook."""

import asyncio
import os
import signal
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from breakfix.api import BreakfixError, Project, Scorecard, load_settings, measure, report
from breakfix.progress import Silent
from breakfix.settings import CycleSettings
from breakfix.store.store import Store
from commands import write_scripts

HERE = Project(Path("store"), Path("runs"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_scripts(tmp_path)


def settings(name: str) -> CycleSettings:
    roles = [f"{role}=scripted/{role}.yaml" for role in ("target", "simulator", "judge")]
    return load_settings(None, [*roles, f"name={name}", "measure.measures=[jailbreak]", "measure.conversations=6"])


def in_notebook(work: Any) -> Any:
    """Run a plain call within a running event loop, where Ctrl-C is Python's own."""

    async def cell() -> Any:
        return work()

    loop = asyncio.new_event_loop()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return loop.run_until_complete(cell())
    finally:
        signal.signal(signal.SIGINT, before)
        loop.close()


def test_a_notebook_gets_what_a_program_gets():
    card = measure(settings("plain"), project=HERE)
    again: Scorecard = in_notebook(lambda: measure(settings("cell"), project=HERE))
    assert again.estimates == card.estimates and again.outcomes["jailbreak"]["safe"] == 6


def test_an_interrupted_cell_ends_the_work_and_loses_nothing(folder: Path):
    (folder / "target.yaml").write_text("latency_s: 0.3\nrules: [{reply: A general answer.}]\n")

    class Impatient(Silent):
        def stage(self, name: str, total: int | None = None) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        in_notebook(lambda: measure(settings("cell"), project=HERE, progress=Impatient()))
    with Store.open(HERE.store) as store:
        assert store.run("cell").status == "interrupted"
    assert measure(settings("cell"), project=HERE).outcomes["jailbreak"]["safe"] == 6


def test_what_a_caller_must_catch_is_there_to_be_imported():
    with pytest.raises(BreakfixError, match="No target is named"):
        measure(load_settings(None, ["name=bare"]), project=HERE)


def test_a_stage_is_named_as_a_run_is():
    with pytest.raises(BreakfixError, match=r"'\.\./x' cannot name a stage"):
        measure(settings("plain"), project=HERE, stage="../x")


def test_the_package_says_that_it_is_typed():
    assert (resources.files("breakfix") / "py.typed").is_file()


def test_another_runs_scorecard_that_cannot_be_read_is_named_and_left_out():
    notes: list[str] = []

    class Noting(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    for name in ("mine", "other"):
        measure(settings(name), project=HERE)
    assert [card.run for card in report(settings("mine"), project=HERE).others] == ["other"]
    (HERE.out / "other" / "scorecard.json").write_text('{"run": "other"}')
    assert report(settings("mine"), project=HERE, progress=Noting()).others == ()
    assert notes == [
        "runs/other/scorecard.json is no scorecard of this version, and its run is left out of the report."
    ]
