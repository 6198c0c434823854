"""Regions of a page: from the layout model, from the rule for plain pages, and when the model fails."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flywheel.document import Region
from flywheel.pdf import PageFailure, PageLayout, PageText, Sandbox, arranged
from flywheel.reasons import Reason
from tests.flywheel import draw

LINE = "the wheel turns and every page comes back with a label that somebody"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


def even(book: draw.FPDF, lines: int = 20, pitch: float = 16, x: float = 60, y: float = 80) -> None:
    for k in range(lines):
        book.text(x, y + k * pitch, LINE[k % 5 :] if k % 5 else LINE)


def numbered(book: draw.FPDF) -> None:
    even(book, lines=24)
    book.text(290, 800, "12")


def dense(book: draw.FPDF) -> None:
    book.set_font("Times", size=9)
    even(book, lines=50, pitch=11)


def ending_short(book: draw.FPDF) -> None:
    even(book, lines=15)
    book.text(60, 80 + 15 * 16, "and ends here")


PLAIN: list[Callable[[draw.FPDF], None]] = [even, numbered, dense, ending_short]


def headed(book: draw.FPDF) -> None:
    book.set_font("Helvetica", size=16)
    book.text(60, 60, "A heading that is larger than the text")
    book.set_font("Helvetica", size=11)
    even(book, y=100)


def headed_in_the_same_size(book: draw.FPDF) -> None:
    book.text(60, 60, "A heading of the same size")
    even(book, y=100)


def in_two_columns(book: draw.FPDF) -> None:
    for k in range(20):
        book.text(60, 80 + 16 * k, f"left {k} and some words")
        book.text(330, 80 + 16 * k, f"right {k} and some words")


def indented(book: draw.FPDF) -> None:
    for k in range(20):
        book.text(80 if k % 6 == 0 else 60, 80 + 16 * k, LINE)


def in_paragraphs(book: draw.FPDF) -> None:
    for k in range(20):
        book.text(60, 80 + 16 * k, LINE[:30] if k == 9 else LINE)


def as_a_list(book: draw.FPDF) -> None:
    for k in range(12):
        book.text(60, 80 + 16 * k, f"{k + 1}. {LINE}")


def ruled(book: draw.FPDF) -> None:
    even(book)
    book.line(60, 500, 500, 500)


def with_a_note(book: draw.FPDF) -> None:
    even(book)
    book.text(60, 700, "a note that stands by itself below the text")


NOT_PLAIN: list[Callable[[draw.FPDF], None]] = [
    headed,
    headed_in_the_same_size,
    in_two_columns,
    indented,
    in_paragraphs,
    as_a_list,
    ruled,
    with_a_note,
]


def read(sandbox: Sandbox, path: Path) -> PageText:
    (page,) = sandbox.text(path, [0], layout=False)
    assert isinstance(page, PageText)
    return page


def shape(regions: tuple[Region, ...]) -> list[tuple[str, list[str]]]:
    return [(region.category, [line.text for line in region.lines]) for region in regions]


def test_the_layout_model_keeps_every_line_of_the_page(sandbox: Sandbox, tmp_path: Path) -> None:
    truth = draw.tibetan_pdf(tmp_path / "a.pdf", pages=2)
    for page, lines in zip(sandbox.text(tmp_path / "a.pdf", range(2), layout=True), truth, strict=True):
        assert isinstance(page, PageText)
        assert page.layout
        assert [line.text for region in page.regions for line in region.lines] == lines


@pytest.mark.parametrize("drawn", PLAIN)
def test_a_plain_page_has_the_regions_that_the_model_would_find(
    sandbox: Sandbox, tmp_path: Path, drawn: Callable[[draw.FPDF], None]
) -> None:
    path = draw.book_of(tmp_path / "a.pdf", drawn)
    page = read(sandbox, path)
    (found,) = sandbox.layout(path, [0])
    assert isinstance(found, PageLayout)
    modelled = arranged(dataclasses.replace(page, plain=False), found)
    assert page.plain
    assert modelled.layout
    assert shape(page.regions) == shape(modelled.regions)


@pytest.mark.parametrize("drawn", NOT_PLAIN)
def test_a_page_with_any_structure_goes_to_the_model(
    sandbox: Sandbox, tmp_path: Path, drawn: Callable[[draw.FPDF], None]
) -> None:
    page = read(sandbox, draw.book_of(tmp_path / "a.pdf", drawn))
    assert page.needs_layout
    assert not page.plain


def test_a_page_without_text_needs_no_layout(sandbox: Sandbox, tmp_path: Path) -> None:
    assert not read(sandbox, draw.book_of(tmp_path / "a.pdf", lambda _: None)).needs_layout


def test_regions_alone_arrange_a_page_as_one_visit_with_layout_does(sandbox: Sandbox, tmp_path: Path) -> None:
    path = draw.book_of(tmp_path / "a.pdf", headed)
    (whole,) = sandbox.text(path, [0], layout=True)
    (found,) = sandbox.layout(path, [0])
    assert isinstance(found, PageLayout)
    assert isinstance(whole, PageText)
    assert arranged(read(sandbox, path), found) == whole
    assert [region.category for region in whole.regions] == ["title", "text"]


def test_a_page_on_which_only_the_model_fails_keeps_its_text(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    draw.tibetan_pdf(path, pages=2)
    visits: list[int] = []

    def crash_the_second_visit(number: int, pid: int) -> None:
        visits.append(number)
        if number == 1 and len(visits) > 2:
            os.kill(pid, signal.SIGKILL)

    with Sandbox(on_page=crash_the_second_visit) as sandbox:
        pages = list(sandbox.text(path, range(2), layout=True))
        failed = [answer for answer in sandbox.layout(path, [0, 1]) if isinstance(answer, PageFailure)]
    assert [isinstance(page, PageText) and page.layout for page in pages] == [True, False]
    assert [(failure.number, failure.reason) for failure in failed] == [(1, Reason.PAGE_CRASHED)]
    assert isinstance(pages[1], PageText)
    assert pages[1].facts.characters > 500
