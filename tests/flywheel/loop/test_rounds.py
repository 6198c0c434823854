"""Claims about rounds, datasets and relabelling, as far as rows go."""

from __future__ import annotations

import pytest
from sqlalchemy import func, insert, literal, select, update

from flywheel.database import transaction
from flywheel.database.tables import DocumentRow, LabelRow, LeaseRow, PageRow, PatchSetRow, RoundRow, ShardRow
from flywheel.document import Outcome
from flywheel.errors import Conflict, NotFound, Rejected
from flywheel.figures import Unit
from flywheel.labels import standing
from flywheel.labels.review import review_page
from flywheel.loop import dataset, planning, promotion, relabel, round_machine, rounds
from flywheel.loop.exhaustion import give_up
from flywheel.loop.sides import place_of
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.states import ReviewVerdict
from flywheel.work import ledger
from tests.flywheel.rows import document_hash, give_labels, make_checkpoint, make_document, make_label, store


def open_stops() -> list[str]:
    with transaction() as session:
        query = select(ShardRow.stop).where(ShardRow.state == "open").order_by(ShardRow.stop)
        return list(session.execute(query).scalars())


def start() -> int:
    with transaction() as session:
        return rounds.start(session, language="bo")


def close_shards() -> None:
    with transaction() as session:
        for shard_id in session.execute(select(ShardRow.id).where(ShardRow.state == "open")).scalars().all():
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
        assert session.execute(select(func.count()).select_from(RoundRow)).scalar_one() == 0


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
        assert round_machine.advance(session) == 0
    close_shards()
    with transaction() as one, transaction() as two:
        assert round_machine.advance(one) + round_machine.advance(two) == 1
    assert open_stops() == ["dataset"]
    with transaction() as session:
        assert session.get_one(RoundRow, round_id).status == "freezing"


@pytest.mark.usefixtures("environment")
def test_labels_that_were_cut_before_are_not_cut_again() -> None:
    _, pages = make_document(10)
    ids = give_labels(pages)
    with transaction() as session:
        session.add_all([PatchSetRow(label_id=n, blob_key="k", units=1) for n in ids[:8]])
    start()
    with transaction() as session:
        assert session.execute(select(ShardRow.page_ids).where(ShardRow.stop == "patches")).scalar_one() == list(
            pages[8:]
        )


@pytest.mark.usefixtures("environment")
def test_cancelling_closes_the_work_and_the_lease_is_gone_for_whoever_holds_it() -> None:
    _, pages = make_document(2)
    give_labels(pages)
    round_id = start()
    with transaction() as session:
        shard_id = session.execute(select(ShardRow.id).where(ShardRow.state == "open")).scalar_one()
        held = ledger.claim(session, shard_id, "w")
        assert held is not None
    with transaction() as session:
        rounds.cancel(session, round_id)
    with transaction() as session:
        assert not ledger.renew(session, held)
        assert session.execute(select(func.count()).select_from(LeaseRow)).scalar_one() == 0
        assert session.get_one(RoundRow, round_id).status == "cancelled"
        with pytest.raises(Conflict):
            rounds.cancel(session, round_id)
        with pytest.raises(NotFound):
            rounds.cancel(session, 99)


@pytest.mark.usefixtures("environment")
def test_what_no_one_reads_waits_and_a_promotion_wakes_it() -> None:
    _, pages = make_document(3)
    give_labels(pages, Outcome.REJECTED)
    with transaction() as session:
        relabel.assign_readers(session, pages)
        assert relabel.wake_waiting(session) == 0
    with transaction() as session:
        assert set(session.execute(select(PageRow.state)).scalars()) == {"waiting"}
    make_checkpoint("c1")
    with transaction() as session:
        promotion.promote(session, "c1", actor="test")
        assert relabel.wake_waiting(session) == 3
        assert relabel.wake_waiting(session) == 0
        assert set(session.execute(select(PageRow.state)).scalars()) == {"pending"}
    assert open_stops() == ["recognition"]


@pytest.mark.usefixtures("environment")
def test_pages_that_a_round_is_about_to_read_are_left_to_it_regional_forms_among_them() -> None:
    _, regional = make_document(1, name="a.pdf", language="zh-Hans-CN")
    _, other = make_document(1, name="b.pdf", language="zh-Hant")
    give_labels((*regional, *other), Outcome.REJECTED)
    with transaction() as session:
        standing.leave_waiting(session, (*regional, *other))
        session.add(RoundRow(language="zh-Hans", recipe="line", status="promoting"))
    make_checkpoint("c1", language="zh")
    with transaction() as session:
        promotion.promote(session, "c1", actor="test")
        assert relabel.wake_waiting(session) == 1
        assert session.get_one(PageRow, regional[0]).state == "waiting"
        assert session.get_one(PageRow, other[0]).state == "pending"


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
        session.execute(update(PageRow).where(PageRow.id == by_hand).values(verdict="rejected"))
    with transaction() as session:
        assert relabel.enqueue_relabelling(session, "bo", "new") == 2
        assert session.execute(select(ShardRow.page_ids).where(ShardRow.state == "open")).scalar_one() == [
            garbled,
            read_before,
        ]


@pytest.mark.usefixtures("environment")
def test_a_round_is_due_after_enough_new_lines_and_not_while_one_runs() -> None:
    _, pages = make_document(2)
    give_labels(pages, lines=10)
    config = settings().model_copy(update={"round_min_lines": 20})
    with transaction() as session:
        assert rounds.languages_to_train(session, config) == ["bo"]
        assert rounds.languages_to_train(session, config.model_copy(update={"round_min_lines": 21})) == []
    round_id = start()
    with transaction() as session:
        assert rounds.languages_to_train(session, config) == []
        rounds.cancel(session, round_id)
    with transaction() as session:
        assert rounds.languages_to_train(session, config) == []
        assert rounds.languages_to_train(session, config.model_copy(update={"round_interval_hours": 1.0})) == []


@pytest.mark.usefixtures("environment")
def test_what_a_champion_read_makes_no_round_due() -> None:
    _, pages = make_document(3)
    make_checkpoint("c1")
    give_labels(pages, stop="recognition", checkpoint="c1", lines=50, generation=1)
    config = settings().model_copy(update={"round_min_lines": 1})
    with transaction() as session:
        assert rounds.languages_to_train(session, config) == []


@pytest.mark.usefixtures("environment")
def test_pages_of_a_cancelled_relabel_go_back_to_where_they_stood() -> None:
    _, pages = make_document(3)
    give_labels(pages, Outcome.REJECTED)
    make_checkpoint("c1")
    make_checkpoint("c2")
    give_labels(pages[:1], Outcome.REVIEW, stop="recognition", checkpoint="c1")
    with transaction() as session:
        session.execute(update(PageRow).where(PageRow.id != pages[0]).values(state="waiting"))
        row = RoundRow(language="bo", recipe="line", status="relabelling")
        session.add(row)
        session.flush()
        assert relabel.enqueue_relabelling(session, "bo", "c2", row.id) == 3
        assert relabel.wake_waiting(session) == 0
    with transaction() as session:
        assert set(session.execute(select(PageRow.state)).scalars()) == {"pending"}
        rounds.cancel(session, row.id)
    with transaction() as session:
        states = session.execute(select(PageRow.state).order_by(PageRow.id)).scalars().all()
        assert states == ["labelled", "waiting", "waiting"]
        assert session.execute(select(func.count()).select_from(LeaseRow)).scalar_one() == 0


@pytest.mark.usefixtures("environment")
def test_a_page_a_person_corrected_meanwhile_is_not_sent_to_a_reader() -> None:
    _, pages = make_document(1)
    give_labels(pages, Outcome.REJECTED)
    with transaction() as session:
        review_page(
            session, store(), pages[0], action=ReviewVerdict.CORRECT, reviewer="tenzin", label=make_label()
        )
        relabel.assign_readers(session, pages)
        assert session.execute(select(PageRow.state)).scalar_one() == "labelled"
    assert open_stops() == []


@pytest.mark.usefixtures("environment")
def test_patches_that_cannot_be_cut_take_nothing_from_the_page_or_its_document() -> None:
    document_id, pages = make_document(1)
    give_labels(pages)
    start()
    with transaction() as session:
        shard_id = session.execute(select(ShardRow.id).where(ShardRow.state == "open")).scalar_one()
        held = ledger.claim(session, shard_id, "w")
        assert held is not None
        spent = ledger.fail(session, held, Reason.INTERNAL_ERROR, "broken", retry=False)
        assert spent is not None
        give_up(session, spent)
    with transaction() as session:
        assert session.get_one(DocumentRow, document_id).state == "ready"
        assert session.execute(select(PageRow.verdict)).scalar_one() == "accepted"


@pytest.mark.usefixtures("environment")
def test_a_round_may_have_more_pages_than_a_statement_has_parameters() -> None:
    _, pages = make_document(70_000)
    with transaction() as session:
        one = {"stop": "coarse", "kind": "coarse", "origin": "text_layer", "producer": "t", "settings_hash": ""}
        two = {
            "blob_key": "k",
            "blob_offset": 0,
            "blob_length": 1,
            "verdict": "accepted",
            "reason": "accepted",
            "detail": "",
        }
        values = {**one, **two, "script": "Tibt", "characters": 1, "lines": 1, "page_id": PageRow.id}
        chosen = select(*[value if name == "page_id" else literal(value) for name, value in values.items()])
        session.execute(insert(LabelRow).from_select(list(values), chosen))
        session.execute(update(PageRow).values(state="labelled", verdict="accepted"))
    round_id = start()
    with transaction() as session:
        cut = select(func.sum(func.cardinality(ShardRow.page_ids))).where(ShardRow.round_id == round_id)
        assert session.execute(cut).scalar_one() == len(pages)
        rounds.cancel(session, round_id)


@pytest.mark.usefixtures("environment")
def test_an_unknown_recipe_and_a_setting_that_is_no_number_are_refused_before_anything_is_recorded() -> None:
    _, pages = make_document(2)
    give_labels(pages)
    with pytest.raises(NotFound, match="deepseek-ocr-lora"), transaction() as session:
        rounds.start(session, language="bo", recipe="nothing")
    with pytest.raises(Rejected, match="no setting 'lerning_rate'"), transaction() as session:
        rounds.start(session, language="bo", overrides={"lerning_rate": 1})
    with pytest.raises(Rejected, match="no setting 'lerning_rate'"), transaction() as session:
        planning.ask(session, language="bo", corpora=[], recipe="line", overrides={"lerning_rate": 1})
    for wrong in ("many", True, -1, None):
        with pytest.raises(Rejected, match="replay_share"), transaction() as session:
            rounds.start(session, language="bo", recipe="deepseek-ocr-full", overrides={"replay_share": wrong})
    with transaction() as session:
        assert session.execute(select(func.count()).select_from(RoundRow)).scalar_one() == 0
        assert session.execute(select(func.count()).select_from(LeaseRow)).scalar_one() == 0


@pytest.mark.usefixtures("environment")
def test_what_was_cut_into_lines_is_yet_to_be_taken_as_a_page_and_the_other_way_round() -> None:
    _, pages = make_document(3)
    ids = give_labels(pages)
    with transaction() as session:
        session.add_all([PatchSetRow(label_id=n, unit="line", blob_key="k", units=5) for n in ids])
        session.add(PatchSetRow(label_id=ids[0], unit="page", blob_key="p", units=1))
    with transaction() as session:
        rounds.start(session, language="bo", recipe="deepseek-ocr-full")
    with transaction() as session:
        query = select(ShardRow.page_ids).where(ShardRow.stop == "patches")
        assert session.execute(query).scalar_one() == list(pages[1:])
        [taken] = dataset.sources(session, "bo", [], generations=1, unit=Unit.PAGE)
        assert (taken.label_id, taken.blob_key, taken.units) == (ids[0], "p", 1)
        assert [s.blob_key for s in dataset.sources(session, "bo", [], generations=1, unit=Unit.LINE)] == ["k"] * 3


def accepted_pages(language: str, count: int, name: str = "a.pdf") -> tuple[int, tuple[int, ...]]:
    """A document with accepted labels from its text layer, which other languages may learn from."""
    number = next(n for n in range(100) if place_of(document_hash(f"{n}-{language}-{name}")) >= 0.5)
    document_id, pages = make_document(count, name=f"{number}-{language}-{name}", language=language)
    give_labels(pages)
    return document_id, pages


@pytest.mark.usefixtures("environment")
def test_a_round_of_pages_takes_some_of_other_languages_along_of_each_as_many_and_the_newest() -> None:
    accepted_pages("bo", 10)
    accepted_pages("bo-CN", 2)
    _, english = accepted_pages("en", 5)
    _, hindi = accepted_pages("hi", 1)
    make_checkpoint("c1", language="en")
    _, read = make_document(2, name="read.pdf", language="en")
    give_labels(read, stop="recognition", checkpoint="c1", generation=1)
    with transaction() as session:
        rounds.start(session, language="bo", recipe="deepseek-ocr-full", overrides={"replay_share": 0.25})
    with transaction() as session:
        taken = session.execute(select(func.unnest(ShardRow.page_ids)).where(ShardRow.state == "open")).scalars()
        foreign = sorted(set(taken) & {*english, *hindi, *read})
    assert foreign == sorted([*english[-2:], *hindi])  # a quarter of twelve


@pytest.mark.usefixtures("environment")
def test_a_round_of_lines_takes_nothing_of_other_languages() -> None:
    accepted_pages("bo", 3)
    accepted_pages("en", 3)
    start()
    with transaction() as session:
        cut = select(func.sum(func.cardinality(ShardRow.page_ids))).where(ShardRow.stop == "patches")
        assert session.execute(cut).scalar_one() == 3
