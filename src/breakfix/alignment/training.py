# pyright: basic
"""What SFT and DPO share: arguments, the run with its recorder, and saving weights that can be read back plain.

Weights pass from stage to stage through disk only. They are saved as safetensors; the optimiser, scheduler and random
state inside training checkpoints are torch files, which transformers reads with `weights_only=True` and which are
deleted when the stage is done.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from breakfix.alignment.checkpoints import WEIGHTS_FILES, StagePlan, last_checkpoint, write_done
from breakfix.errors import Interrupted, TrainingError
from breakfix.models.weight_files import config_dtype, read_json, weights_identity
from breakfix.settings import AlignSettings, DpoSettings, SftSettings

CURVE_ROWS = 200
"""Logged steps of a long run, about; a short one logs every step."""
LOGGED = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "mean_token_accuracy": "token_accuracy",
    "rewards/margins": "margin",
    "rewards/accuracies": "accuracy",
    "logps/chosen": "chosen_logps",
    "logps/rejected": "rejected_logps",
}
"""Trainer's names -> ours."""


def shared_arguments(plan: StagePlan, settings: AlignSettings, own: SftSettings | DpoSettings, rows: int) -> dict:
    """Map what SFT and DPO have in common to TRL's arguments; their defaults are meant for large GPUs."""
    import torch

    processes = int(os.environ.get("WORLD_SIZE", "1"))
    steps = math.ceil(rows / (own.batch_size * own.gradient_accumulation * processes))
    has_gpu = torch.cuda.is_available()
    return {
        "output_dir": str(plan.trainer),
        "per_device_train_batch_size": own.batch_size,
        "gradient_accumulation_steps": own.gradient_accumulation,
        "learning_rate": own.learning_rate,
        "warmup_steps": round(own.warmup_ratio * steps),
        "num_train_epochs": 1,  # the rows come laid out for all epochs (rows.order_rows)
        "train_sampling_strategy": "sequential",
        "max_length": settings.max_length,
        "remove_unused_columns": False,
        "use_cpu": not has_gpu,
        "bf16": settings.dtype == "bfloat16",
        "gradient_checkpointing": settings.gradient_checkpointing,
        "seed": settings.seed,
        "logging_steps": max(1, steps // CURVE_ROWS),
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": own.save_steps,
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": has_gpu,
    }


def load_model(folder: Path, settings: AlignSettings) -> Any:
    """Read weights fresh from disk: float32 for full training, the adapter's frozen ground in the settings' dtype."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = getattr(torch, settings.dtype) if settings.method == "lora" else torch.float32
    return AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, dtype=dtype)


def lora_config(settings: AlignSettings) -> Any:
    """Give PEFT's configuration of a new adapter, or None for full training."""
    if settings.method != "lora":
        return None
    from peft import LoraConfig

    targets = list(settings.lora.targets)
    return LoraConfig(
        r=settings.lora.r,
        lora_alpha=settings.lora.alpha,
        lora_dropout=settings.lora.dropout,
        target_modules=targets[0] if targets == ["all-linear"] else targets,
        task_type="CAUSAL_LM",
    )


def recorder(plan: StagePlan, progress: Path, is_stopped: Callable[[], bool]) -> Any:
    """Make the callback that writes each logged step to the progress file, and saves and stops when asked to."""
    from transformers import TrainerCallback

    class Recorder(TrainerCallback):
        """Tells how far training has come; a loss that is no number ends it."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            tell(progress, stage=plan.name, step=state.global_step, steps=state.max_steps, pid=os.getpid())

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
            loss = (logs or {}).get("loss")
            if loss is None or not state.is_world_process_zero:
                return
            if not math.isfinite(float(loss)):
                raise TrainingError(
                    f"{plan.name.upper()} diverged at step {state.global_step}: the loss is {loss}. "
                    f"Lower align.{plan.name}.learning_rate."
                )
            row = curve_row({**(logs or {}), "step": state.global_step})
            tell(progress, stage=plan.name, steps=state.max_steps, **row)

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
            if any_stopped(is_stopped):
                control.should_save = control.should_training_stop = True
            return control

    return Recorder()


def any_stopped(is_stopped: Callable[[], bool]) -> bool:
    """Tell whether any process of a training was told to stop, for one of several alone hears it.

    All must ask at the same point: they wait for each other here.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return is_stopped()
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        return is_stopped()
    told = torch.tensor(int(is_stopped()), device="cuda" if "nccl" in distributed.get_backend() else "cpu")
    distributed.all_reduce(told, op=distributed.ReduceOp.MAX)
    return bool(told.item())


def run_stage(
    trainer: Any, plan: StagePlan, settings: AlignSettings, *, facts: dict, is_stopped: Callable[[], bool]
) -> None:
    """Train from the last training checkpoint or from the start, save, and mark the stage done."""
    begin, resumed = time.monotonic(), last_checkpoint(plan)
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    if any_stopped(is_stopped) and trainer.state.global_step < trainer.state.max_steps:
        raise Interrupted(f"stopped at step {trainer.state.global_step}")
    raw = plan.trainer / "final"
    trainer.save_model(str(raw))
    if trainer.is_world_process_zero():
        finish_weights(raw, plan, settings, facts.pop("tokenizer", None))
        curve = [curve_row(row) for row in trainer.state.log_history if "loss" in row]
        write_done(
            plan,
            {
                **facts,
                "weights": weights_identity(plan.weights),
                "steps": trainer.state.global_step,
                "resumed_from": int(resumed.name.split("-")[1]) if resumed else 0,
                "seconds": round(time.monotonic() - begin, 2),
                "curve": curve,
            },
        )
    trainer.accelerator.wait_for_everyone()


def finish_weights(raw: Path, plan: StagePlan, settings: AlignSettings, tokenizer: Any = None) -> None:
    """Make a plain folder of what the trainer saved: adapter merged, in the parent's dtype, with the parent's files.

    Training changes numbers only, so config, template and generation config are the parent's, word for word;
    `tokenizer` is given where its pad token had to be replaced.
    """
    part = plan.folder / "weights.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    dtype = config_dtype(plan.parent)
    if settings.method == "lora" or dtype not in (None, "float32"):
        _merge(raw, plan.parent, part, dtype=dtype or "float32", is_adapter=settings.method == "lora")
    else:
        for file in raw.glob(WEIGHTS_FILES):
            shutil.move(file, part / file.name)
    for file in plan.parent.iterdir():
        if file.is_file() and file.suffix in (".json", ".jinja", ".model", ".txt") and not _is_weights_file(file):
            shutil.copy2(file, part / file.name)
    if tokenizer is not None:
        tokenizer.save_pretrained(part)
        for name in ("config.json", "generation_config.json"):
            if (part / name).exists():
                tree = {**read_json(part / name), "pad_token_id": tokenizer.pad_token_id}
                (part / name).write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(plan.weights, ignore_errors=True)
    part.rename(plan.weights)


def curve_row(logs: dict[str, Any]) -> dict[str, float]:
    """Keep the numbers that are plotted, under our names; what is not finite is not a number to plot."""
    row = {ours: float(logs[theirs]) for theirs, ours in LOGGED.items() if theirs in logs}
    return {"step": logs["step"], **{name: value for name, value in row.items() if math.isfinite(value)}}


def tell(progress: Path, **row: Any) -> None:
    """Add one line to the progress file."""
    with progress.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")


def _merge(raw: Path, parent: Path, out: Path, *, dtype: str, is_adapter: bool) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(
        parent if is_adapter else raw, use_safetensors=True, dtype=torch.float32
    )
    if is_adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, raw).merge_and_unload()
    model.to(getattr(torch, dtype)).save_pretrained(out)


def _is_weights_file(file: Path) -> bool:
    return file.match(WEIGHTS_FILES) or file.name == "manifest.json"
