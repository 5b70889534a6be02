"""Data that comes with the package, and YAML read fast. What the entries mean is known where they are used."""

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml

FAST_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader in C where it was built: about ten times as fast, and as safe."""


def parse_yaml(text: str) -> Any:
    """Read a YAML text. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=FAST_LOADER)


def data_file(name: str) -> Traversable:
    """Give the place of a file or folder of the packaged data, by its path there."""
    return resources.files("breakfix") / "data" / name


def read_data(name: str) -> Any:
    """Read a packaged YAML file by its path in the data folder ("languages.yaml")."""
    return parse_yaml(data_file(name).read_text(encoding="utf-8"))


def yaml_files(folder: Traversable) -> Iterator[Traversable]:
    """Give the YAML files of a folder, in the order of their names."""
    yield from sorted((item for item in folder.iterdir() if item.name.endswith(".yaml")), key=lambda item: item.name)
