"""Claims about rounds, datasets and relabelling, as far as rows go."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, update

from flywheel import dataset, ledger, promotion, relabel, rounds
from flywheel.database import transaction
from flywheel.dataset import Source
from flywheel.document import Outcome
from flywheel.errors import Conflict, NotFound, Rejected
from flywheel.settings import settings
from flywheel.tables import LabelRow, Lease, Page, PatchSet, Round, Shard
from tests.flywheel.rows import give_labels, make_checkpoint, make_document


def open_stops() -> list[str]:
    with transaction() as session:
        query = select(Shard.stop).where(Shard.state == "open").order_by(Shard.stop)
        return list(session.execute(query).scalars())


def start() -> int:
    with transaction() as session:
        return rounds.start(session, language="bo")


def close_shards() -> None:
    with transaction() as session:
        for shard_id in session.execute(select(Shard.id).where(Shard.state == "open")).scalars().all():
            held = ledger.claim(session, shard_id, "test")
            assert held is not None
            ledger.finish(session, held)


@pytest.mark.usefixtures("environment")
def test_a_round_needs_accepted_labels_and_known_corpora() -> None:
    _, pages = make_document(2)
    give_labels(pages, Outcome.REJECTED)
    with pytest.raises(Conflict, match="no accepted label"):
        start()
    with pytest.raises(NotFound, match="nowhere"), transaction() as session:
        rounds.start(session, language="bo", corpora=["nowhere"])
    with transaction() as session:
        assert session.execute(select(func.count()).select_from(Round)).scalar_one() == 0


@pytest.mark.usefixtures("environment")
def test_a_language_has_one_round_at_a_time() -> None:
    _, pages = make_document(2)
    give_labels(pages)
    first = start()
    with pytest.raises(Conflict, match="running"):
        start()
    with transaction() as session:
        rounds.cancel(session, first)
    assert start() > first


@pytest.mark.usefixtures("environment")
def test_a_round_moves_on_when_its_last_patches_are_cut_however_many_sweeps_look() -> None:
    _, pages = make_document(20)
    give_labels(pages)
    round_id = start()
    assert open_stops() == ["patches"] * 3
    with transaction() as session:
        assert rounds.advance(session) == 0
    close_shards()
    with transaction() as one, transaction() as two:
        assert rounds.advance(one) + rounds.advance(two) == 1
    assert open_stops() == ["dataset"]
    with transaction() as session:
        assert session.get_one(Round, round_id).status == "freezing"


@pytest.mark.usefixtures("environment")
def test_labels_that_were_cut_before_are_not_cut_again() -> None:
    _, pages = make_document(10)
    ids = give_labels(pages)
    with transaction() as session:
        session.add_all([PatchSet(label_id=n, blob_key="k", lines=1) for n in ids[:8]])
    start()
    with transaction() as session:
        assert session.execute(select(Shard.page_ids).where(Shard.stop == "patches")).scalar_one() == list(
            pages[8:]
        )


@pytest.mark.usefixtures("environment")
def test_cancelling_closes_the_work_and_the_lease_is_gone_for_whoever_holds_it() -> None:
    _, pages = make_document(2)
    give_labels(pages)
    round_id = start()
    with transaction() as session:
        shard_id = session.execute(select(Shard.id).where(Shard.state == "open")).scalar_one()
        held = ledger.claim(session, shard_id, "w")
        assert held is not None
    with transaction() as session:
        rounds.cancel(session, round_id)
    with transaction() as session:
        assert not ledger.renew(session, held)
        assert session.execute(select(func.count()).select_from(Lease)).scalar_one() == 0
        assert session.get_one(Round, round_id).status == "cancelled"
        with pytest.raises(Conflict):
            rounds.cancel(session, round_id)
        with pytest.raises(NotFound):
            rounds.cancel(session, 99)


@pytest.mark.usefixtures("environment")
def test_what_no_one_reads_waits_and_a_promotion_wakes_it() -> None:
    _, pages = make_document(3)
    give_labels(pages, Outcome.REJECTED)
    with transaction() as session:
        relabel.assign(session, pages)
        assert relabel.wake_waiting(session) == 0
    with transaction() as session:
        assert set(session.execute(select(Page.state)).scalars()) == {"waiting"}
    make_checkpoint("c1")
    with transaction() as session:
        promotion.promote(session, "c1", actor="test")
        assert relabel.wake_waiting(session) == 3
        assert relabel.wake_waiting(session) == 3
    assert open_stops() == ["recognition"]


@pytest.mark.usefixtures("environment")
def test_a_new_champion_reads_what_is_not_accepted_and_what_older_ones_read_but_no_persons_page() -> None:
    _, (sound, garbled, read_before, by_hand) = make_document(4)
    make_checkpoint("old")
    make_checkpoint("new")
    give_labels((sound, read_before, by_hand))
    give_labels((garbled,), Outcome.REJECTED)
    give_labels((read_before,), stop="recognition", checkpoint="old")
    with transaction() as session:
        session.execute(
            update(LabelRow).where(LabelRow.page_id == by_hand).values(kind="human", verdict="rejected")
        )
        session.execute(update(Page).where(Page.id == by_hand).values(verdict="rejected"))
    with transaction() as session:
        assert relabel.plan(session, "bo", "new") == 2
        assert session.execute(select(Shard.page_ids).where(Shard.state == "open")).scalar_one() == [
            garbled,
            read_before,
        ]


@pytest.mark.usefixtures("environment")
def test_a_round_is_due_after_enough_new_lines_and_not_while_one_runs() -> None:
    _, pages = make_document(2)
    give_labels(pages, lines=10)
    config = settings().model_copy(update={"round_min_lines": 20})
    with transaction() as session:
        assert rounds.due(session, config) == ["bo"]
        assert rounds.due(session, config.model_copy(update={"round_min_lines": 21})) == []
    round_id = start()
    with transaction() as session:
        assert rounds.due(session, config) == []
        rounds.cancel(session, round_id)
    with transaction() as session:
        assert rounds.due(session, config) == []
        assert rounds.due(session, config.model_copy(update={"round_interval_hours": 1.0})) == []


def test_a_document_never_changes_sides_when_others_join() -> None:
    lines = {f"{n:064x}": 100 for n in range(40)}
    before, after = dataset.split(dict(list(lines.items())[:20])), dataset.split(lines)
    assert set(after.values()) == {"train", "validation", "heldout"}
    shares = [sum(side == s for side in after.values()) / 40 for s in ("heldout", "validation")]
    assert 0.05 <= shares[0] <= 0.25
    assert 0.02 <= shares[1] <= 0.2
    assert all(after[d] == side for d, side in before.items() if side == "heldout" and after[d] != "train")


def test_a_dataset_is_named_by_what_is_in_it() -> None:
    sources = [Source(f"{n:064x}", n, n, 0, f"sha256/ab/cd/{n:064x}", 10, {"patch_split": 1}) for n in range(5)]
    one = dataset.freeze("bo", sources)
    assert one.hash == dataset.freeze("bo", sources).hash
    assert one.hash != dataset.freeze("bo", sources[1:]).hash
    assert sum(one.counts["lines"].values()) == 50
    assert one.counts["dropped"] == {"patch_split": 5}


def test_too_few_documents_cannot_be_split_honestly() -> None:
    sources = [Source("a", 1, 1, 0, "k" * 64, 10, {}), Source("b", 2, 2, 0, "k" * 64, 10, {})]
    with pytest.raises(Rejected, match="at least 3"):
        dataset.freeze("bo", sources)
