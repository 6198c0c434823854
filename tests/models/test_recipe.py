"""Recipes are read by name, changed by overrides, and refuse what they do not know."""

from __future__ import annotations

import pytest

from flywheel.errors import NotFound, SetupError
from models.recipe import Recipe, load_recipe, recipes


def test_every_recipe_in_the_folder_loads_under_its_files_name() -> None:
    assert "line" in recipes()
    assert all(load_recipe(name).name == name for name in recipes())


def test_an_unknown_recipe_is_not_found_and_the_known_ones_are_named() -> None:
    with pytest.raises(NotFound, match="line"):
        load_recipe("no such recipe")


@pytest.mark.parametrize(
    "values", [{"learning_rat": 1e-3}, {"network": {"heigth": 48}}, {"name": "other"}, {"network": {"height": 47}}]
)
def test_unknown_and_impossible_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SetupError, match="recipe line"):
        load_recipe("line").with_overrides(values)


@pytest.mark.parametrize("values", [{"degrade": 1.5}, {"seconds": 0}, {"seconds": "soon"}, {"steps": 0}])
def test_values_out_of_range_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SetupError):
        Recipe.of("mine", values)


def test_overrides_change_what_they_name_and_nothing_else() -> None:
    recipe = load_recipe("line")
    changed = recipe.with_overrides({"seconds": 60, "network": {"dimension": 64}})
    assert changed.seconds == 60.0
    assert changed.network.dimension == 64
    assert changed.network.widths == recipe.network.widths
    assert recipe.with_overrides({}) == recipe


def test_a_recipe_survives_its_json_form() -> None:
    recipe = load_recipe("line")
    values = {k: v for k, v in recipe.as_dict().items() if k != "name"}
    assert Recipe.of("line", values) == recipe
