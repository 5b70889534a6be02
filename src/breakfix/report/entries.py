"""A table as plain values, and where its marked cells come from: HTML, Markdown, LaTeX and terminal all write these."""

from collections.abc import Iterable
from string import ascii_lowercase
from typing import NamedTuple

SUPERSCRIPTS = dict(zip(ascii_lowercase.replace("q", ""), "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", strict=True))
"""Every letter but q, which has none."""


class Entry(NamedTuple):
    """One cell: what it says, a smaller second line, and whether that is good, bad or unsure."""

    text: str
    detail: str = ""
    tone: str = ""
    mark: str = ""
    """Small letters that the table's `sources` explain."""


class Table(NamedTuple):
    """A captioned table; the first entry of a row heads it."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    note: str = ""
    sources: tuple[tuple[str, str], ...] = ()
    """What the marks of its cells stand for: each mark, and the judge and date of the cells that bear it."""


def mark_of(place: int) -> str:
    """Give the mark of the n-th source, from 0: a, b, ... z, aa, ab ..., without q."""
    letters = list(SUPERSCRIPTS)
    rest, last = divmod(place, len(letters))
    return (mark_of(rest - 1) if rest else "") + letters[last]


def raised(mark: str) -> str:
    """Write a mark in small raised letters, for a terminal."""
    return "".join(SUPERSCRIPTS[letter] for letter in mark)


def told(sources: Iterable[tuple[str, str]]) -> str:
    """Explain the marks of a table in one line, as a terminal shows it."""
    return f"Judge and date: {'; '.join(f'{raised(mark)} {words}' for mark, words in sources)}."
