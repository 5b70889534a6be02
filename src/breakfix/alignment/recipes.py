"""Recipes: packaged training settings by model size, under whatever the user sets himself."""

import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from breakfix.errors import SettingsError, nearest, nearest_of_few
from breakfix.packaged import data_file, read_data, yaml_files
from breakfix.settings import AlignSettings, DpoSettings
from breakfix.wording import counted

LOSSES = (
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
    "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
)  # fmt: skip
"""What TRL's DPOTrainer can minimise. It would say so itself, but only once SFT is done, hours later."""


def recipe_names() -> tuple[str, ...]:
    """Name the packaged recipes."""
    return tuple(file.name.removesuffix(".yaml") for file in yaml_files(data_file("recipes")))


def resolve_recipe(settings: AlignSettings) -> AlignSettings:
    """Lay what was set explicitly over the recipe. Resolving twice changes nothing. Raises SettingsError."""
    if settings.recipe not in recipe_names():
        hint = nearest(settings.recipe, recipe_names())
        raise SettingsError(f"Unknown recipe {settings.recipe!r} (align.recipe). {hint}")
    tree = _over(read_data(f"recipes/{settings.recipe}.yaml"), settings.model_dump(exclude_unset=True))
    try:
        resolved = AlignSettings.model_validate({**tree, "recipe": settings.recipe})
    except ValidationError as error:
        raise SettingsError(f"Recipe {settings.recipe!r} with these settings: {error.errors()[0]['msg']}.") from None
    _check_losses(resolved.dpo)
    return resolved


def set_over(settings: AlignSettings) -> list[str]:
    """Name what settings change of their recipe, as `align.` keys and values. Raises SettingsError."""
    mine = resolve_recipe(settings).model_dump(mode="json")
    given = resolve_recipe(AlignSettings(recipe=settings.recipe)).model_dump(mode="json")
    return _changes(given, mine, "align.")


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], above: str) -> list[str]:
    found: list[str] = []
    for key, value in after.items():
        if isinstance(value, dict):
            found += _changes(before[key], cast("dict[str, Any]", value), f"{above}{key}.")
        elif before[key] != value:
            found.append(f"{above}{key}={json.dumps(value)}")
    return found


def _check_losses(dpo: DpoSettings) -> None:
    if not dpo.enabled:
        return
    if len(dpo.loss) != len(dpo.loss_weights):
        raise SettingsError(
            f"align.dpo.loss names {counted(len(dpo.loss), 'loss')} and align.dpo.loss_weights"
            f" {len(dpo.loss_weights)}. Give one weight a loss."
        )
    if unknown := [name for name in dpo.loss if name not in LOSSES]:
        raise SettingsError(f"Unknown loss {unknown[0]!r} (align.dpo.loss). {nearest_of_few(unknown[0], LOSSES)}")


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        are_groups = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _over(cast("dict[str, Any]", old), cast("dict[str, Any]", value)) if are_groups else value
    return merged
