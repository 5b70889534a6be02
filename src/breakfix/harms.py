"""The taxonomy of harms: read `harms.yaml` and check it.

A harm file defines categories in words and abstract objectives, never harmful text. A prohibited harm has no
objectives, because nothing in breakfix writes for it (design D12).
"""

from importlib import resources
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from breakfix.errors import DataError
from breakfix.types import Harm

FAST_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
BANDS = ("0-1", "2-3", "4-5", "6-7")


def load_harms(path: Path | None = None) -> dict[str, Harm]:
    """Read a harm file (None: the packaged one) as harms by id. Raises DataError that names the entry at fault."""
    where = str(path) if path else "the packaged harms.yaml"
    entries = _read_entries(path, where)
    harms: dict[str, Harm] = {}
    for number, entry in enumerate(entries, start=1):
        harm = _read_harm(entry, f"{where}, entry {number}")
        if harm.id in harms:
            raise DataError(f"{where}, entry {number}: the id {harm.id!r} is defined twice. Give it another id.")
        harms[harm.id] = harm
    if not harms:
        raise DataError(f"{where} defines no harm. Add at least one entry.")
    return harms


def _read_entries(path: Path | None, where: str) -> list[Any]:
    source = path if path else resources.files("breakfix") / "data" / "harms.yaml"
    try:
        entries = yaml.load(source.read_text(encoding="utf-8"), Loader=FAST_LOADER)
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
    if tuple(sorted(harm.severity)) != BANDS:
        raise DataError(f"{where} ({harm.id!r}): severity needs criteria for exactly the bands {', '.join(BANDS)}.")
    if harm.prohibited and (harm.objectives or harm.measures != ("refusal",)):
        raise DataError(f"{where} ({harm.id!r}): a prohibited harm has no objectives and only the refusal measure.")
    if not harm.prohibited and not harm.objectives:
        raise DataError(f"{where} ({harm.id!r}): objectives are missing. Add at least one, in the abstract.")
    return harm
