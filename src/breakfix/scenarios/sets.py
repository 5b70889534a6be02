"""The published sets that breakfix reads: where each lies, its columns and licence, and what its categories mean.

The sets are data (data/sets). A set's own categories are given a harm only where they mean the same; where they are
broader, the area of Figure 4 alone is given, and where they are broader than any area, nothing.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from pydantic import BaseModel

from breakfix.packaged import data_file, parse_yaml, yaml_files
from breakfix.types import Area, Kind, Measure

FOLDER = "sets"
GROUPS: Mapping[str, tuple[str, ...]] = {
    "red-instruct": ("catqa", "harmfulqa", "dangerousqa", "adversarialqa"),
    "safety-tuned-llamas": (
        "conan", "controversial", "malicious-instructions", "q-harm", "physical-safety-unsafe", "physical-safety-safe",
        "alpaca-controls",
    ),
    "halueval": ("halueval-qa", "halueval-summarization", "halueval-general"),
}  # fmt: skip
"""Names that stand for several sets of one source."""


class Topic(NamedTuple):
    """What a set's own category is in our terms."""

    area: Area | None = None
    harm: str = "none"


class HubPlace(BaseModel, frozen=True, extra="forbid"):
    """Where the Hugging Face hub carries a set."""

    name: str
    config: str | None = None
    split: str | None = None
    """None: test, or else the only one, or the first."""
    folder: str | None = None
    rename: dict[str, str] = {}
    """The hub's name of a column -> the published file's."""

    @property
    def written(self) -> str:
        """Give the place as a name of scenarios."""
        config, split = (f"{mark}{part}" if part else "" for mark, part in ((":", self.config), ("@", self.split)))
        return f"hub:{self.name}{config}{split}"


class PublishedSet(BaseModel, frozen=True, extra="forbid"):
    """One published set: how it is found and read, and what it serves."""

    name: str
    title: str
    source: str
    """The repository that published it."""
    licence: str
    redistributable: bool = True
    languages: tuple[str, ...]
    rows: int | None = None
    """Rows of the whole published set, where known."""
    measures: tuple[Measure, ...]
    files: tuple[str, ...]
    """Patterns of its files under BREAKFIX_DATA; the first that matches anything counts."""
    columns: tuple[str, ...]
    """What a file must have to be read as this set."""
    by_name: bool = False
    """True: a file is recognised by its name alone, since others have the same columns."""
    form: str = "requests"
    """How a row becomes scenarios: a function of scenarios/forms.py."""
    prompt: str = "prompt"
    """The column of the request."""
    ask: str | None = None
    """What is asked of every row, in place of a column."""
    frame: str | None = None
    """What is said around a row's text, "{text}"."""
    grounding: str | None = None
    """The column of the source text."""
    objective: str | None = None
    kind: Kind = "harmful"
    number: str | None = None
    """The column (or several, a/b) by which rows that are one idea are known; None: the words."""
    family: str | None = None
    """The set whose families these rows belong to; None: this one's."""
    topic: str | None = None
    """The column (or several, a/b) of the set's own category; "file": the name of the file."""
    topics: dict[str, str] = {}
    """The set's category -> area/harm. Of several columns the first alone is looked up too."""
    area: Area | None = None
    harm: str = "none"
    """What the whole set is about, where it has no categories."""
    third_party: tuple[str, ...] = ()
    """Categories about the works of others, which alone serve the measure third_party."""
    refusal_only: tuple[str, ...] = ()
    """Categories that mix a prohibited harm with others: asked as published, in the refusal measure alone."""
    language_of: dict[str, str] = {}
    """How a file's name begins -> its language."""
    hub: HubPlace | None = None
    checksums: dict[str, str] = {}
    """How a published whole file's path ends -> its SHA-256."""
    note: str = ""
    """What must be known to use it rightly."""

    def topic_of(self, category: str) -> Topic | None:
        """Give our terms for a category of the set; None: the category is not known."""
        wanted = category.casefold()
        known = {name.casefold(): words for name, words in self.topics.items()}
        words = known.get(wanted, known.get(wanted.rpartition("/")[0]))
        return None if words is None else _topic(words)


@cache
def load_sets() -> Mapping[str, PublishedSet]:
    """Read the packaged sets by name, in the order of their files."""
    files = yaml_files(data_file(FOLDER))
    entries = [entry for file in files for entry in parse_yaml(file.read_text("utf-8"))]
    return {each.name: each for each in map(PublishedSet.model_validate, entries)}


def members_of(name: str) -> tuple[PublishedSet, ...]:
    """Give the sets that a name stands for: one, several, or none that is known."""
    sets = load_sets()
    return tuple(sets[each] for each in GROUPS.get(name, (name,)) if each in sets)


def known_at(place: HubPlace) -> PublishedSet | None:
    """Give the set that lies at a place of the hub; of several there, the one whose configuration or split is named.

    Where no split is named and one place holds harmful and harmless requests: the harmful ones.
    """
    there = [known for known in load_sets().values() if known.hub and known.hub.name == place.name]
    for part in ("config", "split"):
        named: str | None = getattr(place, part)
        if named and len(there) > 1:
            there = [known for known in there if getattr(known.hub, part) == named]
    by_config = {known.hub.config for known in there if known.hub}
    return min(there, key=lambda known: known.kind != "harmful") if len(by_config) == 1 else None


def _topic(words: str) -> Topic:
    area, _, harm = words.partition("/")
    return Topic(area or None, harm or "none")  # pyright: ignore[reportArgumentType]
