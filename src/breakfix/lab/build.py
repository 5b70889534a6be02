"""Build the lab's models, and list them.

`mini` ships with the package; `small` and `medium` are built here and kept under $BREAKFIX_HOME/lab. A build is written
beside its place and moved there whole, so that a build cut short leaves nothing that looks like a model.
"""

import math
import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from breakfix.errors import DataError, MissingExtra, ModelError
from breakfix.lab.pretrain import RECIPES, VOCABULARY, Progress, Recipe, made_with, train, train_tokenizer
from breakfix.models.weights import home_folder, lab_folder

if TYPE_CHECKING:
    from transformers import Phi3ForCausalLM, PreTrainedTokenizerFast


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
        Size(size, _parameters(recipe), recipe.layers, recipe.hidden, size == "mini", _found(size))
        for size, recipe in RECIPES.items()
    ]


def lab_weights(size: str) -> Path:
    """Find a model's folder. Raises ModelError, which says how to build it, where there is none."""
    return lab_folder(size)


def build(
    size: str, *, out: Path | None = None, recipe: Recipe | None = None, progress: Progress | None = None
) -> Path:
    """Train a model from nothing into `out`, or its place under $BREAKFIX_HOME; `progress` hears steps and loss."""
    recipe = recipe or RECIPES.get(size)
    if recipe is None:
        raise DataError(f"The lab has no model {size!r}; it has {', '.join(RECIPES)}.")
    if not all(find_spec(package) for package in ("torch", "transformers")):
        raise MissingExtra("torch", "train", f"Building lab/{size}")
    started, losses = time.monotonic(), [math.nan]

    def hear(step: int, steps: int, loss: float) -> None:
        losses[0] = loss
        if progress:
            progress(step, steps, loss)

    tokenizer = train_tokenizer(recipe)
    model = train(recipe, tokenizer, hear)
    record = {
        "model": f"lab/{size}", "recipe": recipe._asdict(), "loss": round(losses[0], 4), "licence": "Apache-2.0",
        "seconds": round(time.monotonic() - started), **made_with(),
    }  # fmt: skip
    return _save(out or home_folder() / "lab" / size, model, tokenizer, record)


def _save(target: Path, model: "Phi3ForCausalLM", tokenizer: "PreTrainedTokenizerFast", record: dict[str, Any]) -> Path:
    unfinished = target.with_name(f"{target.name}.unfinished-{os.getpid()}")
    unfinished.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(unfinished)  # pyright: ignore[reportUnknownMemberType]
    tokenizer.save_pretrained(unfinished)  # pyright: ignore[reportUnknownMemberType]
    (unfinished / "lab.json").write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    return target


def _found(size: str) -> Path | None:
    try:
        return lab_folder(size)
    except ModelError:
        return None


def _parameters(recipe: Recipe) -> int:
    layer = 4 * recipe.hidden**2 + 3 * recipe.hidden * recipe.intermediate + 2 * recipe.hidden
    return VOCABULARY * recipe.hidden + recipe.layers * layer + recipe.hidden
