"""Grounded markdown: written exactly, read back tolerantly."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.document import Box, Kind, Label, Line, Region
from flywheel.markup import CATEGORIES, Fault, MarkupError, coarse, fine, parse

WIDTH, HEIGHT = 595.0, 842.0

steady = settings(derandomize=True, database=None, deadline=None, max_examples=150)
texts = st.lists(
    st.text(st.sampled_from(string.ascii_letters + " #<|>\\/[]ref0912།་ཀིོ文字"), max_size=30), max_size=4
)


@st.composite
def regions(draw: st.DrawFn) -> Region:
    xs = sorted(draw(st.tuples(*[st.floats(0, WIDTH)] * 2)))
    ys = sorted(draw(st.tuples(*[st.floats(0, HEIGHT)] * 2)))
    box = Box(xs[0], ys[0], xs[1], ys[1])
    lines = tuple(Line(text, box) for text in draw(texts))
    return Region(draw(st.sampled_from(sorted(CATEGORIES))), box, lines)


def label(*parts: Region) -> Label:
    return Label(Kind.FINE, "test", WIDTH, HEIGHT, parts)


def said(parts: tuple[Region, ...]) -> list[tuple[str, tuple[int, ...], str]]:
    return [(r.category, r.box.bins(WIDTH, HEIGHT), r.text.strip("\n")) for r in parts]


@steady
@given(st.lists(regions(), max_size=5))
def test_what_is_written_is_read_back_with_the_same_categories_bins_and_texts(parts):
    reading = parse(fine(label(*parts)), WIDTH, HEIGHT)
    assert said(reading.regions) == said(tuple(parts))
    assert reading.flaws == ()


@steady
@given(st.lists(regions(), min_size=1, max_size=4), st.data())
def test_a_cut_off_answer_keeps_every_region_before_the_cut(parts, data):
    markup = fine(label(*parts))
    cut = data.draw(st.integers(0, len(markup)))
    try:
        reading = parse(markup[:cut], WIDTH, HEIGHT)
    except MarkupError:
        assert "<|/det|>" not in markup[:cut]
        return
    whole = said(tuple(parts))
    got = said(reading.regions)
    assert got[:-1] == whole[: max(0, len(got) - 1)]
    assert len(reading.flaws) <= 1


@steady
@given(st.text(st.sampled_from('<|ref/det>[]{}0123456789,.-eEna "\n#'), max_size=120), st.booleans())
def test_noise_never_raises_anything_but_a_markup_error(noise, grounded):
    head = "<|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\nsound\n\n" if grounded else ""
    try:
        reading = parse(head + noise, WIDTH, HEIGHT)
    except MarkupError:
        assert not grounded
    else:
        assert not grounded or reading.regions[0].text.startswith("sound")


def test_the_written_form_is_exactly_the_one_of_the_paper():
    title = Region("title", Box(59.5, 84.2, 297.5, 126.3), (Line("ༀ", Box(0, 0, 1, 1)),))
    body = Region("text", Box(0, 421, 595, 842), (Line("one", Box(0, 0, 1, 1)), Line("two", Box(0, 0, 1, 1))))
    picture = Region("picture", Box(0, 0, 59.5, 84.2))
    assert fine(label(title, body, picture)) == (
        "<|ref|>title<|/ref|><|det|>[[100, 100, 500, 150]]<|/det|>\n# ༀ\n\n"
        "<|ref|>text<|/ref|><|det|>[[0, 500, 999, 999]]<|/det|>\none\ntwo\n\n"
        "<|ref|>picture<|/ref|><|det|>[[0, 0, 100, 100]]<|/det|>"
    )
    assert coarse(label(title, body, picture)) == "ༀ\n\none\ntwo"


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ("<|ref|>text<|/ref|><|det|>[[1, 2, 3", Fault.TRUNCATED),
        ("<|ref|>te", Fault.TRUNCATED),
        ("<|ref|>text<|/ref|>\nno box", Fault.BAD_HEAD),
        ("<|ref|>text<|/ref|><|det|>[[1, 2, 3]]<|/det|>\nx", Fault.BAD_BOX),
        ("<|ref|>text<|/ref|><|det|>[[1, 2, 3, 1000]]<|/det|>\nx", Fault.BAD_BOX),
        ("<|ref|>text<|/ref|><|det|>[[9, 2, 3, 4]]<|/det|>\nx", Fault.BAD_BOX),
        ("<|ref|>text<|/ref|><|det|>[[NaN, 2, 3, 4]]<|/det|>\nx", Fault.BAD_BOX),
        ("<|ref|>text<|/ref|><|det|>" + "[" * 100_000 + "<|/det|>\nx", Fault.BAD_BOX),
    ],
)
def test_an_unsound_block_is_recorded_and_its_neighbour_is_kept(block, fault):
    sound = "<|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\nkept\n\n"
    reading = parse(sound + block, WIDTH, HEIGHT)
    assert [r.text for r in reading.regions] == ["kept"]
    assert [(f.fault, f.position) for f in reading.flaws] == [(fault, len(sound))]
    with pytest.raises(MarkupError, match=fault.value):
        parse(block, WIDTH, HEIGHT)


def test_names_that_other_readers_use_become_ours_and_unknown_ones_become_text():
    head = "<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\nx\n"
    reading = parse(f"<|ref|>sub_title{head}<|ref|>Image{head}<|ref|>seal{head}", WIDTH, HEIGHT)
    assert [r.category for r in reading.regions] == ["title", "picture", "text"]
    assert [f.fault for f in reading.flaws] == [Fault.UNKNOWN_CATEGORY]


def test_several_boxes_of_one_region_become_the_box_around_them():
    reading = parse("<|ref|>text<|/ref|><|det|>[[10, 20, 30, 40], [5, 30, 20, 90]]<|/det|>\nx", WIDTH, HEIGHT)
    assert reading.regions[0].box.bins(WIDTH, HEIGHT) == (5, 20, 30, 90)


def test_an_empty_answer_is_an_empty_page_and_plain_text_is_not_markup():
    assert parse("", WIDTH, HEIGHT).regions == ()
    with pytest.raises(MarkupError, match="ungrounded"):
        parse("just words", WIDTH, HEIGHT)


def test_a_page_without_size_cannot_be_written():
    with pytest.raises(MarkupError):
        fine(Label(Kind.FINE, "test", 0.0, 842.0, ()))
    with pytest.raises(MarkupError, match="seal"):
        fine(label(Region("seal", Box(0, 0, 1, 1))))
