"""Recipe of a round: the one it names with the settings it changes, fit for the readers there are."""

from __future__ import annotations

from collections.abc import Mapping

from flywheel.encoding import JsonValue
from flywheel.loop.readers import AUTO, modes_of
from flywheel.recipes import PageRecipe, Recipe, load_recipe
from flywheel.recipes.settings import refusal


def recipe_for(name: str, overrides: Mapping[str, JsonValue]) -> Recipe:
    """A recipe as a round trains by it; the API, the stops and the workers all read it here.

    Raises NotFound for a recipe that there is not, Rejected(BAD_SETTINGS) for settings that it does not have,
    values of another type or out of range, and a mode that its kind of reader does not have.
    """
    recipe = load_recipe(name, overrides)
    if isinstance(recipe, PageRecipe):
        modes = [mode for mode in modes_of(recipe.architecture) if mode != AUTO]
        if recipe.mode not in (modes or [""]):
            known = f"there are {', '.join(modes)}" if modes else f"{recipe.architecture} has none"
            raise refusal(name, f"no mode {recipe.mode!r}; {known}")
    return recipe
