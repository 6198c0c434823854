"""Recipes are read by name, changed by overrides, and refuse what they do not know."""

from __future__ import annotations

import pytest

from flywheel.errors import NotFound, SetupError
from flywheel.loop.recipes import RECIPES
from models.training.recipe import Lora, PageRecipe, Recipe, load_recipe, recipes


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
        Recipe(name="mine").with_overrides(values)


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
    assert Recipe().with_overrides(values) == recipe


def test_the_service_and_the_files_know_the_same_recipes() -> None:
    assert {name: load_recipe(name).unit for name in recipes()} == RECIPES


def test_page_recipes_say_what_they_train_and_how() -> None:
    full = load_recipe("deepseek-ocr-full")
    assert isinstance(full, PageRecipe)
    assert (full.architecture, full.learning_rate) == ("deepseek-ocr", 3e-5)
    assert full.frozen == ("sam", "compressor")
    assert full.lora.rank == 0
    adapters = load_recipe("deepseek-ocr-lora")
    assert isinstance(adapters, PageRecipe)
    assert adapters.lora.rank > 0
    changed = adapters.with_overrides({"lora": {"rank": 4}, "frozen": ["sam"], "epochs": 1, "bf16": False})
    assert changed.lora == Lora(4, adapters.lora.alpha, adapters.lora.dropout, adapters.lora.targets)
    assert (changed.frozen, changed.epochs, changed.bf16) == (("sam",), 1.0, False)
    values = {k: v for k, v in changed.as_dict().items() if k != "name"}
    assert PageRecipe(name=changed.name).with_overrides(values) == changed


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rat": 1e-3},
        {"lora": {"rang": 4}},
        {"lora": {"rank": -1}},
        {"fine_share": 2},
        {"batch": 0},
        {"bf16": "yes"},
        {"replay_share": -0.1},
    ],
)
def test_page_recipes_refuse_unknown_and_impossible_values(values: dict[str, object]) -> None:
    with pytest.raises(SetupError, match="recipe deepseek-ocr-lora"):
        load_recipe("deepseek-ocr-lora").with_overrides(values)
