"""Recipes: packaged training settings by model size, under whatever the user sets himself."""

from importlib import resources
from typing import Any, cast

import yaml
from pydantic import ValidationError

from breakfix.errors import SettingsError, nearest
from breakfix.settings import AlignSettings


def recipe_names() -> tuple[str, ...]:
    """Name the packaged recipes."""
    files = (resources.files("breakfix") / "data" / "recipes").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def resolve_recipe(settings: AlignSettings) -> AlignSettings:
    """Lay what was set explicitly over the recipe. Resolving twice changes nothing. Raises SettingsError."""
    if settings.recipe not in recipe_names():
        hint = nearest(settings.recipe, recipe_names())
        raise SettingsError(f"Unknown recipe {settings.recipe!r} (align.recipe). {hint}")
    file = resources.files("breakfix") / "data" / "recipes" / f"{settings.recipe}.yaml"
    tree = _over(yaml.safe_load(file.read_text(encoding="utf-8")), settings.model_dump(exclude_unset=True))
    try:
        return AlignSettings.model_validate({**tree, "recipe": settings.recipe})
    except ValidationError as error:
        raise SettingsError(f"Recipe {settings.recipe!r} with these settings: {error.errors()[0]['msg']}.") from None


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        are_groups = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _over(cast("dict[str, Any]", old), cast("dict[str, Any]", value)) if are_groups else value
    return merged
