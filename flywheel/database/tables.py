"""Rows of the database. Postgres is the truth; everything else can be made again from here and the blobs.

Corpora hold documents, documents pages, pages labels (append-only; which one is
current is a query, `flywheel.labels.standing.current_labels`). A shard is a unit of work for one
stop; its lease is a row of its own, small and often rewritten, that exists only
while the shard is open: so the table of leases is also the outbox.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    ForeignKey,
    Index,
    Integer,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from flywheel.database.root import Row, identity, listed, now, one_of
from flywheel.document import DocumentFacts, Kind, Outcome, PageFacts, TextOrigin
from flywheel.encoding import JsonValue
from flywheel.figures import (
    Comparison,
    CurvePoint,
    DatasetCounts,
    ExportProgress,
    Plan,
    ReadingSettings,
    Scores,
    TrainingProgress,
    Unit,
)
from flywheel.states import (
    RUNNING_ROUNDS,
    DocumentState,
    PageState,
    PromotionAction,
    RequestStatus,
    ReviewVerdict,
    RoundStatus,
    ShardState,
)


class CorpusRow(Row):
    """A named collection of documents."""

    __tablename__ = "corpora"

    id: Mapped[int] = identity()
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = now()


class DocumentRow(Row):
    """One submitted file. `state`: pending until its pages are known, then ready or quarantined."""

    __tablename__ = "documents"
    __table_args__ = (
        UniqueConstraint("corpus_id", "sha256"),
        one_of("state", DocumentState),
        Index(None, "language"),
    )

    id: Mapped[int] = identity()
    corpus_id: Mapped[int] = mapped_column(ForeignKey("corpora.id"))
    name: Mapped[str]
    sha256: Mapped[str]
    blob_key: Mapped[str]
    size: Mapped[int]
    media_type: Mapped[str]
    language: Mapped[str | None]
    rights: Mapped[str | None]  # as stated at submission: a licence, an owner; exports carry it
    state: Mapped[DocumentState] = mapped_column(server_default=DocumentState.PENDING)
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    page_count: Mapped[int | None] = mapped_column(Integer)
    facts: Mapped[DocumentFacts | None]  # once it was opened
    created_at: Mapped[datetime] = now()


class PageRow(Row):
    """One page. `verdict`, `reason`, `detail` and `script` are those of the label that speaks for it, or say why
    it is quarantined; only flywheel/labels/standing.py writes them."""

    __tablename__ = "pages"
    __table_args__ = (
        UniqueConstraint("document_id", "number"),
        one_of("state", PageState),
        Index("ix_pages_waiting", "document_id", postgresql_where=text(f"state = '{PageState.WAITING}'")),
    )

    id: Mapped[int] = identity()
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id"))
    number: Mapped[int] = mapped_column(Integer)
    state: Mapped[PageState] = mapped_column(server_default=PageState.PENDING)
    verdict: Mapped[Outcome | None]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    script: Mapped[str | None]
    width: Mapped[float | None]
    height: Mapped[float | None]
    ink: Mapped[float | None]
    facts: Mapped[PageFacts | None]  # once the coarse stop has seen it
    updated_at: Mapped[datetime] = now()


class ShardRow(Row):
    """A unit of work: one stop over some pages, or over one document, round, export or trial."""

    __tablename__ = "shards"
    __table_args__ = (
        one_of("state", ShardState),
        Index("ix_shards_round_open", "round_id", "stop", postgresql_where=text(f"state = '{ShardState.OPEN}'")),
        Index("ix_shards_document_id", "document_id"),
    )

    id: Mapped[int] = identity()
    work_id: Mapped[str] = mapped_column(unique=True)  # hash of the stop, its subject and the checkpoint
    stop: Mapped[str]
    state: Mapped[ShardState] = mapped_column(server_default=ShardState.OPEN)
    document_id: Mapped[int | None] = mapped_column(ForeignKey("documents.id"))
    round_id: Mapped[int | None] = mapped_column(ForeignKey("rounds.id"))
    export_id: Mapped[int | None] = mapped_column(ForeignKey("exports.id"))
    trial_id: Mapped[int | None] = mapped_column(ForeignKey("trials.id"))
    checkpoint_id: Mapped[str | None] = mapped_column(ForeignKey("checkpoints.id"))
    page_ids: Mapped[list[int]] = mapped_column(server_default=text("'{}'::bigint[]"))
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    created_at: Mapped[datetime] = now()
    finished_at: Mapped[datetime | None]


class LeaseRow(Row):
    """Lease of an open shard: the worker that holds it (None: it is free), and its end by the database's clock.

    `token` grows with every claim, and every result write checks it (fencing).
    """

    __tablename__ = "leases"
    __table_args__ = (
        Index(
            "ix_leases_claimable",
            "queue",
            "priority",
            "shard_id",
            postgresql_where=text("worker IS NULL"),
        ),
        Index("ix_leases_expires_at", "expires_at", postgresql_where=text("worker IS NOT NULL")),
        {
            "postgresql_with": {
                "fillfactor": 50,
                "autovacuum_vacuum_scale_factor": 0.01,
                "autovacuum_vacuum_threshold": 200,
                "autovacuum_vacuum_cost_delay": 0,
            }
        },
    )

    shard_id: Mapped[int] = mapped_column(
        ForeignKey("shards.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    queue: Mapped[str]
    priority: Mapped[int] = mapped_column(Integer, server_default="0")  # lower first
    run_after: Mapped[datetime] = now()
    published_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    deferrals: Mapped[int] = mapped_column(Integer, server_default="0")
    token: Mapped[int] = mapped_column(server_default="0")
    worker: Mapped[str | None]
    expires_at: Mapped[datetime | None]


class LabelRow(Row):
    """One label of one page: append-only. The text lies in a blob of zstd frames, one frame a page."""

    __tablename__ = "labels"
    __table_args__ = (
        Index(
            "uq_labels_page_id_stop_checkpoint_id",
            "page_id",
            "stop",
            "checkpoint_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text(f"kind <> '{Kind.HUMAN}'"),
        ),
        one_of("kind", Kind),
        one_of("origin", TextOrigin),
        one_of("verdict", Outcome),
        Index(None, "page_id"),
    )

    id: Mapped[int] = identity()
    page_id: Mapped[int] = mapped_column(ForeignKey("pages.id"))
    stop: Mapped[str]
    kind: Mapped[Kind]
    origin: Mapped[TextOrigin]  # of its words: a reading that a person confirmed stays a reader's
    producer: Mapped[str]
    checkpoint_id: Mapped[str | None] = mapped_column(ForeignKey("checkpoints.id"))
    settings_hash: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("labels.id"))
    generation: Mapped[int] = mapped_column(Integer, server_default="0")
    blob_key: Mapped[str]
    blob_offset: Mapped[int]
    blob_length: Mapped[int] = mapped_column(Integer)
    verdict: Mapped[Outcome]
    reason: Mapped[str]
    detail: Mapped[str]
    script: Mapped[str]
    confidence: Mapped[float | None]
    characters: Mapped[int] = mapped_column(Integer)
    lines: Mapped[int] = mapped_column(Integer)
    shard_id: Mapped[int | None] = mapped_column(ForeignKey("shards.id"))
    created_at: Mapped[datetime] = now()


class ReviewRow(Row):
    """A person's verdict on a label. Each is a new label of kind human, too."""

    __tablename__ = "reviews"
    __table_args__ = (one_of("action", ReviewVerdict), Index(None, "page_id"))

    id: Mapped[int] = identity()
    page_id: Mapped[int] = mapped_column(ForeignKey("pages.id"))
    label_id: Mapped[int] = mapped_column(ForeignKey("labels.id"))
    new_label_id: Mapped[int | None] = mapped_column(ForeignKey("labels.id"))
    action: Mapped[ReviewVerdict]
    reviewer: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = now()


PATCH_CUTTER = 2  # version of the way that samples are made of labels: those of other versions are made anew


class PatchSetRow(Row):
    """Samples from one label, in a Parquet blob shared by its shard: the images of its lines, or of its page.

    `cutter` is the version of what made them. `likeness` tells near-equal pages (flywheel/loop/likeness.py).
    """

    __tablename__ = "patch_sets"
    __table_args__ = (one_of("unit", Unit),)

    label_id: Mapped[int] = mapped_column(ForeignKey("labels.id"), primary_key=True, autoincrement=False)
    unit: Mapped[Unit] = mapped_column(primary_key=True, server_default=Unit.LINE)
    cutter: Mapped[int] = mapped_column(Integer, primary_key=True, default=PATCH_CUTTER)
    blob_key: Mapped[str]
    units: Mapped[int] = mapped_column(Integer)  # patches in it: lines, or 0 or 1 page
    dropped: Mapped[dict[str, int]] = mapped_column(server_default=text("'{}'::jsonb"))
    likeness: Mapped[bytes | None]
    created_at: Mapped[datetime] = now()


class DatasetRow(Row):
    """A frozen set of patches. The manifest blob lists files and the split of every document."""

    __tablename__ = "datasets"

    id: Mapped[int] = identity()
    hash: Mapped[str] = mapped_column(unique=True)
    language: Mapped[str]
    manifest_key: Mapped[str]
    counts: Mapped[DatasetCounts]
    created_at: Mapped[datetime] = now()


class DatasetDocumentRow(Row):
    """Side of a document, by the hash of its bytes, in a frozen dataset."""

    __tablename__ = "dataset_documents"
    __table_args__ = (Index(None, "sha256"),)

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True, autoincrement=False)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    split: Mapped[str]


class RoundRow(Row):
    """One round of fine-tuning for a language. Only flywheel/loop/round_machine.py writes its status."""

    __tablename__ = "rounds"
    __table_args__ = (
        one_of("status", RoundStatus),
        Index(
            "uq_rounds_language_running",
            "language",
            unique=True,
            postgresql_where=text(f"status IN ({listed(s for s in RoundStatus if s in RUNNING_ROUNDS)})"),
        ),
    )

    id: Mapped[int] = identity()
    language: Mapped[str]
    recipe: Mapped[str]
    status: Mapped[RoundStatus] = mapped_column(server_default=RoundStatus.PATCHING)
    corpora: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    overrides: Mapped[dict[str, JsonValue]] = mapped_column(server_default=text("'{}'::jsonb"))
    parent_id: Mapped[str | None]
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("datasets.id"))
    checkpoint_id: Mapped[str | None]
    progress: Mapped[TrainingProgress | None]
    curve: Mapped[tuple[CurvePoint, ...]] = mapped_column(server_default=text("'[]'::jsonb"))
    comparison: Mapped[Comparison | None]
    relabelled: Mapped[int | None] = mapped_column(Integer)
    resume_key: Mapped[str | None]  # tree of the last complete training checkpoint
    plan: Mapped[Plan | None]  # of one that was only planned
    detail: Mapped[str | None]
    created_at: Mapped[datetime] = now()
    trained_seconds: Mapped[float | None]
    finished_at: Mapped[datetime | None]


class CheckpointRow(Row):
    """Weights with a sidecar, stored as a tree; `builtin` ones come inside a package."""

    __tablename__ = "checkpoints"

    id: Mapped[str] = mapped_column(primary_key=True)
    architecture: Mapped[str]
    language: Mapped[str | None]
    scripts: Mapped[list[str]]
    tree_key: Mapped[str | None]
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("checkpoints.id"))
    round_id: Mapped[int | None] = mapped_column(ForeignKey("rounds.id"))
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("datasets.id"))
    generation: Mapped[int] = mapped_column(Integer, server_default="0")
    scores: Mapped[Scores | None]  # on the held-out documents of the dataset it learned from
    reading: Mapped[ReadingSettings | None]  # as it was examined, so as it reads for the service
    created_at: Mapped[datetime] = now()


class PromotionRow(Row):
    """A decision about a checkpoint, append-only. The newest promote or rollback names the champion."""

    __tablename__ = "promotions"
    __table_args__ = (
        one_of("action", PromotionAction),
        Index(None, "language", "id"),
    )

    id: Mapped[int] = identity()
    language: Mapped[str]
    action: Mapped[PromotionAction]
    checkpoint_id: Mapped[str | None] = mapped_column(ForeignKey("checkpoints.id"))
    previous_id: Mapped[str | None] = mapped_column(ForeignKey("checkpoints.id"))
    round_id: Mapped[int | None] = mapped_column(ForeignKey("rounds.id"))
    comparison: Mapped[Comparison | None]  # of a round; a person decides without
    detail: Mapped[str] = mapped_column(server_default="")
    actor: Mapped[str]
    created_at: Mapped[datetime] = now()


class ExportRow(Row):
    """A corpus to be written out in a format, as a tree of files."""

    __tablename__ = "exports"
    __table_args__ = (one_of("status", RequestStatus),)

    id: Mapped[int] = identity()
    corpus_id: Mapped[int] = mapped_column(ForeignKey("corpora.id"))
    format: Mapped[str]
    status: Mapped[RequestStatus] = mapped_column(server_default=RequestStatus.PENDING)
    tree_key: Mapped[str | None]
    rows: Mapped[int | None]
    progress: Mapped[ExportProgress | None]
    detail: Mapped[str | None]
    created_at: Mapped[datetime] = now()
    finished_at: Mapped[datetime | None]


class TrialRow(Row):
    """One file to be read now, outside any corpus; with a truth text it is an evaluation."""

    __tablename__ = "trials"
    __table_args__ = (one_of("status", RequestStatus),)

    id: Mapped[int] = identity()
    name: Mapped[str]
    blob_key: Mapped[str]
    truth_key: Mapped[str | None]
    language: Mapped[str | None]
    checkpoint_id: Mapped[str | None] = mapped_column(ForeignKey("checkpoints.id"))
    mode: Mapped[str | None]  # of a page reader, see flywheel/loop/readers.py
    status: Mapped[RequestStatus] = mapped_column(server_default=RequestStatus.PENDING)
    result_key: Mapped[str | None]  # JSON of flywheel.figures.TrialResult
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    created_at: Mapped[datetime] = now()
    finished_at: Mapped[datetime | None]


class ApiKeyRow(Row):
    """A key of the API; its secret is stored as a hash."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    secret_sha256: Mapped[str]
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = now()
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class TickRow(Row):
    """One row a (job, tick): two schedulers do no harm."""

    __tablename__ = "ticks"

    job: Mapped[str] = mapped_column(primary_key=True)
    tick: Mapped[datetime] = mapped_column(primary_key=True)


class WorkerRow(Row):
    """Status of a worker process, as it last wrote it. Memory in bytes; utilisation a share of 1."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)  # host:pid
    name: Mapped[str]  # as Celery names the group, e.g. gpu@node-3
    device: Mapped[str]  # cpu, cuda:0 ...
    device_name: Mapped[str]
    memory_used: Mapped[int | None]
    memory_total: Mapped[int | None]
    utilisation: Mapped[float | None]
    doing: Mapped[str | None]
    waiting_for: Mapped[str | None]
    started_at: Mapped[datetime] = now()
    seen_at: Mapped[datetime] = now()
