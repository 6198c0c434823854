"""Coloured boxes and bars are no ink that lacks text; curves on them are."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flywheel.gate import Gate
from flywheel.pdf import PageText, Sandbox
from flywheel.pdf.coarse import label as coarse_label
from flywheel.reasons import Reason
from tests.flywheel import draw

GRAY, NAVY = (200, 200, 200), (20, 20, 70)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


def lines(book: draw.FPDF, count: int, y: float) -> None:
    rng = random.Random(3)
    draw.write_lines(book, [draw.latin_line(rng, 60) for _ in range(count)], y=y, pitch=16)


def box(book: draw.FPDF, y: float, height: float, colour: tuple[int, int, int]) -> None:
    book.set_fill_color(*colour)
    book.rect(40, y, 515, height, style="F")


def boxed(book: draw.FPDF) -> None:
    """Text in gray boxes under a bar with a title in white."""
    box(book, 0, 90, NAVY)
    book.set_text_color(255)
    book.text(60, 60, "The title of all this")
    book.set_text_color(0)
    for y in (120, 420):
        box(book, y, 250, GRAY)
        lines(book, 12, y + 30)


def slide(book: draw.FPDF) -> None:
    """A few lines on colour, framed by bars."""
    box(book, 0, 842, (250, 230, 190))
    for y in (0, 740):
        box(book, y, 100, NAVY)
    lines(book, 4, 300)


def curves_in_a_box(book: draw.FPDF) -> None:
    """Four lines of text, and a box with forty lines of what is like letters and is none."""
    lines(book, 4, 60)
    box(book, 150, 660, GRAY)
    book.set_fill_color(0)
    for row in range(40):
        for column in range(60):
            book.rect(55 + column * 8, 160 + row * 16, 4, 7, style="F")


def read(sandbox: Sandbox, path: Path) -> tuple[PageText, Reason]:
    (page,) = sandbox.text(path, [0], layout=False)
    assert isinstance(page, PageText), page
    label, counts = coarse_label(page, "en")
    return page, Gate().judge_coarse(label, page.facts, counts, "en").reason


@pytest.mark.parametrize("drawn", [boxed, slide])
def test_coloured_boxes_and_bars_are_paper(
    sandbox: Sandbox, tmp_path: Path, drawn: Callable[[draw.FPDF], None]
) -> None:
    page, reason = read(sandbox, draw.book_of(tmp_path / "a.pdf", drawn))
    assert reason is Reason.ACCEPTED
    assert page.facts.drawn < 0.2


def test_curves_on_a_coloured_box_are_ink_without_text(sandbox: Sandbox, tmp_path: Path) -> None:
    page, reason = read(sandbox, draw.book_of(tmp_path / "a.pdf", curves_in_a_box))
    assert reason is Reason.INK_WITHOUT_TEXT
    assert page.facts.drawn > 0.8
