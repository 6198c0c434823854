"""Claims about work that is given up: what it was about says so, with the reason."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import DocumentRow, ExportRow, PageRow, RoundRow, ShardRow, TrialRow
from flywheel.loop import rounds, submission
from flywheel.loop.exhaustion import CONSEQUENCES, give_up
from flywheel.loop.round_machine import open_round
from flywheel.reasons import Reason
from flywheel.states import RoundStatus
from flywheel.work import ledger
from flywheel.work.ledger import SpentShard, Work
from flywheel.work.route import ROUTE
from tests.flywheel.rows import give_labels, make_document

pytestmark = pytest.mark.usefixtures("environment")


def spend(work: Work) -> SpentShard:
    """Enqueue a shard, claim it, and have its input refused; what follows from that included."""
    with transaction() as session:
        ledger.enqueue(session, [work])
        shard_id = session.execute(select(ShardRow.id).where(ShardRow.work_id == work.work_id)).scalar_one()
        held = ledger.claim(session, shard_id, "w")
        assert held is not None
    with transaction() as session:
        spent = ledger.fail(session, held, Reason.BLOB_CORRUPT, "bits flipped", retry=False)
        assert spent is not None
        give_up(session, spent)
    return spent


def a_round(status: RoundStatus = RoundStatus.PATCHING) -> int:
    with transaction() as session:
        return open_round(session, status, language="bo", corpora=[], recipe="line", overrides={}).id


def the_round(round_id: int) -> tuple[str, str | None]:
    with transaction() as session:
        row = session.get_one(RoundRow, round_id)
        return row.status, row.detail


def test_every_stop_has_a_consequence() -> None:
    assert set(CONSEQUENCES) == set(ROUTE)


@pytest.mark.parametrize("stop", ["coarse", "recognition"])
def test_a_page_that_cannot_be_labelled_is_quarantined(stop: str) -> None:
    document_id, pages = make_document(2)
    spend(Work(stop, document_id=document_id, page_ids=pages[:1]))
    with transaction() as session:
        found = session.execute(select(PageRow.state, PageRow.reason, PageRow.detail).order_by(PageRow.id)).all()
        assert session.get_one(DocumentRow, document_id).state == "ready"
    assert [tuple(row) for row in found] == [
        ("quarantined", "blob_corrupt", "bits flipped"),
        ("pending", None, None),
    ]


def test_a_page_that_was_accepted_stays_so_when_reading_it_again_fails() -> None:
    document_id, pages = make_document(1)
    give_labels(pages)
    spend(Work("recognition", document_id=document_id, page_ids=pages))
    with transaction() as session:
        page = session.execute(select(PageRow)).scalar_one()
    assert (page.state, page.verdict) == ("labelled", "accepted")


def test_a_document_that_cannot_be_opened_is_quarantined_and_comes_back_when_it_is_sent_again() -> None:
    document_id, _ = make_document(0)
    spend(Work("ingest", document_id=document_id))
    with transaction() as session:
        row = session.get_one(DocumentRow, document_id)
        assert (row.state, row.reason, row.detail) == ("quarantined", "blob_corrupt", "bits flipped")
        submission.quarantine_document(session, document_id, Reason.PDF_ENCRYPTED, "")
    with transaction() as session:
        assert session.get_one(DocumentRow, document_id).reason == "pdf_encrypted"


def test_patches_that_cannot_be_cut_take_nothing_from_the_page_or_from_the_round() -> None:
    document_id, pages = make_document(1)
    give_labels(pages)
    round_id = a_round()
    spend(Work("patches", document_id=document_id, round_id=round_id, page_ids=pages))
    assert the_round(round_id) == ("patching", None)
    with transaction() as session:
        assert session.execute(select(PageRow.verdict)).scalar_one() == "accepted"


@pytest.mark.parametrize("stop", ["dataset", "training", "promotion", "relabel"])
def test_a_round_fails_with_its_stop(stop: str) -> None:
    round_id = a_round()
    spend(Work(stop, round_id=round_id))
    assert the_round(round_id) == ("failed", f"{stop}: blob_corrupt: bits flipped")


def test_a_plan_fails_with_its_stop() -> None:
    round_id = a_round(RoundStatus.PLANNING)
    spend(Work("planning", round_id=round_id, salt="again"))
    assert the_round(round_id) == ("failed", "planning: blob_corrupt: bits flipped")


def test_a_round_that_was_cancelled_meanwhile_stays_so() -> None:
    round_id = a_round()
    with transaction() as session:
        rounds.cancel(session, round_id)
    spend(Work("dataset", round_id=round_id))
    assert the_round(round_id) == ("cancelled", "cancelled by a person")


def test_exports_and_trials_fail_with_the_reason() -> None:
    with transaction() as session:
        export = ExportRow(corpus_id=submission.ensure_corpus(session, "c"), format="jsonl")
        trial = TrialRow(name="a.png", blob_key="k")
        session.add_all([export, trial])
        session.flush()
    spend(Work("export", export_id=export.id))
    spend(Work("trial", trial_id=trial.id))
    with transaction() as session:
        export, trial = session.get_one(ExportRow, export.id), session.get_one(TrialRow, trial.id)
    assert (export.status, export.detail) == ("failed", "bits flipped")
    assert (trial.status, trial.reason, trial.detail) == ("failed", "blob_corrupt", "bits flipped")
    assert export.finished_at is not None
    assert trial.finished_at is not None
