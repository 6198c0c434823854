"""Claims about reviews: a person has the last word."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import PageRow, ReviewRow
from flywheel.document import Outcome
from flywheel.errors import Conflict, NotFound
from flywheel.labels.review import review_page
from flywheel.labels.standing import UnreadablePage, current_label, quarantine_pages
from flywheel.labels.storage import load_label
from flywheel.loop import teaching
from flywheel.reasons import Reason
from flywheel.states import ReviewVerdict
from tests.flywheel.rows import give_labels, make_checkpoint, make_document, make_label, store

pytestmark = pytest.mark.usefixtures("environment")


def standing(page_id: int) -> tuple[str, str | None, str | None]:
    with transaction() as session:
        page = session.get_one(PageRow, page_id)
        return page.state, page.verdict, page.reason


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
