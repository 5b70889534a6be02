# pyright: basic
"""Loaded weights that answer a batch of prompts: left-padded, each row with its own decoding, each stopping by itself.

Rows that have ended leave the batch, so a long answer does not make short ones wait. Sampling adds Gumbel noise drawn
from the row's own seed to its logits: what a row draws depends on its seed, not on who shares its batch. This module
knows nothing of asyncio or of who asks.
"""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from breakfix.errors import ModelError
from breakfix.models.devices import device_of, dtype_of, load_torch
from breakfix.models.words import Hearer, render_formed
from breakfix.settings import ModelSettings
from breakfix.types import PromptForm

LEAVE_AT = 0.25
"""Ended rows leave the batch when they make up this share of it: moving the cache costs about one step."""


class Prompt(NamedTuple):
    """One encoded prompt and how it is to be answered."""

    tokens: list[int]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    words: tuple[str, ...] = ()
    """Words of which the answer tells how probable each was."""


class Answer(NamedTuple):
    """What was generated for one prompt, its end token left out."""

    text: str
    tokens: int
    is_ended: bool
    """False: it ran into `max_tokens` or the end of the context."""
    shares: tuple[float, ...] = ()
    """The probability of each wanted word against the others; empty where none of them was said."""


class Weights:
    """A causal language model and its tokenizer in memory. Not safe for several threads at once."""

    def __init__(self, name: str, folder: Path, settings: ModelSettings) -> None:
        torch = load_torch()
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self.torch = torch
        self.name = name
        self.device = device_of(settings.device)
        trust = settings.trust_remote_code
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust)
            self.model: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                use_safetensors=True,
                trust_remote_code=trust,
                dtype=_dtype(torch, name, dtype_of(folder, settings)),
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ModelError(f"Model {name!r} cannot be loaded from {str(folder)!r}: {_first_line(error)}") from None
        except SafetensorError as error:
            raise ModelError(
                f"Model {name!r}: a .safetensors file in {str(folder)!r} is cut short or damaged"
                f" ({_first_line(error)}). Fetch or save it again."
            ) from None
        _check_forward(name, self.model)
        self.model.to(self.device).eval()
        self.context = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        self.end_tokens = end_tokens(self.tokenizer, self.model)
        self.pad_token = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else 0

    def encode(self, messages: Sequence[dict[str, str]], form: PromptForm | None = None) -> list[int]:
        """Put the messages into the model's own chat template, ready for an answer. Raises jinja2.TemplateError.

        With a form: as it says. Raises ModelError where the template is missing or leaves out what was said.
        """
        if form is None:
            if not getattr(self.tokenizer, "chat_template", None):
                raise ModelError(
                    f"Model {self.name!r} carries no chat template, so it cannot be talked to as in a chat."
                )
            return self.tokenizer(render(self.tokenizer, messages), add_special_tokens=False)["input_ids"]
        if form.is_text:
            text = "".join(message["content"] for message in messages)
            begins = self.tokenizer.bos_token is not None and text.startswith(self.tokenizer.bos_token)
            return self.tokenizer(text, add_special_tokens=not begins)["input_ids"]
        text = render_formed(self.name, self.tokenizer, messages, form.variables)
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def answer(self, prompts: Sequence[Prompt], is_stopped: Callable[[], bool] = lambda: False) -> list[Answer]:
        """Answer all prompts in one batch; one that does not fit into memory is halved."""
        is_heard = any(prompt.words for prompt in prompts)
        hearers = [Hearer(self.tokenizer, prompt.words) for prompt in prompts] if is_heard else []
        try:
            with self.torch.inference_mode():
                rows = self._decode(prompts, is_stopped, hearers)
        except self.torch.OutOfMemoryError:
            if len(prompts) == 1:
                raise ModelError(f"Model {self.name!r}: one prompt does not fit into the device's memory.") from None
            self.torch.cuda.empty_cache()
            middle = len(prompts) // 2
            return self.answer(prompts[:middle], is_stopped) + self.answer(prompts[middle:], is_stopped)
        answers = [self._answer_of(row) for row in rows]
        return (
            [each._replace(shares=one.shares) for each, one in zip(answers, hearers, strict=True)]
            if hearers
            else answers
        )

    def _answer_of(self, row: list[int]) -> Answer:
        is_ended = bool(row) and row[-1] in self.end_tokens
        text = self.tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Answer(text.strip(), len(row), is_ended)

    def _decode(
        self, prompts: Sequence[Prompt], is_stopped: Callable[[], bool], hearers: Sequence[Hearer] = ()
    ) -> list[list[int]]:
        from breakfix.models.key_cache import cache_with_room

        torch, rows = self.torch, [[] for _ in prompts]
        limits = [self._room(prompt) for prompt in prompts]
        draws = [_Draw(torch, prompt, self.device) if prompt.temperature > 0 else None for prompt in prompts]
        tokens, mask = self._padded(prompts)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        cache = cache_with_room(self.model.config)
        alive = list(range(len(prompts)))
        while True:
            logits = self.model(
                input_ids=tokens, attention_mask=mask, position_ids=positions,
                past_key_values=cache, use_cache=True, logits_to_keep=1,
            ).logits[:, -1]  # fmt: skip
            chosen = _choose(logits, [draws[row] for row in alive])
            for place, (row, token) in enumerate(zip(alive, chosen.tolist(), strict=True)):
                if not _is_over(rows[row], limits[row], self.end_tokens):
                    rows[row].append(token)
                    if hearers:
                        hearers[row].hear(token, logits[place])
            open_rows = [i for i, row in enumerate(alive) if not _is_over(rows[row], limits[row], self.end_tokens)]
            if not open_rows or is_stopped():
                return rows
            mask = torch.cat([mask, mask.new_ones(len(alive), 1)], dim=1)
            tokens, positions = chosen[:, None], positions[:, -1:] + 1
            if len(alive) - len(open_rows) >= LEAVE_AT * len(alive):
                keep = torch.tensor(open_rows, device=self.device)
                cache.batch_select_indices(keep)
                tokens, mask, positions = tokens[keep], mask[keep], positions[keep]
                alive = [alive[i] for i in open_rows]

    def _padded(self, prompts: Sequence[Prompt]) -> tuple[Any, Any]:
        torch, width = self.torch, max(len(prompt.tokens) for prompt in prompts)
        gaps = [width - len(prompt.tokens) for prompt in prompts]
        filled = [[self.pad_token] * gap + prompt.tokens for gap, prompt in zip(gaps, prompts, strict=True)]
        mask = [[0] * gap + [1] * (width - gap) for gap in gaps]
        return torch.tensor(filled, device=self.device), torch.tensor(mask, device=self.device)

    def _room(self, prompt: Prompt) -> int:
        if self.context is None:
            return prompt.max_tokens
        return max(1, min(prompt.max_tokens, self.context - len(prompt.tokens)))


class _Draw:
    """How one row is sampled: its temperature, its nucleus, and its own stream of noise."""

    def __init__(self, torch: Any, prompt: Prompt, device: str) -> None:
        self.torch = torch
        self.temperature, self.top_p = prompt.temperature, prompt.top_p
        self.noise = torch.Generator(device=device).manual_seed(prompt.seed)

    def __call__(self, logits: Any) -> Any:
        """Draw one token: the arg max of scaled logits plus Gumbel noise is a sample of their softmax."""
        scaled = logits.float() / self.temperature
        if self.top_p < 1:
            ordered, order = scaled.softmax(-1).sort(descending=True)
            outside = ordered.cumsum(-1) - ordered >= self.top_p
            scaled = scaled.masked_fill(self.torch.zeros_like(outside).scatter(0, order, outside), float("-inf"))
        exponential = self.torch.empty_like(scaled).exponential_(generator=self.noise)
        return (scaled - exponential.log()).argmax(-1)


def render(tokenizer: Any, messages: Sequence[dict[str, str]], *, is_asking: bool = True) -> str:
    """Write messages in the model's chat template; `is_asking` opens the assistant's turn. Raises TemplateError."""
    chat = fit_messages(tokenizer, messages)
    return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=is_asking)


def fit_messages(tokenizer: Any, messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Put a system message at the head of the first user message where the template fails on it or drops it."""
    from jinja2 import TemplateError

    chat = list(messages)
    if not chat or chat[0]["role"] != "system":
        return chat
    try:
        if chat[0]["content"].strip() in tokenizer.apply_chat_template(chat, tokenize=False):
            return chat
    except TemplateError:
        pass
    system, first, *rest = chat if len(chat) > 1 else [*chat, {"role": "user", "content": ""}]
    merged = {"role": first["role"], "content": f"{system['content']}\n\n{first['content']}".strip()}
    return [merged, *rest]


def end_tokens(tokenizer: Any, model: Any) -> frozenset[int]:
    """Find every token that ends an answer: by the configs, the tokenizer, and what the template closes a turn with."""
    found = [tokenizer.eos_token_id, turn_end(tokenizer)]
    for config in (model.generation_config, model.config):
        ids = getattr(config, "eos_token_id", None)
        found += ids if isinstance(ids, list) else [ids]
    return frozenset(token for token in found if token is not None)


def turn_end(tokenizer: Any) -> int | None:
    """Find the special token with which the chat template closes an assistant's turn; None where it does not say."""
    from jinja2 import TemplateError

    word = "word"
    chat = [{"role": "user", "content": word}, {"role": "assistant", "content": word}]
    try:
        text = render(tokenizer, chat, is_asking=False)
        tail = text[text.rindex(word) + len(word) :]
    except (TemplateError, ValueError, TypeError):
        return None  # a guard's template that wants more than a chat, or none at all: its configs name its end
    tokens = tokenizer(tail, add_special_tokens=False)["input_ids"]
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    return next((token for token in tokens if token in special), None)


def _choose(logits: Any, draws: Sequence[_Draw | None]) -> Any:
    chosen = logits.argmax(-1)
    for row, draw in enumerate(draws):
        if draw is not None:
            chosen[row] = draw(logits[row])
    return chosen


def _is_over(row: list[int], limit: int, ends: frozenset[int]) -> bool:
    return len(row) >= limit or (bool(row) and row[-1] in ends)


def _check_forward(name: str, model: Any) -> None:
    needed = {"attention_mask", "position_ids", "past_key_values", "logits_to_keep"}
    missing = needed - set(inspect.signature(model.forward).parameters)
    if missing:
        raise ModelError(
            f"Model {name!r}: a {type(model).__name__} cannot be asked in batches here (its forward lacks "
            f"{', '.join(sorted(missing))}). Serve it over HTTP and name it http://host/v1#<model>."
        )


def _dtype(torch: Any, name: str, wanted: str) -> Any:
    dtype = getattr(torch, wanted, None)
    if not isinstance(dtype, torch.dtype):
        raise ModelError(f"Model {name!r}: unknown dtype {wanted!r}. Use float32, bfloat16, float16 or auto.")
    return dtype


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
