"""Documents of one page in the service, as the coarse stop leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fpdf import FPDF

from flywheel.database import transaction
from flywheel.database.tables import (
    DocumentRow,
    PageRow,
)
from flywheel.document import Box, Kind, Label, Line, Outcome, Region, Verdict
from flywheel.labels.recording import LabelledPage, finish_labelling
from flywheel.labels.storage import store_labels
from flywheel.loop import submission
from flywheel.reasons import Reason
from tests.flywheel import draw
from tests.flywheel.rows import claim, store


def write(path: Path, lines: list[str]) -> tuple[Path, list[str]]:
    def written(book: FPDF) -> None:
        draw.use_font(book, draw.TIBETAN_SCRIPT, 16, path.parent)
        draw.write_lines(book, lines, y=80, pitch=38)

    return draw.book_of(path, written), lines


def add(path: Path, language: str, lines: Sequence[str] = ()) -> str:
    """A document of one page as coarse leaves it: labelled, or waiting where no lines are given; its hash."""
    key = store().put_file(path)
    with transaction() as session:
        document = DocumentRow(
            corpus_id=submission.ensure_corpus(session, "c"),
            name=path.name,
            sha256=key.rsplit("/", 1)[-1],
            blob_key=key,
            size=1,
            media_type="application/pdf",
            language=language,
            state="ready",
        )
        session.add(document)
        session.flush()
        page = PageRow(document_id=document.id, number=0, width=595, height=842, ink=0.02, state="waiting")
        session.add(page)
        session.flush()
        sha256, page_id = document.sha256, page.id
    if lines:
        boxes = [Box(60, 60 + 38 * n, 500, 90 + 38 * n) for n in range(len(lines))]
        said = tuple(Line(text, box) for text, box in zip(lines, boxes, strict=True))
        region = Region("text", Box.around(boxes), said)
        give(page_id, Label(Kind.COARSE, "fitz", 595, 842, (region,), script="Tibt", language=language))
    return sha256


def give(page_id: int, label: Label) -> None:
    """An accepted label for a page, through the front door."""
    held = claim("coarse", (page_id,))
    page = LabelledPage(page_id, label, Verdict(Outcome.ACCEPTED, Reason.ACCEPTED))
    with transaction() as session:
        finish_labelling(session, held, [page], store_labels(store(), [label]), [], "settings")
