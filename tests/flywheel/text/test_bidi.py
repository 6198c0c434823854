"""Text that runs from right to left goes into the order of its ink and comes back."""

from __future__ import annotations

import random
import unicodedata

import pytest
from fpdf.bidi import BidiParagraph
from fpdf.enums import TextDirection

from flywheel.text.bidi import base_direction, logical_places, runs_right_to_left, survives, to_logical, to_visual

# Logical text -> its ink from left to right, written as a list, for editors turn such strings about.
SHOWN = {
    "שלום עולם": [*"םלוע", " ", *"םולש"],
    "בשנת 1948 הוקמה": [*"המקוה", " ", *"1948", " ", *"תנשב"],
    "מחיר 12.5% (בערך)": ["(", *"ךרעב", ")", " ", *"12.5%", " ", *"ריחמ"],
    "ראה Windows 10 כאן": [*"ןאכ", " ", *"Windows 10", " ", *"האר"],
    "السعر 10% و 5-7": [*"7-5", " ", "و", " ", "%", *"10", " ", *"رعسلا"],
    "عام ١٩٤٨ [هنا]": ["[", *"انه", "]", " ", *"١٩٤٨", " ", *"ماع"],
    "לֵב": ["ב", "ל\u05b5"],
    "كَتَبَ": ["ب\u064e", "ت\u064e", "ك\u064e"],
}


@pytest.mark.parametrize(("logical", "shown"), SHOWN.items())
def test_ink_stands_from_left_to_right_with_marks_on_their_base_and_brackets_as_drawn(
    logical: str, shown: list[str]
) -> None:
    assert to_visual(logical) == "".join(shown)
    assert to_logical("".join(shown)) == logical
    assert survives(logical)


@pytest.mark.parametrize("text", ["The wheel (2026), 10%", "བཀྲ་ཤིས་བདེ་ལེགས།", "天地玄黃（宇宙）", "ﬁ é", ""])
def test_text_without_such_letters_is_the_same_in_both_orders(text: str) -> None:
    assert not runs_right_to_left(text)
    assert to_visual(text) == to_logical(text) == text
    assert logical_places(text) == list(range(len(text)))


LETTERS = "אבגשלם تابثعجد ()[] 1234,.-%:/ abcXYZ ١٢٣ \"'₪$+«»"
MARKS = "\u05b8\u05bc\u064e\u0651\u0301\u200c"


def random_text(rng: random.Random) -> str:
    text = "".join(
        rng.choice(LETTERS) + (rng.choice(MARKS) if rng.random() < 0.1 else "") for _ in range(rng.randint(3, 30))
    )
    return unicodedata.normalize("NFC", " ".join(text.split()))


def test_the_order_is_that_of_another_implementation_of_the_algorithm() -> None:
    rng = random.Random(7)
    for _ in range(500):
        text = "".join(c for c in random_text(rng) if unicodedata.bidirectional(c) not in ("NSM", "BN"))
        for base, direction in (("R", TextDirection.RTL), ("L", TextDirection.LTR)):
            shown = BidiParagraph(text=text, base_direction=direction).get_reordered_characters()
            mirrored = {"(": ")", ")": "(", "[": "]", "]": "[", "«": "»", "»": "«"}
            wanted = [
                mirrored.get(c.character, c.character) if c.embedding_level % 2 else c.character for c in shown
            ]
            if runs_right_to_left(text):
                assert to_visual(text, base) == "".join(wanted), ascii(text)  # type: ignore[arg-type]


def test_what_comes_back_is_displayed_as_it_was_read_or_is_told_apart() -> None:
    rng = random.Random(3)
    lost = 0
    for _ in range(400):
        text = random_text(rng)
        shown = to_visual(text)
        back = to_logical(shown)
        assert sorted(logical_places(shown)) == list(range(len(shown)))
        lost += back != text
        assert survives(text) == (back == text)
    assert lost < 100  # of random salads; of 4 249 messages of a program in six languages 52 are lost


def test_a_text_that_its_ink_does_not_tell_does_not_survive() -> None:
    assert to_visual("שלום 10 km") == to_visual("שלום km 10")
    assert survives("שלום km 10")
    assert not survives("שלום 10 km")


def test_a_hebrew_word_in_an_english_sentence_keeps_its_place() -> None:
    text = "the word שלום means (peace) 12"
    assert base_direction(text) == "L"
    assert to_visual(text, "L") == "the word " + "שלום"[::-1] + " means (peace) 12"
    assert to_logical(to_visual(text, "L"), "L") == text


def test_a_line_of_any_length_and_of_any_characters_is_answered() -> None:
    for text in ("א" * 5000, "\u05b8\u05b8", "א\u2029ב", "א\u202eב", "\ud800א"):
        assert len(to_logical(to_visual(text))) == len(text)
