"""Benign contrast: rows that keep a safer model helpful.

Each twin is a harmless prompt that looks like a harmful one, with a helpful answer. Its pair rejects a refusal: the
model's own, where it has refused this very prompt; else a refusal in the words in which this model refuses, so that
the pair teaches when to refuse and not how a refusal sounds. Where the model never refused, a plain one stands in.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from breakfix.curation.repair import Rows
from breakfix.identity import seed_of
from breakfix.overlap import normalise
from breakfix.types import Conversation, Example, Message, Pair, Verdict

PLAIN_REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I can't assist with this request.",
    "I'm not able to help with that.",
)
Refuse = Callable[[Example], str]
"""Gives the refusal that a twin's pair rejects."""


class Refusals(NamedTuple):
    """How a model refused: by prompt, and all of its wordings."""

    by_prompt: Mapping[str, str] = MappingProxyType({})
    wordings: tuple[str, ...] = ()


def contrast_rows(twins: Iterable[Example], refuse: Refuse) -> Rows:
    """Make a pair of each twin, beside the twin itself as an example; a twin without an answer is dropped."""
    pairs: list[Pair] = []
    examples: list[Example] = []
    dropped = 0
    for twin in twins:
        *prompt, answer = twin.messages
        if answer.role != "assistant" or not answer.content.strip() or not prompt:
            dropped += 1
            continue
        rejected = Message(role="assistant", content=refuse(twin))
        pairs.append(Pair(prompt=tuple(prompt), chosen=(answer,), rejected=(rejected,), provenance=twin.provenance))
        examples.append(twin)
    return Rows(tuple(pairs), tuple(examples), {"twin without an answer": dropped} if dropped else {})


def refusals_of(conversations: Iterable[Conversation], verdicts: Mapping[str, Verdict]) -> Refusals:
    """Collect how the model refused: the last answer of every conversation judged a full refusal."""
    by_prompt: dict[str, str] = {}
    wordings: dict[str, None] = {}
    for conversation in conversations:
        verdict = verdicts.get(conversation.id)
        turns = conversation.turns
        if verdict is None or verdict.refusal != "full" or not turns or turns[-1].role != "assistant":
            continue
        by_prompt.setdefault(prompt_key(turns[:-1]), turns[-1].content)
        wordings.setdefault(turns[-1].content, None)
    return Refusals(by_prompt, tuple(wordings))


def model_refuses(refusals: Refusals, seed: int = 0) -> Refuse:
    """Refuse as the model did: the same prompt in its own words, others in words it has used."""
    pool: Sequence[str] = refusals.wordings or PLAIN_REFUSALS

    def refuse(twin: Example) -> str:
        key = prompt_key(twin.messages[:-1])
        if own := refusals.by_prompt.get(key):
            return own
        return random.Random(seed_of("refusal", seed, key)).choice(pool)

    return refuse


def prompt_key(turns: Sequence[Message]) -> str:
    """Tell equal prompts: the user's turns, normalised."""
    return "\n".join(normalise(turn.content) for turn in turns if turn.role == "user")
