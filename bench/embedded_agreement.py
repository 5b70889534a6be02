"""How well the embedded judge agrees with people on sets that it was never trained on, and how fast it is.

    BREAKFIX_DATA=<folder> python bench/embedded_agreement.py [--speed]

Reads pku-saferlhf-mini and do-not-answer (harmful or not, by people) and the XSTest completions (refusal, by people):
used for checking alone. Beside it stands, on the same rows, the rule that everything is harmful which the `refusal`
judge does not call refused in full: what string matching would say. Last, how often it cries wolf: on full answers to
XSTest's safe prompts, and on ordinary answers of ChatGPT (halueval-general; nobody labelled these for harm). `--speed`
times the judge alone, on this core.
"""

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from refusal_agreement import FULL, read_models

from breakfix.judging.embedded import classify_many
from breakfix.judging.refusal import classify
from breakfix.statistics.intervals import wilson

COMPLIED = "1_full_compliance"


class Labelled(NamedTuple):
    """Answers to requests, and which of them people called harmful."""

    requests: list[str]
    answers: list[str]
    harmful: list[bool]


def pku(folder: Path) -> Labelled:
    """Read pku-saferlhf-mini."""
    path = folder / "pku-saferlhf-mini/Safe-RLHFmini.half-a.csv"
    rows = list(csv.DictReader(path.open(newline="", encoding="utf-8")))
    return Labelled([r["question"] for r in rows], [r["answer"] for r in rows], [r["label"] == "1" for r in rows])


def do_not_answer(folder: Path) -> Labelled:
    """Read the answers of all six models."""
    rows = list(csv.DictReader((folder / "do-not-answer/data_en.half-a.csv").open(newline="", encoding="utf-8")))
    models = [key.removesuffix("_harmful") for key in rows[0] if key.endswith("_harmful")]
    each = [(row, model) for row in rows for model in models]
    return Labelled(
        [row["question"] for row, _ in each],
        [row[f"{model}_response"] for row, model in each],
        [row[f"{model}_harmful"] == "1" for row, model in each],
    )


def line(name: str, said: Sequence[bool], harmful: Sequence[bool]) -> str:
    """Write one row: plain and balanced agreement, and the share found on either side."""
    pairs = list(zip(said, harmful, strict=True))
    agreed = sum(one == true for one, true in pairs)
    found = [one for one, true in pairs if true]
    passed = [not one for one, true in pairs if not true]
    sensitivity, specificity = sum(found) / len(found), sum(passed) / len(passed)
    low, high = wilson(agreed, len(pairs))
    balanced = (sensitivity + specificity) / 2
    return (
        f"{name:34} {len(pairs):5} {agreed / len(pairs):7.1%} [{low:.1%}, {high:.1%}] {balanced:8.1%}"
        f" {sensitivity:11.1%} {specificity:11.1%}"
    )


def show_harm(name: str, rows: Labelled) -> None:
    """Print the judge and the string-matching rule on one set."""
    opinions = classify_many(rows.requests, rows.answers)
    scored = [n for n, opinion in enumerate(opinions) if opinion.harmful is not None]
    print(line(name, [bool(opinions[n].harmful) for n in scored], [rows.harmful[n] for n in scored]))
    by_rule = [classify(rows.requests[n], rows.answers[n]).refusal != "full" for n in scored]
    print(line("    not refused in full, by rule", by_rule, [rows.harmful[n] for n in scored]))


def show_refusal(folder: Path) -> None:
    """Print agreement on full refusal against the rest."""
    rows = [row for found in read_models(folder / "xstest" / "model_completions").values() for row in found]
    opinions = classify_many([row["prompt"] for row in rows], [row["completion"] for row in rows])
    people = [row["final_label"] == FULL for row in rows]
    print(line("xstest completions: full refusal", [opinion.refusal == "full" for opinion in opinions], people))


def show_alarms(folder: Path) -> None:
    """Print how often answers to harmless requests are called harmful."""
    rows = [row for found in read_models(folder / "xstest" / "model_completions").values() for row in found]
    safe = [row for row in rows if not row["type"].startswith("contrast") and row["final_label"] == COMPLIED]
    lines = (folder / "halueval-general/general_data.half-a.json").read_text("utf-8").splitlines()
    ordinary = [json.loads(line) for line in lines]
    asked = {
        "xstest, safe prompts answered in full": [(row["prompt"], row["completion"]) for row in safe],
        "halueval-general, ordinary answers": [(row["user_query"], row["chatgpt_response"]) for row in ordinary],
    }
    print(f"\n{'called harmful, of answers to harmless requests':50} {'n':>5} {'share':>7} 95 % interval")
    for name, pairs in asked.items():
        opinions = classify_many([request for request, _ in pairs], [answer for _, answer in pairs])
        alarms = sum(bool(opinion.harmful) for opinion in opinions)
        low, high = wilson(alarms, len(pairs))
        print(f"{name:50} {len(pairs):5} {alarms / len(pairs):7.1%} [{low:.1%}, {high:.1%}]")


def show_speed(folder: Path) -> None:
    """Print how many answers a second are judged, in the time of this process, and of the wall."""
    for name, rows in (("pku-saferlhf-mini", pku(folder)), ("do-not-answer", do_not_answer(folder))):
        classify_many(rows.requests[:10], rows.answers[:10])
        wall, own = time.perf_counter(), time.process_time()
        classify_many(rows.requests, rows.answers)
        wall, own = time.perf_counter() - wall, time.process_time() - own
        n = len(rows.answers)
        length = sum(map(len, rows.answers)) / n
        rates = f"{n / own:,.0f} a second of one core ({n / wall:,.0f} by the wall)"
        print(f"{name:20} {n} answers of {length:.0f} characters: {rates}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", action="store_true", help="time it, and nothing else")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("BREAKFIX_DATA", "."))
    if not (folder / "pku-saferlhf-mini").is_dir():
        sys.exit(f"No pku-saferlhf-mini under {folder}. Set BREAKFIX_DATA to the folder of the published sets.")
    if arguments.speed:
        show_speed(folder)
        return
    print(
        f"{'set':34} {'n':>5} {'agree':>7} {'95 % interval':14} {'balanced':>8} {'sensitivity':>11} {'specificity':>11}"
    )
    for name, rows in (("pku-saferlhf-mini", pku(folder)), ("do-not-answer, six models", do_not_answer(folder))):
        show_harm(name, rows)
        show_harm("  without the requests", rows._replace(requests=[""] * len(rows.requests)))
    show_refusal(folder)
    show_alarms(folder)


if __name__ == "__main__":
    main()
