"""Invariants that hold after every fault, asked of the rows and blobs themselves (docs/faults.md)."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flywheel.database import transaction
from flywheel.database.tables import DocumentRow, LabelRow, LeaseRow, PageRow, ShardRow
from flywheel.labels.storage import load_label
from flywheel.store import Store
from tests.chaos.cluster import Cluster

TERMINAL = ("labelled", "waiting", "quarantined")


def check(cluster: Cluster) -> None:
    """Every invariant; fails with the rows that break it."""
    with transaction() as session:
        nothing_open(session)
        every_promise_kept(session, cluster.acknowledged)
        every_page_ended_once(session)
        every_blob_sound(session, cluster.store)


def nothing_open(session: Session) -> None:
    """No live lease, nothing left to send, no shard that is open without a lease."""
    assert session.execute(select(LeaseRow.shard_id)).scalars().all() == []
    assert session.execute(select(ShardRow.id).where(ShardRow.state == "open")).scalars().all() == []


def every_promise_kept(session: Session, acknowledged: list[tuple[int, str]]) -> None:
    """Whatever a client was told is in, is in, once."""
    held = {(row.id, row.sha256) for row in session.execute(select(DocumentRow.id, DocumentRow.sha256)).all()}
    assert set(acknowledged) <= held
    twice = select(DocumentRow.sha256).group_by(DocumentRow.corpus_id, DocumentRow.sha256).having(func.count() > 1)
    assert session.execute(twice).scalars().all() == []


def every_page_ended_once(session: Session) -> None:
    """Submitted pages = finished + quarantined, each with a reason; one label a page, stop and checkpoint."""
    documents = session.execute(select(DocumentRow)).scalars().all()
    assert {row.state for row in documents} <= {"ready", "quarantined"}
    assert all(row.reason for row in documents if row.state == "quarantined")
    submitted = sum(row.page_count or 0 for row in documents if row.state == "ready")
    pages = session.execute(select(PageRow)).scalars().all()
    assert len(pages) == submitted
    assert [row.id for row in pages if row.state not in TERMINAL or row.reason is None] == []
    key = (LabelRow.page_id, LabelRow.stop, LabelRow.checkpoint_id)
    assert session.execute(select(*key).group_by(*key).having(func.count() > 1)).all() == []
    labelled = {row.id for row in pages if row.state in {"labelled", "waiting"}}
    assert labelled <= set(session.execute(select(LabelRow.page_id)).scalars())


def every_blob_sound(session: Session, store: Store) -> None:
    """Every referenced blob matches its hash and every label can be read; but for documents known to be bad."""
    for row in session.execute(select(LabelRow)).scalars():
        assert load_label(store, row).producer == row.producer
    keys = set(session.execute(select(LabelRow.blob_key)).scalars())
    keys |= set(session.execute(select(DocumentRow.blob_key).where(DocumentRow.state == "ready")).scalars())
    for key in keys:
        store.get(key)
