"""Published evaluation prompts, known again without their texts.

The package holds fingerprints (hashes of whole prompts and of their passages) of published sets whose licence allows
redistribution, so that decontamination works where no set is at hand. Where BREAKFIX_DATA names a folder with the sets,
all of their prompts are indexed by their words too, which finds near-duplicates. How the packaged file is made:
`write_fingerprints(evaluation_prompts(folder, packaged=True), path)`.
"""

import csv
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from breakfix.errors import DataError
from breakfix.overlap import Fingerprints, OverlapIndex, fingerprints
from breakfix.packaged import data_file

FILE = "evaluation_prompts.npz"


class PromptSet(NamedTuple):
    """Where a published set's prompts lie under BREAKFIX_DATA."""

    files: str
    columns: tuple[str, ...]
    """Of a table, or keys at any depth of a JSON file; none: every text of the file is a prompt."""
    may_ship: bool = True
    """Whether its fingerprints are packaged: its licence must allow it, and long texts would take too much room."""


LANGUAGES = ("en", "zh", "it", "vi", "ar", "ko", "th", "bn", "sw", "jv")
SETS: dict[str, PromptSet] = {
    "advbench": PromptSet("advbench/*.csv", ("goal",)),
    "ailuminate-demo": PromptSet("ailuminate-demo/*.csv", ("prompt_text",)),
    "cosafe": PromptSet("cosafe/*.json", ("content",), may_ship=False),
    "do-not-answer": PromptSet("do-not-answer/*.csv", ("question",), may_ship=False),
    "halueval-general": PromptSet("halueval-general/*.json", ("user_query",), may_ship=False),
    "jailbreakbench": PromptSet("jailbreakbench/*.csv", ("Goal",)),
    "jailbreakbench attacks": PromptSet("jailbreakbench/attack-artifacts/*/*/*.json", ("prompt",), may_ship=False),
    "mitre-frr": PromptSet("mitre-frr/*.json", ("mutated_prompt",)),
    "multijail": PromptSet("multijail/*.csv", LANGUAGES),
    "red-instruct": PromptSet("red-instruct/*.json", ()),
    "safety-tuned-llamas evaluation": PromptSet(
        "safety-tuned-llamas/evaluation/*.json", ("instructions",), may_ship=False
    ),
    "strongreject": PromptSet("strongreject/*.csv", ("forbidden_prompt",)),
    "xstest": PromptSet("xstest/*prompts*.csv", ("prompt",)),
}


def index_published(index: OverlapIndex, folder: Path | None = None) -> None:
    """Add published evaluation prompts to an index: by fingerprint, and by their words where the sets are at hand."""
    root = folder or (Path(os.environ["BREAKFIX_DATA"]) if os.environ.get("BREAKFIX_DATA") else None)
    if root is not None:
        for name, prompt in evaluation_prompts(root):
            index.add(prompt, label_of(name))
    for name, taken in packaged_fingerprints().items():
        index.add_fingerprints(taken, label_of(name))


def label_of(name: str) -> str:
    """Name a set in the reason for which a row is dropped."""
    return f"published prompt of {name}"


def evaluation_prompts(root: Path, *, packaged: bool = False) -> Iterator[tuple[str, str]]:
    """Give set and prompt of every set that lies under `root`; with `packaged`, of those that may ship."""
    for name, known in SETS.items():
        if packaged and not known.may_ship:
            continue
        for path in sorted(root.glob(known.files)):
            for prompt in _prompts(path, known.columns):
                yield name, prompt


def write_fingerprints(prompts: Iterable[tuple[str, str]], path: Path) -> None:
    """Write the fingerprints of prompts by set, equal for equal prompts."""
    import numpy as np

    texts: dict[str, list[str]] = {}
    for name, prompt in prompts:
        texts.setdefault(name, []).append(prompt)
    arrays: dict[str, Any] = {}
    for name, listed in sorted(texts.items()):
        taken = fingerprints(listed)
        arrays[f"{name}/0"] = taken.exact
        arrays |= {f"{name}/{size}": runs for size, runs in taken.passages.items()}
    np.savez(path, **arrays)


def packaged_fingerprints(path: Path | None = None) -> Mapping[str, Fingerprints]:
    """Read the packaged fingerprints (or a file of one's own), by set. Raises DataError."""
    import numpy as np

    source = path or data_file(FILE)
    found: dict[str, Fingerprints] = {}
    try:
        with source.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            for key in arrays.files:
                name, _, size = key.rpartition("/")
                taken = found.setdefault(name, Fingerprints(np.zeros(0, np.uint64), {}))
                if size == "0":
                    found[name] = taken._replace(exact=arrays[key])
                else:
                    taken.passages[int(size)] = arrays[key]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"Cannot read the fingerprints in {str(source)!r}: {error}. Install breakfix anew.") from None
    return found


def _prompts(path: Path, columns: tuple[str, ...]) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            rows: Iterable[Any] = _documents(text)
        else:
            csv.field_size_limit(1 << 24)
            rows = list(csv.DictReader(text.splitlines(keepends=True)))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"Cannot read the published prompts in {str(path)!r}: {error}.") from None
    for row in rows:
        yield from _said(row, columns)


def _documents(text: str) -> list[Any]:
    """Read one JSON document, or one a line."""
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def _said(part: Any, columns: tuple[str, ...]) -> Iterator[str]:
    """Give the prompts in a part of a document; what an assistant said is none."""
    if isinstance(part, str):
        if not columns:
            yield part
    elif isinstance(part, list):
        for one in cast("list[Any]", part):
            yield from _said(one, columns)
    elif isinstance(part, dict):
        fields = cast("dict[str, Any]", part)
        if fields.get("role", "user") == "user":
            for key, value in fields.items():
                yield from _said(value, () if key in columns else columns)
