"""Claims about the route: it leads from a file to a new champion's readings, and nowhere else."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import ShardRow
from flywheel.document import DocumentFacts, Outcome
from flywheel.loop import promotion, relabel, submission
from flywheel.work.route import QUEUES, ROUTE
from tests.flywheel.rows import claim, give_labels, make_checkpoint, make_document

ASKED_FOR = {"trial", "planning", "export"}  # by people; nothing follows from them


def reached_from(first: str) -> list[str]:
    """The stops that a walk from `first` comes by, each once."""
    found = [first]
    for name in found:
        found += [following for following in ROUTE[name].follows if following not in found]
    return found


def test_the_route_leads_from_ingest_by_every_stop_to_relabel_and_from_there_back_to_recognition() -> None:
    assert set(reached_from("ingest")) == set(ROUTE) - ASKED_FOR
    assert reached_from("ingest")[-1] == "relabel"
    assert ROUTE["relabel"].follows == ("recognition",)
    assert all(not ROUTE[name].follows for name in ASKED_FOR)


def test_every_stop_of_the_route_has_a_queue_that_there_is_and_limits_that_leave_it_time() -> None:
    for name, stop in ROUTE.items():
        assert stop.name == name
        assert stop.queue in QUEUES
        assert set(stop.follows) <= set(ROUTE)
        assert 0 < stop.lease < stop.limit
        assert stop.attempts > 0
        assert stop.priority <= 0


def opened(stop: str) -> set[str]:
    """Stops of the open shards, but for `stop`."""
    with transaction() as session:
        return set(session.execute(select(ShardRow.stop).where(ShardRow.state == "open")).scalars()) - {stop}


@pytest.mark.usefixtures("environment")
def test_what_ingest_coarse_and_relabel_open_is_what_the_route_says_of_them() -> None:
    document_id, _ = make_document(1)
    held = claim("ingest", document_id=document_id)
    with transaction() as session:
        submission.insert_pages(session, held, DocumentFacts(1, True, False, False, "PDF 1.7"))
    assert opened("ingest") == set(ROUTE["ingest"].follows)
    _, pages = make_document(2, name="b.pdf")
    make_checkpoint("c1")
    give_labels(pages[:1], Outcome.REJECTED)
    with transaction() as session:
        promotion.promote(session, "c1", actor="test")
        relabel.assign_readers(session, pages[:1])
    assert opened("ingest") - {"coarse"} <= set(ROUTE["coarse"].follows)
    give_labels(pages[1:], Outcome.REJECTED)
    with transaction() as session:
        session.execute(ShardRow.__table__.update().values(state="finished"))
        assert relabel.enqueue_relabelling(session, "bo", "c1") == 1
    assert opened("relabel") == set(ROUTE["relabel"].follows)
