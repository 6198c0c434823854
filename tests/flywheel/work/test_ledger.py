"""Claims of the work ledger: one holder at a time, nothing lost, nothing written by the dead."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update

from flywheel.database import transaction
from flywheel.database.tables import CorpusRow, DocumentRow, LeaseRow, PageRow, ShardRow
from flywheel.errors import LeaseLost
from flywheel.reasons import Reason
from flywheel.work import ledger
from flywheel.work.ledger import Claim, Expired, Work
from flywheel.work.route import ROUTE

pytestmark = pytest.mark.usefixtures("environment")


def make_pages(count: int) -> tuple[int, tuple[int, ...]]:
    """A document with pages; returns its id and theirs."""
    with transaction() as session:
        corpus = CorpusRow(name="tib")
        session.add(corpus)
        session.flush()
        document = DocumentRow(
            corpus_id=corpus.id, name="a.pdf", sha256="0" * 64, blob_key="k", size=1, media_type="application/pdf"
        )
        session.add(document)
        session.flush()
        pages = [PageRow(document_id=document.id, number=n) for n in range(count)]
        session.add_all(pages)
        session.flush()
        return document.id, tuple(page.id for page in pages)


def open_shard(count: int = 1) -> int:
    document_id, pages = make_pages(count)
    with transaction() as session:
        ledger.enqueue(session, [Work("coarse", document_id=document_id, page_ids=pages)])
        return session.execute(select(ShardRow.id)).scalar_one()


def take(shard_id: int, worker: str = "w") -> Claim | None:
    with transaction() as session:
        return ledger.claim(session, shard_id, worker)


def run_out(shard_id: int) -> Expired:
    """Let the lease run out, by the database's clock."""
    with transaction() as session:
        session.execute(
            update(LeaseRow)
            .where(LeaseRow.shard_id == shard_id)
            .values(expires_at=func.now() - text("interval '1 second'"))
        )
    with transaction() as session:
        return ledger.expire(session)


def test_the_same_work_is_enqueued_once() -> None:
    work = Work("coarse", page_ids=(1, 2))
    with transaction() as session:
        assert ledger.enqueue(session, [work, work]) == 1
    with transaction() as session:
        assert ledger.enqueue(session, [work]) == 0


def test_one_hint_given_to_ten_workers_is_claimed_by_one() -> None:
    shard_id = open_shard()
    with ThreadPoolExecutor(10) as pool:
        claims = list(pool.map(lambda n: take(shard_id, f"w{n}"), range(10)))
    assert sum(claim is not None for claim in claims) == 1


def test_a_worker_whose_lease_ran_out_writes_nothing() -> None:
    shard_id = open_shard()
    slow = take(shard_id, "slow")
    assert slow is not None
    run_out(shard_id)
    quick = take(shard_id, "quick")
    assert quick is not None
    assert quick.token == slow.token + 1
    with pytest.raises(LeaseLost), transaction() as session:  # noqa: PT012  # one transaction is the point
        session.execute(update(PageRow).values(detail="written by the dead"))
        ledger.finish(session, slow)
    with transaction() as session:
        assert session.execute(select(PageRow.detail)).scalars().all() == [None]
        ledger.finish(session, quick)
    with transaction() as session:
        assert session.execute(select(ShardRow.state)).scalar_one() == "finished"
        assert session.execute(select(func.count()).select_from(LeaseRow)).scalar_one() == 0


def test_renewing_keeps_a_lease_and_tells_when_it_is_gone() -> None:
    shard_id = open_shard()
    claim = take(shard_id)
    assert claim is not None
    with transaction() as session:
        assert ledger.renew(session, claim)
    run_out(shard_id)
    with transaction() as session:
        assert not ledger.renew(session, claim)


def test_giving_back_on_shutdown_charges_no_attempt() -> None:
    shard_id = open_shard()
    for _ in range(ROUTE["coarse"].attempts + 2):
        claim = take(shard_id)
        assert claim is not None
        assert claim.attempt == 1
        with transaction() as session:
            ledger.release(session, claim)


def test_deferred_work_waits_longer_each_time_and_is_not_charged() -> None:
    shard_id = open_shard()
    waits = []
    for _ in range(3):
        with transaction() as session:
            session.execute(update(LeaseRow).values(run_after=func.now()))
        claim = take(shard_id)
        assert claim is not None
        assert claim.attempt == 1
        with transaction() as session:
            ledger.defer(session, claim, "the store is away")
            pause = session.execute(select(func.extract("epoch", LeaseRow.run_after - func.now()))).scalar_one()
            waits.append(round(float(pause)))
        assert take(shard_id) is None
    assert waits == [1, 2, 4]


def test_a_shard_that_spends_its_attempts_is_split_and_one_of_a_single_page_is_handed_to_the_caller() -> None:
    shard_id = open_shard(count=3)
    for _ in range(ROUTE["coarse"].attempts):
        assert take(shard_id) is not None
        assert run_out(shard_id).spent == ()
    with transaction() as session:
        assert session.get_one(ShardRow, shard_id).state == "split"
        singles = session.execute(select(ShardRow).where(ShardRow.state == "open")).scalars().all()
    assert len(singles) == 3
    for attempt in range(1, ROUTE["coarse"].attempts + 1):
        assert take(singles[0].id) is not None
        expired = run_out(singles[0].id)
        assert expired.leases == 1
        assert len(expired.spent) == (attempt == ROUTE["coarse"].attempts)
    [spent] = expired.spent
    assert (spent.shard_id, spent.stop, spent.reason) == (singles[0].id, "coarse", Reason.ATTEMPTS_EXHAUSTED)
    assert (spent.document_id, list(spent.page_ids)) == (singles[0].document_id, singles[0].page_ids)
    with transaction() as session:
        assert session.get_one(ShardRow, spent.shard_id).state == "failed"
        assert set(session.execute(select(PageRow.state)).scalars()) == {"pending"}  # no affair of the ledger's


def test_a_failed_attempt_comes_back_until_the_last_and_a_refused_input_is_handed_back_at_once() -> None:
    shard_id = open_shard()
    for attempt in range(1, ROUTE["coarse"].attempts + 1):
        claim = take(shard_id)
        assert claim is not None
        with transaction() as session:
            spent = ledger.fail(session, claim, Reason.INTERNAL_ERROR, "broken", retry=True)
            session.execute(update(LeaseRow).values(run_after=func.now()))
        assert (spent is not None) == (attempt == ROUTE["coarse"].attempts)
    other = take_new("other")
    with transaction() as session:
        refused = ledger.fail(session, other, Reason.BLOB_CORRUPT, "bits flipped", retry=False)
    assert refused is not None
    assert (refused.shard_id, refused.reason, refused.detail) == (other.shard_id, "blob_corrupt", "bits flipped")
    with transaction() as session:
        assert set(session.execute(select(ShardRow.state)).scalars()) == {"failed"}
        assert session.execute(select(func.count()).select_from(LeaseRow)).scalar_one() == 0


def take_new(salt: str) -> Claim:
    """A claimed shard of one page."""
    work = Work("coarse", page_ids=(1,), salt=salt)
    with transaction() as session:
        ledger.enqueue(session, [work])
        shard_id = session.execute(select(ShardRow.id).where(ShardRow.work_id == work.work_id)).scalar_one()
    claim = take(shard_id)
    assert claim is not None
    return claim


def test_the_ledger_and_its_queues_know_shards_and_leases_and_nothing_of_what_they_are_about() -> None:
    work = Path(__file__).parents[3] / "flywheel" / "work"
    for name in ("ledger.py", "queues.py"):
        imports = [
            node for node in ast.walk(ast.parse((work / name).read_text())) if isinstance(node, ast.ImportFrom)
        ]
        tables = {
            alias.name for node in imports if node.module == "flywheel.database.tables" for alias in node.names
        }
        assert tables == {"LeaseRow", "ShardRow"}
        states = {alias.name for node in imports if node.module == "flywheel.states" for alias in node.names}
        assert states <= {"ShardState"}
        assert not {node.module for node in imports} & {"flywheel.document", "flywheel.labels.standing"}
