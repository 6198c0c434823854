"""Claims about reviews: a person has the last word."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from flywheel.database import transaction
from flywheel.database.tables import LabelRow, PageRow, ReviewRow
from flywheel.document import Kind, Outcome, TextOrigin
from flywheel.errors import Conflict, NotFound
from flywheel.figures import Unit
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


def sent(page_id: int, text: str, **claims: TextOrigin) -> TextOrigin:
    """Origin of a person's own label with these words."""
    with transaction() as session:
        own = replace(make_label(text, kind=Kind.HUMAN), **claims)
        new = review_page(session, store(), page_id, action=ReviewVerdict.CORRECT, reviewer="t", label=own)
        row = session.get_one(LabelRow, new)
        assert load_label(store(), row).origin is row.origin
        return row.origin


def test_a_correction_that_says_what_the_reading_says_is_a_confirmation_and_keeps_its_origin() -> None:
    _, (page, *_) = make_document(1)
    make_checkpoint("c1")
    give_labels((page,), stop="recognition", checkpoint="c1", generation=1)
    assert sent(page, "བཀྲ་ཤིས") is TextOrigin.READER
    assert sent(page, " བཀྲ་ \u200bཤིས ", origin=TextOrigin.PERSON) is TextOrigin.READER
    assert sent(page, "བཀྲ་ཤིས་ལེགས", origin=TextOrigin.READER) is TextOrigin.PERSON
    assert sent(page, "བཀྲ་ཤིས") is TextOrigin.READER  # and so it is after a detour


def test_who_accepts_a_label_leaves_its_words_to_whoever_wrote_them() -> None:
    _, (read, layer) = make_document(2)
    make_checkpoint("c1")
    give_labels((read,), stop="recognition", checkpoint="c1", generation=1)
    give_labels((layer,))
    with transaction() as session:
        for page, origin in ((read, TextOrigin.READER), (layer, TextOrigin.TEXT_LAYER)):
            new = review_page(session, store(), page, action=ReviewVerdict.ACCEPT, reviewer="tenzin")
            assert session.get_one(LabelRow, new).origin is origin
        assert len(teaching.trainable(session, "bo", [], generations=0)) == 2


def test_an_ocr_layer_teaches_only_what_a_person_confirmed() -> None:
    document, pages = make_document(3)
    give_labels(pages)
    with transaction() as session:
        session.execute(update(LabelRow).values(origin=TextOrigin.OCR_LAYER))
        assert teaching.trainable(session, "bo", [], generations=1) == []
        assert teaching.labels_to_cut(session, pages, 1, Unit.LINE) == {}
    with transaction() as session:
        new = review_page(session, store(), pages[1], action=ReviewVerdict.ACCEPT, reviewer="tenzin")
    with transaction() as session:
        assert teaching.trainable(session, "bo", [], generations=1) == [(pages[1], document)]
        assert teaching.labels_to_cut(session, pages, 1, Unit.LINE)[pages[1]].id == new
        assert session.get_one(LabelRow, new).origin is TextOrigin.OCR_LAYER
