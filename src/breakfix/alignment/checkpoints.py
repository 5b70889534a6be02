"""What training leaves on disk, and how a rerun knows what is done.

    out/job.json  out/train.log  out/progress.jsonl  out/manifest.json
    out/<stage>/key         what the stage is made from; another key begins anew
    out/<stage>/trainer/    training checkpoints while it runs (deleted once it is done)
    out/<stage>/weights/    a plain transformers folder: merged weights, tokenizer, template
    out/<stage>/done.json   written last

A stage's key is the hash of its parent, its rows and its settings. Nothing here imports torch.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from breakfix.files import write_whole
from breakfix.identity import digest
from breakfix.models.weight_files import read_json
from breakfix.settings import AlignSettings

StageName = Literal["sft", "dpo"]
WEIGHTS_FILES = "model*.safetensors*"


class StagePlan(BaseModel):
    """One stage to run: rows and parent weights in, a folder out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: StageName
    key: str
    rows: Path
    parent: Path
    """Weights folder that the stage starts from, read fresh from disk."""
    folder: Path

    @property
    def weights(self) -> Path:
        """Where the finished stage's weights are."""
        return self.folder / "weights"

    @property
    def trainer(self) -> Path:
        """Where training checkpoints are while the stage runs."""
        return self.folder / "trainer"


class Job(BaseModel):
    """What the training process is told: settings and stages, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: AlignSettings
    stages: tuple[StagePlan, ...]
    progress: Path
    error: Path


def stage_key(name: StageName, parent: str, rows: str, settings: AlignSettings) -> str:
    """Hash what decides a stage's result; how often it is saved on the way does not."""
    own = getattr(settings, name).model_dump(exclude={"save_steps", "enabled"})
    shared = settings.model_dump(include={"method", "max_length", "dtype", "gradient_checkpointing", "seed"})
    lora = settings.lora if settings.method == "lora" else None
    return digest("stage", name, parent, rows, own, shared, lora)


def is_done(plan: StagePlan) -> bool:
    """Tell whether the stage is finished with this very key."""
    return read_done(plan).get("key") == plan.key and any(plan.weights.glob("*.safetensors"))


def read_done(plan: StagePlan) -> dict[str, Any]:
    """Read what a finished stage left to say; empty if it is not finished."""
    return read_json(plan.folder / "done.json")


def write_done(plan: StagePlan, facts: Mapping[str, Any]) -> None:
    """Mark a stage finished, in one step, and drop its training checkpoints."""
    write_json(plan.folder / "done.json", {"key": plan.key, **facts})
    shutil.rmtree(plan.trainer, ignore_errors=True)


def make_ready(plan: StagePlan) -> None:
    """Empty the stage's folder if it belongs to another key; keep it if this stage was begun in it."""
    marker = plan.folder / "key"
    if marker.exists() and marker.read_text(encoding="utf-8") == plan.key:
        return
    shutil.rmtree(plan.folder, ignore_errors=True)
    plan.folder.mkdir(parents=True)
    marker.write_text(plan.key, encoding="utf-8")


def last_checkpoint(plan: StagePlan) -> Path | None:
    """Find the newest whole training checkpoint: its state file is written last, so a readable one means whole."""
    found = [path for path in plan.trainer.glob("checkpoint-*") if _step_of(path) >= 0 and _is_whole(path)]
    return max(found, key=_step_of, default=None)


def write_json(path: Path, tree: Mapping[str, Any]) -> None:
    """Write a JSON file in one step: a reader sees the old file or the new one."""
    write_whole(path, (json.dumps(tree, indent=1, default=str) + "\n").encode())


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _step_of(checkpoint: Path) -> int:
    number = checkpoint.name.removeprefix("checkpoint-")
    return int(number) if number.isdigit() else -1
