"""Text layers that look sound and say something else than their pages show, through the coarse stop."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fpdf import FPDF
from sqlalchemy import select

from benchmarks.lies import remap
from flywheel.database import transaction
from flywheel.database.tables import PageRow
from flywheel.loop import submission
from flywheel.settings import settings
from tasks.worker import process
from tasks.worker.verification import pages_to_look_at
from tests.flywheel import draw
from tests.flywheel.rows import store
from tests.tasks.drain import drain

LATIN_SCRIPT = 1
EXCHANGED = {"en": "et", "bo": "དང"}


@pytest.fixture(autouse=True)
def fresh(environment: dict[str, str]) -> None:
    """A worker's warm things belong to one cluster; the PDF child may stay."""
    process.store.cache_clear()


def book(path: Path, language: str) -> Path:
    if language == "bo":
        draw.tibetan_pdf(path, lines=14)
        return path

    def write(made: FPDF) -> None:
        draw.use_font(made, LATIN_SCRIPT, 11, path.parent)
        rng = random.Random(7)
        draw.write_lines(made, [draw.latin_line(rng) for _ in range(20)])

    return draw.book_of(path, write)


def submit(path: Path, language: str) -> int:
    with transaction() as session:
        done = submission.submit(
            session,
            store(),
            corpus="layers",
            name=path.name,
            path=path,
            media_type="application/pdf",
            language=language,
        )
    return done.document_id


def label_coarsely() -> None:
    drain(only="ingest")
    drain(only="coarse")


def reasons(document_id: int) -> list[tuple[str | None, str]]:
    with transaction() as session:
        query = select(PageRow).where(PageRow.document_id == document_id).order_by(PageRow.number)
        return [(page.reason, page.detail or "") for page in session.execute(query).scalars()]


@pytest.mark.parametrize("language", EXCHANGED)
def test_a_layer_with_two_letters_exchanged_is_rejected_with_an_example(tmp_path: Path, language: str) -> None:
    pair = EXCHANGED[language]
    sound = book(tmp_path / "sound.pdf", language)
    lie = remap(sound, tmp_path / "lie.pdf", lambda text: text.translate(str.maketrans(pair, pair[::-1])))
    kept, lost = submit(sound, language), submit(lie, language)
    label_coarsely()
    assert [reason for reason, _ in reasons(kept)] == ["accepted"]
    [(reason, detail)] = reasons(lost)
    assert reason == "layer_disagrees"
    assert "the layer says" in detail


def test_the_setting_turns_verification_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_VERIFY_LAYERS", "false")
    settings.cache_clear()
    lie = remap(book(tmp_path / "sound.pdf", "en"), tmp_path / "lie.pdf", lambda text: text.replace("e", "o"))
    document_id = submit(lie, "en")
    label_coarsely()
    assert [reason for reason, _ in reasons(document_id)] == ["accepted"]


def test_pages_looked_at_show_every_font_and_lie_apart() -> None:
    fonts = dict.fromkeys(range(64), ("Body",)) | {40: ("Body", "Other"), 5: ("Rare",)}
    chosen = pages_to_look_at(fonts)
    assert {5, 40} <= set(chosen)
    assert len(chosen) == 4
    assert max(chosen) - min(chosen) >= 32
    assert pages_to_look_at({3: ("Body",)}) == [3]
