"""Patches: the accepted labels of some pages become line images with their true text.

A text layer's label is cut by the characters whose origins fall into a detected
line, also when a person accepted it: its line boxes lie. A reader's label, and what
a person wrote, is cut by the boxes it carries.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from flywheel import labels, ledger, rounds
from flywheel.broker import Run, stop_task
from flywheel.database import transaction
from flywheel.document import Kind
from flywheel.errors import BlobCorrupt, BlobMissing, Rejected
from flywheel.ledger import current_labels
from flywheel.pdf import PageFailure
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.tables import LabelRow, Page, PatchSet, Round
from tasks.process import document_file, line_detector, sandbox, scratch, store, subject

if TYPE_CHECKING:
    from models.patches import Patch


@stop_task("patches")
def patches(run: Run) -> None:
    from models.dataset import PatchRow, write_patches

    with transaction() as session:
        document, pages = subject(session, run.claim)
        teaching = rounds.generations_of(session.get_one(Round, run.claim.round_id).overrides)
        statement = current_labels(generations=teaching).where(LabelRow.page_id.in_(run.claim.page_ids))
        current = {row.page_id: row for row in session.execute(statement).scalars()}
        ids = [row.id for row in current.values()]
        have = set(session.execute(select(PatchSet.label_id).where(PatchSet.label_id.in_(ids))).scalars())
    rows: list[PatchRow] = []
    sets: list[tuple[LabelRow, int, Counter[str]]] = []
    with document_file(document) as path:
        for page in pages:
            run.check()
            label = current.get(page.id)
            if label is None or label.id in have or label.verdict != "accepted":
                continue
            cut, dropped = cut_page(path, page, label)
            rows += [
                PatchRow(
                    document=document.sha256,
                    page=page.id,
                    line=number,
                    text=patch.text,
                    image=patch.image,
                    generation=label.generation,
                    label=label.id,
                    producer=label.producer,
                )
                for number, patch in enumerate(cut)
            ]
            sets.append((label, len(cut), dropped))
    with scratch("patches") as directory:
        write_patches(directory / "patches.parquet", rows)
        key = store().put_file(directory / "patches.parquet")
    with transaction() as session:
        ledger.guard(session, run.claim)
        if sets:
            values = [
                {"label_id": row.id, "blob_key": key, "lines": n, "dropped": dict(dropped)}
                for row, n, dropped in sets
            ]
            session.execute(insert(PatchSet).on_conflict_do_nothing(), values)
        ledger.finish(session, run.claim)


def cut_page(path: Path, page: Page, row: LabelRow) -> tuple[list[Patch], Counter[str]]:
    """The patches of one page, and how many lines were dropped, by reason. A page that cannot be
    rendered any more, or whose label's blob is lost, gives none: there is only nothing to learn from it."""
    from models.patches import cut, cut_label

    try:
        label = labels.load(store(), row)
    except BlobMissing:
        return [], Counter({Reason.BLOB_MISSING.value: 1})
    except BlobCorrupt:
        return [], Counter({Reason.BLOB_CORRUPT.value: 1})
    [image] = sandbox().render(path, [page.number], settings().render_dpi)
    if isinstance(image, PageFailure):
        return [], Counter({image.reason.value: 1})
    lines = line_detector().find(image.image, image.dpi)
    if label.kind is Kind.COARSE:  # the row of an accepted one says "human"
        try:
            characters = sandbox().characters(path, page.number)
        except Rejected as error:
            return [], Counter({error.reason.value: 1})
        report = cut(image.image, image.dpi, characters, lines)
    else:
        report = cut_label(image.image, image.dpi, label, lines)
    return report.patches, Counter({reason.value: n for reason, n in report.dropped.items()})
