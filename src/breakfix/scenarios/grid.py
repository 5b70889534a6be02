"""The grid: ideas crossed with personas and languages, sampled so that any number of points is spread evenly.

The points of one seed are one endless row, of which a measurement takes the first n: a larger one extends a smaller
one. At every n, harms differ by at most one scenario, and so do personas and languages; areas have their share of the
harms; and what goes together (harm with language, persona with language) is spread as evenly as that allows. An idea
(harm x objective) is a family, whoever says it in whatever language. This module knows nothing of models.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, product
from typing import NamedTuple

from breakfix.errors import DataError, nearest
from breakfix.identity import seed_of
from breakfix.languages import load_languages
from breakfix.personas import load_personas
from breakfix.settings import MeasureSettings
from breakfix.types import Area, Kind

PERSONAS = ("ordinary", "low_skilled", "intermediate", "curious", "hurried", "insistent", "chatty", "formal")
LANGUAGES = ("en",)


class Idea(NamedTuple):
    """One thing to try, before it is given to a persona: what a family is made of."""

    family: str
    group: str
    """What is sampled evenly: a harm, a topic or a grounding text."""
    objective: str
    harm: str = "none"
    area: Area | None = None
    kind: Kind = "harmful"
    grounding: str | None = None
    system_prompts: tuple[str, ...] = ()
    """Of these the target gets one; none: it gets none."""
    source: str = "breakfix"
    licence: str = "Apache-2.0"


class Axes(NamedTuple):
    """Who speaks, and in what: the axes that every idea is crossed with."""

    personas: tuple[str, ...] = PERSONAS
    languages: tuple[str, ...] = LANGUAGES


class Point(NamedTuple):
    """One place of the grid: an idea in the mouth of somebody."""

    idea: Idea
    persona: str
    language: str
    number: int
    """Tells the points of one family apart: the seed of what the persona is in."""


def axes_of(settings: MeasureSettings) -> Axes:
    """Give the personas and languages that the settings name; by default all personas, in English.

    Raises DataError with the nearest known name of each that is unknown.
    """
    people = load_personas()
    wrong = [
        f"Unknown persona {name!r} (setting measure.personas). {nearest(name, people)}"
        for name in settings.personas
        if name not in people
    ] + [
        f"Unknown language {code!r} (setting measure.languages). {_nearest_language(code)}"
        for code in settings.languages
        if code not in load_languages()
    ]
    if wrong:
        raise DataError(" ".join(wrong))
    once = (tuple(dict.fromkeys(chosen)) for chosen in (settings.personas, settings.languages))
    personas, languages = once
    return Axes(personas or PERSONAS, languages or LANGUAGES)


def points(ideas: Sequence[Idea], axes: Axes, *, seed: int) -> Iterator[Point]:
    """Give the grid's points without end, the same for the same ideas, axes and seed; each prefix is balanced."""
    draw = random.Random(seed)
    used, spread = Counter[str](), _Spread(axes, draw)
    for idea in _in_turn(ideas, draw):
        persona, language = spread.next_for(idea)
        yield Point(idea, persona, language, used[idea.family] + seed_of(idea.family, seed) % 1000)
        used[idea.family] += 1


class _Spread:
    """Counts what was dealt, and deals next what was dealt least."""

    def __init__(self, axes: Axes, draw: random.Random) -> None:
        self._axes = axes
        self._draw = draw
        self._dealt = Counter[tuple[str, ...]]()

    def next_for(self, idea: Idea) -> tuple[str, str]:
        """Deal a persona and a language: of the least used of each, those that met each other and the idea least."""
        personas = self._least("persona", self._axes.personas)
        languages = self._least("language", self._axes.languages)
        pairs = [(*pair, self._draw.random()) for pair in product(personas, languages)]
        persona, language, _ = min(pairs, key=lambda pair: (*self._met(idea, pair[0], pair[1]), pair[2]))
        self._dealt.update(_keys(idea, persona, language))
        self._dealt.update([("persona", persona), ("language", language)])
        return persona, language

    def _least(self, axis: str, values: Sequence[str]) -> list[str]:
        fewest = min(self._dealt[axis, value] for value in values)
        return [value for value in values if self._dealt[axis, value] == fewest]

    def _met(self, idea: Idea, persona: str, language: str) -> tuple[int, ...]:
        return tuple(self._dealt[key] for key in _keys(idea, persona, language))


def _keys(idea: Idea, persona: str, language: str) -> list[tuple[str, ...]]:
    """Name what goes together at a point, what matters most first."""
    return [
        ("persona x language", persona, language),
        ("group x language", idea.group, language),
        ("group x persona", idea.group, persona),
        ("family x language", idea.family, language),
        ("family x persona", idea.family, persona),
    ]


def _in_turn(ideas: Sequence[Idea], draw: random.Random) -> Iterator[Idea]:
    """Deal ideas without end, round after round: one of each group, in an order drawn anew that mixes the areas."""
    groups: dict[str, list[Idea]] = {}
    for idea in draw.sample(ideas, len(ideas)):
        groups.setdefault(idea.group, []).append(idea)
    for turn in count():
        for name in _mixed({name: members[0].area for name, members in groups.items()}, draw):
            yield groups[name][turn % len(groups[name])]


def _mixed(areas: Mapping[str, Area | None], draw: random.Random) -> list[str]:
    """Order names so that in every prefix each area has about its share."""
    drawn: dict[Area | None, list[str]] = {}
    for name in draw.sample(sorted(areas), len(areas)):
        drawn.setdefault(areas[name], []).append(name)
    place: dict[str, float] = {}
    for names in drawn.values():
        start = draw.random()
        place |= {name: (number + start) / len(names) for number, name in enumerate(names)}
    return sorted(place, key=place.__getitem__)


def _nearest_language(code: str) -> str:
    """Say which code was probably meant, also where a language's name was given in place of it."""
    known = load_languages().values()
    named = [each.id for each in known if code.lower() in (each.name.lower(), each.own.lower(), each.id)]
    return f"Did you mean {named[0]!r}?" if named else nearest(code, [each.id for each in known])
