"""Recognition: labels of a shard's pages as a checkpoint reads their images, each with the gate's verdict.

While the reader has one batch of pages, the next is rendered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from zlib import crc32

from sqlalchemy.orm import Session

from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow, LabelRow, PageRow
from flywheel.document import PageReading
from flywheel.gate import Gate
from flywheel.labels.recording import LabelledPage, finish_labelling, settings_hash
from flywheel.labels.standing import UnreadablePage, current_labels
from flywheel.labels.storage import store_labels
from flywheel.pdf import PageFailure, PageImage
from flywheel.work.ledger import Claim
from tasks.worker.attempt import Attempt, stop_task
from tasks.worker.process import document_file, facts_of, preparation_thread, sandbox, store, subject
from tasks.worker.readers import LoadedReader, open_reader

GATE = Gate()


@dataclass(frozen=True, slots=True)
class Rendered:
    """Some pages of a shard with their images, and those that cannot be rendered."""

    pages: list[tuple[PageRow, PageImage]]
    unreadable: list[UnreadablePage]


@stop_task("recognition")
def recognition(attempt: Attempt) -> None:
    with transaction() as session:
        document, pages = subject(session, attempt.claim)
        parents, reader = lineage(session, attempt.claim)
    unreadable: list[UnreadablePage] = []
    labelled: list[LabelledPage] = []
    with (
        document_file(document) as path,
        open_reader(attempt, str(attempt.claim.checkpoint_id)) as loaded,
        closing(render_ahead(attempt, path, pages, loaded.batch, loaded.dpi)) as parts,
    ):
        for part in parts:
            unreadable += part.unreadable
            readings = read(loaded, document.language, part.pages)
            labelled += judge_readings(part.pages, readings, document.language, parents, reader)
    frames = store_labels(store(), [page.label for page in labelled])
    key = settings_hash(dpi=loaded.dpi, mode=loaded.mode)
    with transaction() as session:
        finish_labelling(session, attempt.claim, labelled, frames, unreadable, key)


def lineage(session: Session, claim: Claim) -> tuple[dict[int, int], CheckpointRow]:
    """Page id -> the label it has now, and the checkpoint that reads."""
    rows = session.execute(current_labels().where(LabelRow.page_id.in_(claim.page_ids))).scalars()
    return {row.page_id: row.id for row in rows}, session.get_one(CheckpointRow, claim.checkpoint_id)


def render_ahead(
    attempt: Attempt, path: Path, pages: Sequence[PageRow], size: int, dpi: float
) -> Generator[Rendered]:
    """The pages in batches of `size`, each handed out with the next one in the making. Raises what `attempt.check`
    and rendering raise. Close it: the PDF child is then at rest."""
    batches = deque(pages[start : start + size] for start in range(0, len(pages), size))
    ended = Event()
    making = preparation_thread().submit(render, path, batches.popleft(), dpi, ended) if batches else None
    try:
        while making is not None:
            attempt.check()
            part = making.result()
            making = preparation_thread().submit(render, path, batches.popleft(), dpi, ended) if batches else None
            yield part
    finally:
        ended.set()
        if making is not None:
            wait([making])


def render(path: Path, pages: Sequence[PageRow], dpi: float, ended: Event) -> Rendered:
    """Gray images of the pages, and those that cannot be rendered; not all of them once `ended` is set."""
    by_number = {page.number: page for page in pages}
    part = Rendered([], [])
    for image in sandbox().render(path, list(by_number), dpi):
        page = by_number[image.number]
        if isinstance(image, PageFailure):
            part.unreadable.append(UnreadablePage(page.id, image.reason, image.detail))
        else:
            part.pages.append((page, image))
        if ended.is_set():
            break
    return part


def read(
    loaded: LoadedReader, language: str | None, pages: Sequence[tuple[PageRow, PageImage]]
) -> list[PageReading]:
    """Readings of some pages with their ink. Of readers of whole pages, some pages are probed for recitation."""
    from models.readers.ink import with_ink
    from models.readers.protocol import PageInput

    inputs = [PageInput(i.image, i.dpi, i.width, i.height, language) for _, i in pages]
    readings = list(map(with_ink, inputs, loaded.reader.read_many(inputs)))
    if not loaded.reads_pages:
        return readings
    from models.readers.recitation import probe

    # By the checkpoint's name: another one is asked of other pages, and the same one of the same again.
    return probe(loaded.reader, inputs, readings, seed=crc32(loaded.reader.checkpoint.encode()))


def judge_readings(
    pages: Sequence[tuple[PageRow, PageImage]],
    readings: Sequence[PageReading],
    language: str | None,
    parents: Mapping[int, int],
    reader: CheckpointRow,
) -> list[LabelledPage]:
    """Some pages with their labels, each judged by the gate."""
    return [
        LabelledPage(
            page_id=page.id,
            label=reading.label,
            verdict=GATE.judge_reading(reading, facts_of(page), language, reader.scripts),
            parent_id=parents.get(page.id),
            generation=reader.generation,
        )
        for (page, _), reading in zip(pages, readings, strict=True)
    ]
