"""Checkpoints as folders of their own: the one that is meant, and whole."""

import json
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

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


def test_weights_are_exported_from_where_their_run_was_moved(folder: Path):
    (folder / "runs" / "first" / "checkpoints").mkdir(parents=True)
    (folder / "abc1").rename(folder / "runs" / "first" / "checkpoints" / "round-1-ab")
    with Store.open(folder / ".breakfix") as store:
        made = store.checkpoints("first")[0]
        gone = "/datasets/before/runs/first/checkpoints/round-1-ab"
        store.add_checkpoint("first", made.model_copy(update={"path": gone}))
    assert run(["export", "out", "--run", "first", "--checkpoint", "abc1"]) == 0
    assert (folder / "out" / "config.json").read_text() == "abc1"


def test_what_is_exported_may_be_read_by_whom_other_files_may(folder: Path):
    (folder / "abc2" / "config.json").chmod(0o600)
    assert run(["export", "out", "--run", "first"]) == 0
    (folder / "plain").touch()
    assert (folder / "out" / "config.json").stat().st_mode == (folder / "plain").stat().st_mode


def test_a_beginning_of_two_ids_is_answered_with_both(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["export", "out", "--run", "first", "--checkpoint", "abc"]) == 2
    said = capsys.readouterr().err
    assert "abc1, abc2" in said and not (folder / "out").exists()


def test_a_copy_that_was_interrupted_leaves_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(source: Path, to: Path, **_: object) -> None:
        Path(to).mkdir()
        shutil.copy2(source / "config.json", to)
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copytree", interrupted)
    assert run(["export", "out", "--run", "first"]) == 130
    assert not [path for path in folder.iterdir() if "out" in path.name]


def test_a_copy_that_cannot_be_whole_leaves_no_folder(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "abc2" / "model.safetensors").symlink_to(folder / "gone")
    assert run(["export", "out", "--run", "first"]) == 2
    assert "Cannot write 'out': not all files could be written. Free some space or name" in capsys.readouterr().err
    (folder / "a file").touch()
    assert run(["export", "a file/x", "--run", "first"]) == 2
    assert "Cannot write 'a file/x': Not a directory. Name another folder." in capsys.readouterr().err
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
    monkeypatch.setattr("breakfix.cli.teaching._dataset", lambda *_: SimpleNamespace(id="0123456789"))
    assert run(["align", "--run", "first", "--base", "lab/mini", "--set", "align.dpo.enabled=false"]) == 0
    said = capsys.readouterr()
    assert "Training lab/mini (--base) on dataset 01234567: SFT, recipe mini, full," in said.err
    assert "with align.dpo.enabled=false." in said.err
    words = shlex.split(said.out.partition("Measure it: ")[2])
    assert words[:4] == ["breakfix", "measure", "--run", "first"]
    assert words[4:] == ["-t", f"hf/{made.path}", "--stage", "round-1", "--judge", judge]


OWN = {"prompt": "How do I open a jar?", "chosen": "Turn the lid with a dry cloth.", "rejected": "No."}


@pytest.mark.parametrize(
    "who",
    [["-t", "lab/mini"], ["-t", "http://localhost:1/v1#a", "--teacher", "http://localhost:1/v1#b", "-j", "refusal"]],
    ids=("lab", "endpoint, nobody to attack"),
)
def test_data_of_ones_own_begins_a_run(
    who: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("mine.jsonl").write_text(json.dumps(OWN))
    words = [*who, "--sources", "mine.jsonl", "--set", "curate.findings=0", "--json"]
    assert run(["curate", "--run", "own", *words]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["run"], said["dataset"]["pairs"]) == ("own", 1)
    with Store.open(tmp_path / ".breakfix") as store:
        assert (store.run("own").status, store.run("own").target) == ("done", who[1])


@pytest.mark.parametrize("more", [[], ["--sources", "mine.jsonl"]], ids=("no data", "no target"))
def test_a_misspelt_run_is_not_begun(folder: Path, more: list[str], capsys: pytest.CaptureFixture[str]):
    Path("mine.jsonl").write_text(json.dumps(OWN))
    assert run(["curate", "--run", "frist", *more]) == 2
    assert "No run 'frist'" in capsys.readouterr().err
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sources", "broken.jsonl"], "broken.jsonl, line 2: not valid JSON"),
        (["--sources", "gone.jsonl"], "No data file 'gone.jsonl'"),
        (["--set", "curate.retention_sources=gone.jsonl"], "No data file 'gone.jsonl'"),
        (["--sources", "mine.jsonl", "--set", "curate.seed_examples=0"], "no row of curate.sources would be taken"),
    ],
)
def test_data_that_cannot_be_used_is_refused_before_anything_is_asked(
    words: list[str], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    Path("broken.jsonl").write_text(json.dumps(OWN) + "\n{oops\n")
    Path("mine.jsonl").write_text(json.dumps(OWN))

    async def attacked(*_: object, **__: object) -> None:
        raise AssertionError("the target was attacked first")

    monkeypatch.setattr("breakfix.curate.gather_failures", attacked)
    assert run(["curate", "--run", "first", "-t", "lab/mini", *words]) == 2
    assert said in capsys.readouterr().err
    with Store.open(folder / ".breakfix") as store:
        assert store.run("first").status == "done"
