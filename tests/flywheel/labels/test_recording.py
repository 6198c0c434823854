"""Claims about recorded labels: append-only, and never by a worker that lost its lease."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from flywheel.database import transaction
from flywheel.database.tables import LabelRow, PageRow
from flywheel.document import Outcome, Verdict
from flywheel.errors import LeaseLost
from flywheel.labels.recording import LabelledPage, record_labels
from flywheel.labels.standing import current_label
from flywheel.labels.storage import store_labels
from flywheel.reasons import Reason
from flywheel.work import ledger
from tests.flywheel.rows import claim, give_labels, make_checkpoint, make_document, make_label, store

pytestmark = pytest.mark.usefixtures("environment")


def standing(page_id: int) -> tuple[str, str | None, str | None]:
    with transaction() as session:
        page = session.get_one(PageRow, page_id)
        return page.state, page.verdict, page.reason


def test_recording_a_shard_twice_leaves_one_label_a_page_and_what_the_page_shows() -> None:
    _, pages = make_document(2)
    give_labels(pages)
    shown = [standing(page) for page in pages]
    made = [make_label() for _ in pages]
    held = claim("coarse", pages, salt="again")
    results = [
        LabelledPage(p, label, Verdict(Outcome.REVIEW, Reason.LOW_CONFIDENCE))
        for p, label in zip(pages, made, strict=True)
    ]
    with transaction() as session:
        record_labels(session, held, results, store_labels(store(), made), "settings")
        ledger.finish(session, held)
        assert session.execute(select(func.count()).select_from(LabelRow)).scalar_one() == 2
    assert [standing(page) for page in pages] == shown


def test_a_stale_token_records_nothing() -> None:
    _, pages = make_document(1)
    held = claim("coarse", pages)
    result = LabelledPage(pages[0], make_label(), Verdict(Outcome.ACCEPTED, Reason.ACCEPTED))
    stale, packed = replace(held, token=held.token - 1), store_labels(store(), [result.label])
    with pytest.raises(LeaseLost), transaction() as session:
        record_labels(session, stale, [result], packed, "settings")
    assert standing(pages[0]) == ("pending", None, None)


def test_a_later_reading_that_is_not_accepted_takes_nothing_away() -> None:
    _, pages = make_document(1)
    make_checkpoint("c1")
    [first] = give_labels(pages)
    give_labels(pages, Outcome.REVIEW, stop="recognition", checkpoint="c1")
    assert standing(pages[0]) == ("labelled", "accepted", "accepted")
    with transaction() as session:
        current = current_label(session, pages[0])
        assert current is not None
        assert current.id == first


def test_a_newer_accepted_reading_speaks_for_the_page() -> None:
    _, pages = make_document(1)
    make_checkpoint("c1")
    make_checkpoint("c2")
    give_labels(pages, Outcome.REJECTED)
    give_labels(pages, stop="recognition", checkpoint="c1")
    [newest] = give_labels(pages, stop="recognition", checkpoint="c2")
    with transaction() as session:
        current = current_label(session, pages[0])
        assert current is not None
        assert current.id == newest
