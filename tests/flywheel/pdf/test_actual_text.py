"""Texts that are given for several glyphs at once come out as they are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pymupdf
import pytest

from flywheel.pdf import PageText, Sandbox
from flywheel.pdf.coarse import label as coarse_label
from tests.flywheel.pdf_pages import saved


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


def given(text: str, glyphs: str) -> str:
    return f"/Span <</ActualText <FEFF{text.encode('utf-16-be').hex()}>>> BDC ({glyphs}) Tj EMC"


def drawn(directory: Path, content: str) -> Path:
    """A page whose line is `content`, in a font of Latin-1 letters."""
    document = pymupdf.open()
    page = document.new_page(width=400, height=200)
    page.insert_text((20, 100), "x")
    [stream] = page.get_contents()
    font = page.get_fonts()[0][4]
    document.update_stream(stream, f"BT /{font} 20 Tf 20 100 Td {content} ET".encode("latin-1"))
    return saved(directory, document.tobytes())


def said(sandbox: Sandbox, path: Path) -> tuple[str, str]:
    """The label's text and the characters of the page."""
    (page,) = sandbox.text(path, [0], layout=False)
    assert isinstance(page, PageText), page
    label, _ = coarse_label(page, None)
    return label.text, "".join(character.text for character in sandbox.characters(path, 0))


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (f"(one ) Tj {given('aé', 'xé')} ( two) Tj", "one aé two"),
        (f"(one ) Tj {given('aéè', 'xyè')} (è two) Tj", "one aéèè two"),
        (f"(one ) Tj {given('béé', 'xyéé')} ( two) Tj", "one béé two"),
        (f"(one ) Tj {given('aéè', 'xéè')} (e) Tj ( two) Tj", "one aéèe two"),
    ],
)
def test_the_end_of_a_letter_group_is_said_once(
    sandbox: Sandbox, tmp_path: Path, content: str, shown: str
) -> None:
    label, characters = said(sandbox, drawn(tmp_path, content))
    assert label == shown
    assert characters == shown


def test_a_letter_that_is_shown_twice_stays_twice(sandbox: Sandbox, tmp_path: Path) -> None:
    content = f"(\xe9\xe9n ) Tj {given('ff', 'ff')} (\xe9\xe9 two) Tj"
    assert said(sandbox, drawn(tmp_path, content))[0] == "één fféé two"


def test_a_gap_behind_a_letter_group_is_no_blank(sandbox: Sandbox, tmp_path: Path) -> None:
    """Glyphs of the group that are passed over leave it; the mark behind them is of the same word."""
    group, mark = given("e\N{COMBINING TILDE}", "MM"), given("\N{COMBINING MACRON}", "x")
    content = f"(one ) Tj {group} 60 0 Td {mark} (two) Tj"
    assert " \N{COMBINING MACRON}" not in said(sandbox, drawn(tmp_path, content))[0]


def test_a_text_is_given_in_brackets_too(sandbox: Sandbox, tmp_path: Path) -> None:
    content = "(one ) Tj /Span <</ActualText (\\376\\377\\000a\\000\\351)>> BDC (x\xe9) Tj EMC ( two) Tj"
    assert said(sandbox, drawn(tmp_path, content))[0] == "one aé two"


def test_what_is_transparent_is_drawn_in_a_form_of_its_own(sandbox: Sandbox, tmp_path: Path) -> None:
    form = pymupdf.open(drawn(tmp_path, f"(one ) Tj {given('aé', 'xé')} ( two) Tj"))
    document = pymupdf.open()
    page = document.new_page(width=400, height=200)
    page.show_pdf_page(page.rect, form, 0)
    assert said(sandbox, saved(tmp_path, document.tobytes(), "b.pdf"))[0] == "one aé two"


def test_a_slanted_letter_group_is_said_once_too(sandbox: Sandbox, tmp_path: Path) -> None:
    content = f"1 0 0.3 1 20 100 Tm (one ) Tj {given('aé', 'xé')} ( two) Tj"
    assert said(sandbox, drawn(tmp_path, content))[0] == "one aé two"
