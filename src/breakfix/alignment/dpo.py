# pyright: basic
"""Direct preference optimisation: our settings to TRL's DPOTrainer, called and never subclassed.

The reference is read from the very folder that the policy starts from (or, with LoRA, is the policy without its new
adapter); that the two are equal is checked before the first step.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from breakfix.alignment.checkpoints import StagePlan
from breakfix.alignment.preflight import margin_at_start, settle_pad
from breakfix.alignment.rows import order_rows, prepare_pairs, read_rows
from breakfix.alignment.sft import as_dataset
from breakfix.alignment.training import load_model, lora_config, recorder, run_stage, shared_arguments
from breakfix.errors import TrainingError
from breakfix.settings import AlignSettings
from breakfix.types import Pair


def train_dpo(plan: StagePlan, settings: AlignSettings, progress: Path, is_stopped: Callable[[], bool]) -> None:
    """Optimise preferences on the pairs. Raises TrainingError, or Interrupted after saving."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(plan.parent)
    model = load_model(plan.parent, settings)
    is_new_pad = settle_pad(tokenizer, model)
    prepared = prepare_pairs(tokenizer, list(read_rows(plan.rows, Pair)), settings.max_length)
    own = settings.dpo
    rows = order_rows(
        prepared.rows, batch=own.batch_size * own.gradient_accumulation, epochs=own.epochs, seed=settings.seed
    )
    from trl import DPOTrainer  # pyright: ignore[reportPrivateImportUsage]

    trainer = DPOTrainer(
        model=model,
        ref_model=load_model(plan.parent, settings) if settings.method == "full" else None,
        args=dpo_config(plan, settings, len(rows)),
        train_dataset=as_dataset(rows),
        processing_class=tokenizer,
        peft_config=lora_config(settings),
        callbacks=[recorder(plan, progress, is_stopped)],
    )
    _check_rows(len(trainer.train_dataset), len(rows))
    facts = {
        "rows": prepared.counts,
        "tokenizer": tokenizer if is_new_pad else None,
        "margin_at_start": margin_at_start(trainer),
    }
    run_stage(trainer, plan, settings, facts=facts, is_stopped=is_stopped)


def dpo_config(plan: StagePlan, settings: AlignSettings, rows: int) -> Any:
    """Map settings to DPOConfig."""
    from trl import DPOConfig  # pyright: ignore[reportPrivateImportUsage]

    own = settings.dpo
    if len(own.loss) != len(own.loss_weights):
        raise TrainingError(
            f"align.dpo.loss names {len(own.loss)} losses and align.dpo.loss_weights {len(own.loss_weights)}. "
            "Give one weight a loss."
        )
    return DPOConfig(
        **shared_arguments(plan, settings, own, rows),
        beta=own.beta,
        loss_type=list(own.loss),
        loss_weights=list(own.loss_weights),
    )


def _check_rows(kept: int, given: int) -> None:
    if kept != given:
        raise TrainingError(f"TRL dropped {given - kept} pairs of its own accord. Report this with your TRL version.")
