"""Which rows of a published file were changed, told without the file: a print (a short hash) of each row it had.

The package holds prints of the whole files whose licence lets them be passed on. How they are made:
`write_prints(files, path)`, with the files that BREAKFIX_DATA holds.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np
import orjson

from breakfix.packaged import data_file
from breakfix.scenarios.rows import Place, Row, rows_of

FILE = "rows.npz"
SHOWN = 5
"""Rows that are named; of more, the number."""


def print_of(row: Row) -> int:
    """Give the print of a row: 32 bits of its columns and cells, in whatever order the columns stand."""
    body = orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return int.from_bytes(blake2b(body, digest_size=4).digest(), "big")


def tell_changes(checksum: str, rows: Sequence[tuple[Place, Row]]) -> str | None:
    """Say which rows are not those of the published file with this SHA-256; None: its rows are not known here."""
    published = _packaged().get(checksum)
    if published is None:
        return None
    left = Counter(published)
    other: list[Place] = []
    for place, row in rows:
        mark = print_of(row)
        if left[mark]:
            left[mark] -= 1
        else:
            other.append(place)
    missing = left.total()
    if not other and not missing:
        return "its rows are the published ones, written otherwise"
    parts = [_named(other)] if other else []
    parts += [f"{missing} of the {len(published)} published rows {'is' if missing == 1 else 'are'} not there"]
    return "; ".join(parts if missing else parts[:-1])


def write_prints(files: Iterable[Path], path: Path) -> None:
    """Write the prints of whole published files, each under the file's SHA-256."""
    found = {
        sha256(file.read_bytes()).hexdigest(): np.array([print_of(row) for _, row in rows_of(file)], dtype=np.uint32)
        for file in files
    }
    with path.open("wb") as target:
        np.savez_compressed(target, **dict(sorted(found.items())))  # pyright: ignore[reportArgumentType]


def _named(places: Sequence[Place]) -> str:
    word = places[0].word if len(places) == 1 else {"entry": "entries"}.get(places[0].word, f"{places[0].word}s")
    numbers = ", ".join(str(place.number) for place in places[:SHOWN])
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return f"not as published: {word} {numbers}{more}"


@cache
def _packaged() -> dict[str, list[int]]:
    with data_file(f"sets/{FILE}").open("rb") as file, np.load(file) as arrays:
        return {name: arrays[name].tolist() for name in arrays.files}
