"""Text layer to coarse label: cleaned once, counted before, nothing invented."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.document import Box, Kind, Line, PageFacts, Region, decode_label, encode
from flywheel.pdf import InkEvidence, PageText
from flywheel.pdf.coarse import RawCounts, label
from flywheel.text.cleaning import clean
from flywheel.text.scripts import histogram

INK = InkEvidence(in_text=1, in_images=0, image_cover=0, bare_characters=0, per_character=20)
BOX = Box(10, 10, 90, 20)


def page(*texts: str, category: str = "text") -> PageText:
    lines = tuple(Line(text, BOX) for text in texts)
    whole = "".join(texts)
    characters = sum(not symbol.isspace() for symbol in whole)
    facts = PageFacts(0, 100, 100, 0, 0.1, bool(characters), False, characters, (), histogram(whole))
    return PageText(facts, (Region(category, BOX, lines),), INK, layout=False)


def test_a_label_holds_the_lines_their_script_and_the_declared_language() -> None:
    made, counts = label(page("བོད་ཡིག་ ", "གཉིས་པ།"), "bo")
    assert [line.text for line in made.lines] == ["བོད་ཡིག་", "གཉིས་པ།"]
    assert (made.kind, made.producer, made.script, made.language) == (Kind.COARSE, "fitz", "Tibt", "bo")
    assert (made.width, made.height, made.checkpoint) == (100, 100, None)
    assert counts == RawCounts(characters=15, ink=INK)


def test_text_is_composed_and_its_blanks_are_single() -> None:
    made, _ = label(page(" e\u0301tude \u00a0 a\u0300\t la  page "))
    assert made.text == "étude à la page"


def test_garbage_is_counted_before_it_is_cleaned_away() -> None:
    raw = "a\x00\x07b \ud800 \ufffd\ufffd \ue000\ue001\ue002 \u0f48 \ufdd0"
    made, counts = label(page(raw))
    assert counts.control == 2
    assert counts.surrogate == 1
    assert counts.replacement == 2
    assert counts.private_use == 3
    assert counts.unassigned == 2
    assert counts.garbage == 10
    assert "\x00" not in made.text
    assert "\ufffd" in made.text  # people should see it


def test_a_bullet_from_a_symbol_font_is_no_garbage() -> None:
    _, counts = label(page("\uf0b7 first of all things", "\uf0b7 second of all things", "\uf0b7", "wo\uf0b7rd"))
    assert counts.private_use == 1


@pytest.mark.parametrize(
    ("lines", "garbage"),
    [
        (["\uf0b7 first thing", "\uf0b7 second thing", "a line of text"], 0),
        ([f"{chr(0xF041 + k)} b" for k in range(6)], 6),  # letters of an alphabet, one a line
        (["\uf0b7 a"] * 40, 40),  # as many bullets as text
        (["\uf041 and"] + ["so it goes on"] * 9, 0),
    ],
)
def test_bullets_are_few_of_few_kinds_before_much_text(lines: list[str], garbage: int) -> None:
    _, counts = label(page(*lines))
    assert counts.private_use == garbage


def test_lines_of_which_nothing_is_left_are_dropped_and_pictures_stay() -> None:
    made, _ = label(page("\x00\x01", "\u200b"))
    assert made.regions == ()
    made, _ = label(page(category="picture"))
    assert [region.category for region in made.regions] == ["picture"]


def test_a_soft_hyphen_is_drawn_only_at_the_end_of_a_line() -> None:
    assert clean("hy\u00adphen\u00ad ") == "hyphen-"


@pytest.mark.parametrize("mark", ["\u202e", "\u200f", "\ufeff", "\u2066", "\x85x"[:1]])
def test_marks_without_ink_are_removed(mark: str) -> None:
    assert clean(f"a{mark}b").replace(" ", "") == "ab"


def test_joiners_that_shape_letters_stay() -> None:
    assert clean("क्\u200dष می\u200cخواهم") == "क्\u200dष می\u200cخواهم"


@given(st.text(st.characters(), max_size=80))
def test_cleaned_text_can_always_be_stored_and_cleaning_it_again_changes_nothing(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert json.loads(json.dumps(cleaned).encode("utf-8")) == cleaned
    cleaned.encode("utf-8")
    assert "\x00" not in cleaned


def test_a_label_survives_its_json_form() -> None:
    made, _ = label(page("བོད་ཡིག་", "two"), "bo")
    assert decode_label(json.loads(json.dumps(encode(made)))) == made
