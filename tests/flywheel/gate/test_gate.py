"""The gate, reason by reason, on drawn pages; and a hundred good pages that it lets through."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flywheel.document import Box, Kind, Label, Line, Outcome, PageFacts, PageReading, Region, Verdict
from flywheel.gate import Gate, Thresholds, find_loop
from flywheel.pdf import PageText, Sandbox, coarse
from flywheel.reasons import Reason
from tests.flywheel import draw, right_to_left

GATE = Gate()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


def judged(sandbox: Sandbox, path: Path, language: str | None, pages: int = 1) -> list[Verdict]:
    """Verdicts over the text layers of a file."""
    verdicts = []
    for page in sandbox.text(path, range(pages), layout=False):
        assert isinstance(page, PageText), page
        label, counts = coarse.label(page, language)
        verdicts.append(GATE.judge_coarse(label, page.facts, counts, language))
    return verdicts


def verdict(sandbox: Sandbox, path: Path, language: str | None = "en") -> Verdict:
    (one,) = judged(sandbox, path, language)
    return one


# A hundred and twenty good pages


@pytest.mark.parametrize("size", [7, 11, 24])
def test_good_latin_pages_pass(sandbox: Sandbox, tmp_path: Path, size: float) -> None:
    draw.latin_pdf(tmp_path / "a.pdf", 14, lines=18, size=size, seed=int(size))
    assert judged(sandbox, tmp_path / "a.pdf", "en", 14) == [Verdict(Outcome.ACCEPTED, Reason.ACCEPTED)] * 14


@pytest.mark.parametrize("size", [9, 16, 26])
def test_good_tibetan_pages_pass(sandbox: Sandbox, tmp_path: Path, size: float) -> None:
    draw.tibetan_pdf(tmp_path / "a.pdf", 14, lines=10, size=size, seed=int(size))
    assert judged(sandbox, tmp_path / "a.pdf", "bo", 14) == [Verdict(Outcome.ACCEPTED, Reason.ACCEPTED)] * 14


@pytest.mark.parametrize("size", [8, 14, 18])
def test_good_chinese_pages_pass(sandbox: Sandbox, tmp_path: Path, size: float) -> None:
    draw.han_pdf(tmp_path / "a.pdf", 12, lines=14, size=size, seed=int(size))
    assert judged(sandbox, tmp_path / "a.pdf", "zh", 12) == [Verdict(Outcome.ACCEPTED, Reason.ACCEPTED)] * 12


def test_a_page_with_a_picture_a_bullet_list_and_a_greek_symbol_passes(sandbox: Sandbox, tmp_path: Path) -> None:
    def mixed(book: draw.FPDF) -> None:
        book.image(draw.scan(), x=150, y=400, w=300)
        draw.write_lines(book, [draw.latin_line(random.Random(k)) for k in range(15)], pitch=18)

    assert verdict(sandbox, draw.book_of(tmp_path / "a.pdf", mixed)).accepted


def test_a_page_of_few_words_passes(sandbox: Sandbox, tmp_path: Path) -> None:
    path = draw.book_of(tmp_path / "a.pdf", lambda book: book.text(290, 820, "- 7 -"))
    assert verdict(sandbox, path, "bo").accepted


def test_an_empty_page_is_accepted_as_blank(sandbox: Sandbox, tmp_path: Path) -> None:
    path = draw.book_of(tmp_path / "a.pdf", lambda book: None)
    assert verdict(sandbox, path) == Verdict(Outcome.ACCEPTED, Reason.BLANK, "0.000% of the page is ink")


# Text layers that are no label


def expect(found: Verdict, reason: Reason, *words: str, outcome: Outcome = Outcome.REJECTED) -> None:
    assert (found.outcome, found.reason) == (outcome, reason), found.detail
    for word in words:
        assert word in found.detail


def test_a_scan_has_no_text_layer(sandbox: Sandbox, tmp_path: Path) -> None:
    path = draw.book_of(tmp_path / "a.pdf", lambda book: book.image(draw.scan(), 0, 0, *draw.A4))
    expect(verdict(sandbox, path), Reason.NO_TEXT_LAYER, "% of the page is ink")


def test_a_scan_under_an_invisible_text_layer_is_an_image_with_text(sandbox: Sandbox, tmp_path: Path) -> None:
    def recognised(book: draw.FPDF) -> None:
        book.image(draw.scan(), 0, 0, *draw.A4)
        with draw.invisible(book):
            draw.write_lines(book, [draw.latin_line(random.Random(k)) for k in range(20)], y=66, pitch=34)

    path = draw.book_of(tmp_path / "a.pdf", recognised)
    expect(verdict(sandbox, path), Reason.IMAGE_WITH_TEXT, "(100%) stand where there is no ink of theirs")


def test_a_stamp_makes_no_text_layer_of_a_hidden_one(sandbox: Sandbox, tmp_path: Path) -> None:
    def recognised(book: draw.FPDF) -> None:
        draw.write_lines(book, LINES)
        book.image(draw.scan(), 0, 0, *draw.A4)
        book.text(200, 830, "Scanned by the library of paper")

    path = draw.book_of(tmp_path / "a.pdf", recognised)
    expect(verdict(sandbox, path), Reason.IMAGE_WITH_TEXT, "stand where there is no ink of theirs")


def test_a_few_hidden_characters_are_left_out_of_a_sound_page(sandbox: Sandbox, tmp_path: Path) -> None:
    def sound(book: draw.FPDF) -> None:
        draw.write_lines(book, LINES)
        with draw.invisible(book):
            book.text(60, 700, "page 17 of a scan")

    assert verdict(sandbox, draw.book_of(tmp_path / "a.pdf", sound)).accepted


@pytest.mark.parametrize("matrix", ["-1 0 0 -1 550 800", "1 0 0 -1 50 800", "-1 0 0 1 550 100"])
def test_a_page_that_is_shown_upside_down_or_mirrored_is_no_label(
    sandbox: Sandbox, tmp_path: Path, matrix: str
) -> None:
    shown = "".join(f"({line}) Tj 0 -16 Td " for line in LINES)
    content = f"q {matrix} cm BT /F 10 Tf 10 380 Td {shown} ET Q".encode()
    path = tmp_path / "a.pdf"
    path.write_bytes(draw.small_pdf(content, box=b"0 0 600 900"))
    expect(verdict(sandbox, path), Reason.TURNED_TEXT, "upside down or mirrored")


def test_an_answer_printed_upside_down_does_not_condemn_its_page(sandbox: Sandbox, tmp_path: Path) -> None:
    def puzzle(book: draw.FPDF) -> None:
        draw.write_lines(book, LINES)
        with book.rotation(180, 300, 700):
            book.text(300, 700, "the answer is seven")

    assert verdict(sandbox, draw.book_of(tmp_path / "a.pdf", puzzle)).accepted


def test_a_stamp_on_a_scan_is_no_label_of_it(sandbox: Sandbox, tmp_path: Path) -> None:
    def stamped(book: draw.FPDF) -> None:
        book.image(draw.scan(), 0, 0, *draw.A4)
        book.text(200, 830, "Scanned by the library of paper")

    path = draw.book_of(tmp_path / "a.pdf", stamped)
    expect(verdict(sandbox, path), Reason.INK_WITHOUT_TEXT, "an image covers")


LINES = [draw.latin_line(random.Random(k), 60) for k in range(12)]
GARBLED = {
    "private use": {ord("e"): "\ue123", ord("t"): "\ue124"},
    "replacement": {ord("o"): "\ufffd"},
    "surrogates": {ord("n"): "\ud812"},
    "unassigned": {ord("s"): "\u0f48"},
}


@pytest.mark.parametrize("mapping", GARBLED.values(), ids=GARBLED)
def test_a_text_layer_of_no_characters_is_garbled(
    sandbox: Sandbox, tmp_path: Path, mapping: dict[int, str]
) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(draw.lying_pdf(LINES, mapping))
    expect(verdict(sandbox, path), Reason.GARBLED_CHARACTERS, "characters (")


def test_controls_are_garbage_too_and_one_stray_character_is_not() -> None:
    good = reading(LINES, None).label
    many = coarse.RawCounts(characters=700, control=30)
    expect(
        GATE.judge_coarse(good, FACTS, many, "en"),
        Reason.GARBLED_CHARACTERS,
        "30 control of 700 characters (4.3%)",
    )
    assert GATE.judge_coarse(good, FACTS, coarse.RawCounts(characters=20, private_use=2), "en").accepted
    assert GATE.judge_coarse(good, FACTS, coarse.RawCounts(characters=2000, private_use=9), "en").accepted


@pytest.mark.parametrize(
    ("garbage", "characters", "garbled"),
    [(1, 1, True), (2, 2, True), (1, 3, False), (2, 5, True), (1, 10, False), (2, 20, False), (2, 12, False)],
)
def test_a_label_of_little_but_garbage_is_garbled_and_a_single_odd_character_is_not(
    garbage: int, characters: int, garbled: bool
) -> None:
    counts = coarse.RawCounts(characters=characters, replacement=garbage)
    found = GATE.judge_coarse(reading(LINES, None).label, FACTS, counts, "en")
    assert (found.reason is Reason.GARBLED_CHARACTERS) == garbled


def test_text_in_another_script_than_the_language_is_wrong(sandbox: Sandbox, tmp_path: Path) -> None:
    draw.latin_pdf(tmp_path / "a.pdf")
    expect(verdict(sandbox, tmp_path / "a.pdf", "bo"), Reason.WRONG_SCRIPT, "0 of", "Tibt", "Latn")
    assert verdict(sandbox, tmp_path / "a.pdf", None).accepted
    draw.tibetan_pdf(tmp_path / "b.pdf")
    assert verdict(sandbox, tmp_path / "b.pdf", "sa-Tibt").accepted
    expect(verdict(sandbox, tmp_path / "b.pdf", "sa"), Reason.WRONG_SCRIPT)


def test_cyrillic_letters_inside_latin_words_are_foreign(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(draw.lying_pdf(LINES, {ord("e"): "е"}))
    expect(verdict(sandbox, path), Reason.FOREIGN_LETTERS, "words mix scripts")


def test_latin_letters_in_place_of_tibetan_stacks_are_foreign(sandbox: Sandbox, tmp_path: Path) -> None:
    rng = random.Random(1)
    lines = [draw.tibetan_line(rng).replace("བསྒྲིགས", "བȍས").replace("སྒྲུབ", "ƥབ") for _ in range(40)]
    found = verdict_of_text(lines, "bo")
    expect(found, Reason.FOREIGN_LETTERS)


def test_white_text_has_no_ink(sandbox: Sandbox, tmp_path: Path) -> None:
    def white(book: draw.FPDF) -> None:
        book.set_text_color(255, 255, 255)
        draw.write_lines(book, LINES)

    path = draw.book_of(tmp_path / "a.pdf", white)
    expect(verdict(sandbox, path), Reason.TEXT_WITHOUT_INK, "0.000% of the page is ink")


def test_some_lines_without_ink_are_enough(sandbox: Sandbox, tmp_path: Path) -> None:
    def partly(book: draw.FPDF) -> None:
        draw.write_lines(book, LINES[:8])
        with draw.invisible(book):
            draw.write_lines(book, LINES[8:], y=500)

    path = draw.book_of(tmp_path / "a.pdf", partly)
    expect(verdict(sandbox, path), Reason.TEXT_WITHOUT_INK, "stand where there is no ink")


def test_text_drawn_as_curves_is_ink_without_text(sandbox: Sandbox, tmp_path: Path) -> None:
    def curves(book: draw.FPDF) -> None:
        for row in range(25):
            for column in range(60):
                book.rect(50 + column * 8, 60 + row * 28, 5, 12, style="F")
        book.text(290, 820, "7")

    path = draw.book_of(tmp_path / "a.pdf", curves)
    expect(verdict(sandbox, path), Reason.INK_WITHOUT_TEXT, "of the ink", outcome=Outcome.REVIEW)


def test_text_too_small_to_be_seen_is_too_much(sandbox: Sandbox, tmp_path: Path) -> None:
    def dust(book: draw.FPDF) -> None:
        book.set_font("Helvetica", size=0.8)
        draw.write_lines(book, LINES * 30, pitch=0.9)

    path = draw.book_of(tmp_path / "a.pdf", dust)
    expect(verdict(sandbox, path), Reason.TOO_MUCH_TEXT, "square points of ink")


def test_stacks_that_tibetan_does_not_allow_are_bad_orthography(sandbox: Sandbox, tmp_path: Path) -> None:
    rng = random.Random(1)
    book = draw.blank_book()
    book.add_page()
    draw.use_font(book, draw.TIBETAN_SCRIPT, 16, tmp_path)
    lines = [draw.tibetan_line(rng).replace("འདི", "འདྱི").replace("མིག", "མྱིག") + "དེའྱི" for _ in range(10)]
    draw.write_lines(book, lines, y=80, pitch=36)
    book.output(str(tmp_path / "a.pdf"))
    expect(verdict(sandbox, tmp_path / "a.pdf", "bo"), Reason.BAD_ORTHOGRAPHY, "letter groups", "འྱི")


def test_hindi_whose_vowel_signs_come_first_is_bad_orthography() -> None:
    words = "हिन्दी में लिखा हुआ पाठ यहाँ है".split()
    rng = random.Random(2)
    lines = [" ".join(rng.choice(words).replace("हि", "िह") for _ in range(9)) for _ in range(8)]
    expect(verdict_of_text(lines, "hi"), Reason.BAD_ORTHOGRAPHY)


def verdict_of_text(lines: list[str], language: str) -> Verdict:
    """A text layer's verdict on a page of which everything else is in order."""
    label = reading(lines, None).label
    counts = coarse.RawCounts(characters=sum(map(len, lines)))
    return GATE.judge_coarse(label, FACTS, counts, language)


# Readings

FACTS = PageFacts(
    number=0, width=595, height=842, rotation=0, ink=0.08, has_text=True, image_only=False, characters=0
)
SCAN = replace(FACTS, has_text=False, image_only=True)
BOX = Box(50, 50, 500, 70)


def reading(lines: list[str], confidence: float | None = 0.95) -> PageReading:
    region = Region("text", BOX, tuple(Line(text, BOX, confidence) for text in lines))
    return PageReading(Label(Kind.FINE, "line", 595, 842, (region,) if lines else ()))


def tibetan(count: int = 12) -> list[str]:
    rng = random.Random(7)
    return [draw.tibetan_line(rng) for _ in range(count)]


def test_a_good_reading_is_accepted() -> None:
    assert GATE.judge_reading(reading(tibetan()), SCAN, "bo") == Verdict(Outcome.ACCEPTED, Reason.ACCEPTED)


def test_an_empty_scan_is_blank_and_ink_without_lines_is_not() -> None:
    assert GATE.judge_reading(reading([]), replace(SCAN, ink=0.0), "bo").reason is Reason.BLANK
    expect(GATE.judge_reading(reading([]), SCAN, "bo"), Reason.NO_LINES, "8.0% of the page is ink")


def test_fluent_text_from_an_empty_page_has_no_ink() -> None:
    found = GATE.judge_reading(reading(tibetan()), replace(SCAN, ink=0.0), "bo")
    expect(found, Reason.TEXT_WITHOUT_INK)
    page_number = GATE.judge_reading(reading(["7"]), replace(SCAN, ink=0.0001), "bo")
    assert page_number.accepted


def test_a_reading_longer_than_the_ink_could_be_is_too_much() -> None:
    found = GATE.judge_reading(reading(tibetan(400)), replace(SCAN, ink=0.002), "bo")
    expect(found, Reason.TOO_MUCH_TEXT)


def test_tibetan_read_as_armenian_is_the_wrong_script() -> None:
    expect(GATE.judge_reading(reading(["Հայերեն լեզու"] * 3), SCAN, "bo"), Reason.WRONG_SCRIPT, "Armn")


@pytest.mark.parametrize(
    ("confidence", "outcome"), [(0.3, Outcome.REJECTED), (0.6, Outcome.REVIEW), (0.8, Outcome.ACCEPTED)]
)
def test_confidence_decides_last(confidence: float, outcome: Outcome) -> None:
    found = GATE.judge_reading(reading(tibetan(), confidence), SCAN, "bo")
    assert found.outcome is outcome
    assert (found.reason is Reason.LOW_CONFIDENCE) == (outcome is not Outcome.ACCEPTED)


def test_thresholds_are_the_gates_own() -> None:
    strict = Gate(Thresholds(low_confidence=0.97, fair_confidence=0.99))
    assert strict.judge_reading(reading(tibetan()), SCAN, "bo").outcome is Outcome.REJECTED


@pytest.mark.parametrize(
    "lines",
    [["the end of the page"] * 8, ["one line goes round and round and " + "round and " * 12], ["བོད་ཡིག་" * 20]],
    ids=["lines", "a phrase in a line", "a word"],
)
def test_a_reading_that_runs_in_a_circle_is_repetition(lines: list[str]) -> None:
    expect(GATE.judge_reading(reading(lines), SCAN, None), Reason.REPETITION, "re")


def test_dots_rules_and_refrains_are_no_repetition() -> None:
    lines = ["Contents ................................................................ 7", "-" * 80]
    lines += ["om mani padme hum " * 2, "another line", "om mani padme hum " * 2]
    assert GATE.judge_reading(reading(lines), SCAN, None).accepted


def test_a_loop_is_found_wherever_it_stands() -> None:
    head = "".join(chr(0x4E00 + k) for k in range(300))
    found = find_loop(head + "abc" * 20 + head, 48, 5)
    assert found is not None
    assert sorted(found[0]) == ["a", "b", "c"]
    assert found[1] == 60
    assert find_loop(head * 2, 48, 5) is None
    assert find_loop("", 48, 5) is None


def loops_by_trying_every_period(text: str, characters: int, times: int) -> bool:
    for period in range(1, min(len(text) // times, 200) + 1):
        run = 0
        for place in range(len(text) - period):
            run = run + 1 if text[place] == text[place + period] else 0
            unit = text[place - run + 1 : place - run + 1 + period]
            if run + period >= max(characters, times * period) and any(map(str.isalpha, unit)):
                return True
    return False


def test_the_periods_that_are_not_tried_hold_no_loop() -> None:
    rng = random.Random(4)
    found = 0
    for _ in range(60):
        parts = ["".join(rng.choices("abcdef ", k=rng.randint(0, 80)))]
        unit = "".join(rng.choices("abcdef ", k=rng.randint(1, 30)))
        parts += [unit * rng.randint(1, 9), unit[: rng.randint(0, len(unit))], parts[0][::-1]]
        text = "".join(parts)
        expected = loops_by_trying_every_period(text, 48, 5)
        assert (find_loop(text, 48, 5) is not None) == expected
        found += expected
    assert 10 < found < 50


def test_words_that_climb_and_fall_are_no_label(sandbox: Sandbox, tmp_path: Path) -> None:
    """Nastaliq: letters above each other have no order that their places tell."""
    path = right_to_left.drawn_sloping(tmp_path / "a.pdf")
    expect(verdict(sandbox, path, "ar"), Reason.UNORDERED_TEXT, "stand off their line")
