# pyright: basic
"""What must hold before the first step: a pad token that ends nothing, and a policy equal to its reference.

The first is how models come to stop at once or never; the second is how DPO silently learns against the wrong model.
"""

from typing import Any

from breakfix.errors import TrainingError
from breakfix.models.generation import end_tokens

SPARE_NAMES = (
    "<|pad|>",
    "<pad>",
    "[PAD]",
    "<|finetune_right_pad_id|>",
    "<|placeholder1|>",
    "<|reserved_special_token_0|>",
)
CHECKED_PAIRS = 4
MARGIN_AT_MOST = 1e-3
"""Of log-probability, relative to its size: rounding, and nothing else."""


def settle_pad(tokenizer: Any, model: Any) -> bool:
    """See to it that the pad token ends no answer; tell whether another one had to be taken. Raises TrainingError."""
    ends = end_tokens(tokenizer, model)
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id not in ends:
        return False
    for name in (tokenizer.unk_token, *SPARE_NAMES):
        token = tokenizer.convert_tokens_to_ids(name) if name else None
        is_known = token is not None and tokenizer.convert_ids_to_tokens(token) == name
        if is_known and token not in ends and token < model.get_input_embeddings().num_embeddings:
            tokenizer.pad_token = name
            model.config.get_text_config().pad_token_id = model.generation_config.pad_token_id = token
            return True
    raise TrainingError(
        "The model's pad token is also an end token, and its tokenizer has no spare one (unk, <|pad|>, "
        "<|placeholder1|>): trained so, it would stop at once or never. Give the tokenizer a pad token of its own."
    )


def margin_at_start(trainer: Any) -> float:
    """Give the largest relative gap between policy and reference on the first pairs. Raises TrainingError above 1e-3.

    Computed from plain logits, apart from TRL's own loss.
    """
    import torch

    rows = [trainer.train_dataset[i] for i in range(min(CHECKED_PAIRS, len(trainer.train_dataset)))]
    batch = trainer.data_collator(rows)
    was_training = trainer.model.training
    trainer.model.eval()
    with torch.no_grad():
        policy = _log_probabilities(trainer.model, batch)
        if trainer.ref_model is not None:
            reference = _log_probabilities(trainer.ref_model, batch)
        else:
            with trainer.accelerator.unwrap_model(trainer.model).disable_adapter():
                reference = _log_probabilities(trainer.model, batch)
    trainer.model.train(was_training)
    gap = float(((policy - reference).abs() / reference.abs().clamp(min=1)).max())
    if not gap <= MARGIN_AT_MOST:
        raise TrainingError(
            f"DPO would start against another model than its own start (log-probabilities differ by {gap:.2g}, "
            "relative; they must be equal). Report this: the reference was not read from the policy's folder."
        )
    return gap


def _log_probabilities(model: Any, batch: dict[str, Any]) -> Any:
    device = next(model.parameters()).device
    tokens, mask = batch["input_ids"].to(device), batch["attention_mask"].to(device)
    logits = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    each = logits.log_softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
    return (each * batch["completion_mask"][:, 1:].to(device)).sum(1)
