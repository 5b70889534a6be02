"""Align: a frozen dataset and the weights of a target become a checkpoint.

Only weights that lie here can be trained: a lab model or a transformers folder. A checkpoint is kept by the hash of
what it was made from, so that the same training is never done twice.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from breakfix.alignment.rows import causes_of
from breakfix.errors import DataError, ModelError
from breakfix.identity import digest
from breakfix.models.weight_files import find_weights, read_json
from breakfix.models.weights import lab_folder
from breakfix.project import Run, place_now
from breakfix.types import Checkpoint, Dataset
from breakfix.wording import counted

PLACE = 3
"""Last parts of a path that tell weights apart, wherever a run's folder lies: round-1-0123abcd/dpo/weights."""


async def align(run: Run, dataset: Dataset, *, base: str | None = None, number: int = 1) -> Checkpoint:
    """Train the weights of a model by name (None: the run's target) on a dataset: SFT, then DPO."""
    from breakfix.alignment.launch import run_alignment

    name = base or run.settings.target or ""
    folder, rows = weights_of(name), place_now(dataset.path, run.folder)
    if not rows.is_dir():
        raise DataError(
            f"The dataset is gone from {str(rows)!r}. Name it with --dataset, or its run's place with --out."
        )
    settings = run.settings.align
    key = digest(dataset.id, settings, name if base is None else folder.parts[-PLACE:])[:8]
    out = run.folder / "checkpoints" / f"round-{number}-{key}"
    await run.forget(name)
    stop = Event()
    told = shown(run, number)
    checkpoint = await in_thread(partial(run_alignment, folder, rows, settings, out, progress=told, stop=stop), stop)
    run.progress.done()
    run.store.add_checkpoint(run.name, checkpoint)
    for line in left_out(read_json(out / "manifest.json")):
        run.progress.note(line)
    return checkpoint


def left_out(manifest: Mapping[str, Any]) -> list[str]:
    """Say, a line each, which stages did not run and what part of the rows a stage could not learn from.

    A pair or an example that is too long for `align.max_length` is easily half the data, and nothing fails for it.
    """
    lines = [f"{name.upper()} was left out: {why}." for name, why in manifest.get("skipped", {}).items()]
    most = manifest.get("settings", {}).get("max_length")
    for name, facts in manifest.get("stages", {}).items():
        counts: dict[str, int] = facts["rows"]
        given, used, cut = (counts[key] for key in ("given", "used", "cut"))
        parts = [f"learned from {used:,} of {counted(given, 'row')} ({causes_of(counts)})"] if used < given else []
        parts += [f"{cut:,} lost their end"] if cut else []
        if parts:
            longest = f"; align.max_length is {most} tokens" if cut or counts.get("too_long") else ""
            lines.append(f"{name.upper()}: {'; '.join(parts)}{longest}.")
    return lines


async def in_thread(work: Callable[[], Checkpoint], stop: Event) -> Checkpoint:
    """Do blocking work beside the event loop; when this task is cancelled, tell the work to stop and wait until it has.

    Ctrl-C cancels the task only: without the wait, a training would go on while the command seemed to hang.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.gather(working, return_exceptions=True)
        raise


def shown(run: Run, number: int) -> Callable[[Mapping[str, Any]], None]:
    """Show training steps as progress, a stage for SFT and one for DPO, and one while the libraries are loaded."""
    from breakfix.alignment.launch import DONE

    at: dict[str, int] = {}

    def tell(row: Mapping[str, Any]) -> None:
        name, step = str(row["stage"]), int(row.get("step", 0))
        if name == DONE:
            run.progress.note("This very training was done before, and is not done again.")
            return
        if name not in at:
            at[name] = 0
            run.progress.stage(f"{name} round {number}", int(row["steps"]) or None)
        facts = {key: float(row[key]) for key in ("loss", "margin") if row.get(key) is not None}
        run.progress.advance(max(0, step - at[name]), **facts)
        at[name] = max(step, at[name])

    return tell


def weights_of(name: str) -> Path:
    """Give the folder of a model's weights. Raises ModelError for a model that only answers."""
    kind, _, rest = name.partition("/")
    if kind == "lab":
        return lab_folder(rest)
    if kind == "hf":
        return find_weights(name, rest)
    raise ModelError(
        f"{name!r} has no weights here, so it cannot be trained. Measure, red team and curate it; train hf/<folder>."
    )
