"""Grounded markdown: written exactly, read back tolerantly."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.document import Box, Kind, Label, Line, Region
from flywheel.markup import (
    DROPPED,
    Fault,
    MarkupError,
    ParsedMarkup,
    coarse,
    fine,
    is_sound_table,
    parse,
    table_rows,
)
from tests.flywheel.markup.written import (
    HEIGHT,
    WIDTH,
    block,
    faults,
    html,
    label,
    pages,
    regions,
    said,
    steady,
    tolerant,
)


@steady
@given(pages)
def test_what_is_written_is_read_back_with_the_same_categories_bins_and_texts(parts: list[Region]) -> None:
    reading = parse(fine(label(*parts)), WIDTH, HEIGHT)
    assert said(reading.regions) == said(tuple(parts))
    assert set(faults(reading)) <= {Fault.EMPTY_BOX}
    assert all(region.box.area > 0 for region in reading.regions)


@steady
@given(st.lists(regions(), min_size=1, max_size=3), st.data())
def test_what_is_read_and_written_again_is_the_same(parts: list[Region], data: st.DataObject) -> None:
    markup = fine(label(*parts))
    once = tolerant(markup[data.draw(st.integers(0, len(markup))) :], None)
    again = parse(fine(label(*once.regions)), WIDTH, HEIGHT)
    assert said(again.regions) == said(once.regions)


@settings(steady, max_examples=25)
@given(st.lists(regions(), min_size=1, max_size=2, unique_by=lambda region: said((region,))[0][:2]))
def test_an_answer_cut_off_anywhere_keeps_all_before_the_cut_and_invents_nothing(parts: list[Region]) -> None:
    markup, whole = fine(label(*parts)), said(tuple(parts))
    for cut in range(len(markup)):
        reading = tolerant(markup[:cut])
        assert reading.regions or "<|/det|>" not in markup[:cut]
        got = said(reading.regions)
        assert got[:-1] == whole[: max(0, len(got) - 1)]
        if got:
            assert got[-1][:2] == whole[len(got) - 1][:2]
            if got[-1][0] == "table":
                told, true = table_rows(got[-1][2]), table_rows(whole[len(got) - 1][2])
                assert told == true[: len(told)]
                assert not told or is_sound_table(got[-1][2])
            elif got[-1][0] != "caption":
                # Cut inside, an escaped mark may keep its backslash.
                assert whole[len(got) - 1][2].startswith(re.sub(r"<\\*[|｜]?[a-z▁/]*[|｜]?\Z", "", got[-1][2]))
        assert not set(faults(reading)) & DROPPED
        assert all(0 <= flaw.position < cut for flaw in reading.flaws)


NOISE = [
    *"text title table caption <table> <tr> <td> </table> <｜end▁of▁sentence｜> <![ <center> #".split(),
    "\n",
    " ",
]
NOISE += ["9" * 400, "\x00", "\ud800"]


@steady
@given(
    st.lists(
        st.sampled_from(
            [*"<|ref|> <|/ref|> <|det|> <|/det|> [[1,2,3,4]] [0,0,0,0] [ ] , 1e400 -7 NaN".split(), *NOISE]
        )
        | st.text(max_size=3),
        max_size=20,
    ).map("".join),
    st.booleans(),
    st.sampled_from([None, True, False]),
)
def test_noise_never_raises_anything_but_a_markup_error(noise: str, grounded: bool, lines: bool | None) -> None:
    markup = (block("sound") if grounded else "") + noise
    reading = tolerant(markup, lines)
    assert bool(reading.regions or reading.flaws) >= bool(re.sub(r"<[|｜].*?[|｜]>", "", markup).strip())
    assert not grounded or reading.regions[0].text.startswith("sound")
    assert all(0 <= flaw.position < len(markup) for flaw in reading.flaws)
    assert all(flaw.excerpt == markup[flaw.position :][:80] for flaw in reading.flaws)
    for region, spans in zip(reading.regions, reading.spans, strict=True):
        assert 0 <= region.box.x0 < region.box.x1 <= WIDTH
        assert 0 <= region.box.y0 < region.box.y1 <= HEIGHT
        assert len(region.lines) == len(spans)
        assert all(0 <= first <= last <= len(markup) for first, last in spans)


@steady
@given(pages.filter(bool), st.data())
def test_a_changed_character_costs_one_region_at_most(parts: list[Region], data: st.DataObject) -> None:
    markup = fine(label(*parts))
    place = data.draw(st.integers(0, len(markup) - 1))
    changed = markup[:place] + data.draw(st.sampled_from("<|>[],9a\n")) + markup[place + 1 :]
    reading = tolerant(changed)
    missing = [part for part in said(tuple(parts)) if part not in said(reading.regions)]
    assert len(missing) <= 2  # a head that is gone leaves its text with the region before
    assert len(reading.regions) >= len(parts) - 1


@pytest.mark.parametrize(
    "unit",
    [
        "<|ref|>",
        "<|ref|>text<|/ref|><|det|>",
        "<|ref|>text<|/ref|><|det|>[[1,2,3,4]]<|/det|>",
        "<|ref|>table<|/ref|><|det|>[[1,2,3,4]]<|/det|><table><tr>",
        "<｜",
        "<\\",
        "[",
        "9",
        "<td ",
        "<td a='",
        "<table><tr><td>",
        "<![",
        "<!--",
        "&",
        " \n",
        "<center>",
        "<|det|>",
    ],
)
def test_no_long_answer_takes_more_than_its_length(unit: str) -> None:
    head = "<|ref|>table<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\n"
    for start in ("", head + "<table><tr><td>", head[:-7]):
        # A quarter of a megabyte takes 0.03-0.2 s on a free core; what is quadratic takes minutes.
        markup = start + unit * (250_000 // len(unit))
        before = time.process_time()
        tolerant(markup, None)
        assert time.process_time() - before < 2


def test_the_written_form_is_exactly_the_one_of_the_paper() -> None:
    title = Region("title", Box(59.5, 84.2, 297.5, 126.3), (Line("ༀ", Box(0, 0, 1, 1)),))
    body = Region("text", Box(0, 421, 595, 842), (Line("one", Box(0, 0, 1, 1)), Line("two", Box(0, 0, 1, 1))))
    picture = Region("picture", Box(0, 0, 59.5, 84.2))
    assert fine(label(title, body, picture)) == (
        "<|ref|>title<|/ref|><|det|>[[100, 100, 500, 150]]<|/det|>\n# ༀ\n\n"
        "<|ref|>text<|/ref|><|det|>[[0, 500, 999, 999]]<|/det|>\none\ntwo\n\n"
        "<|ref|>image<|/ref|><|det|>[[0, 0, 100, 100]]<|/det|>"
    )
    assert coarse(label(title, body, picture)) == "ༀ\n\none\ntwo"


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("<|ref|>text<|/ref|><|det|>[[1, 2, 3", Fault.TRUNCATED),
        ("<|ref|>te", Fault.TRUNCATED),
        ("<|ref|>text<|/ref|>\nno box", Fault.BAD_HEAD),
        (block("x", box="[[1, 2, 3]]"), Fault.BAD_BOX),
        (block("x", box="[[9, 2, 3, 4]]"), Fault.BAD_BOX),
        (block("x", box="[[NaN, 2, 3, 4]]"), Fault.BAD_BOX),
        (block("x", box="[[1, 2, 1e400, 4]]"), Fault.BAD_BOX),
        (block("x", box="[[true, 2, 3, 4]]"), Fault.BAD_BOX),
        (block("x", box="[[1, 2, 3, 4], 5]"), Fault.BAD_BOX),
        (block("x", box="{}"), Fault.BAD_BOX),
        (block("x", box="[]"), Fault.BAD_BOX),
        (block("x", box="[" * 15_000), Fault.BAD_BOX),
        (block("x", box="9" * 5000), Fault.BAD_BOX),
        (block("kept", box="[[1, 2, 3, 4]]"), Fault.DUPLICATE),
    ],
)
def test_an_unsound_block_is_recorded_and_its_neighbour_is_kept(bad: str, fault: Fault) -> None:
    sound = block("kept", box="[[1, 2, 3, 4]]")
    reading = parse(sound + bad, WIDTH, HEIGHT)
    assert [r.text for r in reading.regions] == ["kept"]
    assert [(f.fault, f.position) for f in reading.flaws] == [(fault, len(sound))]
    if fault is not Fault.DUPLICATE:
        with pytest.raises(MarkupError, match=fault.value) as raised:
            parse(bad, WIDTH, HEIGHT)
        assert [flaw.fault for flaw in raised.value.flaws] == [fault]


@pytest.mark.parametrize(
    ("box", "fault", "bins"),
    [
        ("[[900, 20, 1000, 40]]", Fault.OVER_EDGE, (900, 20, 999, 40)),
        ("[[-3, 20, 500, 1009]]", Fault.OVER_EDGE, (0, 20, 500, 999)),
        ("[[900, 20, 1240, 1754]]", Fault.OUT_OF_PAGE, (900, 20, 999, 999)),
        ("[[-80, 20, 500, 40]]", Fault.OUT_OF_PAGE, (0, 20, 500, 40)),
        (f"[[1, 2, {'9' * 3000}, 4]]", Fault.OUT_OF_PAGE, (1, 2, 999, 4)),
        ("[[0, 0, 0, 0]]", Fault.EMPTY_BOX, (0, 0, 0, 0)),
        ("[[7, 20, 7, 40]]", Fault.EMPTY_BOX, (7, 20, 7, 40)),
    ],
)
def test_a_box_beyond_the_page_or_without_area_keeps_its_text_and_is_recorded(
    box: str, fault: Fault, bins: tuple[int, ...]
) -> None:
    reading = parse(block("kept", box=box), WIDTH, HEIGHT)
    [region] = reading.regions
    assert (region.text, region.box.bins(WIDTH, HEIGHT)) == ("kept", bins)
    assert faults(reading) == [fault]
    assert region.box.area > 0


def test_a_mark_inside_a_text_is_taken_out_and_recorded() -> None:
    reading = parse(block("one <|det|>two<|/ref|> three"), WIDTH, HEIGHT)
    assert reading.regions[0].text == "one two three"
    assert faults(reading) == [Fault.STRAY_MARK]


@pytest.mark.parametrize("mark", ["<|r", "<|", "<|ref|", "<｜end▁of"])
def test_a_mark_that_the_end_cuts_in_two_is_no_text(mark: str) -> None:
    reading = parse(block("one").strip() + mark, WIDTH, HEIGHT)
    assert reading.regions[0].text == "one"
    assert faults(reading) == [Fault.TRUNCATED]


def test_end_of_sentence_tokens_are_no_text() -> None:
    end = "<｜end▁of▁sentence｜>"
    markup = f"{end}{block('# བོད', 'title')}{block(f'one{end}')}{block('two')}{end}<|im_end|>"
    reading = parse(markup, WIDTH, HEIGHT)
    assert [region.text for region in reading.regions] == ["བོད", "one", "two"]
    assert reading.flaws == ()
    assert parse(end, WIDTH, HEIGHT) == ParsedMarkup(())


ANSWER = (
    "<|ref|>title<|/ref|><|det|>[[115, 70, 880, 98]]<|/det|>\n# On wheels  \n\n"
    "<|ref|>sub_title<|/ref|><|det|>[[115, 110, 280, 130]]<|/det|>\n## 2.1 Terms  \n\n"
    "<|ref|>image<|/ref|><|det|>[[115, 140, 880, 300]]<|/det|>\n"
    "<|ref|>image_caption<|/ref|><|det|>[[115, 305, 880, 330]]<|/det|>\n"
    "<center>Figure 1: a wheel. </center>  \n\n"
    "<|ref|>equation<|/ref|><|det|>[[0, 0, 0, 0]]<|/det|>\n"
    "\\[\n\\begin{bmatrix} 1 & 2 \\\\ 3 & 4 \\end{bmatrix}\n\\]\n\n"
    "<|ref|>table<|/ref|><|det|>[[115, 618, 881, 701]]<|/det|>\n\n"
    '<table><tr><td colspan="2">Term</td></tr><tr><td>a &lt; b</td><td>x<br>y</td></tr></table>\n\n'
    "<|ref|>table_footnote<|/ref|><|det|>[[115, 707, 333, 721]]<|/det|>\nTable 2.1 \n\n"
    "<|ref|>page_number<|/ref|><|det|>[490, 950, 510, 970]<|/det|>\n7\n<｜end▁of▁sentence｜>"
)


def test_an_answer_of_deepseek_ocr_becomes_regions_of_ours() -> None:
    reading = parse(ANSWER, WIDTH, HEIGHT)
    assert [(region.category, region.text) for region in reading.regions] == [
        ("title", "On wheels"),
        ("title", "2.1 Terms"),
        ("picture", ""),
        ("caption", "Figure 1: a wheel."),
        ("formula", "\\[\n\\begin{bmatrix} 1 & 2 \\\\ 3 & 4 \\end{bmatrix}\n\\]"),
        (
            "table",
            '<table><tr><td colspan="2">Term</td></tr><tr><td>a &lt; b</td><td>x<br>y</td></tr></table>',
        ),
        ("footnote", "Table 2.1"),
        ("footer", "7"),
    ]
    assert faults(reading) == [Fault.EMPTY_BOX]
    assert table_rows(reading.regions[5].text) == [["Term"], ["a < b", "x y"]]


def test_a_line_says_where_in_the_markup_it_stands() -> None:
    reading = parse(ANSWER, WIDTH, HEIGHT)
    for region, spans in zip(reading.regions, reading.spans, strict=True):
        assert [ANSWER[first:last] for first, last in spans] == [line.text for line in region.lines]


def test_names_that_other_readers_use_become_ours_and_unknown_ones_become_text() -> None:
    markup = block("x", "sub_title") + block("x", "Image") + block("x", "stamp")
    reading = parse(markup, WIDTH, HEIGHT)
    assert [r.category for r in reading.regions] == ["title", "picture", "text"]
    assert faults(reading) == [Fault.UNKNOWN_CATEGORY]


def test_several_boxes_of_one_region_become_the_box_around_them() -> None:
    reading = parse(block("x", box="[[10, 20, 30, 40], [5, 30, 20, 90]]"), WIDTH, HEIGHT)
    assert reading.regions[0].box.bins(WIDTH, HEIGHT) == (5, 20, 30, 90)


def test_an_empty_answer_is_an_empty_page_and_plain_text_is_not_markup() -> None:
    assert parse("", WIDTH, HEIGHT).regions == ()
    with pytest.raises(MarkupError, match="ungrounded"):
        parse("just words", WIDTH, HEIGHT)


def test_a_page_without_size_cannot_be_written() -> None:
    with pytest.raises(MarkupError):
        fine(Label(Kind.FINE, "test", 0.0, 842.0, ()))
    with pytest.raises(MarkupError, match="stamp"):
        fine(label(Region("stamp", Box(0, 0, 1, 1))))


def line(words: str, *boxes: list[int]) -> str:
    return f"<|ref|>{words}<|/ref|><|det|>{json.dumps(boxes)}<|/det|>\n"


def test_words_between_the_marks_are_lines_with_boxes_of_their_own() -> None:
    markup = (
        line("བོད་ཡིག་ 1", [100, 100, 500, 140]) + line("a < b", [100, 150, 480, 190]) + line("text", [9, 9, 99, 99])
    )
    reading = parse(markup, WIDTH, HEIGHT)
    [region] = reading.regions
    assert region.category == "text"
    assert [(x.text, x.box.bins(WIDTH, HEIGHT)) for x in region.lines] == [
        ("བོད་ཡིག་ 1", (100, 100, 500, 140)),
        ("a < b", (100, 150, 480, 190)),
        ("text", (9, 9, 99, 99)),
    ]
    assert region.box.bins(WIDTH, HEIGHT) == (9, 9, 500, 190)
    assert reading.flaws == ()
    assert [markup[first:last] for first, last in reading.spans[0]] == ["བོད་ཡིག་ 1", "a < b", "text"]


def test_words_with_several_boxes_stand_in_each_of_them() -> None:
    reading = parse(line("12 kg", [10, 10, 50, 20], [10, 30, 50, 40]), WIDTH, HEIGHT)
    assert [(x.text, x.box.bins(WIDTH, HEIGHT)[1]) for x in reading.regions[0].lines] == [
        ("12 kg", 10),
        ("12 kg", 30),
    ]


def test_words_in_small_letters_are_lines_only_when_that_is_known() -> None:
    markup = line("stamp", [1, 2, 30, 40])
    reading = parse(markup, WIDTH, HEIGHT)
    assert (reading.regions[0].lines, faults(reading)) == ((), [Fault.UNKNOWN_CATEGORY])
    assert parse(markup, WIDTH, HEIGHT, lines=True).regions[0].text == "stamp"
    assert parse(line("Two words", [1, 2, 30, 40]), WIDTH, HEIGHT, lines=False).regions[0].text == ""


def test_pictures_without_text_do_not_make_a_page_of_lines() -> None:
    markup = line("image", [1, 2, 30, 40]) + line("chart", [50, 2, 80, 40]) + block("# x", "title")
    assert [region.category for region in parse(markup, WIDTH, HEIGHT).regions] == ["picture", "picture", "title"]


def test_lines_around_a_table_are_regions_of_their_own_and_loose_text_is_recorded() -> None:
    table = html([["a", "b"]])
    before = line("One line", [1, 1, 90, 9]) + block(table, "table")
    after = line("Two", [1, 500, 90, 509]) + "loose\n" + line("Three", [1, 600, 90, 609])
    reading = parse(before + after, WIDTH, HEIGHT, lines=True)
    assert [(r.category, r.text) for r in reading.regions] == [
        ("text", "One line"),
        ("table", table),
        ("text", "Two\nThree"),
    ]
    assert faults(reading) == [Fault.UNGROUNDED]
