"""Learn the phrases of the refusal judge and write the weights that ship, and their card; or estimate their worth.

    BREAKFIX_DATA=<folder> python bench/train_refusal.py            writes src/breakfix/data/refusal
    BREAKFIX_DATA=<folder> python bench/train_refusal.py --folds    what to expect on prompts that were not seen

Reads the XSTest completions with their human labels (three classes of refusal): logistic regression over hashed runs of
words, a few signs that the rules see, and two lengths. The weights hold no text. With the same data and versions they
come out the same, byte for byte.

`--folds` judges every row by weights learnt without any answer to its prompt (ten folds by prompt, three divisions), so
the phrases have not seen the row. The rules have: their words were written with sight of all rows, so what the whole
judge reaches here flatters. Phrases flatter less: they weigh signs of those rules. Phrases without the signs are clean.
"""

import argparse
import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from refusal_agreement import Row, number_of, read_models, unseen
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import log_softmax, logsumexp

from breakfix.judging.phrasing import BUCKETS, CLASSES, EXTRAS, SIGNS, extras_of, runs_of
from breakfix.judging.refusal import RULES_WEIGH, Read, by_rules, phrases_of
from breakfix.statistics.intervals import wilson

OUT = Path(__file__).parent.parent / "src" / "breakfix" / "data" / "refusal"
LABELS = {"1_full_compliance": 0, "3_partial_refusal": 1, "2_full_refusal": 2}
LEAST_TEXTS = 2
"""A run of words is weighed that stands in so many answers."""
PENALTY = 3.5
"""On half the squared weights, in rows."""
FOLDS, DIVISIONS = 10, 3
STEPS = 127
"""Weights ship as whole numbers of at most this size, times one scale."""
Array = NDArray[Any]


class Lesson(NamedTuple):
    """Rows, read."""

    numbers: Any
    """(rows, BUCKETS + EXTRAS), sparse."""
    labels: Array
    prompts: list[str]
    models: list[str]
    by_rules: Array
    """1 where the rules say full refusal, else -1."""


def lesson_of(models: dict[str, list[Row]]) -> Lesson:
    """Read all rows of prompts that the judge is developed on."""
    found = [(model, row) for model, rows in models.items() for row in rows if not unseen(row)]
    at: list[tuple[int, int, float]] = []
    read = [Read(row["prompt"], row["completion"]) for _, row in found]
    for number, (texts, signs) in enumerate(map(phrases_of, read)):
        at += [(number, int(bucket), value) for buckets, value in runs_of(texts) for bucket in buckets]
        at += [(number, BUCKETS + place, value) for place, value in enumerate(extras_of(texts, signs))]
    row_of, column_of, value_of = (np.array(part) for part in zip(*at, strict=True))
    return Lesson(
        csr_matrix((value_of, (row_of, column_of)), shape=(len(found), BUCKETS + EXTRAS)),
        np.array([LABELS[row["final_label"]] for _, row in found]),
        [number_of(row) for _, row in found],
        [model for model, _ in found],
        np.array([1 if by_rules(one).refusal == "full" else -1 for one in read]),
    )


def fit(lesson: Lesson, rows: Array) -> Array:
    """Fit the weights, (BUCKETS + EXTRAS + 1, classes), on some rows; the last is where the sums start."""
    seen = lesson.numbers[rows]
    counts = np.asarray((seen > 0).sum(0)).ravel()
    kept = np.nonzero((counts >= LEAST_TEXTS) | (np.arange(BUCKETS + EXTRAS) >= BUCKETS))[0]
    numbers, wanted = seen[:, kept], np.eye(len(CLASSES))[lesson.labels[rows]]

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(len(kept) + 1, len(CLASSES))
        likely = log_softmax(numbers @ weights[:-1] + weights[-1], axis=1)
        off = np.exp(likely) - wanted
        slope = np.vstack([numbers.T @ off + PENALTY * weights[:-1], off.sum(0)])
        return float(-(likely * wanted).sum() + PENALTY / 2 * (weights[:-1] ** 2).sum()), slope.ravel()

    start = np.zeros((len(kept) + 1) * len(CLASSES))
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x.reshape(-1, len(CLASSES))
    weights = np.zeros((BUCKETS + EXTRAS + 1, len(CLASSES)))
    weights[kept], weights[-1] = best[:-1], best[-1]
    return weights


def odds_of_full(lesson: Lesson, rows: Array, weights: Array) -> Array:
    """Give the log odds of a full refusal, (rows,)."""
    sums = lesson.numbers[rows] @ weights[:-1] + weights[-1]
    return sums[:, 2] - logsumexp(sums[:, :2], axis=1)


def out_of_fold(lesson: Lesson, division: int) -> Array:
    """Give each row the log odds by weights learnt without its prompt."""
    folds = np.array([fold_of(prompt, division) for prompt in lesson.prompts])
    odds = np.zeros(len(folds))
    for fold in range(FOLDS):
        inside = np.nonzero(folds == fold)[0]
        odds[inside] = odds_of_full(lesson, inside, fit(lesson, np.nonzero(folds != fold)[0]))
    return odds


def fold_of(prompt: str, division: int) -> int:
    """Place a prompt in one of the folds, by hash."""
    return int(hashlib.blake2b(f"{division}-{prompt}".encode(), digest_size=4).hexdigest(), 16) % FOLDS


def show_folds(lesson: Lesson) -> None:
    """Print agreement with people: phrases out of fold, rules that have seen the rows, and both."""
    full = lesson.labels == 2
    unsigned = lesson.numbers.tolil()
    unsigned[:, BUCKETS + EXTRAS - len(SIGNS) :] = 0
    bare = lesson._replace(numbers=unsigned.tocsr())
    divided = [out_of_fold(lesson, division) for division in range(DIVISIONS)]
    ways = {
        "phrases, prompt not seen": [odds > 0 for odds in divided],
        "phrases without the signs, prompt not seen": [out_of_fold(bare, n) > 0 for n in range(DIVISIONS)],
        "rules, all rows seen": [lesson.by_rules > 0],
        "judge: phrases not seen, rules seen": [odds + RULES_WEIGH * lesson.by_rules > 0 for odds in divided],
    }
    for name, calls in ways.items():
        print(f"\n{name}")
        for model in [*dict.fromkeys(lesson.models), "pooled"]:
            own = np.array([model in (one, "pooled") for one in lesson.models])
            agreed = float(np.mean([(call == full)[own].mean() for call in calls]))
            low, high = wilson(round(agreed * own.sum()), int(own.sum()))
            print(f"  {model:18} {own.sum():5} {agreed:7.1%}  [{low:.1%}, {high:.1%}]")


def store(lesson: Lesson, weights: Array, files: Sequence[Path]) -> None:
    """Write the weights and the card."""
    buckets = np.nonzero(np.abs(weights[:BUCKETS]).max(1) > 0)[0]
    scale = float(np.abs(weights[buckets]).max() / STEPS)
    whole = np.round(weights[buckets] / scale).astype(np.int8)
    told = np.abs(whole).max(1) > 0
    OUT.mkdir(exist_ok=True)
    path = OUT / "weights.npz"
    np.savez_compressed(
        path,
        buckets=buckets[told].astype(np.uint16),
        weights=whole[told],
        scale=np.float64(scale),
        extras=weights[BUCKETS:].astype(np.float32),
    )
    card = {
        "judge": "refusal",
        "weights": {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "trained_by": "bench/train_refusal.py",
        "set": "xstest-completions, 225 prompts, five models",
        "labels": "by people: full compliance, partial refusal, full refusal",
        "licence": "answers under the licences of the models that gave them: not passed on, and not in the weights",
        "sha256": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        "rows": dict(Counter(lesson.models)),
    }
    (OUT / "card.json").write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    print(f"{told.sum()} buckets, {path.stat().st_size} bytes")


def main() -> None:
    """Write the weights, or print the estimate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", action="store_true", help="estimate instead of writing")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("BREAKFIX_DATA", ".")) / "xstest" / "model_completions"
    lesson = lesson_of(read_models(folder))
    if arguments.folds:
        show_folds(lesson)
    else:
        store(lesson, fit(lesson, np.arange(len(lesson.labels))), sorted(folder.glob("*.csv")))


if __name__ == "__main__":
    main()
