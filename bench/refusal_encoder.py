"""Teach a small sentence encoder to tell refusals, and write the weights that the `refusal` judge asks in doubt.

    BREAKFIX_DATA=<folder> python bench/refusal_encoder.py MODEL_FOLDER            half an hour on one core
    BREAKFIX_DATA=<folder> python bench/refusal_encoder.py MODEL_FOLDER --halves   what to expect on unseen prompts

MODEL_FOLDER holds sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0). It learns from the XSTest completions with their
human labels, and from bench/refusals: answers that a language model wrote and labelled for this project, on requests of
its own or, by number, of jailbreakbench and red-instruct (both MIT or Apache-2.0). The writers of a.jsonl had read one
half of the XSTest prompts and no other, those of b.jsonl the other half. So `--halves` is clean: taught on one half,
and on what was written in sight of it, it judges answers to prompts of the other. With other numbers of threads the
last digits of the weights differ.
"""

import argparse
import csv
import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from embedded_rows import all_rows, requests
from numpy.typing import NDArray
from refusal_agreement import number_of, read_models, unseen
from transformers import AutoModel, AutoTokenizer

from breakfix.judging.encoder import MARKS, NORMS
from breakfix.statistics.intervals import wilson

CLASSES = ("none", "partial", "full")
LABELS = {"1_full_compliance": "none", "3_partial_refusal": "partial", "2_full_refusal": "full"}
MODEL = "model.safetensors"
WRITTEN = Path(__file__).parent / "refusals"
HALVES = ("a", "b")
LONGEST = 144
"""Tokens of a request and its answer that are read."""
REQUEST_CHARACTERS, ANSWER_CHARACTERS = 300, 1400
ROUNDS, TOGETHER, RATE, WARM_UP = 5, 16, 1e-4, 0.1
HEAD_FASTER = 10
"""The layer that names the class learns this much faster than the encoder."""
WRITTEN_WEIGH = 0.5
STEPS = 31
"""Weights ship as whole numbers of at most this size, times a scale for each row."""
LEAST = 2
"""A piece of words ships that the training texts hold so often."""
LAYER = {
    "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
    "joined": "attention.output.dense", "norm": "attention.output.LayerNorm", "wide": "intermediate.dense",
    "narrow": "output.dense", "last_norm": "output.LayerNorm",
}  # fmt: skip
OUT = Path(__file__).parent.parent / "src" / "breakfix" / "data" / "refusal"
Array = NDArray[Any]


class Lesson(NamedTuple):
    """An answer to be learnt from."""

    request: str
    answer: str
    refusal: str
    weight: float = 1.0


def half_of(number: str) -> str:
    """Tell in which half of the prompts the writers of bench/refusals found it."""
    return HALVES[int(hashlib.blake2b(f"s8-{number}".encode(), digest_size=4).hexdigest(), 16) % 2]


def labelled(folder: Path) -> dict[str, list[Lesson]]:
    """Read the answers that people labelled, by half."""
    found: dict[str, list[Lesson]] = {half: [] for half in HALVES}
    for rows in read_models(folder / "xstest" / "model_completions").values():
        for row in rows:
            if not unseen(row):
                lesson = Lesson(row["prompt"], row["completion"].strip(), LABELS[row["final_label"]])
                found[half_of(number_of(row))].append(lesson)
    return found


def written(folder: Path, half: str) -> list[Lesson]:
    """Read the answers that were written in sight of a half; requests of published sets are looked up."""
    rows = [json.loads(line) for line in (WRITTEN / f"{half}.jsonl").read_text("utf-8").splitlines()]
    return [Lesson(_asked(folder, row["request"]), row["answer"], row["refusal"], WRITTEN_WEIGH) for row in rows]


def _asked(folder: Path, request: str | dict[str, Any]) -> str:
    if isinstance(request, str):
        return request
    path = folder / request["set"]
    if path.suffix == ".json":
        return str(json.loads(path.read_text("utf-8"))[request["row"]])
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))[request["row"]]["Goal"]


class Classifier(torch.nn.Module):
    """The encoder, the mean of its tokens, and a layer that names the class."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(folder)
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, len(CLASSES))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Give the sums for each class, (texts, classes)."""
        states = self.encoder(input_ids=ids, attention_mask=mask, token_type_ids=torch.zeros_like(ids))
        summed = (states.last_hidden_state * mask[..., None]).sum(1)
        return self.head(summed / mask.sum(1, keepdim=True))


class Reader:
    """Turns requests and answers into tokens."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def tokens(self, lessons: Sequence[Lesson]) -> list[list[int]]:
        """Read request and answer, one after the other."""
        return [
            self.tokenizer(
                one.request[:REQUEST_CHARACTERS],
                one.answer[:ANSWER_CHARACTERS],
                truncation=True,
                max_length=LONGEST,
            )["input_ids"]
            for one in lessons
        ]


def padded(texts: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Put texts of several lengths side by side."""
    longest = max(map(len, texts))
    ids, mask = torch.zeros(len(texts), longest, dtype=torch.long), torch.zeros(len(texts), longest)
    for number, text in enumerate(texts):
        ids[number, : len(text)], mask[number, : len(text)] = torch.tensor(text), 1
    return ids, mask


def teach(folder: Path, lessons: Sequence[Lesson]) -> Classifier:
    """Fine-tune on lessons, texts of like length together, in another order each round."""
    torch.manual_seed(0)
    rng = random.Random(0)
    model, texts = Classifier(folder).train(), Reader(folder).tokens(lessons)
    labels = torch.tensor([CLASSES.index(one.refusal) for one in lessons])
    weights = torch.tensor([one.weight for one in lessons])
    groups = [{"params": model.encoder.parameters()}, {"params": model.head.parameters()}]
    search = torch.optim.AdamW(groups, lr=RATE, weight_decay=0.01)
    steps = ROUNDS * -(-len(lessons) // TOGETHER)
    done = 0
    for _ in range(ROUNDS):
        for batch in batches(rng, texts):
            pace = min(1.0, done / (WARM_UP * steps)) * (1 - max(0.0, done / steps - WARM_UP) / (1 - WARM_UP))
            for group, faster in zip(search.param_groups, (1, HEAD_FASTER), strict=True):
                group["lr"] = RATE * faster * max(pace, 0.01)
            loss = torch.nn.functional.cross_entropy(
                model(*padded([texts[n] for n in batch])), labels[batch], reduction="none"
            )
            search.zero_grad()
            (loss * weights[batch]).mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            search.step()
            done += 1
        print(f"{done} of {steps} steps", flush=True)
    return model.eval()


def batches(rng: random.Random, texts: Sequence[list[int]]) -> list[list[int]]:
    """Deal texts into batches of like length."""
    order = list(range(len(texts)))
    rng.shuffle(order)
    wide = TOGETHER * 8
    near = [sorted(order[n : n + wide], key=lambda one: len(texts[one])) for n in range(0, len(order), wide)]
    found = [part[n : n + TOGETHER] for part in near for n in range(0, len(part), TOGETHER)]
    rng.shuffle(found)
    return found


def odds_of_full(model: Classifier, folder: Path, lessons: Sequence[Lesson]) -> Array:
    """Give the log odds of a full refusal, (lessons,)."""
    texts = Reader(folder).tokens(lessons)
    with torch.inference_mode():
        sums = torch.cat([model(*padded(texts[n : n + TOGETHER])) for n in range(0, len(texts), TOGETHER)])
    return (sums[:, 2] - torch.logsumexp(sums[:, :2], dim=1)).numpy()


def arrays_of(model: Classifier, folder: Path, kept: Sequence[str]) -> dict[str, Array]:
    """Give what ships: whole numbers of at most STEPS with a scale for each row, and small parts as they are."""
    state = {name: part.detach().numpy() for name, part in model.state_dict().items()}
    vocabulary: dict[str, int] = AutoTokenizer.from_pretrained(folder).get_vocab()
    before = "encoder.embeddings."
    places = state[before + "position_embeddings.weight"][:LONGEST] + state[before + "token_type_embeddings.weight"][0]
    words, scale = whole(state[before + "word_embeddings.weight"][[vocabulary[piece] for piece in kept]])
    found: dict[str, Array] = {
        "pieces": np.frombuffer("\n".join(kept).encode(), np.uint8),
        "words": words,
        "words_scale": scale,
        "places": places.astype(np.float16),
        "norm": state[before + "LayerNorm.weight"],
        "norm_bias": state[before + "LayerNorm.bias"],
        "layers": np.int64(model.encoder.config.num_hidden_layers),
        "head": state["head.weight"],
        "head_bias": state["head.bias"],
    }
    for number in range(model.encoder.config.num_hidden_layers):
        for part, place in LAYER.items():
            name, path = f"{number}.{part}", f"encoder.encoder.layer.{number}.{place}"
            if part in NORMS:
                found[name] = state[path + ".weight"]
            else:
                found[name], found[name + "_scale"] = whole(state[path + ".weight"])
            found[name + "_bias"] = state[path + ".bias"]
    return found


def whole(weights: Array) -> tuple[Array, Array]:
    """Bring each row to whole numbers; give them and what one step is worth."""
    scale = np.abs(weights).max(1) / STEPS + 1e-9
    return np.round(weights / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def pieces_kept(data: Path, folder: Path) -> list[str]:
    """Name the pieces of words that ship: marks, single signs, and what training texts hold LEAST times or more."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = all_rows(data)
    bad, good = requests(data)
    texts = {text for row in rows if "/" not in row.source for text in (row.request, row.answer[:ANSWER_CHARACTERS])}
    times: Counter[int] = Counter()
    for text in sorted(texts.union(bad, good)):
        times.update(tokenizer(text, truncation=True, max_length=10 * LONGEST, add_special_tokens=False)["input_ids"])
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    kept = [
        piece
        for piece, number in sorted(vocabulary.items(), key=lambda item: item[1])
        if times[number] >= LEAST or (piece.isascii() and len(piece.removeprefix("##")) == 1)
    ]
    return [*MARKS, *(piece for piece in kept if piece not in MARKS)]


def write(model: Classifier, data: Path, folder: Path) -> None:
    """Write encoder.npz, and a card: what it is and what it saw."""
    path = OUT / "encoder.npz"
    np.savez_compressed(path, **arrays_of(model, folder, pieces_kept(data, folder)))  # pyright: ignore[reportArgumentType]
    read = [*sorted((data / "xstest" / "model_completions").glob("*.csv")), *sorted(WRITTEN.glob("*.jsonl"))]
    card = {
        "judge": "refusal",
        "weights": {"bytes": path.stat().st_size, "sha256": _hash(path)},
        "trained_by": "bench/refusal_encoder.py",
        "from": {"model": "sentence-transformers/all-MiniLM-L6-v2, Apache-2.0", "sha256": _hash(folder / MODEL)},
        "sets": {
            "xstest-completions": "225 prompts, five models; labels by people; not passed on, and not in the weights",
            "bench/refusals": "written and labelled by a language model that had read one half of them; Apache-2.0;"
            " some on requests of jailbreakbench (MIT) and red-instruct (Apache-2.0)",
        },
        "sha256": {file.name: _hash(file) for file in read},
    }
    (OUT / "encoder.json").write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    print(f"{path}: {path.stat().st_size:,} bytes")


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def show_halves(data: Path, folder: Path) -> None:
    """Print agreement with people on each half of the prompts, taught on the other."""
    halves = labelled(data)
    agreed: list[bool] = []
    for half, other in (HALVES, HALVES[::-1]):
        model = teach(folder, [*halves[half], *written(data, half)])
        odds = odds_of_full(model, folder, halves[other])
        right = [bool(odd > 0) == (one.refusal == "full") for odd, one in zip(odds, halves[other], strict=True)]
        print(f"taught on {half}, judged on {other}: {np.mean(right):.1%} of {len(right)}", flush=True)
        agreed += right
    low, high = wilson(sum(agreed), len(agreed))
    print(f"both: {np.mean(agreed):.1%} [{low:.1%}, {high:.1%}] of {len(agreed)}")


def main() -> None:
    """Write the weights, or print the estimate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--halves", action="store_true", help="estimate instead of writing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = Path(os.environ.get("BREAKFIX_DATA", "."))
    if arguments.halves:
        show_halves(data, arguments.folder)
        return
    halves = labelled(data)
    lessons = [lesson for half in HALVES for lesson in (*halves[half], *written(data, half))]
    write(teach(arguments.folder, lessons), data, arguments.folder)


if __name__ == "__main__":
    main()
