# pyright: basic
"""Rows as a trainer takes them, checked before a step is taken.

Only the assistant's own words are trained on. Where they are in a row is found by growing the conversation turn by
turn in the model's own chat template, so no template needs marks of its own; the found tokens must spell out exactly
what the assistant said. What does not fit is left out or cut, and counted.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from breakfix.errors import DataError, TrainingError
from breakfix.models.generation import fit_messages, render
from breakfix.types import Example, Message, Pair

UNMASKED = -100
"""The label that every loss leaves out."""
WORST_SHARE = 0.05
"""More rows than this whose words cannot be found: the template is at fault, not the rows."""
MIXED_BATCHES = 8
"""Batches among which rows are sorted by length: most padding goes, kinds of rows stay mixed."""
WHY_UNUSED = {
    "too_long": "too long",
    "no_answer": "without an answer",
    "unclear": "unclear in the chat template",
    "identical": "alike on both sides",
}
"""What is counted of rows that are not trained on -> in words."""
Row = TypeVar("Row", bound=BaseModel)
Chat = list[dict[str, str]]


class Prepared(NamedTuple):
    """Rows ready for a trainer, each with its `length`, and what became of the rest."""

    rows: list[dict[str, Any]]
    counts: dict[str, int]
    """given, used, cut (too long, the end is lost), too_long, no_answer, unclear, identical."""


def read_rows(path: Path, kind: type[Row]) -> Iterator[Row]:
    """Read a JSONL file of examples or pairs. Raises DataError naming file and line, never quoting a row."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"Cannot read {str(path)!r} ({type(error).__name__}). Freeze the dataset again.") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield kind.model_validate(orjson.loads(line))
        except orjson.JSONDecodeError:
            raise DataError(f"{path} line {number} is not valid JSON. Correct or remove that line.") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise DataError(f"{path} line {number}: {where}: {first['msg']}. Correct or remove that line.") from None


def check_rows(path: Path, kind: type[Row]) -> int:
    """Read every row, and count them. Raises DataError."""
    return sum(1 for _ in read_rows(path, kind))


def prepare_examples(tokenizer: Any, examples: Sequence[Example], max_length: int) -> Prepared:
    """Encode examples with labels on the assistant's words alone."""
    rows: list[dict[str, Any]] = []
    counts: dict[str, int] = dict.fromkeys(("given", "used", "cut", "too_long", "no_answer", "unclear"), 0)
    counts["given"] = len(examples)
    for example in examples:
        tokens, labels = supervise(tokenizer, chat_of(tokenizer, example.messages))
        if labels is None:
            counts["unclear"] += 1
        elif all(label == UNMASKED for label in labels):
            counts["no_answer"] += 1
        elif all(label == UNMASKED for label in labels[:max_length]):
            counts["too_long"] += 1
        else:
            counts["cut"] += len(tokens) > max_length
            kept = {"input_ids": tokens[:max_length], "labels": labels[:max_length]}
            rows.append({**kept, "length": len(kept["input_ids"])})
    return _checked(rows, counts, "examples")


def prepare_pairs(tokenizer: Any, pairs: Sequence[Pair], max_length: int) -> Prepared:
    """Fit pairs to the template and leave out those that cannot teach; TRL encodes them itself."""
    rows: list[dict[str, Any]] = []
    counts: dict[str, int] = dict.fromkeys(("given", "used", "cut", "too_long", "identical", "unclear"), 0)
    counts["given"] = len(pairs)
    for pair in pairs:
        prompt = chat_of(tokenizer, pair.prompt)
        sides = [chat_of(tokenizer, side) for side in (pair.chosen, pair.rejected)]
        asked, *whole = encode(tokenizer, [(prompt, True), *((prompt + side, False) for side in sides)])
        length = max(map(len, whole))
        if sides[0] == sides[1]:
            counts["identical"] += 1
        elif not all(tokens[: len(asked)] == asked for tokens in whole):
            counts["unclear"] += 1
        elif len(asked) >= max_length:
            counts["too_long"] += 1
        else:
            counts["cut"] += length > max_length
            rows.append({"prompt": prompt, "chosen": sides[0], "rejected": sides[1], "length": min(length, max_length)})
    return _checked(rows, counts, "pairs")


def supervise(tokenizer: Any, chat: Chat) -> tuple[list[int], list[int] | None]:
    """Encode a conversation and label the assistant's words and what closes them; None: they cannot be told apart."""
    turns = [i for i, message in enumerate(chat) if message["role"] == "assistant"]
    grown = [(chat[:i], True) for i in turns] + [(chat[: i + 1], False) for i in turns]
    whole, *parts = encode(tokenizer, [(chat, False), *grown])
    labels = [UNMASKED] * len(whole)
    for i, before, after in zip(turns, parts[: len(turns)], parts[len(turns) :], strict=True):
        start, end = len(before), shared_start(whole, after)
        if shared_start(whole, before) < start or not _spells(tokenizer, whole[start:end], chat[i]["content"]):
            return whole, None
        labels[start:end] = whole[start:end]
    return whole, labels


def encode(tokenizer: Any, chats: Sequence[tuple[Chat, bool]]) -> list[list[int]]:
    """Encode conversations in the chat template; the flag opens the assistant's turn."""
    texts = [render(tokenizer, chat, is_asking=is_asking) for chat, is_asking in chats]
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


def chat_of(tokenizer: Any, messages: Sequence[Message]) -> Chat:
    """Write messages as plain dicts that the template takes, without space around them."""
    return fit_messages(tokenizer, [{"role": m.role, "content": m.content.strip()} for m in messages])


def order_rows(rows: Sequence[dict[str, Any]], *, batch: int, epochs: float, seed: int) -> list[dict[str, Any]]:
    """Lay out all epochs in the order of training: shuffled, like lengths together, the same for the same seed.

    With the order fixed here, a resumed run sees what an uninterrupted one would have seen.
    """
    wanted = max(1, math.ceil(len(rows) * epochs))
    draw = random.Random(seed)
    ordered: list[dict[str, Any]] = []
    while len(ordered) < wanted:
        epoch = draw.sample(list(rows), len(rows))[: wanted - len(ordered)]
        ordered += _like_lengths_together(epoch, batch, draw)
    return ordered


def shared_start(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the tokens with which both begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _like_lengths_together(rows: Sequence[dict[str, Any]], batch: int, draw: random.Random) -> list[dict[str, Any]]:
    laid: list[dict[str, Any]] = []
    for begin in range(0, len(rows), batch * MIXED_BATCHES):
        block = sorted(rows[begin : begin + batch * MIXED_BATCHES], key=lambda row: row["length"])
        batches = [block[i : i + batch] for i in range(0, len(block), batch)]
        whole, rest = (batches[:-1], batches[-1:]) if len(batches[-1]) < batch else (batches, [])
        draw.shuffle(whole)
        laid += [row for part in whole + rest for row in part]
    return laid


def _spells(tokenizer: Any, tokens: Sequence[int], text: str) -> bool:
    decoded = tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return decoded.split() == text.split() and bool(tokens)


def causes_of(counts: Mapping[str, int]) -> str:
    """Say how many rows are not trained on, and why."""
    return ", ".join(f"{counts[why]:,} {words}" for why, words in WHY_UNUSED.items() if counts.get(why))


def _checked(rows: list[dict[str, Any]], counts: dict[str, int], what: str) -> Prepared:
    counts["used"] = len(rows)
    if counts["unclear"] > WORST_SHARE * counts["given"]:
        raise TrainingError(
            f"In {counts['unclear']} of {counts['given']} {what} the assistant's words cannot be told apart in the "
            "model's chat template (it writes earlier turns differently as the conversation grows). Use a template "
            "that only adds to what it wrote."
        )
    if not rows:
        raise TrainingError(
            f"None of {counts['given']} {what} can be trained on: {causes_of(counts)}. Raise align.max_length."
        )
    return Prepared(rows, counts)
