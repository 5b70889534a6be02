"""Where a local model's weights lie: packaged lab weights, rebuilt ones, a folder, or a hub name."""

import os
from collections.abc import Mapping
from pathlib import Path

from breakfix.errors import ModelError
from breakfix.packaged import data_file

LAB_SIZES = ("mini", "small", "medium")


def home_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Give the folder for caches: BREAKFIX_HOME, else the user's cache folder."""
    if named := environ.get("BREAKFIX_HOME"):
        return Path(named).expanduser()
    return Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "breakfix"


def lab_folder(size: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Give the folder of a lab model: one that the user built, else the packaged one. Raises ModelError."""
    check_size(size)
    for folder in (home_folder(environ) / "lab" / size, packaged_lab_folder(size)):
        if (folder / "config.json").exists():
            return folder
    raise ModelError(f"lab/{size} has no weights yet. Build them: breakfix lab build {size}")


def check_size(size: str) -> None:
    """Refuse a size that no lab model has. Raises ModelError."""
    if size not in LAB_SIZES:
        raise ModelError(f"No lab model {size!r}. Known: {', '.join(f'lab/{known}' for known in LAB_SIZES)}.")


def lab_folders(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Give the folders of all lab models that are here, packaged or built."""
    homes = [home_folder(environ) / "lab" / size for size in LAB_SIZES]
    places = [*homes, *(packaged_lab_folder(size) for size in LAB_SIZES)]
    return [folder for folder in places if (folder / "config.json").exists()]


def packaged_lab_folder(size: str) -> Path:
    """Give the place of lab weights inside the package, whether or not they are there."""
    return Path(str(data_file(f"lab/{size}")))
