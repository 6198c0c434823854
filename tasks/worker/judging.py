"""Judging: the candidate of a training compared with its rival on the dataset's held-out documents.

    judge(row, recipe, directory) -> scores      as flywheel.loop.promotion decides by

Recognisers are compared on lines and page readers on pages, whoever the rival is: a champion of the other kind
reads what it is given. Two big networks are loaded by turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.database import transaction
from flywheel.database.tables import RoundRow
from flywheel.document import PageReading
from flywheel.loop import promotion
from flywheel.loop.promotion import BUILTIN
from flywheel.loop.readers import builtin_reader, modes_of
from tasks.worker.checkpoints import find_checkpoint
from tasks.worker.process import device
from tasks.worker.readers import load, page_reader, recogniser

if TYPE_CHECKING:
    from models.readers.protocol import PageInput, PageReader
    from models.scores import Comparison, Scores
    from models.training.recipe import PageRecipe, Recipe

CANDIDATE = "candidate"


def judge(row: RoundRow, recipe: Recipe | PageRecipe, directory: Path) -> dict[str, Any]:
    """Scores of `directory`/checkpoint on the held-out lines or pages of `directory`/dataset, and of its rival:
    the champion, or else a reader that comes with the service. Raises NotFound, SetupError, Transient."""
    from models.training.recipe import PageRecipe

    with transaction() as session:
        champion = promotion.champion(session, row.language)
    if isinstance(recipe, PageRecipe):
        rival = champion or untrained(recipe)
        after, before, comparison = compare_pages(recipe, rival, directory)
    else:
        rival = champion or BUILTIN
        after, before, comparison = compare_lines(rival, directory)
    return {
        "unit": recipe.unit,
        "after": after.as_dict(),
        "before": before.as_dict(),
        "before_reader": rival,
        "champion": champion,
        "difference": comparison.difference,
        "difference_low": comparison.low,
        "difference_high": comparison.high,
    }


def untrained(recipe: PageRecipe) -> str:
    """The reader that a training without a parent begins with."""
    reader = builtin_reader(recipe.architecture)
    return reader.name if reader is not None else BUILTIN


def compare_pages(recipe: PageRecipe, rival: str, directory: Path) -> tuple[Scores, Scores, Comparison]:
    """The candidate in the mode it was trained in, its rival in the same if it has modes."""
    from models.page_training import comparison

    def candidate() -> PageReader:
        mode = recipe.mode if modes_of(recipe.architecture) else None
        return load(recipe.architecture, directory / "checkpoint", checkpoint=CANDIDATE, mode=mode)

    def reigning() -> PageReader:
        return page_reader(rival, recipe.mode if modes_of(find_checkpoint(rival).architecture) else None)

    return comparison.compare_pages(
        DeferredReader(candidate), DeferredReader(reigning), directory / "dataset", "heldout"
    )


def compare_lines(rival: str, directory: Path) -> tuple[Scores, Scores, Comparison]:
    from models.line_training import comparison

    return comparison.compare_lines(
        directory / "checkpoint", recogniser(rival), directory / "dataset", "heldout", device=device()
    )


class DeferredReader:
    """A page reader that is loaded whenever it is to read: memory holds one big network."""

    def __init__(self, find: Callable[[], PageReader]) -> None:
        self._find = find

    @property
    def checkpoint(self) -> str:
        return self._find().checkpoint

    @property
    def producer(self) -> str:
        return self._find().producer

    def read_many(self, pages: Sequence[PageInput]) -> list[PageReading]:
        return self._find().read_many(pages)
