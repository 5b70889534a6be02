"""A frozen dataset: rows, a card, and an identity that is the hash of the rows.

The folder appears whole or not at all (written beside, then renamed), and freezing the same rows again finds it there.
Rows go to TRL in its own keys. The card says what is in it, what was dropped and why, under which licences, and which
rows each finding became; `card.md` says the same for people. Rejected answers are a model's own harmful words: the card
says so, and neither card quotes any row.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from breakfix.curation.repair import Rows
from breakfix.errors import DataError, StoreError
from breakfix.identity import digest, file_digest
from breakfix.types import Dataset, Example, Message, Pair
from breakfix.wording import counted

EXAMPLES, PAIRS, CARD = "examples.jsonl", "pairs.jsonl", "card.json"
SCHEMA = 1
WARNING = (
    "Prompts ask for harm, and rejected answers may hold harmful text that a model wrote. "
    "Use for safety training and its study; do not show it unblurred."
)

OVERLAP = (
    "Nothing that overlaps the examination may be trained on: give data of your own (--sources FILE), or let"
    " breakfix redteam find other failures, with other --techniques or a larger --budget."
)
ADVICE = {
    **dict.fromkeys(("sealed conversation", "sealed scenario", "sealed family", "published prompt"), OVERLAP),
    "no safe and helpful answer": "The judge accepted no answer of the teacher: name a better one with --teacher.",
}
"""What helps where rows were left out, by cause."""


def freeze(rows: Rows, folder: Path, *, about: Mapping[str, Any] | None = None) -> Dataset:
    """Write a dataset under `folder` and give it; `about` is added to the card. Raises DataError without rows."""
    if not rows.pairs and not rows.examples:
        raise DataError(_nothing_left(rows.dropped))
    name = digest([list(map(_pair_row, rows.pairs)), list(map(_example_row, rows.examples))])
    home = folder / name[:16]
    try:
        if not (home / CARD).exists():
            _write(rows, home, name, about or {})
    except OSError as error:
        raise StoreError(f"Cannot write the dataset to {str(folder)!r}: {error.strerror}. Make room there.") from None
    return read_dataset(home)


def _nothing_left(dropped: Mapping[str, int]) -> str:
    """Say why there is nothing to freeze, and what helps against the commonest cause."""
    if not any(dropped.values()):
        return (
            "No training row was made, so there is nothing to freeze. Give data of your own (--sources FILE), or find"
            " failures to repair first: breakfix redteam, with a larger --budget where it found none."
        )
    by_number = sorted(dropped.items(), key=lambda item: -item[1])
    causes = ", ".join(f"{cause} {count:,}" for cause, count in by_number)
    advice = ADVICE.get(by_number[0][0], "Give data of your own (--sources FILE).")
    return (
        f"No training row is left, so there is nothing to freeze: {_went(sum(dropped.values()))} ({causes}). {advice}"
    )


def _went(number: int) -> str:
    return "the only one was left out" if number == 1 else f"all {number:,} were left out"


def read_dataset(home: Path) -> Dataset:
    """Read a dataset's card and check its files against their hashes. Raises DataError."""
    try:
        card: dict[str, Any] = orjson.loads((home / CARD).read_bytes())
        hashes = {name: file_digest(home / name) for name in (EXAMPLES, PAIRS)}
    except OSError as error:
        raise DataError(f"No dataset in {str(home)!r}: {error.strerror}. Give a folder that has a {CARD}.") from None
    except orjson.JSONDecodeError:
        raise _no_card(home) from None
    try:
        changed = [name for name, value in hashes.items() if card["hashes"].get(name) != value]
        fields = {name: card[name] for name in ("id", "examples", "pairs", "mixture", "dropped", "licences")}
        dataset = Dataset.model_validate({**fields, "path": str(home)})
    except (AttributeError, KeyError, TypeError, ValidationError):
        raise _no_card(home) from None
    if changed:
        raise DataError(f"{str(home / changed[0])!r} is not what its card says: it was changed after freezing.")
    return dataset


def _no_card(home: Path) -> DataError:
    return DataError(f"{str(home / CARD)!r} is not a dataset card. Freeze the dataset anew.")


def card_of(rows: Rows, name: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Describe rows: counts, mixture, licences, sources, what was dropped, and finding -> rows."""
    everything: Sequence[Pair | Example] = (*rows.pairs, *rows.examples)
    return {
        "schema": SCHEMA,
        "id": name,
        "examples": len(rows.examples),
        "pairs": len(rows.pairs),
        "mixture": _count(row.provenance.kind for row in everything),
        "mixture_of_examples": _count(row.provenance.kind for row in rows.examples),
        "mixture_of_pairs": _count(row.provenance.kind for row in rows.pairs),
        "harms": _count(row.provenance.harm or "none" for row in everything),
        "licences": sorted({row.provenance.licence for row in everything}),
        "rows_by_licence": _count(row.provenance.licence for row in everything),
        "sources": _count(_source(row) for row in everything),
        "dropped": dict(sorted(rows.dropped.items())),
        "findings": _findings(rows),
        "distinct_answers": len({_answer(row) for row in everything}),
        "warning": WARNING,
        "about": dict(about),
    }


def card_text(card: Mapping[str, Any]) -> str:
    """Write the card for people."""
    lines = [
        f"# Dataset {card['id'][:8]}",
        "",
        f"{counted(card['examples'], 'example')}, {counted(card['pairs'], 'pair')}.",
        "",
    ]
    lines += [f"**Content warning.** {card['warning']}", ""]
    titles = {
        "mixture": "Rows by kind",
        "harms": "Rows by harm",
        "rows_by_licence": "Rows by licence",
        "sources": "Rows by source",
        "dropped": "Left out, and why",
    }
    for key, title in titles.items():
        lines += [f"## {title}", "", "| | rows |", "| --- | ---: |"]
        lines += [f"| {name} | {count} |" for name, count in card[key].items()] or ["| none | 0 |"]
        lines.append("")
    lines += ["## Findings and their rows", "", "| finding | pairs | examples |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {len(row['pairs'])} | {len(row['examples'])} |" for name, row in card["findings"].items()]
    lines += ["", "## Files", ""]
    lines += [f"- `{name}` {value}" for name, value in card["hashes"].items()]
    return "\n".join(lines) + "\n"


def _write(rows: Rows, home: Path, name: str, about: Mapping[str, Any]) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".freezing-", dir=home.parent))
    try:
        scratch.chmod(0o755)
        _write_lines(scratch / EXAMPLES, map(_example_row, rows.examples))
        _write_lines(scratch / PAIRS, map(_pair_row, rows.pairs))
        card = card_of(rows, name, about)
        card["hashes"] = {file: file_digest(scratch / file) for file in (EXAMPLES, PAIRS)}
        (scratch / "card.md").write_text(card_text(card), encoding="utf-8")
        (scratch / CARD).write_bytes(orjson.dumps(card, option=orjson.OPT_INDENT_2))
        if home.exists():
            shutil.rmtree(home)
        scratch.rename(home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("wb") as stream:
        for row in rows:
            stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def _example_row(row: Example) -> dict[str, Any]:
    return {"messages": _bare(row.messages), "provenance": row.provenance.model_dump(mode="json")}


def _pair_row(row: Pair) -> dict[str, Any]:
    return {
        "prompt": _bare(row.prompt),
        "chosen": _bare(row.chosen),
        "rejected": _bare(row.rejected),
        "provenance": row.provenance.model_dump(mode="json"),
    }


def _bare(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _findings(rows: Rows) -> dict[str, dict[str, list[int]]]:
    """Give, for each finding, the lines (from 1) that it became."""
    found: dict[str, dict[str, list[int]]] = {}
    for kind, listed in (("pairs", rows.pairs), ("examples", rows.examples)):
        for number, row in enumerate(listed, start=1):
            if _is_of_finding(row):
                entry = found.setdefault(row.provenance.source, {"pairs": [], "examples": []})
                entry[kind].append(number)
    return dict(sorted(found.items()))


def _is_of_finding(row: Pair | Example) -> bool:
    return row.provenance.kind in ("repair", "contrast") and row.provenance.conversation_id is not None


def _source(row: Pair | Example) -> str:
    """Name a row's source without its row number."""
    if row.provenance.conversation_id is not None:
        return "findings" if _is_of_finding(row) else "the model's own answers"
    name, mark, number = row.provenance.source.rpartition(":")
    return name if mark and number.isdigit() else row.provenance.source


def _answer(row: Pair | Example) -> str:
    return (row.messages if isinstance(row, Example) else row.chosen)[-1].content


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
