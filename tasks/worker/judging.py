"""Judging: the candidate of a training compared with its baseline on the dataset's held-out documents.

    judge(row, recipe, directory) -> Comparison      as flywheel.loop.promotion decides by

Recognisers are compared on lines and page readers on pages, whatever the baseline is: a champion of the other kind
reads what it is given. Two big networks are loaded by turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.database import transaction
from flywheel.database.tables import RoundRow
from flywheel.document import PageReading
from flywheel.figures import Comparison, Difference, Scores
from flywheel.loop import promotion
from flywheel.loop.promotion import BUILTIN
from flywheel.loop.readers import builtin_reader, modes_of
from flywheel.recipes import PageRecipe, Recipe
from tasks.worker.checkpoints import find_checkpoint
from tasks.worker.process import device
from tasks.worker.readers import load, page_reader, recogniser

if TYPE_CHECKING:
    from models.readers.protocol import PageInput, PageReader

CANDIDATE = "candidate"


def judge(row: RoundRow, recipe: Recipe, directory: Path) -> Comparison:
    """`directory`/checkpoint against a baseline on the held-out lines or pages of `directory`/dataset: against the
    champion, or else a reader that comes with the service. Raises NotFound, SetupError, Transient."""
    with transaction() as session:
        champion = promotion.champion(session, row.language)
    if isinstance(recipe, PageRecipe):
        reader = champion or untrained(recipe)
        candidate, baseline, difference = compare_pages(recipe, reader, directory)
    else:
        reader = champion or BUILTIN
        candidate, baseline, difference = compare_lines(reader, directory)
    return Comparison(recipe.unit, candidate, baseline, difference, reader, champion)


def untrained(recipe: PageRecipe) -> str:
    """The reader that a training without a parent begins with."""
    reader = builtin_reader(recipe.architecture)
    return reader.name if reader is not None else BUILTIN


def compare_pages(recipe: PageRecipe, baseline: str, directory: Path) -> tuple[Scores, Scores, Difference]:
    """The candidate in the mode it was trained in, the baseline in the same if it has modes."""
    from models.page_training import comparison

    def candidate() -> PageReader:
        mode = recipe.mode if modes_of(recipe.architecture) else None
        return load(recipe.architecture, directory / "checkpoint", checkpoint=CANDIDATE, mode=mode)

    def reigning() -> PageReader:
        return page_reader(baseline, recipe.mode if modes_of(find_checkpoint(baseline).architecture) else None)

    return comparison.compare_pages(
        DeferredReader(candidate), DeferredReader(reigning), directory / "dataset", "heldout"
    )


def compare_lines(baseline: str, directory: Path) -> tuple[Scores, Scores, Difference]:
    """The candidate and the baseline on held-out lines."""
    from models.line_training import comparison

    return comparison.compare_lines(
        directory / "checkpoint", recogniser(baseline), directory / "dataset", "heldout", device=device()
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
