"""Text layers that run from right to left come out in logical order, whoever wrote the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from flywheel.document import Box, Character
from flywheel.pdf import PageText, Sandbox, coarse
from flywheel.pdf.right_to_left import as_drawn
from flywheel.text.bidi import to_visual
from flywheel.text.ink_order import line_text, shown_text, sloping
from tests.flywheel import draw, right_to_left

Writer = Callable[[Path, str, Sequence[str]], Path]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


def page_of(sandbox: Sandbox, path: Path, *, layout: bool = False) -> PageText:
    (page,) = sandbox.text(path, [0], layout=layout)
    assert isinstance(page, PageText)
    return page


def lines_of(page: PageText) -> list[str]:
    return [line.text for region in coarse.label(page)[0].regions for line in region.lines]


WRITERS: list[tuple[Writer, str]] = [
    (right_to_left.drawn_by_fpdf, "he"),
    (right_to_left.drawn_by_fpdf, "ar"),
    (right_to_left.drawn_by_story, "he"),  # its Arabic ligatures have no characters
]


@pytest.mark.parametrize(("writer", "language"), WRITERS)
def test_labels_hold_the_true_logical_text_with_numbers_brackets_and_latin_words(
    sandbox: Sandbox, tmp_path: Path, writer: Writer, language: str
) -> None:
    truth = list(right_to_left.LINES[language])
    page = page_of(sandbox, writer(tmp_path / "a.pdf", language, truth))
    assert lines_of(page) == truth
    assert page.base == "R"


@pytest.mark.parametrize("language", ["he", "ar"])
@pytest.mark.parametrize("layout", [False, True])
def test_the_right_column_is_read_before_the_left_one(
    sandbox: Sandbox, tmp_path: Path, language: str, layout: bool
) -> None:
    text = right_to_left.LINES[language][0]
    right, left = [[f"{text} {n}" for n in range(start, start + 12)] for start in (10, 30)]
    made = right_to_left.book(language, tmp_path, size=14)
    for row in range(12):  # line by line across the page, as some writers do
        for text, edge in ((left[row], 290), (right[row], 535)):
            right_to_left.write(made, [text], right=edge, width=220, y=80 + 19 * row)
    made.output(str(tmp_path / "a.pdf"))
    assert lines_of(page_of(sandbox, tmp_path / "a.pdf", layout=layout)) == right + left


def test_a_hebrew_word_leaves_an_english_page_as_it_is(sandbox: Sandbox, tmp_path: Path) -> None:
    made = draw.blank_book()
    made.add_page()
    draw.use_font(made, right_to_left.HEBREW_SCRIPT, 12, tmp_path)
    draw.use_font(made, right_to_left.LATIN_SCRIPT, 12, tmp_path)
    made.set_fallback_fonts([f"script{right_to_left.HEBREW_SCRIPT}"])
    truth = ["the word שלום means peace (see 12)", "and every page comes back with a label"]
    for k, line in enumerate(truth):
        made.set_xy(60, 60 + 24 * k)
        made.cell(w=400, h=12, text=line)
    made.output(str(tmp_path / "a.pdf"))
    page = page_of(sandbox, tmp_path / "a.pdf")
    assert lines_of(page) == truth
    assert page.base == "L"


def row(*given: tuple[str, float, float], line: int = 0) -> list[Character]:
    """Characters of a text layer: text, left and right edge."""
    return [Character(text, x0, 100, Box(x0, 90, x1, 100), line) for text, x0, x1 in given]


def text_of(characters: list[Character]) -> str:
    return line_text(as_drawn(characters), space=5)


def test_letters_under_an_actual_text_come_back_to_front_and_are_turned() -> None:
    fatha, shadda = "\u064e", "\u0651"
    # As MuPDF gives a browser's page: marks before a letter without width, at the right edge of the whole.
    word = row((fatha, 50, 50), ("ك", 50, 50), (fatha, 42, 42), (shadda, 42, 42), ("ت", 42, 42), ("ب", 28, 36))
    assert text_of(word) == "ك" + fatha + "ت" + fatha + shadda + "ب"
    god = row(("ا", 50, 54), ("ه", 50, 50), ("ل", 50, 50), ("ل", 35, 50))
    assert text_of(god) == "الله"


def test_marks_that_follow_their_letters_and_letters_of_ligatures_stay_where_they_are() -> None:
    fatha = "\u064e"
    assert text_of(row(("ك", 42, 50), (fatha, 42, 42), ("ت", 34, 42), (fatha, 34, 34))) == f"ك{fatha}ت{fatha}"
    assert text_of(row(("ل", 42, 50), ("ا", 42, 42), ("ن", 34, 42))) == "لان"


def test_a_mark_that_begins_a_lines_ink_is_given_back_to_it() -> None:
    kamats = "\u05b8"
    first = row(("ש", 40, 50), ("ם", 30, 40), (kamats, 50, 50))
    second = row(("ב", 40, 50), ("א", 30, 40), line=1)
    found = as_drawn(first + second)
    assert [line_text([c for c in found if c.line == n], 5) for n in (0, 1)] == ["שם", "בא" + kamats]


@pytest.mark.parametrize("named", ["as_in_the_text", "as_drawn"])
def test_brackets_are_turned_where_they_pair_up_only_then(named: str) -> None:
    opening, closing = "()" if named == "as_in_the_text" else ")("
    letters = [(closing, 0.0, 5.0), ("ב", 5.0, 10.0), ("א", 10.0, 15.0), (opening, 15.0, 20.0)]
    assert shown_text(as_drawn(row(*letters)), 9) == "(בא)"
    assert text_of(row(*letters)) == "(אב)"


def test_presentation_forms_come_out_as_the_letters_they_are_forms_of() -> None:
    forms = row(("\ufebc", 40, 50), ("\ufefb", 30, 40), ("\ufe93", 20, 30))
    assert text_of(forms) == "صلاة"


def test_a_wide_gap_is_a_blank_from_either_side() -> None:
    characters = row(("1", 0, 5), ("2", 5, 10), ("ב", 30, 35), ("א", 35, 40))
    assert line_text(characters, space=10) == "אב 12"
    assert to_visual("אב 12") == shown_text(characters, space=10)


def test_letters_of_words_that_climb_and_fall_are_counted(sandbox: Sandbox, tmp_path: Path) -> None:
    page = page_of(sandbox, right_to_left.drawn_sloping(tmp_path / "a.pdf"))
    assert page.facts.sloping > 0.2 * page.facts.characters


@pytest.mark.parametrize(("writer", "language"), WRITERS)
def test_words_on_a_baseline_have_one(sandbox: Sandbox, tmp_path: Path, writer: Writer, language: str) -> None:
    page = page_of(sandbox, writer(tmp_path / "a.pdf", language, right_to_left.LINES[language]))
    assert page.facts.sloping == 0


def test_a_slanted_line_stands_on_its_baseline() -> None:
    places = [(letter, 300 - 9 * n, 100 + 0.9 * n) for n, letter in enumerate("אבגדהוזחטיכלמנסעפצקרשת")]
    line = [Character(letter, x, y, Box(x, y - 8, x + 7, y), 0) for letter, x, y in places]
    assert sloping(line) == 0
