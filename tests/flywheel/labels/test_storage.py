"""Claims about blobs of labels: kept whole, a label a range."""

from __future__ import annotations

import pytest
import zstandard

from flywheel.database import transaction
from flywheel.database.tables import LabelRow
from flywheel.errors import BlobCorrupt
from flywheel.labels.storage import load_label
from tests.flywheel.rows import give_labels, make_document, make_label, store

pytestmark = pytest.mark.usefixtures("environment")


def test_labels_come_back_as_they_went_in_page_by_page_and_as_one_stream() -> None:
    _, pages = make_document(3)
    ids = give_labels(pages, lines=2)
    with transaction() as session:
        rows = [session.get_one(LabelRow, label_id) for label_id in ids]
    assert [load_label(store(), row) for row in rows] == [make_label(lines=2)] * 3
    whole = zstandard.ZstdDecompressor().stream_reader(store().get(rows[0].blob_key), read_across_frames=True)
    assert whole.read().count(b"\n") == 3


def test_a_span_that_points_elsewhere_is_an_error_and_not_a_label() -> None:
    _, pages = make_document(2)
    [first, _] = give_labels(pages)
    with transaction() as session:
        row = session.get_one(LabelRow, first)
        row.blob_offset += 3
        with pytest.raises(BlobCorrupt):
            load_label(store(), row)
        session.rollback()
