"""Personas: who a simulated or attacking user is, in words; and what a model that plays one puts around its message.

This module knows nothing of what they ask for.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from breakfix.errors import DataError, nearest_of_few
from breakfix.packaged import data_file, parse_yaml, yaml_files
from breakfix.types import Persona

_LABEL = re.compile(r"^\s*\**(?:user|human|person|me|message)\**\s*:\s*\**\s*", re.I)


def load_personas(chosen: Sequence[str] = (), folder: Path | None = None) -> dict[str, Persona]:
    """Read persona files (None: the packaged ones), all or the chosen ones. Raises DataError, naming the file."""
    known = _packaged() if folder is None else _read_folder(folder)
    for name in chosen:
        if name not in known:
            raise DataError(f"No persona {name!r} (setting redteam.personas). {nearest_of_few(name, known)}")
    return {name: known[name] for name in chosen or known}


def unwrapped(message: str) -> str:
    """Strip what models put around a message that they write for somebody: a speaker's name, and quotation marks."""
    text = _LABEL.sub("", message).strip()
    if len(text) > 2 and text[0] + text[-1] in ('""', "“”") and text.count(text[0]) <= 2:
        return text[1:-1].strip()
    return text


@cache
def _packaged() -> Mapping[str, Persona]:
    return _read_folder(data_file("personas"))


def _read_folder(folder: Traversable) -> Mapping[str, Persona]:
    known: dict[str, Persona] = {}
    for item in yaml_files(folder):
        for persona in _read(item.name, item.read_text(encoding="utf-8")):
            if persona.id in known:
                raise DataError(f"Persona file {item.name!r}: the persona {persona.id!r} is defined twice.")
            known[persona.id] = persona
    return known


def _read(name: str, text: str) -> list[Persona]:
    """Read one file: a persona, or a list of them."""
    try:
        entries: Any = parse_yaml(text)
    except yaml.YAMLError as error:
        raise DataError(f"Persona file {name!r} is not valid YAML: {getattr(error, 'problem', error)}.") from None
    listed = cast("list[Any]", entries) if isinstance(entries, list) else [entries]
    try:
        return [Persona.model_validate(entry) for entry in listed]
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "entry"
        raise DataError(f"Persona file {name!r}: {key!r}: {first['msg']}.") from None
