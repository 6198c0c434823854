"""Recipes: all that a training run needs to know but the data, read from the TOML files beside this and frozen.

    load_recipe("line")                             line.toml, as LineRecipe or PageRecipe
    load_recipe("line", {"seconds": 60})            the same with some values changed
    recipe_names()                                  those there are

The service reads what it must know of a recipe here (unit, generations, replay share), and so do the workers that
train by it: an unknown name, an unknown setting or a value of another type is refused alike by all of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import TypeAlias

from flywheel.encoding import JsonValue
from flywheel.errors import NotFound
from flywheel.figures import Unit
from flywheel.recipes.line import LineRecipe, NetworkConfig
from flywheel.recipes.page import Lora, PageRecipe

__all__ = ["LineRecipe", "Lora", "NetworkConfig", "PageRecipe", "Recipe", "load_recipe", "recipe_names"]

Recipe: TypeAlias = LineRecipe | PageRecipe


@lru_cache(maxsize=1)
def recipe_names() -> tuple[str, ...]:
    """Names of the recipes there are."""
    files = (file.name for file in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def load_recipe(name: str, overrides: Mapping[str, JsonValue] | None = None) -> Recipe:
    """A recipe by name, some of its values replaced. Raises NotFound for a name that there is not, and
    Rejected(BAD_SETTINGS) for settings that it does not have or that cannot be."""
    if name not in recipe_names():
        raise NotFound(f"no recipe {name!r}; there are {', '.join(recipe_names())}")
    return _from_file(name).with_overrides(overrides or {})


@lru_cache(maxsize=64)
def _from_file(name: str) -> Recipe:
    path = resources.files(__name__) / f"{name}.toml"
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    if Unit(values.pop("unit")) is Unit.PAGE:
        return PageRecipe(name=name).with_overrides(values)
    return LineRecipe(name=name).with_overrides(values)
