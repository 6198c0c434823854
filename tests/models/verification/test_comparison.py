"""A layer against its reading: slips are forgiven, lies are not."""

from __future__ import annotations

import pytest

from models.recognition.protocol import Transcription, transcription_of
from models.verification.comparison import UNKNOWN, Finding, Tally, folded, tally_of

ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789éüąż的一是不")
SCRIPTS = frozenset({"Latn", "Hani"})
PAGE = "The quick brown fox jumps over the lazy dog and counts the loose folios in the long room beside the mill"


def read(text: str, confidence: float = 0.98) -> Transcription:
    return transcription_of(list(text), [confidence] * len(text))


def tally(said: str, shown: str, confidence: float = 0.98) -> Tally:
    """Pieces of three words each."""
    found = Tally()
    words, seen = said.split(), shown.split()
    for start in range(0, len(words), 3):
        piece, its = " ".join(words[start : start + 3]), " ".join(seen[start : start + 3])
        found += tally_of(piece, read(its, confidence), ALPHABET, SCRIPTS)
    return found


def test_a_layer_that_is_read_as_it_says_agrees() -> None:
    assert tally(PAGE, PAGE).finding() is Finding.AGREES


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (PAGE, PAGE.upper()),  # case
        (PAGE.replace("l", "I"), PAGE.replace("o", "0")),  # look-alikes
        (PAGE.replace("e", "é"), PAGE),  # accents
        (PAGE.replace("e", "ẹ").replace("o", "ọ̀"), PAGE.replace("e", "")),  # letters that the reader cannot write
        (PAGE.replace("d", "đ"), PAGE),  # strokes
        (PAGE.replace("fi", "ﬁ"), PAGE),  # ligatures
        (PAGE, PAGE.replace("fox", "f0x,").replace("dog", "dog.")),  # marks
    ],
)
def test_what_any_reader_mistakes_is_not_held_against_the_layer(said: str, shown: str) -> None:
    assert tally(said, shown).finding(final=True) is Finding.AGREES


@pytest.mark.parametrize("pair", ["eo", "nt", "ae", "sr"])
def test_two_letters_exchanged_are_found_by_their_constancy(pair: str) -> None:
    one, other = pair
    said = PAGE.translate(str.maketrans(pair + pair.upper(), other + one + other.upper() + one.upper()))
    found = tally(f"{said} {said}", f"{PAGE} {PAGE}")
    assert found.finding() is Finding.DISAGREES
    assert found.exchanged in {(one, other), (other, one)}


def test_another_text_disagrees_and_the_example_says_how() -> None:
    said = PAGE.translate(str.maketrans("abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm"))
    found = tally(said, PAGE)
    assert (found.finding(), found.share > 0.5) == (Finding.DISAGREES, True)
    assert found.example[1] in PAGE


def test_a_letter_that_the_layer_leaves_out_disagrees() -> None:
    assert tally(PAGE.replace("o", ""), PAGE).finding(final=True) is Finding.DISAGREES


def test_a_reader_without_confidence_says_nothing() -> None:
    assert tally(PAGE, PAGE[::-1], confidence=0.4).finding(final=True) is Finding.UNSURE


def test_too_few_letters_say_nothing() -> None:
    assert tally_of("17", read("71"), ALPHABET, SCRIPTS).finding(final=True) is Finding.UNSURE


def test_a_logo_of_which_two_letters_are_misread_condemns_nothing() -> None:
    found = tally_of("LATEX Studio beamer", read("ETEX Studio beamer"), ALPHABET, SCRIPTS)
    assert found.share > 0.08
    assert found.finding(final=True) is Finding.AGREES


def test_a_letter_that_is_read_as_one_of_a_script_the_reader_is_not_made_for_is_not_exchanged() -> None:
    """Square capitals draw A as a Greek lambda."""
    assert tally(PAGE, PAGE.replace("a", "Λ")).exchanged is None


def test_letters_of_another_script_are_unknown_even_when_the_reader_could_write_them() -> None:
    assert folded("aбc", ALPHABET | {"б"}, SCRIPTS) == f"a{UNKNOWN}c"


def test_a_neighbours_ink_at_either_end_is_no_slip() -> None:
    assert tally_of("ledger keeps", read("n ledger keepst"), ALPHABET, SCRIPTS).wrong == 0
