"""Build the lab's models, and list them.

`mini` ships with the package; `small` and `medium` are built here and kept under $BREAKFIX_HOME/lab. A build is written
beside its place and moved there whole, so that a build cut short leaves nothing that looks like a model.
"""

import os
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import orjson

from breakfix.errors import DataError, MissingExtra
from breakfix.lab.pretrain import RECIPES, Progress, train, train_tokenizer


class Size(NamedTuple):
    """One of the lab's models, as `lab list` shows it."""

    name: str
    parameters: int
    layers: int
    hidden: int
    ships: bool
    folder: Path | None
    """Where its weights lie; None: not built yet."""


def lab_sizes() -> list[Size]:
    """List the lab's models."""
    return [
        Size(size, _parameters(size), recipe.layers, recipe.hidden, size == "mini", _found(size))
        for size, recipe in RECIPES.items()
    ]


def lab_weights(size: str) -> Path:
    """Find a model's folder. Raises DataError, which says how to build it, where there is none."""
    if size not in RECIPES:
        raise DataError(f"The lab has no model {size!r}; it has {', '.join(RECIPES)}.")
    if folder := _found(size):
        return folder
    raise DataError(f"lab/{size} is not built on this machine yet. Build it: breakfix lab build {size}")


def build(size: str, *, out: Path | None = None, progress: Progress | None = None) -> Path:
    """Train a model from nothing into `out`, or its place under $BREAKFIX_HOME; `progress` hears steps and loss."""
    if size not in RECIPES:
        raise DataError(f"The lab has no model {size!r}; it has {', '.join(RECIPES)}.")
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra("torch", "train", f"Building lab/{size}") from error
    recipe, started = RECIPES[size], time.monotonic()
    losses: list[float] = []

    def hear(step: int, steps: int, loss: float) -> None:
        losses.append(loss)
        if progress:
            progress(step, steps, loss)

    tokenizer = train_tokenizer(recipe)
    model = train(recipe, tokenizer, hear)
    target = out or home() / size
    unfinished = target.with_name(f"{target.name}.unfinished-{os.getpid()}")
    unfinished.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(unfinished)  # pyright: ignore[reportUnknownMemberType]
    tokenizer.save_pretrained(unfinished)  # pyright: ignore[reportUnknownMemberType]
    record = {
        "model": f"lab/{size}", "recipe": recipe._asdict(), "loss": round(losses[-1], 4),
        "torch": torch.__version__, "transformers": transformers.__version__, "threads": torch.get_num_threads(),
        "seconds": round(time.monotonic() - started), "licence": "Apache-2.0",
    }  # fmt: skip
    (unfinished / "lab.json").write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    return target


def home() -> Path:
    """Give the folder where built models are kept."""
    return Path(os.environ.get("BREAKFIX_HOME") or Path.home() / ".cache" / "breakfix").expanduser() / "lab"


def packaged() -> Path:
    """Give the folder of the model that ships."""
    return Path(__file__).parents[1] / "data" / "lab" / "mini"


def _found(size: str) -> Path | None:
    places = [packaged(), home() / size] if size == "mini" else [home() / size]
    return next((place for place in places if (place / "model.safetensors").is_file()), None)


def _parameters(size: str) -> int:
    from breakfix.lab.pretrain import VOCABULARY

    recipe = RECIPES[size]
    layer = 4 * recipe.hidden**2 + 3 * recipe.hidden * recipe.intermediate + 2 * recipe.hidden
    return VOCABULARY * recipe.hidden + recipe.layers * layer + recipe.hidden
