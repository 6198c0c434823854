"""The recipes by name, and what each learns from: one literal.

The recipes themselves are files in models/training/recipes/; the service only has to know which there are
and whether a round cuts lines or takes whole pages (tests/models/training/test_recipe.py holds the two together).
"""

from __future__ import annotations

from typing import Literal

from flywheel.errors import NotFound

Unit = Literal["line", "page"]

RECIPES: dict[str, Unit] = {
    "line": "line",
    "deepseek-ocr-lora": "page",
    "deepseek-ocr-full": "page",
    "got-ocr2-full": "page",
}


def unit_of(recipe: str) -> Unit:
    """What a recipe learns from. Raises NotFound for one that there is not."""
    if recipe not in RECIPES:
        raise NotFound(f"no recipe {recipe!r}; there are {', '.join(RECIPES)}")
    return RECIPES[recipe]
