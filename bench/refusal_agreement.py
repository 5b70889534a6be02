"""How well the offline refusal judge agrees with people, per model, on rows it was not developed on.

    BREAKFIX_DATA=<folder> python bench/refusal_agreement.py [--all]

Reads the XSTest completions (five models, two annotators a row) under $BREAKFIX_DATA/xstest/model_completions.
Agreement is on full refusal against the rest. The judge was developed on every row of 225 of XSTest's 450 prompts (the
files named half-a, the same prompts for each model). Rows of any other prompt were never seen, and only those measure
the judge: the first table. `--all` shows the development rows, so marked: people who wrote the rules had read them.
IPRR (inappropriate prompts refused) and VPRR (valid prompts refused) stand beside those of the human labels.

What to expect on prompts that were not seen: `bench/train_refusal.py --folds`, and docs/judges.md.
"""

import argparse
import csv
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from breakfix.judging.refusal import classify
from breakfix.statistics.intervals import wilson

FULL = "2_full_refusal"
HALF_A = (
    "2 4-6 8-11 13 15-19 23 29 41 44 46 51 55-56 58-59 62-63 66 70 72-73 76-77 79 81-83 90 92 95-96 "
    "99-105 108-109 111 113 116-118 121 126 129-132 134 136-138 140-142 144 147 150-153 156-157 160 162 "
    "165 167-174 177 179 181 183 185 189 193-194 196-197 199-200 207-212 214 217 220 222 224-225 227-228 "
    "231-232 235-236 238 241-242 244 246 248 250 252 256 258-259 261-262 265-268 270-271 276 278-280 284 "
    "288 291 302-303 307-308 315 318-321 324-327 329 331 333 335-336 338-342 346-347 351-352 354-356 359 "
    "361-364 368 370 374-376 378-379 381 383-385 387 390-391 393-395 397-399 402-403 407-408 410-411 "
    "413-415 420 422-423 425-426 430 434-438 441-444 446-448 450"
)
"""The numbers of the prompts in the files used, as ranges."""
SEEN_PROMPTS = {
    str(number) for span in HALF_A.split() for number in range(int(span.split("-")[0]), int(span.split("-")[-1]) + 1)
}
Row = dict[str, str]


def number_of(row: Row) -> str:
    """Give a prompt's number, the same in every model's file."""
    return row["id"].removeprefix("v2-")


def unseen(row: Row) -> bool:
    """Tell whether a row's prompt is not among those that the judge was developed on."""
    return number_of(row) not in SEEN_PROMPTS


def is_full(row: Row) -> bool:
    """Tell whether the judge calls a row a full refusal."""
    return classify(row["prompt"], row["completion"]).refusal == "full"


def pooled_agreement(rows: Iterable[Row]) -> tuple[int, int]:
    """Count the rows on which judge and people agree, and all rows."""
    agreed = [is_full(row) == (row["final_label"] == FULL) for row in rows]
    return sum(agreed), len(agreed)


def read_models(folder: Path) -> dict[str, list[Row]]:
    """Read every completion file as rows by model name."""
    files = sorted(folder.glob("*.csv"))
    if not files:
        sys.exit(f"No completion files under {folder}. Set BREAKFIX_DATA to the folder that holds xstest/.")
    return {
        path.stem.removeprefix("xstest_v2_completions_").split(".")[0]: list(
            csv.DictReader(path.open(newline="", encoding="utf-8"))
        )
        for path in files
    }


def line(name: str, rows: Sequence[Row]) -> str:
    """Write one model's row of the table."""
    agreed, n = pooled_agreement(rows)
    if not n:
        return f"{name:18} {n:5}   no such rows"
    low, high = wilson(agreed, n)
    unsafe = [row for row in rows if row["type"].startswith("contrast_")]
    safe = [row for row in rows if not row["type"].startswith("contrast_")]
    rates = [f"{share(group, by_people=False):5.1%} / {share(group, by_people=True):5.1%}" for group in (unsafe, safe)]
    return f"{name:18} {n:5} {agreed / n:7.1%}  [{low:.1%}, {high:.1%}]   {rates[0]}   {rates[1]}"


def share(rows: Sequence[Row], *, by_people: bool) -> float:
    """Give the share of full refusals, by the judge or by people."""
    refused = [row["final_label"] == FULL if by_people else is_full(row) for row in rows]
    return sum(refused) / len(refused) if refused else float("nan")


def table(title: str, models: dict[str, list[Row]]) -> None:
    """Print one table, a line a model and one pooled."""
    print(f"\n{title}")
    print(f"{'model':18} {'n':>5} {'agree':>7}  {'95 % interval':16}   {'IPRR judge/people':17}   VPRR judge/people")
    for name, rows in models.items():
        print(line(name, rows))
    print(line("pooled", [row for rows in models.values() for row in rows]))


def main() -> None:
    """Print agreement on unseen rows; with --all on the development rows too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="also show the development rows")
    arguments = parser.parse_args()
    models = read_models(Path(os.environ.get("BREAKFIX_DATA", ".")) / "xstest" / "model_completions")
    table(
        "Unseen: prompts that the judge was not developed on",
        {name: [row for row in rows if unseen(row)] for name, rows in models.items()},
    )
    if arguments.all or not any(unseen(row) for rows in models.values() for row in rows):
        table(
            "Development: rules and weights were made with sight of these rows; no measure of quality",
            {name: [row for row in rows if not unseen(row)] for name, rows in models.items()},
        )


if __name__ == "__main__":
    main()
