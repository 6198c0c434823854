"""Reading: label one file now, outside any corpus; against a true text when one was given."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import func, update

from flywheel import ledger, promotion
from flywheel.broker import Run, stop_task
from flywheel.coarse import label as coarse_label
from flywheel.database import transaction
from flywheel.document import encode
from flywheel.errors import BlobCorrupt, BlobMissing, Rejected
from flywheel.gate import Gate
from flywheel.pdf import PageFailure, PageImage, PageText
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.tables import ReadingRow
from tasks.process import page_reader, sandbox, store

GATE = Gate()


@stop_task("reading")
def reading(run: Run) -> None:
    with transaction() as session:
        row = session.get_one(ReadingRow, run.claim.reading_id)
        checkpoint = row.checkpoint_id or promotion.reader_for(session, row.language)
    try:
        pages = read(run, row, checkpoint)
        result = {"checkpoint": checkpoint, "pages": pages, "scores": scores(row, pages)}
    except BlobMissing as error:
        raise Rejected(Reason.BLOB_MISSING, str(error)) from error
    except BlobCorrupt as error:
        raise Rejected(Reason.BLOB_CORRUPT, str(error)) from error
    key = store().put(json.dumps(result, ensure_ascii=False).encode())
    with transaction() as session:
        ledger.guard(session, run.claim)
        session.execute(
            update(ReadingRow)
            .where(ReadingRow.id == row.id)
            .values(status="finished", result_key=key, finished_at=func.now())
        )
        ledger.finish(session, run.claim)


def read(run: Run, row: ReadingRow, checkpoint: str | None) -> list[dict[str, Any]]:
    """Every page as JSON. Without a named checkpoint a sound text layer is taken as it is."""
    out: list[dict[str, Any]] = []
    with store().open_local(row.blob_key) as path:
        count = sandbox().inspect(path).pages
        for number in range(count):
            run.check()
            [text] = sandbox().text(path, [number], layout=True)
            if isinstance(text, PageFailure):
                out.append(failure(text))
                continue
            coarse, counts = coarse_label(text, row.language)
            verdict = GATE.judge_coarse(coarse, text.facts, counts, row.language)
            if row.checkpoint_id is None and verdict.accepted:
                out.append({"number": number, "verdict": "accepted", "label": encode(coarse)})
            elif checkpoint is None:
                detail = f"{verdict.reason.value}; {Reason.NO_READER.explanation}"
                out.append({"number": number, "reason": Reason.NO_READER.value, "detail": detail})
            else:
                [image] = sandbox().render(path, [number], settings().render_dpi)
                out.append(read_image(checkpoint, row.language, text, image))
    return out


def read_image(
    checkpoint: str, language: str | None, text: PageText, image: PageImage | PageFailure
) -> dict[str, Any]:
    """One rendered page, read by a checkpoint."""
    from models.reader import PageInput

    if isinstance(image, PageFailure):
        return failure(image)
    page = PageInput(image.image, image.dpi, image.width, image.height, language)
    [read] = page_reader(checkpoint).read_many([page])
    verdict = GATE.judge_reading(read, text.facts, language)
    return {
        "number": image.number,
        "verdict": verdict.outcome.value,
        "reason": verdict.reason.value,
        "detail": verdict.detail,
        "label": encode(read.label),
    }


def failure(page: PageFailure) -> dict[str, Any]:
    return {"number": page.number, "reason": page.reason.value, "detail": page.detail}


def scores(row: ReadingRow, pages: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Edits against the truth, over the whole file: line breaks count as spaces."""
    if row.truth_key is None:
        return None
    from models.scores import score

    truth = store().get(row.truth_key).decode("utf-8", "replace")
    said = "\n".join(text_of(page["label"]) for page in pages if "label" in page)
    return score([truth], [said]).as_dict()


def text_of(label: dict[str, Any]) -> str:
    """The text of an encoded label."""
    return "\n".join(line["text"] for region in label["regions"] for line in region["lines"])
