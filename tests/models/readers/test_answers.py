"""From answers to readings: regions, lines, confidences by place, and nothing that cannot be kept."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.document import Box, Kind, Label, Line, PageReading, Region, decode_label, encode
from flywheel.markup import fine
from models.readers.answers import page_reading, pieces_of
from models.readers.protocol import PageInput
from tests.flywheel.text.words import WORDS, text_script

PAGE = PageInput(np.full((40, 30), 255, np.uint8), 72.0, 30.0, 40.0, "bo")
TITLE = "<|ref|>title<|/ref|><|det|>[[100, 100, 200, 200]]<|/det|>\n# བོད་ཡིག"
TEXT = "<|ref|>text<|/ref|><|det|>[[100, 300, 900, 500]]<|/det|>\nཀ་\nཁ་ག་"


def read(answer: str, pieces: list[tuple[str, float]] | None = None) -> PageReading:
    return page_reading(answer, PAGE, pieces=pieces, checkpoint="a-row", producer="kin")


def rising(answer: str) -> list[tuple[str, float]]:
    """Each character a piece, with its place in the answer as its probability."""
    return [(character, (place + 1) / len(answer)) for place, character in enumerate(answer)]


@pytest.mark.parametrize("code", WORDS)
def test_a_page_readers_label_names_the_script_that_its_text_is_in(code: str) -> None:
    assert read(WORDS[code]).label.script == text_script(code)


def test_a_grounded_answer_keeps_its_regions_in_order() -> None:
    label = read(f"{TITLE}\n\n{TEXT}\n").label
    assert [(region.category, region.text) for region in label.regions] == [
        ("title", "བོད་ཡིག"),
        ("text", "ཀ་\nཁ་ག་"),
    ]
    assert label.regions[1].box.contains(15.0, 16.0)
    assert (label.kind, label.script, label.language) == (Kind.FINE, "Tibt", "bo")
    assert (label.checkpoint, label.producer, label.width, label.height) == ("a-row", "kin", 30.0, 40.0)
    assert label.confidence is None


def test_a_plain_answer_is_one_region_over_the_page() -> None:
    [region] = read("\none\n\ntwo\n").label.regions
    assert (region.category, region.box) == ("text", Box(0.0, 0.0, 30.0, 40.0))
    assert [line.text for line in region.lines] == ["one", "", "two"]
    assert read("").label.regions == read(" \n\n").label.regions == ()


def test_what_a_terminal_would_obey_is_not_in_a_label() -> None:
    answer = "a\x1b[31mred\x07\r\nb\x00\x9b"
    label = read(answer, rising(answer)).label
    assert label.text == "a\ufffd[31mred\ufffd \nb\ufffd\ufffd"
    assert all(line.confidence for line in label.lines)


def test_confidences_are_those_of_a_lines_own_characters() -> None:
    answer = f"{TITLE}\n\n{TEXT}\n"
    label = read(answer, rising(answer)).label
    for line in label.lines:
        assert len(line.character_confidences) == len(line.text)
        start = answer.index(line.text)
        expected = [(start + i + 1) / len(answer) for i in range(len(line.text))]
        assert line.character_confidences == pytest.approx(expected)
        assert line.confidence == pytest.approx(math.exp(sum(map(math.log, expected)) / len(expected)))


def test_a_dropped_block_takes_its_confidences_with_it() -> None:
    bad = "<|ref|>text<|/ref|><|det|>[[900, 300, 100, 500]]<|/det|>\nཁ་ག་\n"
    odd = "<|ref|>stamp<|/ref|><|det|>[[1, 3, 5, 7]]<|/det|>\nང་\n"
    answer = f"{bad}{odd}{TEXT}"
    reading = read(answer, rising(answer))
    assert reading.flaws == ("bad_box", "unknown_category")
    assert [line.text for line in reading.label.lines] == ["ང་", "ཀ་", "ཁ་ག་"]
    last = reading.label.lines[-1]
    assert last.character_confidences[-1] == 1.0


def test_an_answer_without_a_sound_region_keeps_only_its_flaws() -> None:
    reading = read("Some words.\n<|ref|>text<|/ref|>no box\n<|ref|>te")
    assert reading.flaws == ("ungrounded", "bad_head", "truncated")
    assert reading.label.regions == ()


def test_pieces_that_do_not_make_up_the_answer_give_no_confidences() -> None:
    assert read("abc", [("a", 0.9), ("x", 0.9)]).label.lines[0].confidence is None
    assert read("abc", []).label.lines[0].confidence is None
    assert read("abc", [("abc", 0.9), ("<end>", 0.1)]).label.lines[0].confidence == pytest.approx(0.9)


def test_parts_of_one_character_share_its_place() -> None:
    pieces = [("a", 0.9), ("\ufffd", 0.5), ("\ufffd", 0.5), ("b", 0.8)]
    assert read("a༼b", pieces).label.lines[0].character_confidences == (0.9, 0.25, 0.8)


def test_tokens_of_one_character_become_one_piece() -> None:
    tokens = list("a༼b".encode())
    pieces = pieces_of(
        tokens, [math.log(0.5)] * len(tokens), lambda ids: bytes(ids).decode("utf-8", errors="replace")
    )
    assert [text for text, _ in pieces] == ["a", "༼", "b"]
    assert [p for _, p in pieces] == pytest.approx([0.5, 0.125, 0.5])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_pieces_joined_are_the_whole_answer_even_of_garbage(tokens: bytes) -> None:
    def decode(ids: list[int]) -> str:
        return bytes(ids).decode("utf-8", errors="replace")

    pieces = pieces_of(list(tokens), [-0.1] * len(tokens), decode)
    answer = decode(list(tokens))
    assert "".join(text for text, _ in pieces) == answer
    for line in read(answer, pieces).label.lines:
        assert len(line.character_confidences) == len(line.text)


def test_texts_are_nfc_with_one_confidence_a_code_point() -> None:
    for written in ("xe\u0301y", "x\u0f43y"):  # one composes, the other (Tibetan GHA) falls apart
        [line] = read(written, rising(written)).label.lines
        assert line.text == {"xe\u0301y": "xéy", "x\u0f43y": "x\u0f42\u0fb7y"}[written]
        assert len(line.character_confidences) == len(line.text)
        assert line.character_confidences == tuple(sorted(line.character_confidences))


def test_letters_of_tables_and_formulas_do_not_decide_the_script() -> None:
    table = "<table><tr><td>ཀ</td><td>ཁ</td></tr></table>"
    assert read(table).label.script == "Tibt"
    assert read(r"\(\frac{བ}{ཅ}\)").label.script == "Tibt"


def test_lone_surrogates_do_not_reach_the_store() -> None:
    label = read("a\ud800b", [("a\ud800b", 0.5)]).label
    json.dumps(encode(label), ensure_ascii=False).encode()
    assert label.lines[0].confidence == pytest.approx(0.5)


def test_text_that_looks_like_markup_is_read_back_with_its_confidences() -> None:
    box = Box(3.0, 4.0, 15.0, 16.0)
    label = Label(Kind.FINE, "kin", 30.0, 40.0, (Region("text", box, (Line("one <|ref|> two", box),)),))
    answer = fine(label)
    [line] = read(answer, rising(answer)).label.lines
    assert line.text == "one <|ref|> two"
    assert len(line.character_confidences) == len(line.text)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "text", "title", "[[1, 2, 3, 4]]", "\n", " "]
        )
        | st.text(max_size=4),
        max_size=16,
    )
)
def test_no_answer_breaks_a_reading(parts: list[str]) -> None:
    answer = "".join(parts)
    reading = read(answer, [(part, 0.5) for part in parts])
    assert reading.label.text == read(answer).label.text
    for line in reading.label.lines:
        assert len(line.character_confidences) in (0, len(line.text))
    assert decode_label(encode(reading.label)).text == reading.label.text
