"""What words mean, roughly: a vector for each, of a published sentence encoder, and what a text's mean vector tells.

The scores of signals.py know the words of the training sets; these vectors put words that were never in them beside
those that were. They are data/embedded/senses.npz, made by bench/embedded_senses.py from all-MiniLM-L6-v2 (Apache-2.0,
NOTICE): whole words in whole numbers, no encoder, no context.
"""

from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakfix.judging.weighing import Line, along_line

Floats = NDArray[np.float32]

ALIKE = 4.0
"""What the products of request and answer are raised by: they are small beside the two."""
ASKED = ("danger", "harm", "hate")
"""What a line asks of a text's vector: the scores of signals.py."""


class Senses(NamedTuple):
    """Words, their vectors, and lines that tell dangerous, harmful and hateful texts by them."""

    words: tuple[str, ...]
    vectors: Floats
    """(words + 1, dimensions), weighted by rarity; the first is of a word that is not known, zeros."""
    lines: tuple[Line, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Name the numbers that `numbers` gives, in order."""
        size = self.vectors.shape[1]
        each = [f"{what} sense {number}" for what in ("request", "answer", "both") for number in range(size)]
        told = [f"{what} sense {score}" for score in ASKED[: len(self.lines)] for what in ("request", "answer")]
        return (*each, "sense alike", *told)

    def numbers(self, asked: Floats, given: Floats) -> Floats:
        """Give the numbers of requests and answers by their vectors, (texts, dimensions) each, (texts, numbers)."""
        there = np.any(asked != 0, axis=1)
        told = [part for line in self.lines for part in (along_line(line, asked) * there, along_line(line, given))]
        both = asked * given
        return np.column_stack([asked, given, both * ALIKE, both.sum(1), *told]).astype(np.float32)


def read_senses() -> tuple[tuple[str, ...], Floats]:
    """Read the words and their vectors, with the zeros of an unknown word before them."""
    path = resources.files("breakfix") / "data" / "embedded" / "senses.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        words = bytes(stored["words"]).decode("ascii").split(" ")
        vectors: NDArray[Any] = stored["vectors"]
    return tuple(words), np.vstack([np.zeros((1, vectors.shape[1])), vectors]).astype(np.float32)
