"""Recipes are read by name, changed by overrides, and refuse what they do not know or cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from flywheel.errors import NotFound, Rejected
from flywheel.figures import Unit
from flywheel.loop.recipes import recipe_for
from flywheel.reasons import Reason
from flywheel.recipes import LineRecipe, Lora, PageRecipe, load_recipe, recipe_names


def refusal(recipe: str, **overrides: Any) -> str:
    """The complaint about overrides that a recipe refuses."""
    with pytest.raises(Rejected) as caught:
        recipe_for(recipe, overrides)
    assert caught.value.reason is Reason.BAD_SETTINGS
    assert caught.value.detail.startswith(f"recipe {recipe}: ")
    return caught.value.detail.removeprefix(f"recipe {recipe}: ")


def test_every_recipe_in_the_folder_loads_under_its_files_name() -> None:
    assert set(recipe_names()) >= {"line", "deepseek-ocr-lora", "deepseek-ocr-full", "got-ocr2-full"}
    assert all(recipe_for(name, {}).name == name for name in recipe_names())
    assert {recipe_for(name, {}).unit for name in recipe_names()} == set(Unit)


def test_an_unknown_recipe_is_not_found_and_the_known_ones_are_named() -> None:
    with pytest.raises(NotFound, match="there are deepseek-ocr-full, deepseek-ocr-lora, got-ocr2-full, line"):
        load_recipe("no such recipe")


def test_an_unknown_setting_is_refused_and_those_there_are_are_named() -> None:
    assert refusal("line", learning_rat=1e-3).startswith("no setting 'learning_rat'; there are network, seconds,")
    assert refusal("line", name="other").startswith("no setting 'name'")
    assert refusal("line", replay_share=0.5).startswith("no setting 'replay_share'")
    assert refusal("line", network={"heigth": 48}) == (
        "no setting 'heigth' in network; there are height, widths, dimension, kernel, dilations, dropout"
    )
    assert refusal("deepseek-ocr-lora", lora={"rang": 4}).startswith("no setting 'rang' in lora; there are rank,")


@pytest.mark.parametrize(
    ("recipe", "overrides", "said"),
    [
        ("line", {"seconds": "60"}, "seconds is a number, not '60'"),
        ("line", {"seconds": True}, "seconds is a number, not True"),
        ("line", {"seconds": None}, "seconds is a number, not None"),
        ("line", {"seconds": float("inf")}, "seconds is a finite number, not inf"),
        ("line", {"steps": 2.5}, "steps is a whole number, not 2.5"),
        ("line", {"network": 48}, "network is a table, not 48"),
        ("line", {"network": {"widths": [16, "32", 64, 128]}}, "network.widths.1 is a whole number, not '32'"),
        ("deepseek-ocr-lora", {"bf16": 1}, "bf16 is true or false, not 1"),
        ("deepseek-ocr-lora", {"frozen": "sam"}, "frozen is a list, not 'sam'"),
        ("deepseek-ocr-lora", {"mode": 1}, "mode is a text, not 1"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(
    recipe: str, overrides: dict[str, Any], said: str
) -> None:
    assert refusal(recipe, **overrides) == said


@pytest.mark.parametrize(
    ("recipe", "overrides", "said"),
    [
        ("line", {"degrade": 1.5}, "degrade is a share from 0 to 1, not 1.5"),
        ("line", {"seconds": 0}, "seconds is a positive number, not 0.0"),
        ("line", {"steps": 0}, "steps is a positive number, not 0"),
        ("line", {"learning_rate": -1}, "learning_rate is a positive number"),
        ("line", {"epochs": 10**400}, "epochs is a finite number"),
        ("line", {"generations": -1}, "generations is 0 or more, not -1"),
        ("line", {"cache_bytes": -1}, "cache_bytes is 0 or more"),
        ("line", {"network": {"height": -16}}, "height is a positive number"),
        ("line", {"network": {"widths": [0, 0, 0, 0]}}, "widths is a positive number"),
        ("line", {"network": {"dimension": 10**9}}, "dimension is at most 4096"),
        ("line", {"network": {"dropout": 7}}, "dropout is a share"),
        ("line", {"network": {"height": 47}}, "no network has the shape"),
        ("deepseek-ocr-lora", {"lora": {"rank": -1}}, "rank is 0 or more, not -1"),
        ("deepseek-ocr-lora", {"lora": {"rank": 10**9}}, "rank is at most 65536"),
        ("deepseek-ocr-lora", {"lora": {"targets": []}}, "targets of lora: there are none"),
        ("deepseek-ocr-lora", {"fine_share": 2}, "fine_share is a share"),
        ("deepseek-ocr-lora", {"batch": 0}, "batch is a positive number"),
        ("deepseek-ocr-lora", {"replay_share": -0.1}, "replay_share is 0 or more"),
        ("deepseek-ocr-lora", {"replay_share": 1e300}, "replay_share is at most 100"),
        ("deepseek-ocr-full", {"frozen": ["tail"]}, "no part 'tail' to freeze; there are sam, compressor"),
        ("deepseek-ocr-full", {"architecture": "magic"}, "'magic' cannot be fine-tuned; there are deepseek-ocr"),
        ("deepseek-ocr-full", {"mode": "auto"}, "no mode 'auto'; there are tiny, small, base"),
        ("got-ocr2-full", {"mode": "base"}, "no mode 'base'; got-ocr2 has none"),
    ],
)
def test_a_value_that_cannot_be_is_refused(recipe: str, overrides: dict[str, Any], said: str) -> None:
    assert said in refusal(recipe, **overrides)


def test_overrides_change_what_they_name_and_nothing_else() -> None:
    recipe = load_recipe("line")
    changed = load_recipe("line", {"seconds": 60, "network": {"dimension": 64}})
    assert isinstance(recipe, LineRecipe)
    assert isinstance(changed, LineRecipe)
    assert changed.seconds == 60.0
    assert changed.network.dimension == 64
    assert changed.network.widths == recipe.network.widths
    assert recipe.with_overrides({}) == recipe


def test_a_recipe_survives_its_json_form() -> None:
    for name in recipe_names():
        recipe = load_recipe(name)
        values = {k: v for k, v in recipe.as_dict().items() if k != "name"}
        assert type(recipe)(name=name).with_overrides(values) == recipe


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
