"""Where the rows of a set are: a file, a folder, a published set under BREAKFIX_DATA, or the hub.

A file is recognised by its name and columns. One that should be a published whole file and is not is read as it is, and
said to be another: halves and newer versions exist.
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from breakfix.errors import BreakfixError, DataError, closest
from breakfix.scenarios.answerers import parse_name, with_labels
from breakfix.scenarios.hub import PREFIX, fetch, parse_place
from breakfix.scenarios.prints import tell_changes
from breakfix.scenarios.rows import Place, Row, rows_of
from breakfix.scenarios.sets import GROUPS, HubPlace, PublishedSet, known_at, load_sets, members_of

DATA_VARIABLE = "BREAKFIX_DATA"
OWN_COLUMNS = {"prompt", "opening", "objective", "messages"}
SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".gz")


class Source(NamedTuple):
    """Rows to read, and the set they are of (None: the user's own)."""

    path: Path
    rows: Sequence[tuple[Place, Row]]
    known: PublishedSet | None


def open_sources(name: str) -> Iterator[Source]:
    """Open what a name stands for: a file, the files of a folder, a published set or several, a set on the hub."""
    if name.startswith(PREFIX):
        yield _of_hub(name)
        return
    named = parse_name(name)
    if named.path.exists():
        for path in files_at(named.path):
            rows = rows_of(path)
            labelled = rows if named.answerer is None else with_labels(rows, named)
            yield Source(path, labelled, _recognise(path, rows))
        return
    for known in _present(name) or _members(name):
        yield from _of_set(known)


def files_at(path: Path) -> list[Path]:
    """Give a file as it is, or the readable files of a folder."""
    if path.is_file():
        return [path]
    files = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"The folder {str(path)!r} holds no file to read ({', '.join(SUFFIXES)}).")
    return files


def files_of(known: PublishedSet) -> list[Path]:
    """Give a set's files under BREAKFIX_DATA; none where it is not set or does not hold them."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        return []
    found = (sorted(Path(folder).glob(pattern)) for pattern in known.files)
    return next((files for files in found if files), list[Path]())


def _members(name: str) -> tuple[PublishedSet, ...]:
    members = members_of(name)
    if not members:
        names = [*load_sets(), *GROUPS]
        if "/" in name or Path(name).suffix.lower() in SUFFIXES:
            raise DataError(f"There is no file {name!r}. Check the path, or name a set: breakfix scenarios lists them.")
        near = closest(name, names)
        hint = f"Did you mean {near!r}?" if near else f"Known sets: {', '.join(names)}."
        raise DataError(f"No scenarios {name!r}: neither a file nor a known set. {hint}")
    return members


def _present(name: str) -> list[PublishedSet]:
    """Give those of a name's sets whose files are here."""
    return [known for known in members_of(name) if files_of(known)]


def _of_hub(name: str) -> Source:
    """Read a set by its hub name: a known one with the columns that its published file has."""
    asked, path = parse_place(name), Path(name)
    known = known_at(asked)
    if known is None:
        rows = _hub_rows(name, fetch(asked))
        return Source(path, rows, _recognise(path, rows))
    carried = known.hub or asked
    place = carried.model_copy(update={"config": asked.config or carried.config, "split": asked.split or carried.split})
    rows = _hub_rows(name, fetch(place))
    _check_columns(path, rows, known)
    return Source(path, rows, known)


def _of_set(known: PublishedSet) -> Iterator[Source]:
    files = files_of(known)
    if not files and not os.environ.get(DATA_VARIABLE) and known.hub:
        place = Path(f"{PREFIX}{known.hub.name}")
        rows = _hub_rows(str(place), _fetched(known, known.hub))
        _check_columns(place, rows, known)
        yield Source(place, rows, known)
        return
    if not files:
        _refuse(known)
    for path in files:
        rows = rows_of(path)
        _check_columns(path, rows, known)
        yield Source(path, rows, known)


def _fetched(known: PublishedSet, place: HubPlace) -> list[Row]:
    try:
        return fetch(place)
    except BreakfixError as error:
        raise DataError(
            f"The published set {known.name!r} is looked for in the folder that {DATA_VARIABLE} names, which is not"
            f" set. Set it, or give the path of a file. On the hub: {error}"
        ) from None


def _refuse(known: PublishedSet) -> None:
    folder = os.environ.get(DATA_VARIABLE)
    if folder:
        hub = f", or name its place on the hub: {known.hub.written}" if known.hub else ""
        raise DataError(
            f"No file {known.files[0]!r} of the set {known.name!r} under {DATA_VARIABLE} ({folder})."
            f" Put it there, give the path of a file{hub}."
        )
    where = "" if known.hub else f" ({known.source}; the hub is not known to carry it)"
    raise DataError(
        f"The published set {known.name!r}{where} is looked for in the folder that {DATA_VARIABLE} names, which is not"
        " set. Set it, or give the path of a file."
    )


def _hub_rows(name: str, rows: Iterable[Row]) -> list[tuple[Place, Row]]:
    placed = [(Place(Path(name), "row", number), row) for number, row in enumerate(rows, start=1)]
    if not placed:
        raise DataError(f"{name} holds no scenario: the set has no rows.")
    return placed


def _recognise(path: Path, rows: Sequence[tuple[Place, Row]]) -> PublishedSet | None:
    """Name the set that a file is of, by its name and columns or by its columns; None: the user's own making."""
    columns = set(rows[0][1])
    fitting = [known for known in load_sets().values() if set(known.columns) <= columns]
    for known in fitting:
        if any(path.match(pattern) for pattern in known.files):
            return known
    for known in fitting:
        if not known.by_name:
            return known
    if not columns & OWN_COLUMNS:
        if len(columns) == 1 and (cut := next((mark for mark in ";\t|" if mark in min(columns)), None)):
            raise DataError(f"{path} is cut by {cut!r}. Save it with commas, or by tabs as .tsv.")
        raise DataError(
            f"{path} has the columns {', '.join(sorted(columns))}, which are of no known set."
            " Give 'prompt' (or 'opening'), or 'objective'; or the columns of a published set."
        )
    return None


def _check_columns(path: Path, rows: Sequence[tuple[Place, Row]], known: PublishedSet) -> None:
    missing = [column for column in known.columns if column not in rows[0][1]]
    if missing:
        raise DataError(f"{path} is not the set {known.name!r}: the column {missing[0]!r} is missing.")


def notes_on(source: Source, unknown: Collection[str]) -> Iterator[str]:
    """Say what the user should know of a source, a line each: categories not known, a file that is another."""
    known = source.known
    if known is None:
        return
    if unknown:
        few = ", ".join(sorted(unknown)[:5])
        yield f"{source.path}: categories that {known.name!r} did not have ({few}); their rows count under no area."
    path = source.path.as_posix()
    expected = next((value for end, value in known.checksums.items() if f"/{path}".endswith(f"/{end}")), None)
    if expected and source.path.is_file() and hashlib.sha256(source.path.read_bytes()).hexdigest() != expected:
        changes = tell_changes(expected, source.rows) or "a newer version, or changed"
        yield (
            f"{source.path} is not the file of {known.name!r} that was published (its SHA-256 differs): {changes}."
            " It is read as it is."
        )


def notes_on_absent(name: str) -> Iterator[str]:
    """Say which of a name's sets are not here, where it stands for several and others are."""
    present = [] if Path(name).exists() else _present(name)
    absent = [known.name for known in members_of(name) if known not in present]
    if present and absent:
        yield f"{name}: no files of {', '.join(absent)} under {DATA_VARIABLE}; read without."
