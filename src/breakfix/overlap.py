"""Overlap between texts: equal after normalising, a shared run of words, or near-duplicates by MinHash.

MinHash (Broder 1997) with locality-sensitive bands only proposes candidates; each is then decided by the exact Jaccard
similarity of its word 5-grams, so that a hit is never an estimate. Texts of fewer than five words are compared whole.
Word hashes are blake2b, so results are equal on every machine. This module knows nothing of datasets or scenarios.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
SHINGLE_WORDS = 5
PASSAGE_WORDS = 13
SHORTEST_PASSAGE = 8
"""An indexed text of 8 to 12 words counts as one passage; a shorter one is only compared whole."""
HASHES = 126
MIX = np.uint64(0x9E3779B97F4A7C15)
RECALL = 0.99
"""Share of true near-duplicates that the bands must propose at the threshold itself."""
CHUNK = 1024
"""Texts signed at a time, so that the numbers stay in the processor's cache."""
SLACK = 0.12
"""Candidates are ruled out by their estimated similarity only this far (over 3 standard errors) below the threshold."""
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Scripts written without spaces between words: each character is taken for a word."""
MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0dff"
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}][^\W{UNSPACED}{MARKS}]*(?:[{MARKS}]+[^\W{UNSPACED}{MARKS}]*)*")
INVISIBLE = dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0xAD])


class Shingled(NamedTuple):
    """The distinct 5-gram hashes of each of several texts, one after another, and where each text begins."""

    hashes: Hashes
    starts: NDArray[np.int64]
    """One more than the texts: the last is the end."""

    def of(self, row: int) -> Hashes:
        """Give one text's hashes, sorted."""
        return self.hashes[self.starts[row] : self.starts[row + 1]]


def words(text: str) -> list[str]:
    """Split into words: compatibility forms and case folded, punctuation and invisible characters left out."""
    return WORD.findall(unicodedata.normalize("NFKC", text).translate(INVISIBLE).casefold())


def normalise(text: str) -> str:
    """Give the form in which two texts are compared for equality."""
    return " ".join(words(text))


def shingle(token_rows: Sequence[Sequence[str]]) -> Shingled:
    """Hash each row's word 5-grams; a row of fewer words is one shingle, and empty rows equal one another."""
    return _distinct(*_runs(token_rows, SHINGLE_WORDS, shortest=0), len(token_rows))


def _runs(token_rows: Sequence[Sequence[str]], size: int, shortest: int) -> tuple[Hashes, NDArray[np.int64]]:
    """Hash each run of `size` words and name its row; a row of fewer words, if of at least `shortest`, is one run."""
    lengths = np.array([len(row) for row in token_rows], dtype=np.int64)
    padded = np.maximum(lengths, size)
    ends = np.cumsum(padded)
    flat = np.zeros(int(ends[-1]) if len(ends) else 0, dtype=np.uint64)
    for row, begin in zip(token_rows, (ends - padded).tolist(), strict=True):
        flat[begin : begin + len(row)] = [word_hash(word) for word in row]
    keep = np.repeat(lengths >= shortest, padded)
    for back in range(1, size):
        keep[ends - back] = False
    owner = np.repeat(np.arange(len(token_rows)), padded)
    return _roll(flat, size)[keep], owner[keep]


def hash_whole(tokens: Sequence[str]) -> int:
    """Hash a text by its words; not remembered, as texts are many and words are few."""
    return word_hash.__wrapped__(" ".join(tokens))


@cache
def word_hash(word: str) -> int:
    """Hash a word to 64 bits, never 0 (which pads short rows)."""
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") | 1


def signatures(shingled: Shingled) -> NDArray[np.uint32]:
    """Give the MinHash signature of each text: `HASHES` minima of multiply-shift hashes."""
    rows = len(shingled.starts) - 1
    signed = np.zeros((rows, HASHES), dtype=np.uint32)
    factors = np.random.default_rng(20240422).integers(1, 2**63, HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    for first in range(0, rows, CHUNK):
        starts = shingled.starts[first : first + CHUNK + 1]
        hashes = shingled.hashes[starts[0] : starts[-1]]
        mixed = np.empty_like(hashes)
        for place in range(HASHES):
            np.multiply(hashes, factors[place], out=mixed)
            minima = np.minimum.reduceat(mixed, starts[:-1] - starts[0])
            signed[first : first + CHUNK, place] = minima >> np.uint64(32)
    return signed


def bands_for(threshold: float) -> tuple[int, int]:
    """Choose how many bands of how many rows: the longest that still propose `RECALL` of pairs at the threshold."""
    for rows in range(14, 1, -1):
        bands = HASHES // rows
        if 1 - (1 - threshold**rows) ** bands >= RECALL:
            return bands, rows
    return HASHES, 1


def near_duplicates(texts: Sequence[str], threshold: float) -> list[int | None]:
    """Give, for each text, the first kept earlier text that it nearly repeats, or None if it is kept itself."""
    shingled = shingle([words(text) for text in texts])
    signed = signatures(shingled)
    keys = band_keys(signed, threshold)
    table = _Table(threshold)
    found: list[int | None] = [None] * len(texts)
    for row in np.flatnonzero(_shares_a_band(keys)).tolist():
        twin = table.find(shingled.of(row), signed[row], keys[row])
        found[row] = twin
        if twin is None:
            table.keep(row, shingled.of(row), signed[row], keys[row])
    return found


def band_keys(signed: NDArray[np.uint32], threshold: float) -> Hashes:
    """Hash each band of each signature; texts that agree on one are candidates."""
    bands, rows = bands_for(threshold)
    keys = np.zeros((len(signed), bands), dtype=np.uint64)
    for place in range(rows):
        keys = keys * MIX + signed[:, place : bands * rows : rows]
    return keys ^ (keys >> np.uint64(29))


def _shares_a_band(keys: Hashes) -> NDArray[np.bool_]:
    shared = np.zeros(len(keys), dtype=bool)
    for band in keys.T:
        order = np.argsort(band, kind="stable")
        equal = band[order[1:]] == band[order[:-1]]
        shared[order[1:][equal]] = True
        shared[order[:-1][equal]] = True
    return shared


class _Table:
    """Texts that are kept, by their bands."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.buckets: list[dict[int, list[int]]] = [defaultdict(list) for _ in range(bands_for(threshold)[0])]
        self.hashes: list[Hashes] = []
        self.signed = np.zeros((64, HASHES), dtype=np.uint32)
        self.names: list[int] = []
        self.same: dict[bytes, int] = {}

    def find(self, hashes: Hashes, signed: NDArray[np.uint32], keys: Hashes) -> int | None:
        """Give the first kept text that is near enough."""
        if (place := self.same.get(hashes.tobytes())) is not None:
            return self.names[place]
        near: set[int] = set()
        for bucket, key in zip(self.buckets, keys.tolist(), strict=True):
            near.update(bucket.get(key, ()))
        if not near:
            return None
        places = np.array(sorted(near), dtype=np.int64)
        likely = np.mean(self.signed[places] == signed, axis=1) >= self.threshold - SLACK
        likely_places: list[int] = places[likely].tolist()
        for place in likely_places:
            if jaccard(self.hashes[place], hashes) >= self.threshold:
                return self.names[place]
        return None

    def meets(self, keys: Hashes) -> NDArray[np.bool_]:
        """Say which texts, by their keys, share a band with any that is kept."""
        shared = np.zeros(len(keys), dtype=bool)
        for band, bucket in enumerate(self.buckets):
            shared |= np.isin(keys[:, band], np.fromiter(bucket, dtype=np.uint64, count=len(bucket)))
        return shared

    def keep(self, name: int, hashes: Hashes, signed: NDArray[np.uint32], keys: Hashes) -> None:
        """Keep a text under a number of the caller's."""
        place = len(self.names)
        if place == len(self.signed):
            self.signed = np.concatenate([self.signed, np.zeros_like(self.signed)])
        self.signed[place] = signed
        self.hashes.append(hashes)
        self.names.append(name)
        self.same[hashes.tobytes()] = place
        for bucket, key in zip(self.buckets, keys.tolist(), strict=True):
            bucket[key].append(place)


def jaccard(one: Hashes, other: Hashes) -> float:
    """Give the share of distinct shingles that two texts have in common."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


class Fingerprints(NamedTuple):
    """What is left of texts that cannot be shipped: enough to know them again, nothing to read."""

    exact: Hashes
    """Hashes of whole texts."""
    passages: dict[int, Hashes]
    """Number of words -> hashes of passages of so many."""


def fingerprints(texts: Iterable[str]) -> Fingerprints:
    """Take the fingerprints of texts; near-duplicates cannot be told from them."""
    index = OverlapIndex()
    for text in texts:
        index.add(text, "")
    runs = {size: _sorted(passages) for size, passages in sorted(index.passages.items())}
    return Fingerprints(_sorted(index.exact), runs)


class OverlapIndex:
    """Texts that others must not overlap: the same text, a shared passage of 13 words, or a near-duplicate."""

    def __init__(self, near_duplicate: float = 0.8) -> None:
        self.near_duplicate = near_duplicate
        self.exact: dict[int, str] = {}
        """Hash of a whole text -> label."""
        self.passages: dict[int, dict[int, str]] = {}
        """Number of words -> hash of a passage -> label."""
        self._labels: list[str] = []
        self._tokens: list[list[str]] = []
        self._table: _Table | None = None

    def __len__(self) -> int:
        return len(self.exact)

    def add(self, text: str, label: str) -> None:
        """Index a text; `label` is what a hit on it is called. A text without words is passed over."""
        tokens = words(text)
        whole = hash_whole(tokens)
        if not tokens or whole in self.exact:
            return
        self.exact[whole] = label
        self._labels.append(label)
        self._tokens.append(tokens)
        self._table = None
        size = min(len(tokens), PASSAGE_WORDS)
        if size >= SHORTEST_PASSAGE:
            self._add_passages(size, _runs([tokens], size, size)[0], label)

    def add_fingerprints(self, taken: Fingerprints, label: str) -> None:
        """Index texts by their fingerprints alone."""
        for whole in taken.exact.tolist():
            self.exact.setdefault(whole, label)
        for size, runs in taken.passages.items():
            self._add_passages(size, runs, label)

    def _add_passages(self, size: int, runs: Hashes, label: str) -> None:
        passages = self.passages.setdefault(size, {})
        for run in runs.tolist():
            passages.setdefault(run, label)

    def hit(self, text: str) -> str | None:
        """Say how a text overlaps, as "<label>: exact|passage|near-duplicate", or None."""
        return self.hits([text])[0]

    def hits(self, texts: Sequence[str]) -> list[str | None]:
        """Say it for many texts at once, which is much faster."""
        rows = [words(text) for text in texts]
        found = self._passage_hits(rows)
        for row, tokens in enumerate(rows):
            if label := self.exact.get(hash_whole(tokens)):
                found[row] = f"{label}: exact"
        left = [row for row, hit in enumerate(found) if hit is None and len(rows[row]) >= SHINGLE_WORDS]
        if left and self._labels:
            for row, hit in zip(left, self._near([rows[row] for row in left]), strict=True):
                found[row] = hit
        return found

    def _passage_hits(self, rows: Sequence[list[str]]) -> list[str | None]:
        found: list[str | None] = [None] * len(rows)
        for size, passages in self.passages.items() if rows else ():
            runs, owner = _runs(rows, size, size)
            met = np.isin(runs, np.fromiter(passages, dtype=np.uint64, count=len(passages)))
            for run, row in zip(runs[met].tolist(), owner[met].tolist(), strict=True):
                found[row] = found[row] or f"{passages[run]}: passage"
        return found

    def _near(self, rows: Sequence[list[str]]) -> list[str | None]:
        if self._table is None:
            self._table = self._filled()
        shingled = shingle(rows)
        signed = signatures(shingled)
        keys = band_keys(signed, self.near_duplicate)
        found: list[str | None] = [None] * len(rows)
        for row in np.flatnonzero(self._table.meets(keys)).tolist():
            match = self._table.find(shingled.of(row), signed[row], keys[row])
            found[row] = None if match is None else f"{self._labels[match]}: near-duplicate"
        return found

    def _filled(self) -> _Table:
        table = _Table(self.near_duplicate)
        shingled = shingle(self._tokens)
        signed = signatures(shingled)
        for row, keys in enumerate(band_keys(signed, self.near_duplicate)):
            table.keep(row, shingled.of(row), signed[row], keys)
        return table


def _sorted(hashes: Iterable[int]) -> Hashes:
    return np.array(sorted(hashes), dtype=np.uint64)


def _roll(flat: Hashes, size: int) -> Hashes:
    rolled = np.zeros_like(flat)
    width = max(len(flat) - size + 1, 0)
    for place in range(size):
        rolled[:width] = rolled[:width] * MIX + flat[place : place + width]
    return rolled ^ (rolled >> np.uint64(31))


def _distinct(hashes: Hashes, owner: NDArray[Any], rows: int) -> Shingled:
    """Sort each row's hashes and drop repeats; every row has at least one."""
    order = np.lexsort((hashes, owner))
    hashes, owner = hashes[order], owner[order]
    fresh = np.ones(len(hashes), dtype=bool)
    fresh[1:] = (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1])
    starts = np.searchsorted(owner[fresh], np.arange(rows + 1))
    return Shingled(hashes[fresh], starts.astype(np.int64))
