"""Documents that hang or crash the PDF library, and bytes that changed in the store."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import DocumentRow, PageRow
from tests.chaos.cluster import Cluster
from tests.flywheel import draw


def standing(document_id: int) -> list[tuple[str, str | None]]:
    """(state, reason) of a document's pages, in order."""
    with transaction() as session:
        query = (
            select(PageRow.state, PageRow.reason)
            .where(PageRow.document_id == document_id)
            .order_by(PageRow.number)
        )
        return [(state, reason) for state, reason in session.execute(query).all()]


def test_fault_21_a_page_that_hangs_the_pdf_library_is_quarantined_and_its_neighbours_are_labelled(
    cluster: Cluster,
) -> None:
    path = cluster.directory / "nested.pdf"
    path.write_bytes(draw.nested_forms())
    hostile = cluster.submit(path)
    pages = cluster.books(2, 4)
    cluster.sweep()
    worker = cluster.worker(FLYWHEEL_PAGE_SECONDS="4")
    cluster.settle()
    assert standing(hostile) == [
        ("labelled", "accepted"),
        ("quarantined", "page_timeout"),
        ("labelled", "accepted"),
    ]
    assert cluster.labels() == pages + 2
    assert worker.process.poll() is None


def test_fault_22_a_page_that_crashes_the_pdf_library_is_quarantined_and_its_neighbours_are_labelled(
    cluster: Cluster,
) -> None:
    cluster.books(1, 6)
    cluster.sweep()
    cluster.worker("page:2 crash-child 100", processes=1)
    cluster.settle()
    (document_id, _) = cluster.acknowledged[0]
    sound = ("labelled", "accepted")
    assert standing(document_id) == [sound, sound, ("quarantined", "page_crashed"), sound, sound, sound]


def test_fault_19_a_document_whose_bytes_changed_is_quarantined_and_never_labelled(cluster: Cluster) -> None:
    cluster.books(2, 3)
    with transaction() as session:
        keys = {row.id: row.blob_key for row in session.execute(select(DocumentRow)).scalars()}
    (rotten, _), (sound, _) = cluster.acknowledged
    flip(Path(cluster.environment["FLYWHEEL_STORE_URL"].removeprefix("file://")) / keys[rotten])
    cluster.sweep()
    cluster.worker(processes=1)
    cluster.settle()
    with transaction() as session:
        states = {row.id: row.reason for row in session.execute(select(DocumentRow)).scalars()}
    assert states == {rotten: "blob_corrupt", sound: None}
    assert standing(rotten) == []
    assert standing(sound) == [("labelled", "accepted")] * 3


def flip(path: Path) -> None:
    """Turn one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
