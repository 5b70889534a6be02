# pyright: basic
"""Supervised fine-tuning: our settings to TRL's SFTTrainer, called and never subclassed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from breakfix.alignment.checkpoints import StagePlan
from breakfix.alignment.preflight import settle_pad
from breakfix.alignment.rows import order_rows, prepare_examples, read_rows
from breakfix.alignment.training import load_model, lora_config, recorder, run_stage, shared_arguments
from breakfix.settings import AlignSettings
from breakfix.types import Example


def train_sft(plan: StagePlan, settings: AlignSettings, progress: Path, is_stopped: Callable[[], bool]) -> None:
    """Fine-tune on the assistant's words of the examples. Raises TrainingError, or Interrupted after saving."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(plan.parent)
    model = load_model(plan.parent, settings)
    is_new_pad = settle_pad(tokenizer, model)
    prepared = prepare_examples(tokenizer, list(read_rows(plan.rows, Example)), settings.max_length)
    own = settings.sft
    rows = order_rows(
        prepared.rows, batch=own.batch_size * own.gradient_accumulation, epochs=own.epochs, seed=settings.seed
    )
    from trl import SFTTrainer  # pyright: ignore[reportPrivateImportUsage]

    trainer = SFTTrainer(
        model=model,
        args=sft_config(plan, settings, len(rows)),
        train_dataset=as_dataset(rows),
        processing_class=tokenizer,
        peft_config=lora_config(settings),
        callbacks=[recorder(plan, progress, is_stopped)],
    )
    facts = {"rows": prepared.counts, "tokenizer": tokenizer if is_new_pad else None}
    run_stage(trainer, plan, settings, facts=facts, is_stopped=is_stopped)


def sft_config(plan: StagePlan, settings: AlignSettings, rows: int) -> Any:
    """Map settings to SFTConfig; rows come with labels, so TRL prepares nothing."""
    from trl import SFTConfig  # pyright: ignore[reportPrivateImportUsage]

    return SFTConfig(
        **shared_arguments(plan, settings, settings.sft, rows), dataset_kwargs={"skip_prepare_dataset": True}
    )


def as_dataset(rows: list[dict[str, Any]]) -> Any:
    """Give rows the form that trainers take."""
    from datasets import Dataset

    return Dataset.from_list(rows)
