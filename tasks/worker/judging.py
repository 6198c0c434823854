"""Judging: the candidate of a training compared with whoever reads the language, on held-out documents.

    judge(row, recipe, directory) -> Comparison      as flywheel.loop.decision decides by

Two readers of lines are compared on lines, for the same lines are found for both; readers of which one takes whole
pages, on whole pages, each as it reads for the service. Two big networks are loaded in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.database import transaction
from flywheel.database.tables import RoundRow
from flywheel.document import PageReading
from flywheel.figures import Comparison
from flywheel.loop import promotion
from flywheel.loop.promotion import BUILTIN
from flywheel.loop.readers import builtin_reader
from flywheel.recipes import PageRecipe, Recipe
from flywheel.settings import settings
from tasks.worker.architectures import LineArchitecture, architecture_of, reader_by_lines
from tasks.worker.checkpoints import UNSET, find_checkpoint
from tasks.worker.exam_pages import write_exam_pages
from tasks.worker.process import device
from tasks.worker.readers import load, page_reader, recogniser

if TYPE_CHECKING:
    from models.readers.protocol import PageInput, PageReader

CANDIDATE = "candidate"


def judge(row: RoundRow, recipe: Recipe, directory: Path) -> Comparison:
    """`directory`/checkpoint against a baseline on the held-out documents of `directory`/dataset: against whoever
    reads the language, or else a reader that comes with the service. Raises NotFound, SetupError, Transient."""
    with transaction() as session:
        reads_now = promotion.reader_for(session, row.language)
    reader = reads_now or (untrained(recipe) if isinstance(recipe, PageRecipe) else BUILTIN)
    if isinstance(recipe, PageRecipe):
        dataset = directory / "dataset"
    elif isinstance(architecture_of(find_checkpoint(reader)), LineArchitecture):
        return compare_lines(directory, reader, reads_now)
    else:
        dataset = held_out_pages(directory)
    return compare_pages(candidate_reader(recipe, directory / "checkpoint"), dataset, reader, reads_now)


def untrained(recipe: PageRecipe) -> str:
    """The reader that a training without a parent begins with."""
    reader = builtin_reader(recipe.architecture)
    return reader.name if reader is not None else BUILTIN


def compare_lines(directory: Path, reader: str, reads_now: str | None) -> Comparison:
    """The candidate and a baseline on held-out lines."""
    from models.line_training import comparison

    return comparison.compare_lines(
        directory / "checkpoint",
        recogniser(reader),
        directory / "dataset",
        "heldout",
        reader=reader,
        reads_now=reads_now,
        device=device(),
    )


def held_out_pages(directory: Path) -> Path:
    """The held-out pages of a dataset of lines, as a dataset of pages, at the candidate's resolution."""
    from models.checkpoint import read_manifest
    from models.training.manifest import FrozenDataset

    own = read_manifest(directory / "checkpoint").reading or UNSET
    dpi = own.dpi or settings().render_dpi
    write_exam_pages(FrozenDataset.open(directory / "dataset"), directory / "pages", dpi)
    return directory / "pages"


def candidate_reader(recipe: Recipe, weights: Path) -> Callable[[], PageReader]:
    """Loads the candidate as the reader of pages that it would be: by its own settings, or by lines."""

    def of_pages() -> PageReader:
        return load(recipe.architecture, weights, checkpoint=CANDIDATE)

    def by_lines() -> PageReader:
        from models.recognition.line import LineRecogniser

        return reader_by_lines(LineRecogniser.load(weights, device()), CANDIDATE)

    return of_pages if isinstance(recipe, PageRecipe) else by_lines


def compare_pages(
    candidate: Callable[[], PageReader], dataset: Path, reader: str, reads_now: str | None
) -> Comparison:
    """The candidate and a baseline on held-out pages, each by its own settings: as it makes labels."""
    from models.page_training import comparison

    def baseline() -> PageReader:
        return page_reader(reader)

    return comparison.compare_pages(
        DeferredReader(candidate),
        DeferredReader(baseline),
        dataset,
        "heldout",
        reader=reader,
        reads_now=reads_now,
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
