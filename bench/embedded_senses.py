"""Make the word vectors of the embedded judge, data/embedded/senses.npz, from a published sentence encoder.

    BREAKFIX_DATA=<folder> python bench/embedded_senses.py MODEL_FOLDER        a minute on one core

MODEL_FOLDER holds sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0): model.safetensors, config.json, tokenizer.json.
Each whole word of the encoder's vocabulary, and each word of at least LEAST texts of the training sets, is read alone;
its vector is the mean over its pieces, less the mean of all, along the DIMENSIONS directions in which the vocabulary
differs most (as in Model2Vec, Tulkens and van Dongen 2024), weighted by how rare the word is in the training sets.
"""

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from embedded_rows import READ, all_rows
from numpy.typing import NDArray
from train_embedded import OUT, PUBLISHED

from breakfix.judging.signals import tokens_of

DIMENSIONS = 64
LEAST = 3
TOGETHER = 256
STEPS, FINE = 127, 4.0
"""Vectors ship as whole numbers of at most STEPS, of which the largest would be FINE times as large: it is cut."""
_WORD = re.compile(r"[a-z]{2,}")
_SEEN = re.compile(r"[a-z][a-z']+")


def read_alone(folder: Path, words: Sequence[str]) -> NDArray[Any]:
    """Give the encoder's vector of each word, (words, width)."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    parts: list[NDArray[Any]] = []
    with torch.inference_mode():
        for first in range(0, len(words), TOGETHER):
            read = tokenizer(list(words[first : first + TOGETHER]), padding=True, return_tensors="pt")
            mask = read["attention_mask"][..., None]
            states = model(**read).last_hidden_state
            parts.append(((states * mask).sum(1) / mask.sum(1)).double().numpy())
    return np.vstack(parts)


def words_of(folder: Path) -> list[str]:
    """Give the whole words of the encoder's vocabulary, the commonest first, as it lists them."""
    vocabulary: dict[str, int] = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    return [word for word, _ in sorted(vocabulary.items(), key=lambda item: item[1]) if _WORD.fullmatch(word)]


def texts_with(folder: Path) -> tuple[Counter[str], int]:
    """Count for each word the requests and answers of the published sets that hold it, and the rows."""
    rows = [row for row in all_rows(folder) if row.source in PUBLISHED]
    texts = [set(tokens_of(text)) for row in rows for text in (row.request, row.answer)]
    return Counter(word for text in texts for word in text), len(rows)


def main() -> None:
    """Write the vectors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    arguments = parser.parse_args()
    folder = Path(os.environ.get("BREAKFIX_DATA", "."))
    if not (folder / READ[0]).is_file():
        sys.exit(f"No {READ[0]} under {folder}. Set BREAKFIX_DATA to the folder of the published sets.")
    torch.set_num_threads(1)
    listed = words_of(arguments.model)
    times, rows = texts_with(folder)
    known = set(listed)
    often = sorted(times, key=lambda word: (-times[word], word))
    words = [*listed, *(w for w in often if times[w] >= LEAST and w not in known and _SEEN.fullmatch(w))]
    read = read_alone(arguments.model, words)
    middle = read[: len(listed)].mean(0)
    _, _, directions = np.linalg.svd(read[: len(listed)] - middle, full_matrices=False)
    rarity = np.log((rows + 1) / (np.array([times[word] for word in words]) + 1))
    vectors = (read - middle) @ directions[:DIMENSIONS].T * np.maximum(rarity, 0)[:, None]
    whole = np.round(vectors / np.abs(vectors).max() * STEPS * FINE).clip(-STEPS, STEPS).astype(np.int8)
    path = OUT / "senses.npz"
    np.savez_compressed(path, words=np.frombuffer(" ".join(words).encode(), np.uint8), vectors=whole)
    print(f"{len(words)} words, {whole.shape[1]} dimensions, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
