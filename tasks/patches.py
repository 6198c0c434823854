"""Patches: samples that a recipe learns from, made of the accepted labels of some pages: lines, or whole pages.

A line's image comes with its true text. A text layer's label is cut by the characters whose ink the line's crop
shows, also when a person accepted it: its line boxes lie. A reader's label, and what a person wrote, is cut by the
boxes it carries; of a reader's, which no person accepted, only lines that it was sure enough of. A page comes with
its label's text, and as grounded markdown where the label says where things are.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql import insert

from flywheel import markup
from flywheel.database import transaction
from flywheel.database.tables import DocumentRow, LabelRow, PageRow, PatchSetRow, RoundRow
from flywheel.document import Kind, Label
from flywheel.errors import BlobCorrupt, BlobMissing, Rejected
from flywheel.figures import Unit
from flywheel.labels.storage import load_label
from flywheel.loop.likeness import signature
from flywheel.loop.recipes import recipe_for
from flywheel.loop.teaching import labels_to_cut
from flywheel.loop.whole_pages import shows_more
from flywheel.pdf import PageFailure, PageImage
from flywheel.reasons import Reason
from flywheel.recipes import LineRecipe
from flywheel.settings import settings
from flywheel.text.tags import covers
from flywheel.work import ledger
from tasks.worker.architectures import line_detector
from tasks.worker.attempt import Attempt, stop_task
from tasks.worker.process import document_file, sandbox, scratch, store, subject

if TYPE_CHECKING:
    from models.lines.patches import Patch
    from models.page_training.dataset import PageSample


@dataclass(frozen=True, slots=True)
class PagePatches:
    """Samples from one page's label, as rows of a Parquet file, and the number dropped, by reason. `likeness` is
    the page's signature (flywheel/loop/likeness.py)."""

    label: LabelRow
    rows: list[Any]
    dropped: Counter[str]
    likeness: bytes | None = None


@stop_task("patches")
def patches(attempt: Attempt) -> None:
    with transaction() as session:
        document, pages = subject(session, attempt.claim)
        row = session.get_one(RoundRow, attempt.claim.round_id)
        recipe = recipe_for(row.recipe, row.overrides)
        unit, least = recipe.unit, recipe.least_confidence if isinstance(recipe, LineRecipe) else 0.0
        # Of other languages only text layers and people teach.
        generations = recipe.generations if covers(row.language, document.language) else 0
        todo = labels_to_cut(session, attempt.claim.page_ids, generations, unit)
    with document_file(document) as path:
        teachers = [page for page in pages if page.id in todo]
        given = [cut_patches(path, document, page, todo[page.id], unit, least) for page in attempt.each(teachers)]
    key = store_rows(unit, [row for one in given for row in one.rows])
    with transaction() as session:
        ledger.guard(session, attempt.claim)
        if given:
            session.execute(
                insert(PatchSetRow).on_conflict_do_nothing(), [values(one, unit, key) for one in given]
            )
        ledger.finish(session, attempt.claim)


def values(given: PagePatches, unit: Unit, key: str) -> dict[str, Any]:
    """Values of a patch set's row."""
    return {
        "label_id": given.label.id,
        "unit": unit,
        "blob_key": key,
        "units": len(given.rows),
        "dropped": dict(given.dropped),
        "likeness": given.likeness,
    }


def store_rows(unit: Unit, rows: list[Any]) -> str:
    """Store rows as one Parquet file; returns its key."""
    from models.line_training.dataset import write_patches
    from models.page_training.dataset import write_pages

    with scratch("patches") as directory:
        file = directory / "patches.parquet"
        if unit is Unit.LINE:
            write_patches(file, rows)
        else:
            write_pages(file, rows)
        return store().put_file(file)


def cut_patches(
    path: Path,
    document: DocumentRow,
    page: PageRow,
    row: LabelRow,
    unit: Unit,
    least_confidence: float = 0.0,
) -> PagePatches:
    """The samples of a page; none of one that cannot be rendered any more, or whose label's blob is lost.

    A reader's line becomes one from `least_confidence` on.
    """
    try:
        label = load_label(store(), row)
    except BlobMissing:
        return PagePatches(row, [], Counter({Reason.BLOB_MISSING.value: 1}))
    except BlobCorrupt:
        return PagePatches(row, [], Counter({Reason.BLOB_CORRUPT.value: 1}))
    [image] = sandbox().render(path, [page.number], settings().render_dpi)
    if isinstance(image, PageFailure):
        return PagePatches(row, [], Counter({image.reason.value: 1}))
    likeness = signature_of(label, image)
    if unit is Unit.LINE:
        found = lines_of(path, document, row, label, image, least_confidence)
        return replace(found, likeness=likeness)
    if shows_more(page.facts, row.kind):
        return PagePatches(row, [], Counter({Reason.INK_WITHOUT_TEXT.value: 1}), likeness)
    taken = page_row(document, row, label, image)
    return PagePatches(
        row, [taken] if taken else [], Counter() if taken else Counter({Reason.PATCH_EMPTY.value: 1}), likeness
    )


def signature_of(label: Label, image: PageImage) -> bytes:
    """Signature by which the page is known again in another document."""
    from models.training.appearance import appearance

    seen = appearance(image.image)
    return signature(label.text, seen.bits, seen.known)


def lines_of(
    path: Path,
    document: DocumentRow,
    row: LabelRow,
    label: Label,
    image: PageImage,
    least_confidence: float,
) -> PagePatches:
    """The line patches of one page. What a person accepted is sure, whatever its reader thought."""
    from models.line_training.dataset import LineSample

    accepted = row.kind is Kind.HUMAN
    cut, dropped = cut_page(path, label, image, 0.0 if accepted else least_confidence)
    rows = [
        LineSample(
            document=document.sha256,
            page=row.page_id,
            line=number,
            text=patch.text,
            image=patch.image,
            generation=row.generation,
            label=row.id,
            producer=row.producer,
            dpi=image.dpi,
            confidence=None if accepted else patch.confidence,
        )
        for number, patch in enumerate(cut)
    ]
    return PagePatches(row, rows, dropped)


def cut_page(
    path: Path, label: Label, image: PageImage, least_confidence: float
) -> tuple[list[Patch], Counter[str]]:
    """The line patches of one page, and how many lines were dropped, by reason."""
    from models.lines.patches import cut, cut_label

    lines = line_detector().find(image.image, image.dpi)
    if label.kind is Kind.COARSE:  # the row of an accepted one says "human"
        try:
            characters = sandbox().characters(path, image.number)
        except Rejected as error:
            return [], Counter({error.reason.value: 1})
        report = cut(image.image, image.dpi, characters, lines)
    else:
        report = cut_label(image.image, image.dpi, label, lines, least_confidence)
    return report.patches, Counter({reason.value: n for reason, n in report.dropped.items()})


def page_row(document: DocumentRow, row: LabelRow, label: Label, image: PageImage) -> PageSample | None:
    """The page as it is learned from, or None where its label has no text."""
    from models.page_training.dataset import PageSample

    text = unicodedata.normalize("NFC", markup.coarse(label)).strip()
    if not text:
        return None
    return PageSample(
        document=document.sha256,
        page=row.page_id,
        image=image.image,
        dpi=image.dpi,
        width=image.width,
        height=image.height,
        text=text,
        markup=markup.grounded(label) or "",
        script=label.script,
        language=document.language or "",
        generation=row.generation,
        label=row.id,
        producer=row.producer,
    )
