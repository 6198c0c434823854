"""Planning: a round is told before it is started, by the tokenizer that it would begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow, RoundRow, ShardRow
from flywheel.figures import Plan, TrainingProgress, Unit
from flywheel.loop import planning, promotion
from flywheel.settings import settings
from tests.tasks.books import add, write
from tests.tasks.drain import drain

pytestmark = pytest.mark.usefixtures("page_worker")


def plan(recipe: str, **overrides: Any) -> RoundRow:
    with transaction() as session:
        asked = planning.ask(session, language="bo", corpora=[], recipe=recipe, overrides=overrides)
    drain()
    with transaction() as session:
        return session.get_one(RoundRow, asked)


def planned(recipe: str, **overrides: Any) -> Plan:
    found = plan(recipe, **overrides).plan
    assert found is not None
    return found


def test_a_round_of_pages_is_told_with_what_its_tokenizer_makes_of_the_texts(
    born: dict[str, str],
    tmp_path: Path,
) -> None:
    add(write(tmp_path / "waiting.pdf", ["x"])[0], "bo")
    found = plan("deepseek-ocr-lora", epochs=3)
    assert (found.status, found.detail) == ("planned", None)
    told = found.plan
    assert told is not None
    outlook = told.outlook
    assert (told.unit, told.parent, outlook.reads_now) == (Unit.PAGE, None, None)
    assert (outlook.documents, outlook.pages, outlook.pages_to_cut, outlook.pages_to_relabel) == (4, 4, 4, 1)
    characters = sum(len("".join(text.split())) for text in born.values())
    assert told.tokens.texts == 4
    assert told.tokens.characters == characters
    assert told.tokens.tokens_per_character > 2.5  # a tokenizer of bytes
    assert told.tokens.byte_share > 0.9
    assert told.seconds.training is None  # no round has been measured
    assert told.seconds.training_at_most == 172_800
    with transaction() as session:
        assert set(session.execute(select(ShardRow.stop).where(ShardRow.round_id.is_not(None))).scalars()) == {
            "planning"
        }


def test_a_round_of_lines_is_told_with_its_symbols_and_with_measured_rates(born: dict[str, str]) -> None:
    with transaction() as session:
        progress = TrainingProgress(
            Unit.LINE, step=9, epoch=0, seconds=10.0, share=1.0, units=40, loss=1.0, learning_rate=0.0
        )
        session.add(RoundRow(language="bo", recipe="line", status="finished", progress=progress))
    told = planned("line", epochs=2)
    assert (told.unit, told.outlook.lines) == (Unit.LINE, 8)
    assert told.tokens.tokens_per_character >= 1.0
    assert told.tokens.unknown_share == 0.0
    assert told.outlook.rates.training == 4.0
    assert told.seconds.training == pytest.approx(2 * 8 / 4.0)


def test_a_champion_of_the_recipes_kind_is_what_the_round_would_begin_with(born: dict[str, str]) -> None:
    with transaction() as session:
        promotion.promote(session, "deepseek-ocr", language="bo", actor="a person")
    assert planned("deepseek-ocr-full").parent == "deepseek-ocr"
    with transaction() as session:
        session.add(CheckpointRow(id="got-1", architecture="got-ocr2", language="bo", scripts=["Tibt"]))
        session.flush()
        promotion.promote(session, "got-1", actor="a person")
    told = planned("deepseek-ocr-full")
    assert (told.parent, told.outlook.reads_now) == (None, "got-1")


def test_a_plan_without_weights_fails_and_says_what_to_set(
    born: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FLYWHEEL_DEEPSEEK_OCR")
    settings.cache_clear()
    found = plan("deepseek-ocr-full")
    assert found.status == "failed"
    assert "FLYWHEEL_DEEPSEEK_OCR" in str(found.detail)
