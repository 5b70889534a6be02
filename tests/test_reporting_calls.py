"""What a report says of calls that a killed command did not count."""

from pathlib import Path

import pytest

from breakfix.cli.session import Place, looking
from breakfix.journal import Journal, journal_path
from breakfix.project import Project, Run
from breakfix.reporting import uncounted_calls
from breakfix.settings import CycleSettings
from breakfix.store.records import RunStatus
from breakfix.store.store import Store
from breakfix.types import Reply
from fake_model import calls_of


@pytest.mark.parametrize(("status", "lines"), [("running", 1), ("done", 0), ("interrupted", 0)])
def test_a_report_of_a_run_whose_command_was_killed_says_that_its_calls_are_missing(
    tmp_path: Path, status: RunStatus, lines: int
):
    place = Place(tmp_path, tmp_path / "runs", "run")
    with Store.open(tmp_path) as store:
        store.save_run("run", status=status)
    with looking(place, settings=CycleSettings(name="run")) as run:
        said = list(uncounted_calls(run))
    assert len(said) == lines and all("was killed" in line for line in said)


def test_a_report_at_the_end_of_a_command_says_how_many_calls_of_a_killed_one_it_did_not_meet(tmp_path: Path):
    killed = Journal(journal_path(tmp_path, "run"), "run")
    killed.put(b"k" * 16, Reply(text="fine"))
    killed.flush()
    with Store.open(tmp_path) as store:
        run = Run("run", CycleSettings(), Project(tmp_path, tmp_path), store=store, calls=calls_of(tmp_path))
        store.save_run("run", status="running")
        assert list(uncounted_calls(run)) == ["Calls and cost lack 1 call of a command that was killed."]
