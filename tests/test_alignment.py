"""Post-training end to end on a tiny model: SFT, DPO, killed and continued, and what they leave on disk."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import NamedTuple

import pytest

from breakfix.alignment.launch import run_alignment, threads
from breakfix.errors import DataError, Interrupted, SettingsError, TrainingError
from breakfix.identity import file_digest
from breakfix.models.local import LocalModel
from breakfix.models.weight_files import weights_identity
from breakfix.settings import AlignSettings
from breakfix.types import Checkpoint
from tiny import build_tiny, write_dataset

pytest.importorskip("trl", reason="needs the [train] extra")

SETTINGS = {
    "max_length": 192,
    "sft": {"epochs": 2, "batch_size": 4, "save_steps": 4, "learning_rate": 3e-3},
    "dpo": {"epochs": 1, "batch_size": 4, "save_steps": 2, "learning_rate": 1e-3},
}


class Run(NamedTuple):
    base: Path
    dataset: Path
    out: Path
    checkpoint: Checkpoint
    progress: list[dict]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """One uninterrupted run of both stages, which most claims below are about."""
    home = tmp_path_factory.mktemp("alignment")
    base, dataset, out = build_tiny(home / "base"), write_dataset(home / "dataset", 96, 24), home / "out"
    told: list[dict] = []
    checkpoint = run_alignment(base, dataset, AlignSettings(**SETTINGS), out, progress=told.append)
    return Run(base, dataset, out, checkpoint, told)


def tensors(folder: Path | str) -> dict:
    from safetensors.torch import load_file

    return {
        name: value for file in sorted(Path(folder).glob("*.safetensors")) for name, value in load_file(file).items()
    }


def moved(before: Path | str, after: Path | str) -> dict[str, bool]:
    old, new = tensors(before), tensors(after)
    assert old.keys() == new.keys()
    return {name: not old[name].equal(new[name]) for name in old}


def test_both_stages_run_in_order_and_each_moves_every_parameter(run):
    assert run.checkpoint.stages == ("sft", "dpo")
    sft, dpo = run.checkpoint.stage_paths["sft"], run.checkpoint.stage_paths["dpo"]
    assert run.checkpoint.path == dpo
    assert all(moved(run.base, sft).values())
    assert all(moved(sft, dpo).values())


def test_the_loss_falls_and_dpo_starts_where_sft_ended(run):
    sft, dpo = run.checkpoint.curves["sft"], run.checkpoint.curves["dpo"]
    assert [row["step"] for row in sft] == list(range(1, 49))
    assert sft[-1]["loss"] < 0.7 * sft[0]["loss"]
    assert dpo[0]["margin"] == pytest.approx(0, abs=1e-4), "policy and reference are one at the first step"
    assert dpo[-1]["margin"] > 0
    assert {"chosen_logps", "rejected_logps", "accuracy", "loss"} <= dpo[0].keys()


def test_progress_is_told_while_it_runs(run):
    assert [row["stage"] for row in run.progress] == ["loading", *["sft"] * 49, *["dpo"] * 7]
    assert run.progress[1]["step"] == 0 and run.progress[1]["steps"] == 48
    assert all({"stage", "step", "steps"} <= row.keys() for row in run.progress)


def test_the_manifest_holds_every_hash(run):
    manifest = json.loads((run.out / "manifest.json").read_text())
    assert manifest["base_weights"] == run.checkpoint.parent_id == weights_identity(run.base)
    assert manifest["rows"]["pairs.jsonl"] == file_digest(run.dataset / "pairs.jsonl")
    assert manifest["dataset"] == run.checkpoint.dataset_id == "tiny-dataset"
    assert manifest["id"] == run.checkpoint.id == weights_identity(Path(run.checkpoint.path))
    assert manifest["stages"]["sft"]["rows"]["used"] == 96
    assert manifest["stages"]["dpo"]["margin_at_start"] == pytest.approx(0, abs=1e-6)
    assert manifest["stages"]["sft"]["seconds"] > 0
    assert manifest["libraries"]["trl"].startswith("1.")
    assert manifest["settings_id"] == run.checkpoint.settings_id and manifest["code"]


def test_nothing_pickled_is_left_and_the_parents_files_are_kept(run):
    files = [file for file in run.out.rglob("*") if file.is_file()]
    assert not [file for file in files if file.suffix in {".bin", ".pt", ".pth", ".pkl"}]
    for name in ("config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja"):
        assert (Path(run.checkpoint.path) / name).read_bytes() == (run.base / name).read_bytes()


def test_the_checkpoint_is_a_model_like_any_other_also_where_it_is_copied_to(run, tmp_path):
    out = shutil.copytree(run.checkpoint.path, tmp_path / "copied")
    assert LocalModel("hf/copied", str(out)).identity == run.checkpoint.id


def test_a_rerun_starts_nothing_and_gives_the_same(run):
    told: list[dict] = []
    begin = time.monotonic()
    again = run_alignment(run.base, run.dataset, AlignSettings(**SETTINGS), run.out, progress=told.append)
    assert again == run.checkpoint
    assert [row["stage"] for row in told] == ["done"] and time.monotonic() - begin < 3


LAUNCH = """
import sys
from pathlib import Path
from breakfix.alignment.launch import run_alignment
from breakfix.settings import AlignSettings
base, dataset, out, settings = sys.argv[1:]
run_alignment(Path(base), Path(dataset), AlignSettings.model_validate_json(settings), Path(out))
"""


def last_told(out: Path) -> dict:
    lines = (out / "progress.jsonl").read_text().splitlines() if (out / "progress.jsonl").exists() else []
    return json.loads(lines[-1]) if lines and lines[-1].endswith("}") else {}


def wait_for(is_so, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_after_kill_nine_the_rerun_continues_to_the_very_same_weights_and_an_interrupt_saves(run, tmp_path):
    settings = AlignSettings(**SETTINGS)
    arguments = [str(run.base), str(run.dataset), str(tmp_path), settings.model_dump_json(exclude_unset=True)]
    parent = subprocess.Popen([sys.executable, "-c", LAUNCH, *arguments])
    wait_for(lambda: last_told(tmp_path).get("step", 0) >= 6 or parent.poll() is not None, 120)
    pid = json.loads((tmp_path / "progress.jsonl").read_text().splitlines()[0])["pid"]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not is_running(pid), 10)
    assert not (tmp_path / "sft" / "done.json").exists(), "it was killed half-way"

    told: list[dict] = []

    stop = Event()

    def stop_in_dpo(row: dict) -> None:
        told.append(row)
        if row["stage"] == "dpo" and row["step"] >= 1:
            stop.set()

    with pytest.raises(Interrupted):
        run_alignment(run.base, run.dataset, settings, tmp_path, progress=stop_in_dpo, stop=stop)
    assert told[0]["stage"] == "loading"
    assert told[1]["step"] >= 4, "SFT went on from a checkpoint"
    assert not is_running(told[1]["pid"])
    resumed = json.loads((tmp_path / "sft" / "done.json").read_text())
    whole = json.loads((run.out / "sft" / "done.json").read_text())
    assert resumed["resumed_from"] >= 4
    assert resumed["weights"] == whole["weights"], "bit for bit what an uninterrupted run gives"
    assert len(resumed["curve"]) == 48, "the curve has the part before the kill too"
    assert list((tmp_path / "dpo" / "trainer").glob("checkpoint-*")), "the interrupted stage saved what it had"


def test_what_fails_in_training_is_one_line_and_the_log_is_kept(run, tmp_path):
    base = shutil.copytree(run.base, tmp_path / "base")
    (base / "config.json").write_text('{"model_type": "no-such-architecture"}')
    with pytest.raises(TrainingError, match=r"no-such-architecture.*train\.log") as caught:
        run_alignment(base, run.dataset, AlignSettings(**SETTINGS), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert "Traceback" in (tmp_path / "out" / "train.log").read_text()


def test_a_stage_without_rows_is_left_out_and_the_reason_is_given(run, tmp_path):
    from breakfix.alignment.launch import plan_stages

    dataset = write_dataset(tmp_path / "examples-only", 4, 0)
    plan = plan_stages(run.base, dataset, AlignSettings(), tmp_path / "out")
    assert [stage.name for stage in plan.stages] == ["sft"]
    assert plan.skipped == {"dpo": "the dataset has no pairs"}
    with pytest.raises(TrainingError, match="Nothing to train on"):
        run_alignment(run.base, write_dataset(tmp_path / "empty", 0, 0), AlignSettings(), tmp_path / "out")


def test_another_setting_is_another_stage_and_saving_more_often_is_not(run, tmp_path):
    from breakfix.alignment.launch import plan_stages

    def keys(**sft: object) -> list[str]:
        settings = AlignSettings.model_validate({"sft": sft})
        return [stage.key for stage in plan_stages(run.base, run.dataset, settings, tmp_path).stages]

    assert keys(epochs=1.0) == keys(epochs=1.0, save_steps=7)
    assert not set(keys(epochs=1.0)) & set(keys(epochs=2.0)), "what SFT changes, DPO starts from"


def test_a_broken_line_is_named_by_number_and_not_quoted(run, tmp_path):
    dataset = write_dataset(tmp_path / "dataset", 3, 2)
    with (dataset / "examples.jsonl").open("a") as stream:
        stream.write('{"messages": "SECRET WORDS"}\n')
    with pytest.raises(DataError, match="line 4: messages") as caught:
        run_alignment(run.base, dataset, AlignSettings(), tmp_path / "out")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"recipe": "mnii"}, SettingsError, "Did you mean 'mini'"),
        ({"accelerate_config": "no-such.yaml"}, TrainingError, "no accelerate configuration 'no-such.yaml'"),
    ],
)
def test_wrong_settings_are_one_line(run, tmp_path, settings, error, says):
    with pytest.raises(error, match=says):
        run_alignment(run.base, run.dataset, AlignSettings(**settings), tmp_path / "out")


@pytest.mark.parametrize(("variable", "n"), [("1", 1), ("3", 3), ("4,2", 4)])
def test_training_takes_as_many_threads_as_the_environment_allows(monkeypatch, variable, n):
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert threads() == n


@pytest.mark.parametrize("variable", ["", "0", "-1", "many"])
def test_a_number_of_threads_that_is_none_is_passed_over(monkeypatch, variable):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    own = threads()
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert threads() == own >= 1
