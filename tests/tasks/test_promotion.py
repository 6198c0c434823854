"""Claims about the promotion stop: whoever reads now has to be beaten, and the looks at an exam are counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import PromotionRow, RoundRow
from flywheel.figures import Comparison
from flywheel.loop import promotion
from flywheel.states import PromotionAction, RoundStatus
from flywheel.work import ledger
from flywheel.work.ledger import Work
from tests.flywheel.rows import make_checkpoint, make_comparison
from tests.tasks.drain import drain

pytestmark = pytest.mark.usefixtures("environment")


def decided(compared: Comparison, language: str = "en") -> RoundRow:
    """A round that was judged, after its decision."""
    with transaction() as session:
        row = RoundRow(language=language, recipe="line", status="promoting", comparison=compared)
        session.add(row)
        session.flush()
        round_id = row.id
        ledger.enqueue(session, [Work("promotion", round_id=round_id)])
    candidate = make_checkpoint(f"line-{language}-{round_id}", language)
    with transaction() as session:
        session.get_one(RoundRow, round_id).checkpoint_id = candidate
    drain()
    with transaction() as session:
        return session.get_one(RoundRow, round_id)


def champion(language: str) -> str | None:
    with transaction() as session:
        return promotion.champion(session, language)


def against_builtin(candidate: float, baseline: float, *, sure: bool, documents: int = 8) -> Comparison:
    return make_comparison(
        candidate,
        baseline,
        high=-0.001 if sure else 0.001,
        p=1 / 256 if sure else 0.2,
        documents=documents,
        reads_now=promotion.BUILTIN,
    )


def test_no_candidate_within_the_bar_replaces_the_built_in_reader_of_english_unless_it_is_surely_better() -> None:
    worse = decided(against_builtin(0.10, 0.02, sure=False))
    assert worse.status is RoundStatus.REFUSED
    unsure = decided(against_builtin(0.018, 0.02, sure=False))
    assert unsure.status is RoundStatus.REFUSED
    small = decided(against_builtin(0.001, 0.02, sure=True, documents=1))
    assert "7 more held-out documents (1 of 8)" in str(small.detail)
    assert champion("en") is None
    sure = decided(against_builtin(0.01, 0.02, sure=True))
    assert sure.status is RoundStatus.FINISHED, sure.detail
    assert champion("en") == sure.checkpoint_id


def test_a_language_that_nobody_reads_gets_its_first_champion_by_the_bar() -> None:
    small = make_comparison(0.14, 1.0, documents=1)
    found = decided(small, "bo")
    assert (found.status, champion("bo")) == ("finished", found.checkpoint_id)
    assert found.comparison == small  # no test was made


def test_the_sixth_look_at_an_exam_of_eight_documents_is_not_taken() -> None:
    found = [decided(against_builtin(0.01, 0.02, sure=False)) for _ in range(6)]
    looks = [row.comparison and (row.comparison.look, row.comparison.level) for row in found]
    assert looks == [(1, 0.004), (2, 0.004), (3, 0.004), (4, 0.004), (5, 0.004), (None, None)]
    assert "1 more held-out documents (8 of 9)" in str(found[-1].detail)
    fresh = replace(
        against_builtin(0.01, 0.02, sure=False), by_document=make_comparison(0, exam="new").by_document
    )
    assert "look 1 at this exam" in str(decided(fresh).detail)


def test_the_decision_is_recorded_with_its_look_as_the_round_shows_it() -> None:
    row = decided(against_builtin(0.01, 0.02, sure=False))
    with transaction() as session:
        [kept] = session.execute(select(PromotionRow)).scalars()
    assert kept.action is PromotionAction.REFUSE
    assert kept.comparison == row.comparison
    assert row.comparison is not None
    assert row.comparison.look == 1


def test_a_reader_that_came_while_the_round_was_judged_is_not_replaced() -> None:
    make_checkpoint("other", "en")
    with transaction() as session:
        promotion.promote(session, "other", actor="a person")
    row = decided(against_builtin(0.01, 0.02, sure=True))
    assert row.status is RoundStatus.REFUSED
    assert "the reader changed from ppocr-v6-small to other" in str(row.detail)
    assert champion("en") == "other"
    assert "from nobody to other" in str(decided(make_comparison(0.01)).detail)
