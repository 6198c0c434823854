"""Claims about labels: kept whole, append-only, and a person has the last word."""

from __future__ import annotations

from dataclasses import replace

import pytest
import zstandard
from sqlalchemy import func, select

from flywheel.database import transaction
from flywheel.database.tables import LabelRow, PageRow, ReviewRow
from flywheel.document import Outcome, Verdict
from flywheel.errors import BlobCorrupt, Conflict, LeaseLost, NotFound
from flywheel.labels.recording import LabelledPage, record_labels
from flywheel.labels.review import review_page
from flywheel.labels.standing import UnreadablePage, current_label, quarantine_pages
from flywheel.labels.storage import load_label, store_labels
from flywheel.loop import teaching
from flywheel.reasons import Reason
from flywheel.states import ReviewVerdict
from flywheel.work import ledger
from tests.flywheel.rows import claim, give_labels, make_checkpoint, make_document, make_label, store

pytestmark = pytest.mark.usefixtures("environment")


def standing(page_id: int) -> tuple[str, str | None, str | None]:
    with transaction() as session:
        page = session.get_one(PageRow, page_id)
        return page.state, page.verdict, page.reason


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


def test_recording_a_shard_twice_leaves_one_label_a_page() -> None:
    _, pages = make_document(2)
    give_labels(pages)
    made = [make_label() for _ in pages]
    held = claim("coarse", pages, salt="again")
    results = [
        LabelledPage(p, label, Verdict(Outcome.ACCEPTED, Reason.ACCEPTED))
        for p, label in zip(pages, made, strict=True)
    ]
    with transaction() as session:
        record_labels(session, held, results, store_labels(store(), made), "settings")
        ledger.finish(session, held)
        assert session.execute(select(func.count()).select_from(LabelRow)).scalar_one() == 2


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


def test_a_persons_correction_stands_against_every_later_machine() -> None:
    _, pages = make_document(1)
    make_checkpoint("c1")
    [parent] = give_labels(pages, Outcome.REJECTED)
    with transaction() as session:
        new = review_page(
            session,
            store(),
            pages[0],
            action=ReviewVerdict.CORRECT,
            reviewer="tenzin",
            label=make_label("ལེགས"),
            note="typo",
        )
    give_labels(pages, stop="recognition", checkpoint="c1")
    assert standing(pages[0]) == ("labelled", "accepted", "corrected")
    with transaction() as session:
        current = current_label(session, pages[0])
        assert current is not None
        assert (current.id, current.kind, current.parent_id) == (new, "human", parent)
        assert load_label(store(), current).text == "ལེགས"
        assert session.execute(select(ReviewRow.action)).scalar_one() == "correct"


def test_a_page_a_person_refused_is_not_accepted_by_a_machine() -> None:
    _, pages = make_document(1)
    make_checkpoint("c1")
    give_labels(pages)
    with transaction() as session:
        review_page(session, store(), pages[0], action=ReviewVerdict.REJECT, reviewer="tenzin")
    give_labels(pages, stop="recognition", checkpoint="c1")
    assert standing(pages[0]) == ("labelled", "rejected", "refused")


def test_there_must_be_something_to_accept() -> None:
    _, pages = make_document(1)
    with pytest.raises(Conflict), transaction() as session:
        review_page(session, store(), pages[0], action=ReviewVerdict.ACCEPT, reviewer="tenzin")
    with pytest.raises(NotFound), transaction() as session:
        review_page(session, store(), 12345, action=ReviewVerdict.ACCEPT, reviewer="tenzin")


def test_the_last_word_of_a_person_counts_not_their_first() -> None:
    _, pages = make_document(1)
    give_labels(pages)
    with transaction() as session:
        review_page(session, store(), pages[0], action=ReviewVerdict.ACCEPT, reviewer="tenzin")
    with transaction() as session:
        refused = review_page(session, store(), pages[0], action=ReviewVerdict.REJECT, reviewer="tenzin")
    assert standing(pages[0]) == ("labelled", "rejected", "refused")
    with transaction() as session:
        current = current_label(session, pages[0])
        assert current is not None
        assert (current.id, current.verdict) == (refused, "rejected")
        assert teaching.trainable(session, "bo", [], generations=1) == []


def test_a_failed_reading_takes_no_page_from_a_person_or_from_review() -> None:
    _, (refused, doubtful, garbled) = make_document(3)
    make_checkpoint("c1")
    give_labels((refused, garbled), Outcome.REJECTED)
    give_labels((doubtful,), Outcome.REVIEW)
    with transaction() as session:
        review_page(session, store(), refused, action=ReviewVerdict.REJECT, reviewer="tenzin")
        failed = [UnreadablePage(n, Reason.PAGE_TIMEOUT, "") for n in (refused, doubtful, garbled)]
        quarantine_pages(session, failed)
    assert standing(refused) == ("labelled", "rejected", "refused")
    assert standing(doubtful)[:2] == ("labelled", "review")
    assert standing(garbled) == ("quarantined", None, "page_timeout")
