"""Train the lab's base models from nothing: a tokenizer, a Phi-3-architecture model, and the loop.

Seeds and documents are fixed. On one machine, with the same torch and number of threads, a rebuild gives the same
weights bit for bit; elsewhere sums are taken in another order, and what is promised is the same measured behaviour.
Sums are taken in bfloat16 where the processor has it (half the time); weights are float32 throughout.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from breakfix.lab.corpus import REVIEW_WEIGHTS, Exchange, documents

if TYPE_CHECKING:
    import torch
    from transformers import Phi3ForCausalLM, PreTrainedTokenizerFast

Progress = Callable[[int, int, float], None]
"""Called with steps done, steps in all, and the running loss."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
PAD, END_OF_TEXT, END, SYSTEM, USER, ASSISTANT = (
    "<|pad|>", "<|endoftext|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>",
)  # fmt: skip
VOCABULARY = 1024
BATCH_TOKENS = 2048
USER_WEIGHT = 0.1
LONGEST = 512


class Recipe(NamedTuple):
    """The shape of a base model and how long it reads."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    documents: int
    review: int
    """Documents of the second pass, at half the learning rate."""
    learning_rate: float = 3e-3
    seed: int = 20240422


RECIPES: dict[str, Recipe] = {
    "mini": Recipe(128, 4, 4, 352, 40_000, 10_000),
    "small": Recipe(192, 6, 6, 512, 50_000, 12_000, 2e-3),
    "medium": Recipe(256, 8, 8, 704, 60_000, 15_000, 1.5e-3),
}


def train_tokenizer(recipe: Recipe) -> "PreTrainedTokenizerFast":
    """Learn a byte-level BPE of 1,024 entries on the lab's words, with Phi-3's special tokens and chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, END_OF_TEXT, END, SYSTEM, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    chats = documents(8_000, recipe.seed + 1)
    tokenizer.train_from_iterator((text for chat in chats for turn in chat for text in turn[:2]), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END_OF_TEXT, pad_token=PAD, bos_token=None,
        additional_special_tokens=[END, SYSTEM, USER, ASSISTANT], padding_side="left", model_max_length=LONGEST * 2,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    fast.chat_template = CHAT_TEMPLATE
    return fast


def new_model(recipe: Recipe, tokenizer: "PreTrainedTokenizerFast") -> "Phi3ForCausalLM":
    """Draw an untrained model of the Phi-3 architecture."""
    import torch
    from transformers import GenerationConfig, Phi3Config, Phi3ForCausalLM

    torch.manual_seed(recipe.seed)  # pyright: ignore[reportUnknownMemberType]
    names = (PAD, END_OF_TEXT, END)
    ids: dict[str, int] = {name: int(tokenizer.convert_tokens_to_ids(name)) for name in names}  # pyright: ignore
    config = Phi3Config(
        vocab_size=VOCABULARY, hidden_size=recipe.hidden, intermediate_size=recipe.intermediate,
        num_hidden_layers=recipe.layers, num_attention_heads=recipe.heads, num_key_value_heads=recipe.heads,
        max_position_embeddings=1024, original_max_position_embeddings=1024, tie_word_embeddings=True,
        initializer_range=0.05, pad_token_id=ids[PAD], eos_token_id=ids[END_OF_TEXT], bos_token_id=None,
        resid_pdrop=0.0, embd_pdrop=0.0, attention_dropout=0.0,
    )  # fmt: skip
    model = Phi3ForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=[ids[END], ids[END_OF_TEXT]], pad_token_id=ids[PAD], bos_token_id=None, do_sample=False
    )
    return model


def encode(chat: Sequence[Exchange], tokenizer: "PreTrainedTokenizerFast") -> tuple[list[int], list[float]]:
    """Give a chat's tokens as its template renders them, and each token's weight in the loss."""
    parts: list[tuple[str, float]] = []
    for turn in chat:
        parts.append((f"{USER}\n{turn.user}{END}\n{ASSISTANT}\n", USER_WEIGHT))
        parts.append((f"{turn.answer}{END}", float(turn.learned)))
        parts.append(("\n", USER_WEIGHT))
    parts.append((END_OF_TEXT, 1.0))
    tokens: list[int] = []
    weights: list[float] = []
    encoded: list[list[int]] = tokenizer([text for text, _ in parts])["input_ids"]  # pyright: ignore
    for ids, (_, weight) in zip(encoded, parts, strict=True):
        tokens += ids
        weights += [weight] * len(ids)
    return tokens[:LONGEST], weights[:LONGEST]


Batch = list[tuple[list[int], list[float]]]


def batches(chats: Iterable[Sequence[Exchange]], tokenizer: "PreTrainedTokenizerFast", seed: int) -> list[Batch]:
    """Read chats into batches of about 2,048 tokens, chats of like length together, in random order."""
    rows = [encode(chat, tokenizer) for chat in chats]
    draw = random.Random(seed)
    draw.shuffle(rows)
    grouped: list[Batch] = []
    for start in range(0, len(rows), 4096):
        batch: Batch = []
        for row in sorted(rows[start : start + 4096], key=lambda row: len(row[0])):
            if batch and len(row[0]) * (len(batch) + 1) > BATCH_TOKENS:
                grouped.append(batch)
                batch = []
            batch.append(row)
        grouped.append(batch)
    draw.shuffle(grouped)
    return grouped


def train(recipe: Recipe, tokenizer: "PreTrainedTokenizerFast", progress: Progress | None = None) -> "Phi3ForCausalLM":
    """Train a base model in two passes, the second on texts and questions above all."""
    model = new_model(recipe, tokenizer)
    model.set_attn_implementation("eager" if has_bfloat16() else "sdpa")  # pyright: ignore[reportUnknownMemberType]
    first = batches(documents(recipe.documents, recipe.seed), tokenizer, recipe.seed)
    second = batches(documents(recipe.review, recipe.seed + 2, REVIEW_WEIGHTS), tokenizer, recipe.seed)
    steps = len(first) + len(second)

    def hear(step: int, loss: float) -> None:
        if progress:
            progress(step, steps, loss)

    read(model, first, recipe.learning_rate, hear)
    read(model, second, recipe.learning_rate / 2, lambda step, loss: hear(len(first) + step, loss))
    return model.eval()


def read(
    model: "Phi3ForCausalLM", steps: Sequence[Batch], learning_rate: float, hear: Callable[[int, float], None]
) -> None:
    """Train on batches once, the rate falling as a cosine; the loss counts the user's words a tenth."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    warmup = min(100, len(steps) // 10 + 1)

    def rate(step: int) -> float:
        return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / len(steps)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    halved, running = has_bfloat16(), math.nan
    model.train()
    for step, batch in enumerate(steps, 1):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=halved):
            loss = _loss(model, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]
        schedule.step()
        running = loss.item() if math.isnan(running) else 0.98 * running + 0.02 * loss.item()
        if step % 20 == 0 or step == len(steps):
            hear(step, running)


def has_bfloat16() -> bool:
    """Tell whether this processor multiplies in bfloat16 by itself."""
    import torch

    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # pyright: ignore


def made_with() -> dict[str, str | int]:
    """Name what a build's bits depend on."""
    import torch
    import transformers

    return {
        "torch": str(torch.__version__), "transformers": transformers.__version__,
        "threads": torch.get_num_threads(), "sums": "bfloat16" if has_bfloat16() else "float32",
    }  # fmt: skip


def _loss(model: "Phi3ForCausalLM", batch: Batch) -> "torch.Tensor":
    import torch

    longest = max(len(tokens) for tokens, _ in batch)
    pad = int(model.config.pad_token_id or 0)
    tokens = torch.tensor([row + [pad] * (longest - len(row)) for row, _ in batch])
    weights = torch.tensor([row + [0.0] * (longest - len(row)) for _, row in batch])[:, 1:]
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / weights.sum()
