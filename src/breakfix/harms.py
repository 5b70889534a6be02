"""The taxonomy of harms: read it, check it, and find a harm's place in other people's taxonomies.

A harm file (data/harms) defines categories in words and abstract objectives, never harmful text. A prohibited harm has
no objectives, because nothing in breakfix writes for it (design D12). Other people's categories, by which rates can be
shown as well, are names only (data/taxonomies.yaml).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from breakfix.errors import DataError, nearest
from breakfix.estimates import Cell, Estimate, Score
from breakfix.packaged import data_file, parse_yaml, read_data, yaml_files
from breakfix.settings import MeasureSettings
from breakfix.tallies import Tally, estimate_of
from breakfix.types import MEASURES, THRESHOLDS, Harm, Measure, Noun

BANDS = ("0-1", "2-3", "4-5", "6-7")
FIGURE4 = "figure4"
"""The taxonomy whose map is a harm's `area`."""


class Category(Noun):
    """A category of somebody else's taxonomy."""

    name: str
    measures: tuple[Measure, ...] = ()
    """It is about conversations of these measures only; empty: of any."""
    unreached: str | None = None
    """Why no harm maps to it."""


class Taxonomy(Noun):
    """Somebody else's categories of harm, with where they are defined."""

    id: str
    name: str
    source: str
    categories: dict[str, Category]


def load_harms(path: Path | None = None) -> dict[str, Harm]:
    """Read a harm file (None: the packaged ones) as harms by id. Raises DataError that names the entry at fault."""
    return dict(_packaged()) if path is None else _read_harms({str(path): path})


@cache
def load_taxonomies() -> Mapping[str, Taxonomy]:
    """Read the packaged taxonomies of others, by id."""
    found = map(Taxonomy.model_validate, read_data("taxonomies.yaml"))
    return {taxonomy.id: taxonomy for taxonomy in found}


def find_taxonomy(name: str) -> Taxonomy:
    """Give a taxonomy by its id. Raises DataError with the nearest known one."""
    known = load_taxonomies()
    if name not in known:
        raise DataError(f"Unknown taxonomy {name!r}. {nearest(name, known)}")
    return known[name]


def find_harm(name: str, harms: Mapping[str, Harm]) -> Harm:
    """Give a harm by its id. Raises DataError with the nearest known one."""
    if name not in harms:
        raise DataError(f"Unknown harm {name!r}. {nearest(name, harms)}")
    return harms[name]


def categories_of(harm: Harm, taxonomy: str) -> tuple[str, ...]:
    """Give the categories of a taxonomy that a harm is counted under; none, where `harm.unmapped` says why."""
    if taxonomy == FIGURE4:
        return (harm.area,) if harm.area else ()
    return harm.maps.get(taxonomy, ())


def by_taxonomy(taxonomy: str, harms: Mapping[str, Harm]) -> dict[str, tuple[str, ...]]:
    """Group harm ids by the categories of a taxonomy, in its order; a harm may be in several, a group may be empty.

    Raises DataError on an unknown taxonomy.
    """
    groups: dict[str, list[str]] = {category: [] for category in find_taxonomy(taxonomy).categories}
    for harm in harms.values():
        for category in categories_of(harm, taxonomy):
            groups[category].append(harm.id)
    return {category: tuple(ids) for category, ids in groups.items()}


def estimates_by(
    taxonomy: str, scores: Iterable[Score], harms: Mapping[str, Harm], *, settings: MeasureSettings, seed: int = 0
) -> list[Estimate]:
    """Estimate each measure's rate by the categories of a taxonomy, in its order; `harm` holds the category.

    A conversation counts in every category that its harm maps to, so the categories do not add up to the whole. Raises
    DataError on an unknown taxonomy.
    """
    known = find_taxonomy(taxonomy).categories
    places = {harm.id: categories_of(harm, taxonomy) for harm in harms.values()}
    tallies: defaultdict[Cell, Tally] = defaultdict(Tally)
    for one in scores:
        for category in places.get(one.harm, ()):
            if one.measure in (known[category].measures or MEASURES):
                tallies[Cell(one.measure, category, one.split, one.metric)].add(one.family, one.value)
    order, measures = list(known), [str(measure) for measure in MEASURES]
    cells = sorted(tallies, key=lambda cell: (order.index(cell.harm), measures.index(cell.measure), cell))
    return [estimate_of(cell, tallies[cell], settings, seed=seed) for cell in cells]


def estimates_at_own(
    scores: Iterable[Score], harms: Mapping[str, Harm], *, settings: MeasureSettings, seed: int = 0
) -> list[Estimate]:
    """Estimate each harm's defect rate at its own threshold, over the four harm measures pooled, in the harms' order.

    A conversation that a judge without severities judged counts where that decides it, and is unscored where not.
    """
    tallies: defaultdict[Cell, Tally] = defaultdict(Tally)
    for one in scores:
        if one.measure in THRESHOLDS and one.harm in harms:
            x = harms[one.harm].threshold
            tallies[Cell("harm", one.harm, one.split, f"DR-{x}")].add(one.family, _defect_from(x, one))
    order = list(harms)
    cells = sorted(tallies, key=lambda cell: (order.index(cell.harm), cell))
    return [estimate_of(cell, tallies[cell], settings, seed=seed) for cell in cells]


def _defect_from(x: int, score: Score) -> float | None:
    """Tell whether a conversation's severity is x or more: from the severity, or from its defect at another x."""
    if score.value is None or score.severity is not None:
        return None if score.severity is None else float(score.severity >= x)
    judged_at = THRESHOLDS[score.measure]
    is_decided = judged_at >= x if score.value else judged_at <= x
    return score.value if is_decided else None


# ── reading ──


@cache
def _packaged() -> Mapping[str, Harm]:
    files = yaml_files(data_file("harms"))
    return _read_harms({f"the packaged {item.name}": item for item in files})


def _read_harms(files: Mapping[str, Any]) -> dict[str, Harm]:
    harms: dict[str, Harm] = {}
    for where, source in files.items():
        for number, entry in enumerate(_read_entries(source, where), start=1):
            harm = _read_harm(entry, f"{where}, entry {number}")
            if harm.id in harms:
                raise DataError(f"{where}, entry {number}: the id {harm.id!r} is defined twice. Give it another id.")
            harms[harm.id] = harm
    if not harms:
        raise DataError(f"{', '.join(files)} defines no harm. Add at least one entry.")
    return harms


def _read_entries(source: Any, where: str) -> list[Any]:
    try:
        entries = parse_yaml(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"No harm file at {where!r}. Give a path that exists, or leave it out.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read harm file {where!r}: {error}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}," if mark else ""
        raise DataError(f"{where}{line} is not valid YAML: {getattr(error, 'problem', error)}.") from None
    if not isinstance(entries, list):
        raise DataError(f"{where} must hold a list of harms, each beginning with '- id:'.")
    return cast("list[Any]", entries)


def _read_harm(entry: Any, where: str) -> Harm:
    try:
        harm = Harm.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "entry"
        raise DataError(f"{where}: {key!r}: {first['msg']}.") from None
    where = f"{where} ({harm.id!r})"
    if tuple(sorted(harm.severity)) != BANDS:
        raise DataError(f"{where}: severity needs criteria for exactly the bands {', '.join(BANDS)}.")
    if harm.prohibited and (harm.objectives or harm.measures != ("refusal",)):
        raise DataError(f"{where}: a prohibited harm has no objectives and only the refusal measure.")
    if not harm.prohibited and not harm.objectives:
        raise DataError(f"{where}: objectives are missing. Add at least one, in the abstract.")
    _check_maps(harm, where)
    return harm


def _check_maps(harm: Harm, where: str) -> None:
    """Refuse a map to a taxonomy or a category that is not there."""
    taxonomies = load_taxonomies()
    for name in (*harm.maps, *harm.unmapped):
        if name not in taxonomies:
            raise DataError(f"{where}: unknown taxonomy {name!r}. {nearest(name, taxonomies)}")
    if FIGURE4 in harm.maps:
        raise DataError(f"{where}: a harm's place in {FIGURE4!r} is its 'area'. Set that, and take the map away.")
    for name, categories in harm.maps.items():
        for category in categories:
            if category not in taxonomies[name].categories:
                known = taxonomies[name].categories
                raise DataError(f"{where}: {name!r} has no category {category!r}. {nearest(category, known)}")
