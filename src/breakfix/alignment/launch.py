"""Post-training from the outside: plan the stages, run them in one process of their own, read what they left.

A rerun skips finished stages and continues the unfinished one from its last training checkpoint. Nothing here imports
torch; if every stage is done, nothing is started at all.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple, cast

import orjson

from breakfix.alignment.checkpoints import Job, StageName, StagePlan, is_done, read_done, stage_key, write_json
from breakfix.alignment.recipes import resolve_recipe
from breakfix.alignment.rows import check_rows
from breakfix.errors import DataError, Interrupted, MissingExtra, TrainingError
from breakfix.identity import digest, file_digest, version
from breakfix.models.weight_files import check_weights, read_json, weights_identity
from breakfix.settings import AlignSettings
from breakfix.types import Checkpoint, Example, Pair

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
LOADING = "loading"
"""What is told as stage until the training process has begun the first."""
DONE = "done"
"""What is told as stage where every stage is done already, and nothing is started."""
LOOK_EVERY_S = 0.1
GRACE_S = 20.0
"""How long a stopped training may take to save before it is killed."""
ONE_PROCESS = """compute_environment: LOCAL_MACHINE
distributed_type: 'NO'
machine_rank: 0
main_training_function: main
mixed_precision: 'no'
num_machines: 1
num_processes: 1
use_cpu: false
"""
"""Given to accelerate, so that a default configuration of the user's account changes nothing."""
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait made training 6 times slower on busy cores
    "PYTHONUNBUFFERED": "1",
}
KINDS: dict[StageName, type[Example] | type[Pair]] = {"sft": Example, "dpo": Pair}
ROWS: dict[StageName, str] = {"sft": "examples.jsonl", "dpo": "pairs.jsonl"}
Progress = Callable[[dict[str, Any]], None]


class Plan(NamedTuple):
    """What is to be done, and what is not, with the reason."""

    stages: tuple[StagePlan, ...]
    skipped: dict[str, str]
    base_id: str
    dataset_id: str
    rows: dict[str, str]
    """File -> hash."""


def run_alignment(
    base: Path,
    dataset: Path,
    settings: AlignSettings,
    out: Path,
    *,
    progress: Progress | None = None,
    stop: Event | None = None,
) -> Checkpoint:
    """Post-train `base` (a weights folder) on a dataset folder: SFT, then DPO, into `out`.

    `progress` is given dicts with stage, step, steps and, once there is one, loss; the first, of no steps, says that
    the training process was started and is loading, or that all was done before. A stage without rows, or switched
    off, is left out, and the manifest says so. Raises TrainingError with one line (the log is out/train.log),
    MissingExtra, ModelError, DataError. Setting `stop` from another thread (or an interrupt in this one) lets the
    training save, ends it, and raises Interrupted; the same call continues.
    """
    require_libraries()
    settings = resolve_recipe(settings)
    check_weights(str(base), base)
    plan = plan_stages(base, dataset, settings, out)
    waiting = [stage for stage in plan.stages if not is_done(stage)]
    if waiting:
        for stage in waiting:
            check_rows(stage.rows, KINDS[stage.name])
        job = Job(
            settings=settings, stages=plan.stages, progress=out / "progress.jsonl", error=out / "train-error.json"
        )
        _train(job, out, progress or (lambda row: None), stop or Event())
    elif progress:
        progress({"stage": DONE, "step": 0, "steps": 0})
    return _conclude(plan, settings, out)


def plan_stages(base: Path, dataset: Path, settings: AlignSettings, out: Path) -> Plan:
    """Decide which stages run and what each is made from. Raises TrainingError if none would."""
    base_id = weights_identity(base)
    rows = {name: _rows_digest(dataset / name) for name in ROWS.values()}
    stages: list[StagePlan] = []
    skipped: dict[str, str] = {}
    parent, parent_key = base, base_id
    for name, file in ROWS.items():
        if not getattr(settings, name).enabled:
            skipped[name] = f"switched off (align.{name}.enabled)"
        elif not rows[file]:
            skipped[name] = f"the dataset has no {file.removesuffix('.jsonl')}"
        else:
            key = stage_key(name, parent_key, rows[file], settings)
            folder = (out / name).absolute()
            stages.append(
                StagePlan(name=name, key=key, rows=(dataset / file).absolute(), parent=parent.absolute(), folder=folder)
            )
            parent, parent_key = stages[-1].weights, key
    if not stages:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        raise TrainingError(f"Nothing to train on in {str(dataset)!r} ({reasons}). Curate first.")
    dataset_id = str(read_json(dataset / "card.json").get("id") or digest(rows))
    return Plan(tuple(stages), skipped, base_id, dataset_id, rows)


def _rows_digest(file: Path) -> str:
    """Hash a file of rows; empty if it is absent or holds none."""
    try:
        with file.open("rb") as lines:
            has_rows = any(line.strip() for line in lines)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise DataError(f"Cannot read {str(file)!r} ({type(error).__name__}). Freeze the dataset again.") from None
    return file_digest(file) if has_rows else ""


def _train(job: Job, out: Path, progress: Progress, stop: Event) -> None:
    out.mkdir(parents=True, exist_ok=True)
    job_file = out / "job.json"
    write_json(job_file, job.model_dump(mode="json"))
    job.error.unlink(missing_ok=True)
    job.progress.unlink(missing_ok=True)
    with (out / "train.log").open("ab") as log:
        child = subprocess.Popen(
            _command(job, job_file, out),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **QUIET},
            start_new_session=True,
        )
        try:
            progress({"stage": LOADING, "step": 0, "steps": 0})
            _follow(child, job.progress, progress, stop)
        except BaseException:
            _stop(child, is_training=job.progress.exists())
            raise
        finally:
            if child.stdin:
                child.stdin.close()
    if child.returncode:
        raise TrainingError(_what_failed(job, out, child.returncode))


def _command(job: Job, job_file: Path, out: Path) -> list[str]:
    config = job.settings.accelerate_config
    if config is None:
        (out / "accelerate.yaml").write_text(ONE_PROCESS, encoding="utf-8")
    elif not Path(config).expanduser().is_file():
        raise TrainingError(f"There is no accelerate configuration {config!r} (align.accelerate_config).")
    file = Path(config).expanduser() if config else out / "accelerate.yaml"
    threading = [] if config else ["--num_cpu_threads_per_process", str(threads())]
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(file), *threading]
    return [*launch, "-m", "breakfix.alignment.worker", str(job_file)]


def _follow(child: "subprocess.Popen[bytes]", file: Path, progress: Progress, stop: Event) -> None:
    """Hand on each progress line as it is written, until the process ends. Raises Interrupted when told to stop."""
    position = 0
    while True:
        is_over = child.poll() is not None
        position = _tell_new(file, position, progress)
        if is_over:
            return
        if stop.wait(LOOK_EVERY_S):
            raise Interrupted("training was stopped; the same command continues")


def _tell_new(file: Path, position: int, progress: Progress) -> int:
    if not file.exists():
        return position
    with file.open("rb") as stream:
        stream.seek(position)
        for line in stream:
            if not line.endswith(b"\n"):
                break
            position += len(line)
            progress(orjson.loads(line))
    return position


def _stop(child: "subprocess.Popen[bytes]", *, is_training: bool) -> None:
    """Ask a training that has begun to save and end; then kill what is left of the group."""
    if is_training and child.stdin and child.poll() is None:
        with suppress(BrokenPipeError, subprocess.TimeoutExpired):
            child.stdin.write(b"stop\n")
            child.stdin.flush()
            child.wait(GRACE_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _what_failed(job: Job, out: Path, code: int) -> str:
    said = read_json(job.error).get("error")
    if said:
        return f"{said} (log: {out / 'train.log'})"
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL) or "SIGKILL" in _last_line(out / "train.log"):
        return f"Training was killed, perhaps for want of memory; the same command continues. Log: {out / 'train.log'}"
    return f"Training ended with code {code}: {_last_line(out / 'train.log')} (log: {out / 'train.log'})"


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"


def _conclude(plan: Plan, settings: AlignSettings, out: Path) -> Checkpoint:
    """Write the manifest and give the checkpoint of the last stage."""
    done = {stage.name: read_done(stage) for stage in plan.stages}
    last = plan.stages[-1]
    checkpoint = Checkpoint(
        id=str(done[last.name]["weights"]),
        path=str(last.weights),
        parent_id=plan.base_id,
        dataset_id=plan.dataset_id,
        settings_id=digest(settings),
        stages=tuple(done),
        curves={name: tuple(cast("list[dict[str, float]]", facts["curve"])) for name, facts in done.items()},
        stage_paths={stage.name: str(stage.weights) for stage in plan.stages},
        seconds=sum(float(facts["seconds"]) for facts in done.values()),
    )
    write_json(out / "manifest.json", _manifest(plan, settings, checkpoint, done))
    return checkpoint


def _manifest(
    plan: Plan, settings: AlignSettings, checkpoint: Checkpoint, done: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    stages = {name: {k: v for k, v in facts.items() if k != "curve"} for name, facts in done.items()}
    return {
        "schema": "breakfix.checkpoint/1",
        "id": checkpoint.id,
        "base_weights": plan.base_id,
        "dataset": plan.dataset_id,
        "rows": plan.rows,
        "settings_id": checkpoint.settings_id,
        "settings": settings.model_dump(mode="json"),
        "stages": stages,
        "skipped": plan.skipped,
        "seconds": checkpoint.seconds,
        "breakfix": version(),
        "code": _code_digest(),
        "python": sys.version.split()[0],
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


def _code_digest() -> str:
    return digest([(file.name, file_digest(file)) for file in sorted(Path(__file__).parent.glob("*.py"))])


def require_libraries() -> None:
    """Raise MissingExtra unless everything that training needs is installed; imports none of it."""
    for name in LIBRARIES:
        if find_spec(name) is None:
            raise MissingExtra(name, "train", "Training")


def threads() -> int:
    """Count the threads to train with: as many as OMP_NUM_THREADS allows (of a list: the first), else all cores."""
    if (allowed := os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]).isdecimal() and int(allowed):
        return int(allowed)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
