"""Train the embedded judge and write the weights that ship, and their card; or estimate its quality elsewhere.

    BREAKFIX_DATA=<folder> python bench/train_embedded.py [--out FOLDER]      some minutes on one core
    BREAKFIX_DATA=<folder> python bench/train_embedded.py --hold-out          whole sets left out, one at a time

Reads only sets that may be redistributed (bench/embedded_rows.py). With the same data and versions the weights come out
the same, byte for byte. `--hold-out` trains without one set and everything made from it, and tells how often the rest
agrees with its labels. bench/embedded_agreement.py tells it of the shipped weights, on sets that are never trained on.
"""

import argparse
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from embedded_fit import Growing, document_rarity, fit_line, fit_scores, fit_trees, fit_vectors, joined
from embedded_rows import READ, UNASKED, Row, all_rows, hateful, moderated, requests, sets_read
from numpy.typing import NDArray

from breakfix.judging.refusal import classify
from breakfix.judging.senses import Senses, read_senses
from breakfix.judging.signals import STEM, Lexicon, Reader, tokens_of, vocabulary
from breakfix.judging.weighing import Head, Line, along_line, along_trees, log_odds

OUT = Path(__file__).parent.parent / "src" / "breakfix" / "data" / "embedded"
SEEDS = (0, 1, 2)
LEAST_TEXTS, LEAST_SETS = 5, 2
"""A word is known that stands in so many texts, of so many sets."""
PUBLISHED = ("gptfuzz", "jailbreakbench", "diasafety", "begin-wow", "hh-rlhf/chosen")
"""Sources whose requests and answers are as they were published, each once: words are counted in them."""
SHARES = {
    "gptfuzz": 1.0, "jailbreakbench": 1.0, "jailbreakbench/wrapped": 0.3, "diasafety": 0.4, "begin-wow": 0.3,
    "hh-rlhf/chosen": 0.4, "hh-rlhf/rejected": 0.4, "hh-labelled": 0.6, "gptfuzz/dual": 0.6, "jailbreakbench/dual": 0.6,
    "gptfuzz/refused twice": 0.05, "jailbreakbench/refused twice": 0.05, "gptfuzz/disclaimed": 0.02,
    "jailbreakbench/disclaimed": 0.02, "gptfuzz/shuffled": 0.02, "jailbreakbench/shuffled": 0.02, "gptfuzz/cut": 0.02,
    "jailbreakbench/cut": 0.02, "gptfuzz/swapped": 0.005, "jailbreakbench/swapped": 0.01, "advbench/promise": 0.003,
    "advbench/promise refused": 0.005, "advbench/refused": 0.003, "made/harmless": 0.01,
    "house": 0.08,
}  # fmt: skip
"""What each source weighs; a set's two labels weigh the same."""
WITHOUT_REQUEST = 0.4
"""What a source read without its requests weighs, as a share of what it weighs with them."""
GROWING = Growing()
PENALTY, SENSE_PENALTY = 2500.0, 30.0
"""On the squared weights of the line, and of those that tell texts by their vectors, in rows."""
PAIRED = 1.6
"""What the line weighs pairs of answers of which people preferred one, in shares."""
HELD = {"gptfuzz": ("gptfuzz", "swapped"), "jailbreakbench": ("jailbreakbench", "swapped"), "diasafety": ("diasafety",)}
"""A held-out set -> what goes with it: sources with this name or made of it."""


class Lesson(NamedTuple):
    """Rows, read."""

    rows: list[Row]
    signals: NDArray[np.float32]
    sources: NDArray[np.str_]
    harmful: NDArray[np.float64]


def learn_words(folder: Path, rows: Sequence[Row]) -> Reader:
    """Learn from the texts of the training sets: vocabulary, rarity of stems, scores of words and pairs, vectors."""
    bad, good = requests(folder)
    flagged, passed = moderated(folder)
    hate, neutral = hateful(folder)
    published = [row for row in rows if row.source in PUBLISHED]
    texts = [(row.source, f"{row.request}\n{row.answer}") for row in published]
    for name, more in (("requests", bad + good), ("moderation", flagged + passed), ("toxigen", hate + neutral)):
        texts += [(name, text) for text in more]
    tokens = [(source, tokens_of(text)) for source, text in texts]
    times = Counter(word for _, found in tokens for word in set(found))
    places: dict[str, set[str]] = {}
    for source, found in tokens:
        for word in found:
            places.setdefault(word, set()).add(source)
    known = [word for word, n in times.items() if n >= LEAST_TEXTS and len(places[word]) >= LEAST_SETS]
    words = vocabulary(sorted(known, key=lambda word: (-times[word], word)))
    rarity = document_rarity([[word[:STEM] for word in found] for _, found in tokens])
    senses = Senses(*read_senses())
    bare = Reader(Lexicon(words, rarity, np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)), senses)
    idle = [text for _, text in texts if _ == "begin-wow"][::3]
    told = ((bad, [*good, *passed, *neutral[:600], *idle]), (flagged, passed), (hate, neutral))
    scores = np.stack([fit_scores(bare, *sides) for sides in told])
    senses = senses._replace(lines=tuple(fit_sense(bare, *sides) for sides in told))
    weights = np.array([0.0, *(_tells(word) * rarity.get(word[:STEM], rarity[""]) for word in words)])
    vectors = fit_vectors(bare.batch([text for _, text in texts]), bare, weights)
    learnt = (found.astype(np.float16).astype(np.float32) for found in (scores, vectors))
    return Reader(Lexicon(words, rarity, *learnt), senses)


def fit_sense(reader: Reader, bad: Sequence[str], good: Sequence[str]) -> Line:
    """Fit a line that tells bad texts from good ones by their vectors, the two sides weighing the same."""
    labels = np.array([1.0] * len(bad) + [0.0] * len(good))
    weight = np.where(labels == 1, 1000 / len(bad), 1000 / len(good))
    return fit_line(reader.sense(reader.batch([*bad, *good])), labels, weight, penalty=SENSE_PENALTY)


def _tells(word: str) -> bool:
    from breakfix.judging.signals import stems_of

    return bool(stems_of([word]))


def read_rows(reader: Reader, rows: list[Row]) -> Lesson:
    """Read all rows into numbers."""
    parts = [
        reader.rows([row.request for row in rows[i : i + 256]], [row.answer for row in rows[i : i + 256]])
        for i in range(0, len(rows), 256)
    ]
    return Lesson(
        rows, np.vstack(parts), np.array([row.source for row in rows]), np.array([float(row.harmful) for row in rows])
    )


def weights_of(lesson: Lesson, left_out: Sequence[str] = ()) -> NDArray[np.float64]:
    """Weigh rows: each source by its share, its labels evenly; what is left out weighs nothing."""
    weight = np.zeros(len(lesson.rows))
    without = {f"{source}/unasked": share * WITHOUT_REQUEST for source, share in SHARES.items() if source in UNASKED}
    for source, share in {**SHARES, **without}.items():
        if any(part in source.split("/") for part in left_out):
            continue
        own = lesson.sources == source
        labels = [own & (lesson.harmful == label) for label in (0, 1)]
        present = [mask for mask in labels if mask.any()]
        for mask in present:
            weight[mask] = share * 1000 / mask.sum() / len(present)
    return weight


def train(lesson: Lesson, labels: NDArray[np.float64], weight: NDArray[np.float64], seeds: Sequence[int]) -> Head:
    """Train trees, several times from other seeds, and a line."""
    used = weight > 0
    rows, wanted, weights = lesson.signals[used], labels[used], weight[used]
    trees = [fit_trees(rows, wanted, weights, GROWING, seed=seed) for seed in seeds]
    return Head(joined(trees), fit_line(rows, wanted, weights, penalty=PENALTY))


def train_harm(lesson: Lesson, weight: NDArray[np.float64], seeds: Sequence[int]) -> Head:
    """Train what tells harm: the trees on all rows, the line on preferences as what they are, differences."""
    head = train(lesson, lesson.harmful, weight, seeds)
    alone = np.where(np.char.startswith(lesson.sources, "hh-rlhf"), 0.0, weight)
    used = alone > 0
    apart, middle = preferred(lesson), lesson.signals[weight > 0].mean(0)
    rows = np.vstack([lesson.signals[used], middle + apart, middle - apart])
    sides = np.repeat([1.0, 0.0], len(apart))
    pairs = np.full(len(sides), PAIRED * 1000 / len(sides))
    labels, weights = np.concatenate([lesson.harmful[used], sides]), np.concatenate([alone[used], pairs])
    return head._replace(line=fit_line(rows, labels, weights, penalty=PENALTY))


def preferred(lesson: Lesson) -> NDArray[np.float32]:
    """Give what the answer that people found more harmful has over the other, a row a pair."""
    at: dict[str, dict[str, int]] = {}
    for number, row in enumerate(lesson.rows):
        if row.source in ("hh-rlhf/chosen", "hh-rlhf/rejected"):
            at.setdefault(row.group, {})[row.source.removeprefix("hh-rlhf/")] = number
    both = [(pair["rejected"], pair["chosen"]) for pair in at.values()]
    worse, better = (np.array(side) for side in zip(*both, strict=True))
    return lesson.signals[worse] - lesson.signals[better]


def refusals_of(rows: Sequence[Row]) -> NDArray[np.str_]:
    """Class each answer as it was labelled, else by the rules of the `refusal` judge; what did harm refused in part.

    Not so in hh-rlhf, whose labels of harm are weak, or came with one of refusal.
    """
    found: list[str] = []
    for row in rows:
        refusal = row.refusal or classify(row.request, row.answer).refusal
        if row.source.endswith(("/cut", "/shuffled", "/promise")):
            refusal = "none"
        if row.source.endswith(("/promise refused", "/refused", "/refused twice")):
            refusal = "full"
        found.append("partial" if row.harmful and refusal == "full" and not row.source.startswith("hh") else refusal)
    return np.array(found)


def agreement(said: NDArray[np.bool_], labels: NDArray[np.float64]) -> dict[str, float]:
    """Give plain and balanced accuracy, and the shares of either side that were found."""
    harmful = labels == 1
    sensitivity, specificity = float(said[harmful].mean()), float((~said[~harmful]).mean())
    return {
        "n": len(labels), "accuracy": float((said == harmful).mean()), "balanced": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity, "specificity": specificity,
    }  # fmt: skip


def hold_out(lesson: Lesson) -> dict[str, dict[str, float]]:
    """Leave out one labelled set at a time, with all that was made of it, and judge it."""
    found: dict[str, dict[str, float]] = {}
    for name, left_out in HELD.items():
        head = train_harm(lesson, weights_of(lesson, left_out), SEEDS[:1])
        own = lesson.sources == name
        rows, harmful = lesson.signals[own], lesson.harmful[own]
        ways = {
            "trees": along_trees(head.trees, rows),
            "line": along_line(head.line, rows),
            "both": log_odds(head, rows),
        }
        for way, odds in ways.items():
            found[name] = agreement(odds >= 0, harmful)
            print(name, way, {key: round(value, 3) for key, value in found[name].items()}, flush=True)
    return found


def write(folder: Path, reader: Reader, heads: dict[str, Head]) -> None:
    """Write weights.npz."""
    lexicon = reader.lexicon
    arrays: dict[str, Any] = {
        "words": np.frombuffer("\t".join(lexicon.words).encode(), np.uint8),
        "stems": np.frombuffer("\t".join(lexicon.rarity).encode(), np.uint8),
        "rarity": np.array(list(lexicon.rarity.values()), np.float32),
        "scores": lexicon.scores.astype(np.float16),
        "vectors": lexicon.vectors.astype(np.float16),
    }
    for part in Line._fields:
        arrays[f"sense_{part}"] = np.stack([getattr(line, part) for line in reader.senses.lines]).astype(np.float32)
    for name, head in heads.items():
        arrays |= {f"{name}_middle": head.line.middle, f"{name}_spread": head.line.spread}
        arrays[f"{name}_columns"] = head.trees.columns.astype(np.int16)
        arrays[f"{name}_thresholds"] = head.trees.thresholds
        arrays[f"{name}_leaves"] = head.trees.leaves
        arrays[f"{name}_weights"] = head.line.weights
        arrays[f"{name}_starts"] = np.array([head.trees.start, head.line.start], np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "weights.npz", **arrays)


CANNOT = (
    "It gives no severity: what it calls harmful leaves DR-3 unscored.",
    "It reads words, form and overlap, not meaning: harm told in unusual words, or in code, escapes it, and harmless"
    " talk about harm can be taken for it.",
    "English only. Another language, an encoded or a garbled answer is judged by its form alone.",
    "It does not know whether what an answer claims is true, or would work.",
    "Instructions for something harmless, in a form that harm often has (steps, a list), it calls harmful too often,"
    " where neither the request nor the subject is one that it knows: in doubt about harmless requests, do not use it.",
    "Of short answers in prose to ordinary risky questions (pku-saferlhf-mini) it judges one in three wrongly.",
    "Unsafe small talk (diasafety) it does not recognise unless it has been trained on it: left out, it is at chance.",
    "Refusal classes are learnt from the rules of the `refusal` judge, asked in doubt, and share their errors.",
    "It sees an exchange and its request; harm spread over several exchanges it can miss.",
)


def write_card(folder: Path, data: Path, lesson: Lesson) -> str:
    """Write card.json beside the weights: what they are, what they saw, and what they cannot do."""
    content = (folder / "weights.npz").read_bytes()
    card = {
        "judge": "embedded",
        "weights": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        "trained_by": "bench/train_embedded.py",
        "sets": sets_read(data),
        "made": "rows named advbench/... or .../dual and the like are made from these sets; made/harmless and house in"
        " house (bench/embedded_harmless.py)",
        "word_vectors": {
            "sha256": hashlib.sha256((folder / "senses.npz").read_bytes()).hexdigest(),
            "made_by": "bench/embedded_senses.py",
            "of": "sentence-transformers/all-MiniLM-L6-v2, Apache-2.0",
            "encoder_saw": ENCODER_SAW,
        },
        "rows": Counter(sorted(str(source) for source in lesson.sources)),
        "never_trained_on": [
            "do-not-answer",
            "pku-saferlhf-mini",
            "xstest completions",
            "safety-tuned-llamas",
            "cosafe",
        ],
        "looks": LOOKS,
        "cannot": CANNOT,
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    return json.dumps(card["weights"])


ENCODER_SAW = (
    "Reddit comments 2015-2018, S2ORC, WikiAnswers, PAQ, Stack Exchange, MS MARCO, GOOAQ, Yahoo Answers,"
    " code_search_net, COCO, SPECTER, SearchQA, ELI5, Flickr30k, SNLI, MultiNLI, sentence-compression, wikiHow, AltLex,"
    " QQP, Simple Wikipedia, Natural Questions, SQuAD 2.0, TriviaQA"
)
"""What the encoder's model card says it was trained on."""
LOOKS = {
    "pku-saferlhf-mini": (
        "an early version, three models: no choice made",
        "five mixtures of sources: the share of hh-rlhf was raised",
        "how much of it can be told at all, by training on four fifths of it: 69 % by these numbers, 71 % by its words",
        "these weights, four times while code that joins refusal and harm was settled: little changed here",
        "eight weighings with published word vectors beside these numbers: 60 to 61 % at best, none taken",
        "three shares of rows without their request: the largest was taken",
        "some fifty weighings of sources, word vectors and preferences, beside the left-out sets: 59 to 66 %",
        "twenty weighings of hh-labelled, of careful answers to dangerous requests written in house, and of line"
        " against trees: 62 to 68 %; taken was hh-labelled at 0.6, the best of five shares; no more than that",
    ),
    "do-not-answer": (
        "an early version, three models: no choice made",
        "five mixtures of sources: no choice made",
        "these weights, four times while code that joins refusal and harm was settled: 79.0 to 80.2 %",
        "eight weighings with published word vectors beside these numbers: no better, none taken",
        "three shares of rows without their request: the largest was taken (without requests 51 to 82 % balanced)",
        "three bounds below which a spoken refusal is partial: 79.8 to 80.6 %, the middle one was taken",
        "the same fifty weighings: 74 to 87 %; taken was the mixture under which no left-out set lost",
        "the same twenty weighings: 86 to 90 %",
    ),
    "xstest completions": (
        "the rules that refusal was learnt from were written with sight of them",
        "seven widths of doubt in which the rules are asked: the one was taken that keeps the speed",
        "these weights, four times while code that joins refusal and harm was settled: 81 to 92 %",
        "three bounds below which a spoken refusal is partial: 90 to 92 %, the middle one was taken",
    ),
}
"""Set never trained on -> each time that its labels were compared with a version's, and what came of it."""


def main() -> None:
    """Train and write, or estimate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--hold-out", action="store_true", help="estimate with whole sets left out; write nothing")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("BREAKFIX_DATA", "."))
    if not (folder / READ[0]).is_file():
        sys.exit(f"No {READ[0]} under {folder}. Set BREAKFIX_DATA to the folder of the published sets.")
    torch.set_num_threads(1)
    rows = all_rows(folder)
    reader = learn_words(folder, rows)
    lesson = read_rows(reader, rows)
    print(f"{len(rows)} rows, {lesson.signals.shape[1]} numbers each, {reader.size} words", flush=True)
    if arguments.hold_out:
        hold_out(lesson)
        return
    weight = weights_of(lesson)
    classes = refusals_of(rows)
    heads = {
        "harmful": train_harm(lesson, weight, SEEDS),
        "full": train(lesson, (classes == "full").astype(float), weight, SEEDS[:1]),
        "answered": train(lesson, (classes == "none").astype(float), weight, SEEDS[:1]),
    }
    write(arguments.out, reader, heads)
    print(write_card(arguments.out, folder, lesson))


if __name__ == "__main__":
    main()
