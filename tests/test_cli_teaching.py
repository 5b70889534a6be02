"""Checkpoints as folders of their own: the one that is meant, and whole."""

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from breakfix.cli.main import run
from breakfix.settings import dump_settings, settings_from
from breakfix.store.store import Store
from breakfix.types import Checkpoint


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hold a run with two checkpoints whose ids begin alike, each with weights that name it."""
    monkeypatch.chdir(tmp_path)
    with Store.open(tmp_path / ".breakfix") as store:
        store.save_run("first", status="done")
        for name in ("abc1", "abc2"):
            weights = tmp_path / name
            weights.mkdir()
            (weights / "config.json").write_text(name)
            facts = {"parent_id": "p", "dataset_id": "d", "settings_id": "s", "stages": ("sft",), "curves": {}}
            store.add_checkpoint("first", Checkpoint.model_validate({"id": name, "path": str(weights), **facts}))
    return tmp_path


@pytest.mark.parametrize(
    ("given", "expected"),
    [([], "abc2"), (["--checkpoint", "abc1"], "abc1"), (["--checkpoint", "abc2"], "abc2")],
    ids=("the newest", "the older", "the newer"),
)
def test_the_checkpoint_that_is_meant_is_exported(folder: Path, given: list[str], expected: str):
    assert run(["export", "deep/out", "--run", "first", *given]) == 0
    assert (folder / "deep" / "out" / "config.json").read_text() == expected
    assert [path.name for path in (folder / "deep").iterdir()] == ["out"]


def test_a_beginning_of_two_ids_is_answered_with_both(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["export", "out", "--run", "first", "--checkpoint", "abc"]) == 2
    said = capsys.readouterr().err
    assert "abc1, abc2" in said and not (folder / "out").exists()


def test_a_copy_that_was_interrupted_leaves_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(source: Path, to: Path) -> None:
        Path(to).mkdir()
        shutil.copy2(source / "config.json", to)
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copytree", interrupted)
    assert run(["export", "out", "--run", "first"]) == 130
    assert not [path for path in folder.iterdir() if "out" in path.name]


def test_a_copy_that_cannot_be_whole_leaves_no_folder(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "abc2" / "model.safetensors").symlink_to(folder / "gone")
    assert run(["export", "out", "--run", "first"]) == 2
    assert "Cannot write 'out'" in capsys.readouterr().err
    assert not [path for path in folder.iterdir() if "out" in path.name]


@pytest.mark.parametrize(
    ("settings", "facts", "judge"),
    [
        ({"target": "lab/mini"}, {}, "lab/exact"),
        (
            {"target": "hf/x", "judge": "embedded"},
            {"judge_id": "j", "judges": {"j": "http://h/v1#jury"}},
            "http://h/v1#jury",
        ),
    ],
    ids=("in the lab", "of an earlier measurement"),
)
def test_what_is_said_after_training_can_be_typed_as_it_is(
    settings: Mapping[str, str],
    facts: Mapping[str, object],
    judge: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    with Store.open(folder / ".breakfix") as store:
        made = store.checkpoints("first")[0]
        whole = dump_settings(settings_from({**settings, "name": "first"}, where="test"))
        store.save_run("first", status="done", settings=whole, **facts)

    async def trained(*_: object, **__: object) -> Checkpoint:
        return made

    monkeypatch.setattr("breakfix.align.align", trained)
    monkeypatch.setattr("breakfix.cli.teaching._dataset", lambda *_: None)
    assert run(["align", "--run", "first"]) == 0
    words = shlex.split(capsys.readouterr().out.partition("Measure it: ")[2])
    assert words[:4] == ["breakfix", "measure", "--run", "first"]
    assert words[4:] == ["-t", f"hf/{made.path}", "--stage", "round-1", "--judge", judge]
