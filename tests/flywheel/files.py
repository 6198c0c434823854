"""Files to send, drawn on the spot, and the rows that ingest would make of them."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fpdf import FPDF
from PIL import Image
from sqlalchemy import update

from flywheel.database import transaction
from flywheel.database.tables import DocumentRow, PageRow


def a_pdf(text: str = "A line of plain text") -> bytes:
    """A born-digital page of 200 x 100 points, byte for byte the same each time."""
    pdf = FPDF(unit="pt", format=(200, 100))
    pdf.set_creation_date(datetime(2026, 1, 1, tzinfo=UTC))
    pdf.add_page()
    pdf.set_font("Helvetica", size=12)
    pdf.text(20, 50, text)
    return bytes(pdf.output())


def a_png(shade: int = 200) -> bytes:
    out = io.BytesIO()
    Image.new("L", (60, 30), shade).save(out, "PNG")
    return out.getvalue()


def a_zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def written(directory: Path, name: str, data: bytes) -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def open_document(document_id: int, pages: int = 1, **values: Any) -> tuple[int, ...]:
    """The document as ingest leaves it: ready, with pages; returns their ids."""
    with transaction() as session:
        session.execute(
            update(DocumentRow).where(DocumentRow.id == document_id).values(state="ready", page_count=pages)
        )
        made = [PageRow(document_id=document_id, number=number, **values) for number in range(pages)]
        session.add_all(made)
        session.flush()
        return tuple(page.id for page in made)
