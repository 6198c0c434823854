"""Readers that make things up, each caught for its own reason on a drawn page; and 200 good pages that pass."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import replace

import pytest

from flywheel.document import Box, Kind, Label, Line, Outcome, PageReading, ReadInk, Region, Verdict
from flywheel.gate import Gate, Thresholds
from flywheel.gate.loops import tail_loop
from flywheel.gate.page import of_reading
from flywheel.markup import Fault
from flywheel.reasons import Reason
from tests.flywheel.draw import tibetan_line
from tests.flywheel.sheets import Sheet, good_sheets

GATE = Gate()
GOOD = 200


def judged(sheet: Sheet, answer: str | None = None, **more: object) -> Verdict:
    """The verdict on what a reader answers to this page, in its language."""
    reading = replace(sheet.reading(answer), **more)  # type: ignore[arg-type]
    return GATE.judge_reading(reading, sheet.facts, sheet.language)


def expect(found: Verdict, reason: Reason, *words: str, outcome: Outcome = Outcome.REJECTED) -> None:
    assert (found.outcome, found.reason) == (outcome, reason), found.detail
    for word in words:
        assert word in found.detail


def page(language: str = "en", paragraphs: int = 5) -> Sheet:
    """A title, some paragraphs, a page number."""
    sheet = Sheet(language, seed=3)
    sheet.title()
    for _ in range(paragraphs):
        sheet.paragraph()
    sheet.number()
    return sheet


def grounded(text: str, category: str = "text", top: int = 100) -> str:
    return f"<|ref|>{category}<|/ref|><|det|>[[80, {top}, 900, {min(999, top + 20)}]]<|/det|>\n{text}\n\n"


# Good pages


@pytest.fixture(scope="module")
def good() -> list[tuple[Sheet, PageReading]]:
    return [(sheet, sheet.reading()) for sheet in good_sheets(GOOD)]


def test_two_hundred_good_pages_pass(good: list[tuple[Sheet, PageReading]]) -> None:
    verdicts = Counter(GATE.judge_reading(reading, sheet.facts, sheet.language) for sheet, reading in good)
    assert verdicts == {Verdict(Outcome.ACCEPTED, Reason.ACCEPTED): GOOD}
    assert all(reading.flaws == () for _, reading in good)
    seen = Counter(region.category for sheet, _ in good for region in sheet.regions)
    assert min(seen[part] for part in ("title", "list", "table", "formula", "picture", "caption", "footer")) >= 10


def test_they_are_varied_enough_for_a_gate_that_is_too_strict_to_refuse_some(
    good: list[tuple[Sheet, PageReading]],
) -> None:
    strict = Gate(
        Thresholds(few_letters=0, loop_characters=20, loop_times=2, notation_characters=48, notation_times=2)
    )
    refused = Counter(strict.judge_reading(reading, sheet.facts, sheet.language).reason for sheet, reading in good)
    assert refused[Reason.WRONG_SCRIPT] >= 2  # "xii" on a Tibetan page
    assert refused[Reason.REPETITION] >= 10  # refrains, and rows of alike cells
    much = Gate(Thresholds(ink_per_character=15.0))
    assert any(
        much.judge_reading(reading, sheet.facts, None).reason is Reason.TOO_MUCH_TEXT for sheet, reading in good
    )


def test_letters_of_html_and_tex_are_not_the_pages() -> None:
    sheet = Sheet("bo", seed=5)
    sheet.region("text", [sheet.line("བོད་ཡིག a + b ཡིག།")], r"བོད་ཡིག \( \vec{a} + \vec{b} \) ཡིག།")
    sheet.table()
    sheet.formula()
    sheet.region("formula", [sheet.line("x = y")], r"\mathrm{x} = \mathrm{y}")
    assert judged(sheet).accepted
    read = of_reading(sheet.reading(), sheet.facts)
    assert set(read.scripts) == {"Tibt"}
    assert read.rows[0] == "མིང་།\tཡིན།\t\t\t0\tཡིན།"
    assert read.formulas[0] == r"\( \vec{a} + \vec{b} \)"
    drawn = "".join((*read.lines, *read.rows, "a+b", "a1b1+a2b2=12", "x=y"))
    assert read.characters == len("".join(drawn.split()))


def test_a_reader_that_grounds_nothing_writes_tables_and_formulas_into_its_text() -> None:
    sheet = Sheet("bo", seed=5)
    sheet.table()
    table = sheet.regions[0].text
    said = f"བོད་ཡིག {table} ཡིག། {table.lower()}\n\\begin{{tabular}}{{}} \\hline ཀ & ཁ \\end{{tabular}}"
    box = Box(0, 0, 595, 842)
    label = Label(Kind.FINE, "plain", 595, 842, (Region("text", box, (Line(said, box),)),))
    assert GATE.judge_reading(PageReading(label), sheet.facts, "bo").accepted
    read = of_reading(PageReading(label), sheet.facts)
    assert set(read.scripts) == {"Tibt"}
    assert len(read.rows) == 2 * table.count("<tr>")


def test_a_few_foreign_letters_pass_where_they_are_all_that_the_page_shows() -> None:
    folio = Sheet("bo")
    folio.region("footer", [folio.line("xii")])
    assert judged(folio).accepted
    expect(judged(page("bo"), grounded("xii")), Reason.WRONG_SCRIPT, "0 of 3 letters are Tibt")


# Text that is not on the page


def test_fluent_text_on_an_empty_page_has_no_ink() -> None:
    expect(judged(Sheet("bo"), page("bo").answer()), Reason.TEXT_WITHOUT_INK, "0.000% of the page is ink")
    assert judged(Sheet("bo"), "").reason is Reason.BLANK


def test_fluent_text_on_an_empty_scan_with_dust_has_no_ink() -> None:
    sheet = Sheet("en")
    rng = random.Random(1)
    for _ in range(20):
        sheet.pen.point((rng.randrange(595), rng.randrange(842)), fill=120)
    expect(judged(sheet, page("en").answer()), Reason.TEXT_WITHOUT_INK)
    assert judged(sheet, "").reason is Reason.BLANK


def test_a_page_made_of_its_title_is_more_than_the_ink_can_hold() -> None:
    sheet = Sheet("en", size=7)
    sheet.region("title", [sheet.line("The wheel")])
    much = "".join(grounded(line.text, top=100 + k) for k, line in enumerate(page("en", 12).label.lines))
    expect(judged(sheet, much), Reason.TOO_MUCH_TEXT, "square points of ink")


@pytest.mark.parametrize(("said", "script"), [("ओं मणि पद्मे हूं", "Deva"), ("Հայերեն լեզու", "Armn")])
def test_tibetan_read_in_another_script_is_the_wrong_one(said: str, script: str) -> None:
    expect(judged(page("bo"), grounded(said) + grounded(said[::-1], top=200)), Reason.WRONG_SCRIPT, script)


def test_a_reader_that_recites_is_refused_and_one_that_was_asked_and_looks_is_not() -> None:
    expect(judged(page(), recited=True), Reason.RECITED)
    assert judged(page(), recited=False).accepted


# Loops


def varied(count: int) -> list[str]:
    rng = random.Random(2)
    return [tibetan_line(rng, 30) for _ in range(count)]


def rows(count: int, cells: str = "<td>ལེའུ།</td><td>ཁྱིམ།</td>") -> str:
    return f"<table>{f'<tr>{cells}</tr>' * count}</table>"


LOOPS = {
    "a line, in blocks that move down the page": "".join(
        grounded("བཀྲ་ཤིས་བདེ་ལེགས།", top=90 + 30 * k) for k in range(12)
    ),
    "a word, between blank lines": grounded("བོད།\n\n" * 7),
    "a block in one place": grounded("བཀྲ་ཤིས།") * 9,
    "a phrase in a paragraph without lines": grounded(varied(1)[0] + "སྒྲུབ་ཆེན་" * 20 + varied(2)[1]),
    "a paragraph longer than an n-gram guard looks back": "".join(
        grounded("".join(varied(3)), top=90 + 100 * k) for k in range(5)
    ),
    "rows of a table": grounded(rows(60), "table"),
    "cells of a row": grounded(rows(1, "<td>ལེའུ།</td>" * 120), "table"),
    "a formula": grounded(r"\[ " + r"\quad a_{1} + " * 40 + r"\]", "formula"),
}


@pytest.mark.parametrize("answer", LOOPS.values(), ids=LOOPS)
def test_an_answer_that_goes_round_in_a_circle_is_repetition(answer: str) -> None:
    sheet = page("bo")
    expect(judged(sheet, sheet.answer() + "\n\n" + answer), Reason.REPETITION)


@pytest.mark.parametrize("unit", ["༠ ", "7. ", "...", "བཀྲ་ཤིས་བདེ་ལེགས། ", "".join(varied(6))])
def test_a_loop_at_the_end_of_an_answer_that_was_cut_off_is_why_it_was(unit: str) -> None:
    sheet = page("bo")
    answer = sheet.answer() + "\n\n" + grounded((unit * 20)[: 4 * len(unit) + 30])
    expect(judged(sheet, answer, truncated=True), Reason.REPETITION)
    expect(judged(sheet, sheet.answer() + "\n\n" + grounded("1. 2. 3."), truncated=True), Reason.TRUNCATED)


def test_a_tail_is_measured_to_the_character() -> None:
    assert tail_loop("start abc" + "12345" * 7 + "123", 24, 3) == ("45123", 38)
    assert tail_loop("start abc" + "12345" * 2 + "123", 13, 3) is None
    assert tail_loop("12345" * 4, 21, 3) is None
    assert tail_loop("", 24, 3) is None


def test_refrains_ditto_rows_and_matrices_are_no_loops() -> None:
    sheet = page("bo")
    refrain = "ཨོཾ་མ་ཎི་པདྨེ་ཧཱུྃ། " * 3
    poem = "".join(grounded(f"{line}\n{refrain}", top=100 + 50 * k) for k, line in enumerate(varied(12)))
    table = grounded(rows(9, "<td></td><td></td><td>༡</td><td>ཡིན།</td>"), "table")
    table += grounded(rows(5, f"<td>{varied(1)[0][:60]}</td>"), "table", top=950)
    matrix = grounded(r"\[ \begin{matrix} " + r"\cdots & " * 11 + r"\cdots \end{matrix} \]", "formula")
    assert judged(sheet, sheet.answer() + "\n\n" + poem + table + matrix).accepted


# Answers that are not whole


def test_an_answer_cut_off_at_the_token_limit_is_truncated_wherever_it_stops() -> None:
    sheet = page()
    answer = sheet.answer()
    for cut in range(len(answer) // 3, len(answer), 97):
        found = judged(sheet, answer[:cut], truncated=True, text_tokens=8192)
        expect(found, Reason.TRUNCATED, "stops after", "8192 tokens")


def test_markup_that_stops_halfway_was_cut_off_even_when_nobody_says_so() -> None:
    sheet = page()
    expect(judged(sheet, sheet.answer()[:-30]), Reason.TRUNCATED, "inside a block")
    table = Sheet("en")
    table.table()
    expect(judged(table, table.answer()[:-40]), Reason.TRUNCATED, "inside a block")


def test_an_answer_that_is_mostly_no_markup_is_broken_and_with_a_little_of_it_a_person_looks() -> None:
    sheet = page(paragraphs=9)
    answer = sheet.answer()
    blocks = answer.count("<|det|>")
    expect(judged(sheet, answer.replace("]]", "]", 8)), Reason.BROKEN_MARKUP, "8 bad_box", f"{blocks - 8} regions")
    expect(judged(sheet, answer.replace("]]", "]", 2)), Reason.BROKEN_MARKUP, outcome=Outcome.REVIEW)
    assert judged(sheet, answer + "\n\n" + grounded("དཔེ", "stamp")).accepted


def test_an_answer_with_no_sound_block_at_all_is_broken_markup() -> None:
    sheet = page()
    nothing = PageReading(Label(Kind.FINE, "x", 595, 842, ()), flaws=(Fault.BAD_HEAD, Fault.UNGROUNDED))
    expect(GATE.judge_reading(nothing, sheet.facts, "en"), Reason.BROKEN_MARKUP, "1 bad_head, 1 ungrounded")
    expect(GATE.judge_reading(replace(nothing, flaws=()), sheet.facts, "en"), Reason.NO_LINES)


def test_a_page_that_is_one_malformed_table_is_broken_markup() -> None:
    sheet = Sheet("en")
    sheet.table()
    answer = sheet.answer().replace("<tr>", "", 1)
    expect(judged(sheet, answer), Reason.BROKEN_MARKUP, "1 bad_table")


# Boxes


def in_pixels(sheet: Sheet, boxes: int = 1000) -> str:
    """The answer with its first boxes in pixels of a larger image."""
    parts = sheet.answer().split("<|det|>")
    moved = [part.replace("[[", "[[1240, ").replace(", ", ", 1754, ", 1) for part in parts[1 : 1 + boxes]]
    fixed = ["[[20, 30, 1240, 1754]]" + part[part.index("<|/det|>") :] for part in moved]
    return "<|det|>".join([parts[0], *fixed, *parts[1 + boxes :]])


def test_boxes_in_pixels_leave_the_page() -> None:
    sheet = page()
    expect(judged(sheet, in_pixels(sheet)), Reason.BOX_OUTSIDE_PAGE, "7 of 7 boxes")


def test_one_box_of_many_beyond_the_page_is_looked_at_unless_something_worse_is_wrong() -> None:
    sheet = page(paragraphs=12)
    answer = in_pixels(sheet, 1)
    expect(judged(sheet, answer), Reason.BOX_OUTSIDE_PAGE, "1 of", outcome=Outcome.REVIEW)
    found = GATE.judge_reading(sheet.reading(answer), sheet.facts, "bo")
    expect(found, Reason.WRONG_SCRIPT)


def test_a_box_that_ends_at_the_very_edge_is_in_order() -> None:
    sheet = page()
    assert judged(sheet, sheet.answer() + "\n\n" + grounded("7", top=980).replace("999", "1000")).accepted


# Pages that no one read


@pytest.mark.parametrize("flaw", ["refused", "unanswered"])
def test_a_page_that_the_server_would_not_read_says_so(flaw: str) -> None:
    sheet = page()
    nothing = PageReading(Label(Kind.FINE, "endpoint", 595, 842, ()), flaws=(flaw,))
    expect(GATE.judge_reading(nothing, sheet.facts, "en"), Reason.READER_REFUSED, "server")
    assert GATE.judge_reading(nothing, Sheet().facts, "en").reason is Reason.BLANK


def test_of_several_reasons_the_most_certain_is_given() -> None:
    loop = LOOPS["a phrase in a paragraph without lines"]
    expect(judged(Sheet("bo"), loop, truncated=True, recited=True), Reason.TEXT_WITHOUT_INK)
    sheet = page("bo")
    expect(judged(sheet, loop, truncated=True, recited=True), Reason.RECITED)
    expect(judged(sheet, loop, truncated=True), Reason.REPETITION)
    low = tuple(Line("abc abc abc", Box(0, 0, 9, 9), 0.3) for _ in range(3))
    unsure = PageReading(Label(Kind.FINE, "x", 595, 842, (Region("text", Box(0, 0, 9, 9), low),)))
    expect(GATE.judge_reading(unsure, sheet.facts, "bo"), Reason.WRONG_SCRIPT)
    expect(GATE.judge_reading(unsure, sheet.facts, "en"), Reason.LOW_CONFIDENCE)


def test_a_page_in_no_declared_language_is_held_to_the_scripts_that_its_reader_was_made_for() -> None:
    sheet = page("bo")
    expect(
        GATE.judge_reading(sheet.reading(), sheet.facts, None, ["Latn", "Hani"]),
        Reason.WRONG_SCRIPT,
        "are Hani/Latn",
    )
    for scripts in (["Tibt"], []):
        assert GATE.judge_reading(sheet.reading(), sheet.facts, None, scripts).accepted
    assert GATE.judge_reading(sheet.reading(), sheet.facts, "bo", ["Latn"]).accepted


# Ink that the reading does not account for


def with_shares(read: PageReading, *, area: float = 20_000.0, **shares: float) -> PageReading:
    given = {"text": 0.95, "unread": 0.05, "drawn": 0.0, "text_area": 0.3, "drawn_area": 0.0, **shares}
    return replace(read, ink=ReadInk(area=area, **given))


def test_a_page_of_which_a_large_part_of_the_letters_was_not_read_is_rejected_and_a_smaller_part_looked_at() -> (
    None
):
    sheet = page()

    def judge(unread: float, area: float = 20_000.0) -> Verdict:
        read = with_shares(sheet.reading(), area=area, text=1 - unread, unread=unread)
        return GATE.judge_reading(read, sheet.facts, "en")

    expect(judge(0.76), Reason.INK_WITHOUT_TEXT, "76% of the letters' ink was not read")
    expect(judge(0.35), Reason.INK_WITHOUT_TEXT, outcome=Outcome.REVIEW)
    assert judge(0.2).accepted
    assert judge(0.76, area=120).accepted  # specks beside a page number


def test_a_page_that_is_mostly_a_picture_is_no_text_whatever_was_read_into_it() -> None:
    sheet = page(paragraphs=0)
    drawn = {"text": 0.02, "unread": 0.0, "drawn": 0.98, "text_area": 0.01, "drawn_area": 0.4}
    found = GATE.judge_reading(with_shares(sheet.reading(), **drawn), sheet.facts, "en")
    expect(found, Reason.PICTURE, "98% of the ink is larger than letters", "characters beside it")
    nothing = PageReading(Label(Kind.FINE, "x", 595, 842, (Region("picture", Box(80, 80, 500, 700)),)))
    read = with_shares(nothing, **{**drawn, "text_area": 0.0})
    expect(GATE.judge_reading(read, sheet.facts, "en"), Reason.PICTURE, "0 characters beside it")


def test_a_page_of_text_with_a_large_figure_is_text() -> None:
    sheet = page()
    figure = {"text": 0.15, "unread": 0.0, "drawn": 0.85, "text_area": 0.12, "drawn_area": 0.5}
    assert GATE.judge_reading(with_shares(sheet.reading(), **figure), sheet.facts, "en").accepted


def test_a_letter_or_two_that_take_much_ink_are_looked_at() -> None:
    sheet = Sheet("en")
    sheet.region("title", [sheet.line("1")])
    facts = replace(sheet.facts, ink=0.05)
    large = GATE.judge_reading(with_shares(sheet.reading(), area=2500.0), facts, "en")
    expect(large, Reason.PICTURE, "1 characters for 2500 square points", outcome=Outcome.REVIEW)
    assert GATE.judge_reading(with_shares(sheet.reading(), area=60.0), facts, "en").accepted


def with_confidences(sheet: Sheet, *confidences: float) -> PageReading:
    """The perfect reading, its lines with these confidences in turn."""
    read = sheet.reading()
    count = itertools.count()
    regions = tuple(
        replace(
            region,
            lines=tuple(
                replace(line, confidence=confidences[next(count) % len(confidences)]) for line in region.lines
            ),
        )
        for region in read.label.regions
    )
    return replace(read, label=replace(read.label, regions=regions))


def test_unsure_lines_are_looked_at_whatever_the_mean_says() -> None:
    sheet = page()
    expect(
        GATE.judge_reading(with_confidences(sheet, 0.99, 0.99, 0.3), sheet.facts, "en"),
        Reason.LOW_CONFIDENCE,
        "on lines of a confidence below 0.5",
        outcome=Outcome.REVIEW,
    )
    expect(
        GATE.judge_reading(with_confidences(sheet, 0.74, 0.74, 0.99), sheet.facts, "en"),
        Reason.LOW_CONFIDENCE,
        "on lines of a confidence below 0.75",
        outcome=Outcome.REVIEW,
    )
    assert GATE.judge_reading(with_confidences(sheet, 0.99, 0.99, 0.7), sheet.facts, "en").accepted
