"""Standing under concurrency: whoever waits for a page hears the label that the other transaction adds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import LabelRow, PageRow
from flywheel.document import Kind, Outcome, Verdict
from flywheel.labels.recording import LabelledPage, finish_labelling
from flywheel.labels.review import review_page
from flywheel.labels.standing import UnreadablePage, current_label, leave_waiting, quarantine_pages
from flywheel.labels.storage import store_labels
from flywheel.reasons import Reason
from flywheel.states import PageState, ReviewVerdict
from tests.flywheel.concurrency import Change, commit, run_across
from tests.flywheel.rows import claim, give_labels, make_checkpoint, make_document, make_label, store

pytestmark = pytest.mark.usefixtures("environment")


def page_with(verdict: Outcome) -> int:
    """A page with a text layer's label of this verdict."""
    _, (page_id,) = make_document(1)
    for checkpoint in ("a", "b"):
        make_checkpoint(checkpoint)
    give_labels((page_id,), verdict)
    return page_id


def shows_the_label_that_speaks(page_id: int) -> bool:
    """True where the page is labelled and its row repeats that label's verdict and reason."""
    with transaction() as session:
        page, speaking = session.get_one(PageRow, page_id), current_label(session, page_id)
        assert speaking is not None
        shown = (page.state, page.verdict, page.reason)
        return shown == (PageState.LABELLED, speaking.verdict, speaking.reason)


def reading_by(checkpoint: str, page_id: int, outcome: Outcome) -> Change:
    """A recognition shard that records its reading of the page."""
    held = claim("recognition", (page_id,), checkpoint)
    label = make_label(kind=Kind.FINE, checkpoint=checkpoint)
    reason = Reason.ACCEPTED if outcome is Outcome.ACCEPTED else Reason.LOW_CONFIDENCE
    page = LabelledPage(page_id, label, Verdict(outcome, reason))
    frames = store_labels(store(), [label])
    return lambda session: finish_labelling(session, held, [page], frames, [], "settings")


def refusal_of(page_id: int) -> Change:
    return lambda session: review_page(
        session, store(), page_id, action=ReviewVerdict.REJECT, reviewer="tenzin", note="no"
    )


def test_a_reading_that_waits_for_a_persons_refusal_does_not_speak_over_it() -> None:
    page_id = page_with(Outcome.REVIEW)
    run_across(refusal_of(page_id), reading_by("a", page_id, Outcome.ACCEPTED))
    assert shows_the_label_that_speaks(page_id)


def test_a_reading_that_waits_for_an_accepted_one_does_not_speak_over_it() -> None:
    page_id = page_with(Outcome.REVIEW)
    run_across(reading_by("a", page_id, Outcome.ACCEPTED), reading_by("b", page_id, Outcome.REVIEW))
    assert shows_the_label_that_speaks(page_id)


def test_a_page_that_a_person_refuses_meanwhile_is_not_left_waiting() -> None:
    page_id = page_with(Outcome.REVIEW)
    run_across(refusal_of(page_id), lambda session: leave_waiting(session, [page_id]))
    assert shows_the_label_that_speaks(page_id)


def test_a_page_that_is_accepted_meanwhile_is_not_quarantined() -> None:
    page_id = page_with(Outcome.REJECTED)
    unreadable = UnreadablePage(page_id, Reason.PAGE_TIMEOUT, "20 s")
    run_across(reading_by("a", page_id, Outcome.ACCEPTED), lambda session: quarantine_pages(session, [unreadable]))
    assert shows_the_label_that_speaks(page_id)


@pytest.mark.parametrize("confidence", [math.nan, math.inf])
def test_a_confidence_that_is_no_number_costs_a_label_its_confidence_alone(confidence: float) -> None:
    _, (page_id,) = make_document(1)
    make_checkpoint("a")
    held = claim("recognition", (page_id,), "a")
    label = make_label(kind=Kind.FINE, checkpoint="a")
    lines = tuple(replace(line, confidence=confidence) for line in label.lines)
    label = replace(label, regions=(replace(label.regions[0], lines=lines),))
    page = LabelledPage(page_id, label, Verdict(Outcome.REVIEW, Reason.LOW_CONFIDENCE))
    frames = store_labels(store(), [label])
    commit(lambda session: finish_labelling(session, held, [page], frames, [], "settings"))
    with transaction() as session:
        assert session.execute(select(LabelRow.confidence)).scalar_one() is None
