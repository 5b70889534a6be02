"""What the embedded judge sees of a request and its answer: a row of numbers, the same for training and for judging.

Words and phrases of data/embedded/words.yaml by kind (how often, how densely, how early, how late), the answer's form
(lists, sentences that tell to act or to beware, refusals and what follows them, repetition, code), how much of the
request's own words it takes up, learned scores of words, and what the words mean (senses.py). Many texts are read at
once, in numpy; no text leaves.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakfix.judging.senses import Senses
from breakfix.packaged import read_data

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

HEAD = 30
"""So many first tokens are an answer's head; so many last ones, beyond the head, its tail."""
ECHO = 40
"""Where the request's words are looked for early: in so many first tokens."""
LIMIT = 3000
LAST = 600
"""Of a longer text its beginning and so many last characters are read: LIMIT in all."""
STEM = 5
"""Words are compared by so many first letters."""
BUCKETS = 1 << 15
"""Pairs of neighbouring words are scored by hash, in so many buckets."""
SCORES = ("danger", "harm", "hate")
"""The learned scores of words: of dangerous requests, of harmful texts, and of hate."""

_TOKEN = re.compile(r"\n|[^\W_]+(?:'[^\W\d_]+)?|[^\w\s]|_")
_MARKED = "\n . ! ? : ; , \" ' ( ) [ ] - * • # ` { } = / 1 2 3 4 5"
_MARKS = _MARKED.split(" ")
_STOPPED = (
    "a an the of to in on for with and or but if is are was were be been being am i you he she it we they me him her"
    " them my your his its our their this that these those do does did done have has had can could would should will"
    " shall may might must not no so as at by from into about over how what why when where which who whom there here"
    " than then just also any some all more most other such very too up out off get got make made use using way ways"
    " best good like want need help tell give me please someone somebody people person write create provide list"
    " explain describe without step guide detailed instructions"
)
_STOP = frozenset(_STOPPED.split())
_FORMS = (
    frozenset({"how", "what", "where", "when", "which"}),
    frozenset({"why", "is", "are", "do", "does"}),
    frozenset({"write", "create", "make", "develop", "design", "draft", "compose", "generate"}),
    frozenset({"give", "provide", "list", "tell", "show", "explain", "describe", "outline", "teach"}),
    frozenset({"i"}),
)
_LINE, _ENDS, _NUMBER, _BULLET, _SIGN = 1, 2, 4, 8, 16


class Lexicon(NamedTuple):
    """What was learnt of words: the vocabulary, how rare each stem is, scores of words and pairs, and vectors."""

    words: tuple[str, ...]
    rarity: Mapping[str, float]
    """Stem -> how rare it is; a stem that is not there is as rare as can be, the greatest value."""
    scores: Floats
    """(scores, words + 1 + BUCKETS + 1): a weight a word, a weight a pair, the intercept."""
    vectors: Floats
    """(words + 1, dimensions), weighted by rarity; zero where a word says nothing."""


class Batch(NamedTuple):
    """Texts as numbers: each token's place among all `known` words and, by `ids`, in the lexicon, else 0."""

    tokens: list[list[str]]
    known: Ints
    ids: Ints
    lengths: Ints
    doc: Ints
    position: Ints


def tokens_of(text: str) -> list[str]:
    """Split a text into lower-case words, signs and line ends; the middle of a long text is left out."""
    if len(text) > LIMIT:
        text = text[: LIMIT - LAST] + "\n" + text[-LAST:]
    return _TOKEN.findall(text.replace("’", "'").lower())


def stems_of(tokens: Sequence[str]) -> set[str]:
    """Give the stems of the words that say what a request is about."""
    return {token[:STEM] for token in tokens if len(token) > 2 and token not in _STOP}


def kinds_of_words() -> dict[str, list[list[str]]]:
    """Read data/embedded/words.yaml: kind -> phrases, each as tokens."""
    entries = read_data("embedded/words.yaml")
    return {kind: [tokens_of(phrase) for phrase in str(line).split("|")] for kind, line in entries.items()}


def vocabulary(words: Sequence[str]) -> tuple[str, ...]:
    """Add to learned words those of the phrases and the signs, in a fixed order and once each."""
    listed = [token for phrases in kinds_of_words().values() for phrase in phrases for token in phrase]
    return tuple(dict.fromkeys([*words, *listed, *_MARKS]))


class Reader:
    """Reads requests and answers into rows of numbers."""

    def __init__(self, lexicon: Lexicon, senses: Senses) -> None:
        self.lexicon, self.senses = lexicon, senses
        self.ids = {word: number for number, word in enumerate(lexicon.words, start=1)}
        self.size = len(lexicon.words) + 1
        known = dict.fromkeys((*lexicon.words, *senses.words))  # the lexicon first: its words keep their numbers
        self._words = {word: number for number, word in enumerate(known, start=1)}
        places = {word: number for number, word in enumerate(senses.words, start=1)}
        self._vectors = senses.vectors[[0, *(places.get(word, 0) for word in known)]]
        self.rarest = max(lexicon.rarity.values(), default=1.0)
        kinds = kinds_of_words()
        self.kinds = tuple(kinds)
        self._single, self._phrases = self._phrase_tables(kinds)
        self._flags = np.array([0, *(_flags_of(word) for word in lexicon.words)], np.int64)
        self._place = {kind: number for number, kind in enumerate(self.kinds)}

    @property
    def names(self) -> tuple[str, ...]:
        """Name the numbers of a row, in order."""
        counted = [f"{what}:{kind}" for what in ("head", "count", "density", "tail") for kind in self.kinds]
        asked = [f"request:{kind}" for kind in self.kinds]
        return (*counted, *_SHAPE, *_OVERLAP, *asked, *_REQUEST, *_LEARNED, *self.senses.names)

    def batch(self, texts: Sequence[str]) -> Batch:
        """Turn texts into numbers of words; 0 is a word that is not known."""
        tokens = [tokens_of(text) for text in texts]
        get = self._words.get
        known = np.array([get(token, 0) for row in tokens for token in row], np.int64)
        lengths = np.array([len(row) for row in tokens], np.int64)
        doc = np.repeat(np.arange(len(texts)), lengths)
        position = np.arange(len(known)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return Batch(tokens, known, np.where(known < self.size, known, 0), lengths, doc, position)

    def rows(self, requests: Sequence[str], answers: Sequence[str]) -> Floats:
        """Read requests and their answers, (texts, numbers)."""
        asked, given = self.batch(requests), self.batch(answers)
        kind_rows, kind_columns = self._hits(given)
        blocks = [
            *self._counts(given, kind_rows, kind_columns),
            self._shape(given, kind_rows, kind_columns),
            self._overlap(asked, given, answers, self._last_refusal(given, kind_rows, kind_columns)),
            *self._request(asked),
            self._learned(asked, given),
            self.senses.numbers(self.sense(asked), self.sense(given)),
        ]
        return np.hstack(blocks).astype(np.float32)

    def score(self, batch: Batch) -> Floats:
        """Score the words and pairs of texts, (texts, scores): a mean that grows with length as its root."""
        weights = self.lexicon.scores.T
        found = sum_by(weights[batch.ids] + weights[self.size + pair_buckets(batch)], batch.lengths)
        return found / np.sqrt(np.maximum(batch.lengths, 1))[:, None] + weights[-1]

    def sense(self, batch: Batch) -> Floats:
        """Give the mean direction of each text's words, (texts, dimensions); zeros where none is known."""
        return _unit(sum_by(self._vectors[batch.known], batch.lengths))

    # ── phrases ──

    def _phrase_tables(self, kinds: Mapping[str, list[list[str]]]) -> tuple[Ints, dict[int, tuple[Ints, Ints]]]:
        single = np.zeros(self.size, np.int64)
        longer: dict[int, dict[int, int]] = {}
        for number, phrases in enumerate(kinds.values()):
            for phrase in phrases:
                ids = [self.ids[token] for token in phrase]
                if len(ids) == 1:
                    single[ids[0]] |= 1 << number
                    continue
                table = longer.setdefault(len(ids), {})
                table[self._key(ids)] = table.get(self._key(ids), 0) | 1 << number
        ordered = {length: sorted(table.items()) for length, table in longer.items()}
        return single, {
            length: (np.array([key for key, _ in rows], np.int64), np.array([mask for _, mask in rows], np.int64))
            for length, rows in ordered.items()
        }

    def _key(self, ids: Sequence[int]) -> int:
        key = 0
        for number in ids:
            key = key * self.size + number
        return key

    def _hits(self, batch: Batch) -> tuple[Ints, Ints]:
        """Find where words and phrases of each kind begin: token numbers and, for each, a kind."""
        masks = self._single[batch.ids]
        ends = np.repeat(np.cumsum(batch.lengths), batch.lengths)
        for length, (keys, values) in self._phrases.items():
            n = len(batch.ids) - length + 1
            if n < 1:
                continue
            key = batch.ids[:n].copy()
            for ahead in range(1, length):
                key = key * self.size + batch.ids[ahead : n + ahead]
            place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
            found = np.nonzero((keys[place] == key) & (np.arange(n) + length <= ends[:n]))[0]
            masks[found] |= values[place[found]]
        hit = np.nonzero(masks)[0]
        bits = (masks[hit][:, None] >> np.arange(len(self.kinds))) & 1
        row, kind = np.nonzero(bits)
        return hit[row], kind

    def _counts(self, batch: Batch, at: Ints, kinds: Ints) -> list[Floats]:
        docs, size = len(batch.lengths), len(self.kinds)
        early = batch.position[at] < HEAD
        late = (batch.lengths[batch.doc[at]] - batch.position[at] <= HEAD) & ~early
        cell = batch.doc[at] * size + kinds

        def count(chosen: NDArray[np.bool_] | slice) -> Floats:
            return np.bincount(cell[chosen], minlength=docs * size).reshape(docs, size).astype(np.float32)

        whole = count(slice(None))
        density = whole / np.maximum(batch.lengths, 20)[:, None] * 100
        found = (np.log1p(count(early)), np.log1p(whole), np.minimum(density, 15) / 5, np.minimum(count(late), 2))
        return [one.astype(np.float32) for one in found]

    def _of_kind(self, kind: str, at: Ints, kinds: Ints) -> Ints:
        return at[kinds == self._place[kind]]

    # ── form ──

    def _shape(self, batch: Batch, at: Ints, kinds: Ints) -> Floats:
        flags = self._flags[batch.ids]
        items = _after(flags & _LINE > 0, batch) & (flags & (_NUMBER | _BULLET) > 0)
        after_item = _shift(items, 1) | _shift(items, 2)
        starts = (
            _after(flags & _ENDS > 0, batch) | _shift(items, 1) | (_shift(items, 2) & (_shift(flags, 1) & _SIGN > 0))
        )
        acts, cautions = (_mask(self._of_kind(kind, at, kinds), len(flags)) for kind in ("acts", "caution_acts"))
        columns = [
            starts, items, acts & starts, cautions & starts, flags & _LINE > 0, flags & _SIGN > 0,
            flags & _NUMBER > 0, batch.ids == 0, acts & after_item, cautions & after_item,
        ]  # fmt: skip
        found = sum_by(np.stack(columns, 1).astype(np.float32), batch.lengths)
        length = np.maximum(batch.lengths, 1).astype(np.float32)
        sentences = np.maximum(found[:, 0], 1)
        refusals = self._of_kind("refuse", at, kinds)
        first = np.full(len(length), 10_000.0)
        np.minimum.at(first, batch.doc[refusals], batch.position[refusals])
        last = self._last_refusal(batch, at, kinds)
        refused = last >= 0
        shape = [
            np.log1p(batch.lengths), np.log1p(found[:, 1]), found[:, 2] / sentences, found[:, 3] / sentences,
            np.log1p(found[:, 2]), np.log1p(found[:, 3]), np.log1p(found[:, 4]), found[:, 5] / length,
            found[:, 6] / length, found[:, 7] / length, np.log1p(found[:, 8]), np.log1p(found[:, 9]),
            refused, first < 12, first < ECHO, np.where(refused, last / length, 0),
            np.log1p(np.where(refused, length - last, 0)), np.log1p(first), length / sentences / 20,
        ]  # fmt: skip
        return np.stack(shape, 1).astype(np.float32)

    def _last_refusal(self, batch: Batch, at: Ints, kinds: Ints) -> Ints:
        """Give the position of the last refusing phrase; -1 where there is none."""
        refusals = self._of_kind("refuse", at, kinds)
        last = np.full(len(batch.lengths), -1, np.int64)
        np.maximum.at(last, batch.doc[refusals], batch.position[refusals])
        return last

    # ── the request in the answer ──

    def _overlap(self, asked: Batch, given: Batch, answers: Sequence[str], last: Ints) -> Floats:
        found = np.zeros((len(answers), len(_OVERLAP)), np.float32)
        for number, (request, answer) in enumerate(zip(asked.tokens, given.tokens, strict=True)):
            text = answers[number][:1500]
            found[number, 9:] = (
                sum(map(str.isupper, text)) / max(len(text), 1) * 5,
                text.isascii(),
                "```" in text or "def " in text or "import " in text,
                min(text.count('"') + text.count("“"), 6) / 6,
                text.rstrip()[-1:] in ".!\"')”",
            )
            if answer:
                found[number, :9] = self._shared(request, answer, int(last[number]) + 25 if last[number] >= 0 else 0)
        return found

    def _shared(self, request: list[str], answer: list[str], after: int) -> tuple[float, ...]:
        stems = [token[:STEM] for token in answer]
        known = set(stems)
        size = len(stems)
        first = stems[:200]
        again = 1 - len(set(pairwise(first))) / (len(first) - 1) if size > 20 else 0.0
        about = stems_of(request)
        if not about:
            return (len(known) / size, again, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        rarity = {stem: self.lexicon.rarity.get(stem, self.rarest) for stem in about}
        total = sum(rarity.values())

        def share(part: set[str]) -> float:
            return sum(rarity[stem] for stem in about & part) / total

        pairs = set(pairwise(request))
        echoed = pairs & set(pairwise(answer[:61]))
        return (
            len(known) / size,
            again,
            share(known),
            share(set(stems[:ECHO])),
            share(set(stems[ECHO:])),
            min(sum(stem in about for stem in stems) / size * 10, 3),
            float(not about & known),
            share(set(stems[after:])),
            len(echoed) / max(len(pairs), 1),
        )

    def _request(self, batch: Batch) -> list[Floats]:
        docs, size = len(batch.lengths), len(self.kinds)
        at, kinds = self._hits(batch)
        counts = np.bincount(batch.doc[at] * size + kinds, minlength=docs * size).reshape(docs, size)
        firsts = [tokens[0] if tokens else "" for tokens in batch.tokens]
        forms = [
            (*(first in form for form in _FORMS), "?" in tokens, not tokens, np.log1p(len(tokens)))
            for first, tokens in zip(firsts, batch.tokens, strict=True)
        ]
        return [np.minimum(counts, 2).astype(np.float32), np.array(forms, np.float32).reshape(docs, len(_REQUEST))]

    def _learned(self, asked: Batch, given: Batch) -> Floats:
        wanted = _unit(sum_by(self.lexicon.vectors[asked.ids], asked.lengths))
        vectors = self.lexicon.vectors[given.ids]
        summed = sum_by(vectors, given.lengths)
        early = sum_by(vectors * (given.position < ECHO)[:, None], given.lengths)
        whole, head, tail = _unit(summed), _unit(early), _unit(summed - early)
        pairs = ((wanted, whole), (wanted, head), (wanted, tail), (head, tail))
        near = np.stack([(one * other).sum(1) for one, other in pairs], 1)
        request, answer = self.score(asked), self.score(given)
        harmless = np.maximum(0, -request[:, :1])
        return np.hstack([near, request, answer, harmless, harmless * np.maximum(0, -answer[:, :1])])


_SHAPE = (
    "tokens", "items", "act share", "caution share", "acts", "cautions", "lines", "signs", "digits", "unknown",
    "act items", "caution items", "refuses", "refuses at once", "refuses early", "last refusal", "after refusal",
    "first refusal", "sentence",
)  # fmt: skip
_OVERLAP = (
    "variety", "repetition", "shared", "shared early", "shared late", "shared density", "nothing shared",
    "shared after refusal", "echo", "capitals", "ascii", "code", "quotes", "ends",
)  # fmt: skip
_REQUEST = ("asks what", "asks whether", "asks to write", "asks to give", "asks as I", "question", "no request", "long")
_LEARNED = (
    "near", "near early", "near late", "head to tail",
    "request danger", "request harm", "request hate", "danger", "harm", "hate",
    "request harmless", "both harmless",
)  # fmt: skip


def pair_buckets(batch: Batch) -> Ints:
    """Give each token the bucket of it and the next; 0 at a text's end or where either word is not known."""
    found = np.zeros(len(batch.ids), np.int64)
    if len(batch.ids) < 2:
        return found
    left, right = batch.ids[:-1], batch.ids[1:]
    known = (left > 0) & (right > 0) & (batch.doc[:-1] == batch.doc[1:])
    found[:-1] = np.where(known, 1 + (left * 1_000_003 + right * 7_919) % (BUCKETS - 1), 0)
    return found


def sum_by(values: Floats, lengths: Ints) -> Floats:
    """Sum the rows of each text, (tokens, columns) to (texts, columns); an empty text has zeros."""
    total = np.zeros((len(lengths), values.shape[1]), np.float32)
    full = np.nonzero(lengths)[0]
    if len(full):
        total[full] = np.add.reduceat(values, (np.cumsum(lengths) - lengths)[full], axis=0)
    return total


def _after(marks: NDArray[np.bool_], batch: Batch) -> NDArray[np.bool_]:
    """Mark the tokens after a marked one, and each text's first."""
    return _shift(marks, 1) | (batch.position == 0)


def _shift(values: Any, by: int) -> Any:
    moved = np.zeros_like(values)
    moved[by:] = values[:-by]
    return moved


def _mask(at: Ints, size: int) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    mask[at] = True
    return mask


def _unit(vectors: Floats) -> Floats:
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-6)


def _flags_of(word: str) -> int:
    return (
        _LINE * (word == "\n")
        | _ENDS * (word in {".", "!", "?", ":", "\n"})
        | _NUMBER * word.isdigit()
        | _BULLET * (word in {"-", "*", "•", "#"})
        | _SIGN * (not word[0].isalnum())
    )
