"""Personas: who a simulated or attacking user is, in words. This module knows nothing of what they ask for."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from breakfix.errors import DataError
from breakfix.types import Persona


def load_personas(chosen: Sequence[str] = (), folder: Path | None = None) -> dict[str, Persona]:
    """Read persona files (None: the packaged ones), all or the chosen ones. Raises DataError, naming the file."""
    place = folder if folder is not None else resources.files("breakfix") / "data" / "personas"
    files = sorted((item for item in place.iterdir() if item.name.endswith(".yaml")), key=lambda item: item.name)
    known: dict[str, Persona] = {}
    for item in files:
        for persona in _read(item.name, item.read_text(encoding="utf-8")):
            if persona.id in known:
                raise DataError(f"Persona file {item.name!r}: the persona {persona.id!r} is defined twice.")
            known[persona.id] = persona
    for name in chosen:
        if name not in known:
            raise DataError(f"No persona {name!r} (setting redteam.personas). Known: {', '.join(known)}.")
    return {name: known[name] for name in chosen or known}


def _read(name: str, text: str) -> list[Persona]:
    """Read one file: a persona, or a list of them."""
    try:
        entries: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"Persona file {name!r} is not valid YAML: {getattr(error, 'problem', error)}.") from None
    listed = cast("list[Any]", entries) if isinstance(entries, list) else [entries]
    try:
        return [Persona.model_validate(entry) for entry in listed]
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "entry"
        raise DataError(f"Persona file {name!r}: {key!r}: {first['msg']}.") from None
