"""Recognition: a checkpoint reads a shard's page images; the gate judges what it read."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.orm import Session

from flywheel import labels, ledger
from flywheel.broker import Run, stop_task
from flywheel.database import transaction
from flywheel.gate import Gate
from flywheel.labels import Result
from flywheel.ledger import Claim, current_labels
from flywheel.pdf import PageFailure, PageImage
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.tables import CheckpointRow, LabelRow, Page
from tasks.process import document_file, facts_of, page_reader, sandbox, store, subject

GATE = Gate()
BATCH = 4  # pages whose lines are read together
Failures = list[tuple[int, Reason, str]]


@stop_task("recognition")
def recognition(run: Run) -> None:
    with transaction() as session:
        document, pages = subject(session, run.claim)
        parents, generation = lineage(session, run.claim)
    failures: Failures = []
    results: list[Result] = []
    with document_file(document) as path:
        for start in range(0, len(pages), BATCH):
            run.check()
            images, failed = render(path, pages[start : start + BATCH])
            failures += failed
            results += read(run.claim, document.language, images, parents, generation)
    packed = labels.keep(store(), [r.label for r in results])
    with transaction() as session:
        key = labels.settings_hash(dpi=settings().render_dpi)
        labels.record(session, run.claim, results, packed, key)
        ledger.quarantine(session, failures)
        ledger.finish(session, run.claim)


def lineage(session: Session, claim: Claim) -> tuple[dict[int, int], int]:
    """Page id -> the label it has now, and the generation of labels this checkpoint makes."""
    rows = session.execute(current_labels().where(LabelRow.page_id.in_(claim.page_ids))).scalars()
    return {row.page_id: row.id for row in rows}, session.get_one(CheckpointRow, claim.checkpoint_id).generation


def render(path: Path, pages: list[Page]) -> tuple[list[tuple[Page, PageImage]], Failures]:
    """Gray images of the pages, and those that cannot be rendered."""
    by_number = {page.number: page for page in pages}
    images, failures = [], []
    for image in sandbox().render(path, list(by_number), settings().render_dpi):
        page = by_number[image.number]
        if isinstance(image, PageFailure):
            failures.append((page.id, image.reason, image.detail))
        else:
            images.append((page, image))
    return images, failures


def read(
    claim: Claim,
    language: str | None,
    images: list[tuple[Page, PageImage]],
    parents: dict[int, int],
    generation: int,
) -> list[Result]:
    """Labels of some pages, read together and judged one by one."""
    from models.reader import PageInput

    reader = page_reader(str(claim.checkpoint_id))
    inputs = [PageInput(i.image, i.dpi, i.width, i.height, language) for _, i in images]
    return [
        Result(
            page_id=page.id,
            label=reading.label,
            verdict=GATE.judge_reading(reading, facts_of(page), language),
            parent_id=parents.get(page.id),
            generation=generation,
        )
        for (page, _), reading in zip(images, reader.read_many(inputs), strict=True)
    ]
