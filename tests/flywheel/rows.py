"""Builders of rows for tests: a corpus, documents with pages, labels, checkpoints."""

from __future__ import annotations

import hashlib

from sqlalchemy import func, insert, literal, select

from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow, DocumentRow, LabelRow, PageRow, ShardRow
from flywheel.document import Box, Kind, Label, Line, Outcome, PageFacts, Region, Verdict
from flywheel.figures import Comparison, Difference, DocumentEdits, Scores, Unit
from flywheel.labels.recording import LabelledPage, finish_labelling
from flywheel.labels.storage import store_labels
from flywheel.loop import submission
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.store import open_store
from flywheel.store.interface import Store
from flywheel.work import ledger
from flywheel.work.ledger import Claim, Work


def store() -> Store:
    return open_store(settings().store_url, settings().work_dir)


def make_document(
    pages: int, *, name: str = "a.pdf", language: str | None = "bo", corpus: str = "tib"
) -> tuple[int, tuple[int, ...]]:
    """A ready document with pending pages; returns its id and theirs."""
    with transaction() as session:
        document = DocumentRow(
            corpus_id=submission.ensure_corpus(session, corpus),
            name=name,
            sha256=document_hash(name, corpus),
            blob_key="sha256/00/00/" + "0" * 64,
            size=1,
            media_type="application/pdf",
            language=language,
            state="ready",
            page_count=pages,
        )
        session.add(document)
        session.flush()
        numbers = select(literal(document.id), func.generate_series(0, pages - 1))
        made = insert(PageRow).from_select(["document_id", "number"], numbers).returning(PageRow.id)
        return document.id, tuple(sorted(session.execute(made).scalars()))


def document_hash(name: str, corpus: str = "tib") -> str:
    """The hash of a document that `make_document` makes."""
    return hashlib.sha256(f"{corpus}/{name}".encode()).hexdigest()


def make_label(
    text: str = "བཀྲ་ཤིས", *, kind: Kind = Kind.COARSE, checkpoint: str | None = None, lines: int = 1
) -> Label:
    """A page of equal lines."""
    made = tuple(Line(text, Box(10, 10 + 20 * n, 90, 28 + 20 * n)) for n in range(lines))
    regions = (Region("text", Box(10, 10, 90, 10 + 20 * max(1, lines)), made),) if made else ()
    return Label(kind, "test", 100, 200, regions, script="Tibt", language="bo", checkpoint=checkpoint)


def claim(
    stop: str,
    page_ids: tuple[int, ...] = (),
    checkpoint: str | None = None,
    salt: str = "",
    document_id: int | None = None,
) -> Claim:
    """A shard of these pages, enqueued and taken."""
    work = Work(stop, document_id=document_id, page_ids=page_ids, checkpoint_id=checkpoint, salt=salt)
    with transaction() as session:
        ledger.enqueue(session, [work])
        shard_id = session.execute(select(ShardRow.id).where(ShardRow.work_id == work.work_id)).scalar_one()
        taken = ledger.claim(session, shard_id, "test")
    assert taken is not None
    return taken


def give_labels(
    page_ids: tuple[int, ...],
    outcome: Outcome = Outcome.ACCEPTED,
    *,
    stop: str = "coarse",
    checkpoint: str | None = None,
    lines: int = 1,
    generation: int = 0,
) -> list[int]:
    """Labels for pages, through the front door; returns the labels' ids."""
    kind = Kind.COARSE if stop == "coarse" else Kind.FINE
    reason = Reason.ACCEPTED if outcome is Outcome.ACCEPTED else Reason.GARBLED_CHARACTERS
    made = [make_label(kind=kind, checkpoint=checkpoint, lines=lines) for _ in page_ids]
    frames = store_labels(store(), made)
    labelled = [
        LabelledPage(page_id, label, Verdict(outcome, reason, "seen"), generation=generation)
        for page_id, label in zip(page_ids, made, strict=True)
    ]
    held = claim(stop, page_ids, checkpoint)
    with transaction() as session:
        finish_labelling(session, held, labelled, frames, [], "settings")
    with transaction() as session:
        query = select(LabelRow.id).where(LabelRow.shard_id == held.shard_id).order_by(LabelRow.page_id)
        return list(session.execute(query).scalars())


def make_facts(*fonts: str, has_text: bool = True) -> PageFacts:
    """Facts of a page with a text layer, set in these fonts."""
    return PageFacts(0, 100, 200, 0, 0.1, has_text, image_only=False, characters=90 * has_text, fonts=fonts)


def make_scores(cer: float, *, units: int = 50) -> Scores:
    """Scores with this CER on equal lines or pages."""
    characters = 20 * units
    return Scores(
        cer=cer,
        wer=min(1.0, 2 * cer),
        cer_low=0.9 * cer,
        cer_high=1.1 * cer,
        units=units,
        characters=characters,
        edits=round(cer * characters),
    )


def make_comparison(
    candidate: float,
    baseline: float = 1.0,
    *,
    high: float = 0.0,
    p: float = 1.0,
    units: int = 50,
    documents: int = 8,
    characters: int = 1000,
    unit: Unit = Unit.LINE,
    reads_now: str | None = None,
    exam: str = "book",
) -> Comparison:
    """A candidate's CER against a baseline's. `high` ends the difference's interval, `p` is its p value; the exam
    has so many documents, of so many characters each."""
    rates = (candidate, baseline)
    edits = [[round(rate * characters) for rate in rates] for _ in range(documents)]
    return Comparison(
        unit,
        make_scores(candidate, units=units),
        make_scores(baseline, units=units),
        Difference(candidate - baseline, min(candidate - baseline, high), high, p),
        reads_now or "ppocr-v6-small",
        reads_now,
        by_document=tuple(DocumentEdits(f"{exam}-{n}", characters, *pair) for n, pair in enumerate(edits)),
    )


def make_checkpoint(checkpoint_id: str, language: str = "bo", cer: float = 0.1) -> str:
    with transaction() as session:
        session.add(
            CheckpointRow(
                id=checkpoint_id,
                architecture="line",
                language=language,
                scripts=["Tibt"],
                scores=make_scores(cer),
                generation=1,
            )
        )
    return checkpoint_id
