"""Claims about promotion: the better one wins, every decision is kept, going back is one call."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import PromotionRow
from flywheel.errors import Conflict, NotFound
from flywheel.figures import DocumentEdits
from flywheel.loop import promotion
from flywheel.states import PromotionAction
from tests.flywheel.rows import make_checkpoint, make_comparison


@pytest.mark.usefixtures("environment")
def test_a_decision_keeps_the_comparison_it_was_made_by_and_a_persons_has_none() -> None:
    make_checkpoint("c1")
    compared = make_comparison(0.2, reads_now="old")
    with transaction() as session:
        promotion.record(session, "bo", PromotionAction.REFUSE, "c1", None, actor="round 1", comparison=compared)
        promotion.promote(session, "c1", actor="a person")
    with transaction() as session:
        kept = session.execute(select(PromotionRow.comparison).order_by(PromotionRow.id)).scalars().all()
    assert kept == [compared, None]


def exam_of(name: str, documents: int) -> tuple[DocumentEdits, ...]:
    return make_comparison(0, documents=documents, exam=name).by_document


@pytest.mark.usefixtures("environment")
def test_looks_at_an_exam_are_the_tests_on_more_than_half_of_its_documents_refusals_too() -> None:
    make_checkpoint("c1")
    tested = replace(make_comparison(0.2, documents=8, exam="old"), look=1, level=0.004)
    untested = make_comparison(0.2, documents=8, exam="old")
    other = replace(make_comparison(0.2, documents=8, exam="other"), look=1, level=0.004)
    with transaction() as session:
        for compared in (tested, untested, tested, other, None):
            promotion.record(
                session, "bo", PromotionAction.REFUSE, "c1", None, actor="round 1", comparison=compared
            )
        promotion.record(session, "en", PromotionAction.REFUSE, "c1", None, actor="round 1", comparison=tested)
    old, new = exam_of("old", 8), exam_of("new", 8)
    with transaction() as session:
        assert promotion.looks(session, "bo", old) == 2
        assert promotion.looks(session, "bo", [*old, *new[:7]]) == 2
        assert promotion.looks(session, "bo", [*old, *new]) == 0  # half is not more
        assert promotion.looks(session, "bo", new[:1]) == 0
        assert promotion.looks(session, "bo", []) == 0


@pytest.mark.usefixtures("environment")
def test_copies_that_join_an_exam_make_it_no_fresh_one() -> None:
    make_checkpoint("c1")
    old = exam_of("old", 8)
    tested = replace(make_comparison(0.2, documents=8, exam="old"), look=1, level=0.004)
    with transaction() as session:
        promotion.record(session, "bo", PromotionAction.REFUSE, "c1", None, actor="round 1", comparison=tested)
    copies = [
        replace(one, document=f"{n} of {one.document}", group=f"0 of {one.document}")
        for one in old
        for n in (0, 1)
    ]
    grouped = [replace(one, group=f"0 of {one.document}") for one in old]
    with transaction() as session:
        assert promotion.looks(session, "bo", [*grouped, *copies]) == 1
        assert promotion.looks(session, "bo", [*grouped[:4], *copies[:8], *exam_of("new", 4)]) == 0  # half of it


@pytest.mark.usefixtures("environment")
def test_a_page_reader_that_comes_with_the_service_reads_what_it_was_made_champion_of() -> None:
    with transaction() as session:
        assert promotion.reader_for(session, None, "Tibt") is None
        promotion.promote(session, "deepseek-ocr", language="bo", actor="test")
        assert promotion.reader_for(session, "bo") == "deepseek-ocr"
        assert promotion.reader_for(session, None, "Tibt") == "deepseek-ocr"
        assert promotion.reader_for(session, None, "Deva") is None
        assert promotion.reader_for(session, "en") == promotion.BUILTIN
        with pytest.raises(Conflict, match="name one"):
            promotion.promote(session, "got-ocr2", actor="test")


@pytest.mark.usefixtures("environment")
def test_a_round_begins_from_a_champion_of_its_own_kind_and_from_no_other() -> None:
    make_checkpoint("c1")
    with transaction() as session:
        assert promotion.parent(session, "bo", "line") is None
        promotion.promote(session, "c1", actor="test")
        assert promotion.parent(session, "bo", "line") == "c1"
        assert promotion.parent(session, "bo", "deepseek-ocr") is None


@pytest.mark.usefixtures("environment")
def test_promotions_follow_each_other_and_roll_back_one_by_one() -> None:
    for name in ("c1", "c2"):
        make_checkpoint(name)
        with transaction() as session:
            promotion.promote(session, name, actor="test")
    with transaction() as session:
        assert promotion.champion(session, "bo") == "c2"
        assert promotion.rollback(session, "bo", actor="test") == "c1"
    with transaction() as session:
        assert promotion.champions(session) == {"bo": "c1"}
        assert promotion.rollback(session, "bo", actor="test") is None
    with transaction() as session:
        assert promotion.champions(session) == {}
        actions = session.execute(select(PromotionRow.action).order_by(PromotionRow.id)).scalars().all()
        assert actions == ["promote", "promote", "rollback", "rollback"]
        with pytest.raises(Conflict):
            promotion.rollback(session, "bo", actor="test")


@pytest.mark.usefixtures("environment")
def test_the_champion_cannot_be_promoted_again_nor_can_the_unknown() -> None:
    make_checkpoint("c1")
    with transaction() as session:
        promotion.promote(session, "c1", actor="test")
        with pytest.raises(Conflict):
            promotion.promote(session, "c1", actor="test")
        with pytest.raises(NotFound):
            promotion.promote(session, "nobody", actor="test")


@pytest.mark.usefixtures("environment")
def test_pages_go_to_the_champion_of_their_language_or_to_the_built_in_reader_or_wait() -> None:
    make_checkpoint("c1")
    with transaction() as session:
        assert promotion.reader_for(session, "bo") is None
        promotion.promote(session, "c1", actor="test")
        assert promotion.reader_for(session, "bo") == "c1"
        assert promotion.reader_for(session, "bo-CN") == "c1"
        assert promotion.reader_for(session, "en") == promotion.BUILTIN
        assert promotion.reader_for(session, "zh") == promotion.BUILTIN
        assert promotion.reader_for(session, None) == promotion.BUILTIN
        assert promotion.reader_for(session, "hi") is None


@pytest.mark.usefixtures("environment")
def test_rolling_back_undoes_promotions_one_after_the_other_and_does_not_swing() -> None:
    make_checkpoint("a")
    make_checkpoint("b")
    for name in ("a", "b", "a"):
        with transaction() as session:
            promotion.promote(session, name, actor="test")
    with transaction() as session:
        assert [promotion.rollback(session, "bo", actor="test") for _ in range(3)] == ["b", "a", None]


@pytest.mark.usefixtures("environment")
def test_a_page_of_no_declared_language_goes_by_the_script_that_was_seen() -> None:
    with transaction() as session:
        assert promotion.reader_for(session, None, "Latn") == promotion.BUILTIN
        assert promotion.reader_for(session, None, "Zyyy") == promotion.BUILTIN
        assert promotion.reader_for(session, None, "Tibt") is None
    make_checkpoint("c1")
    with transaction() as session:
        promotion.promote(session, "c1", actor="test")
        assert promotion.reader_for(session, None, "Tibt") == "c1"


@pytest.mark.usefixtures("environment")
def test_pages_in_a_combined_script_go_to_a_reader_of_all_its_parts() -> None:
    with transaction() as session:
        for script in ("Jpan", "Hani", "Hans", "Hant"):
            assert promotion.reader_for(session, None, script) == promotion.BUILTIN
        assert promotion.reader_for(session, None, "Kore") is None
        promotion.promote(session, "deepseek-ocr", language="ko", actor="test")
        promotion.promote(session, "got-ocr2", language="ja", actor="test")
        assert promotion.reader_for(session, None, "Kore") == "deepseek-ocr"
        assert promotion.reader_for(session, None, "Jpan") == "got-ocr2"


@pytest.mark.usefixtures("environment")
def test_a_language_is_the_same_however_its_tag_is_written() -> None:
    make_checkpoint("c1")
    with transaction() as session:
        promotion.promote(session, "c1", language="BO", actor="test")
        assert promotion.champion(session, "bo") == "c1"
        assert promotion.rollback(session, "Bo", actor="test") is None
