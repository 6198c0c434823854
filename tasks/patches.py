"""Patches: the accepted labels of some pages become line images with their true text.

A text layer's label is cut by the characters whose origins fall into a detected
line; a reader's or a person's label by the boxes it carries.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from flywheel import labels, ledger
from flywheel.broker import Run, stop_task
from flywheel.database import transaction
from flywheel.document import Label
from flywheel.ledger import current_labels
from flywheel.pdf import PageFailure, PageImage
from flywheel.settings import settings
from flywheel.tables import Document, LabelRow, Page, PatchSet
from tasks.process import document_file, line_detector, sandbox, scratch, store, subject


@stop_task("patches")
def patches(run: Run) -> None:
    from models.dataset import PatchRow, write_patches

    with transaction() as session:
        document, pages = subject(session, run.claim)
        statement = current_labels().where(LabelRow.page_id.in_(run.claim.page_ids))
        current = {row.page_id: row for row in session.execute(statement).scalars()}
        have = set(session.execute(select(PatchSet.label_id)).scalars()) if len(current) else set()
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
