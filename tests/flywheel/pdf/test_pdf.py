"""The PDF sandbox: what it reads, and what it refuses and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flywheel.document import Box
from flywheel.errors import Rejected
from flywheel.pdf import Limits, PageFailure, PageImage, PageText, Sandbox
from flywheel.reasons import Reason
from tests.flywheel import draw
from tests.flywheel.pdf_pages import only, saved, texts


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


# What it reads


def test_every_line_of_a_drawn_page_comes_back_in_order_with_its_box(sandbox: Sandbox, tmp_path: Path) -> None:
    truth = draw.latin_pdf(tmp_path / "a.pdf", pages=2)
    pages = list(sandbox.text(tmp_path / "a.pdf", range(2), layout=False))
    for page, lines in zip(pages, truth, strict=True):
        assert isinstance(page, PageText)
        found = [line for region in page.regions for line in region.lines]
        assert [line.text.strip() for line in found] == lines
        for k, line in enumerate(found):
            assert line.box.contains(62, 60 + k * 16.5 - 3)
            assert line.box.height < 12  # of the outlines, not of the font
        assert page.facts.fonts == ("Helvetica",)
        assert page.facts.scripts == {"Latn": page.facts.characters}


def test_two_columns_are_read_one_after_the_other(sandbox: Sandbox, tmp_path: Path) -> None:
    def columns(book: draw.FPDF) -> None:
        book.text(60, 60, "a heading across the whole page of two columns")
        for k in range(12):
            book.text(60, 110 + 15 * k, f"left {k} and some words")
            book.text(330, 110 + 15 * k, f"right {k} and some words")

    path = draw.book_of(tmp_path / "a.pdf", columns)
    for layout in (False, True):
        (page,) = sandbox.text(path, [0], layout=layout)
        assert isinstance(page, PageText)
        first = [line.text.split()[0] for region in page.regions for line in region.lines]
        assert first == ["a"] + ["left"] * 12 + ["right"] * 12


def test_boxes_and_origins_are_those_of_the_page_as_shown(sandbox: Sandbox, tmp_path: Path) -> None:
    path = saved(tmp_path, draw.small_pdf(draw.HELLO, box=b"50 50 350 250", more=b"/Rotate 90"))
    (page,) = sandbox.text(path, [0], layout=False)
    (image,) = sandbox.render(path, [0], dpi=72)
    assert isinstance(page, PageText)
    assert isinstance(image, PageImage)
    assert (page.facts.width, page.facts.height, page.facts.rotation) == (200, 300, 90)
    rows, columns = np.nonzero(image.image < 128)
    drawn = Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    written = Box.around(line.box for region in page.regions for line in region.lines)
    assert drawn.intersection(written) > 0.8 * drawn.area
    for character in sandbox.characters(path, 0):
        assert drawn.x0 - 8 <= character.x <= drawn.x1 + 8
        assert drawn.y0 - 8 <= character.y <= drawn.y1 + 8


def test_characters_carry_their_line_and_their_origin_on_the_baseline(sandbox: Sandbox, tmp_path: Path) -> None:
    truth = draw.tibetan_pdf(tmp_path / "a.pdf", lines=5)
    characters = sandbox.characters(tmp_path / "a.pdf", 0)
    for k, line in enumerate(truth[0]):
        own = [c for c in characters if c.line == k]
        assert "".join(c.text for c in own) == line
        assert {round(c.y, 1) for c in own} == {round(80 + k * 16 * 2.4, 1)}


def test_a_rendering_is_gray_at_the_resolution_asked_for(sandbox: Sandbox, tmp_path: Path) -> None:
    draw.latin_pdf(tmp_path / "a.pdf")
    (image,) = sandbox.render(tmp_path / "a.pdf", [0], dpi=150)
    assert isinstance(image, PageImage)
    assert image.image.shape == (1754, 1241)
    assert image.dpi == 150
    assert image.image.dtype == np.uint8
    assert image.image.max() == 255


def test_a_giant_page_is_rendered_at_the_pixel_cap(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.small_pdf(draw.HELLO, box=b"0 0 14400 14400"))
    with Sandbox(Limits(pixel_limit=1_000_000)) as sandbox:
        (image,) = sandbox.render(path, [0], dpi=200)
    assert isinstance(image, PageImage)
    assert 0.9e6 < image.image.size <= 1_000_000
    assert image.dpi == pytest.approx(72 * image.image.shape[1] / 14400, rel=0.01)


@pytest.mark.parametrize(("form", "media"), [("PNG", "PNG"), ("JPEG", "JPEG"), ("TIFF", "TIFF")])
def test_an_image_file_is_a_page_that_is_an_image(sandbox: Sandbox, tmp_path: Path, form: str, media: str) -> None:
    path = saved(tmp_path, draw.encoded(draw.scan(), form, dpi=(100, 100)), "scan")
    facts = sandbox.inspect(path)
    assert (facts.pages, facts.is_pdf, facts.format) == (1, False, media)
    (page,) = sandbox.facts(path, [0])
    assert not isinstance(page, PageFailure)
    assert page.image_only
    assert not page.has_text
    assert page.ink > 0.05
    assert page.width == pytest.approx(620 * 0.72, rel=0.35)


def test_a_tiff_has_as_many_pages_as_images(sandbox: Sandbox, tmp_path: Path) -> None:
    data = draw.encoded(draw.scan(), "TIFF", save_all=True, append_images=[draw.scan(5), draw.scan(9)])
    path = saved(tmp_path, data, "scans.tif")
    assert sandbox.inspect(path).pages == 3
    images = list(sandbox.render(path, range(3), dpi=50))
    assert all(isinstance(image, PageImage) for image in images)


def test_an_owner_password_is_noted_and_the_file_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    book = draw.blank_book()
    book.set_encryption(owner_password="owner", permissions=0)
    book.add_page()
    book.set_font("Helvetica", size=12)
    book.text(60, 60, "locked but legible")
    book.output(str(tmp_path / "a.pdf"))
    assert sandbox.inspect(tmp_path / "a.pdf").owner_locked
    assert texts(list(sandbox.text(tmp_path / "a.pdf", [0], layout=False))) == ["locked but legible"]


def test_hostile_metadata_comes_out_clean_and_short(sandbox: Sandbox, tmp_path: Path) -> None:
    title = b"<feff" + ("a\x00b\u202ec" + "d" * 5000).encode("utf-16-be").hex().encode() + b"d800>"
    info = b"<</Title %s/Producer(\\000\\001x)>>" % title
    data = draw.pdf(
        [draw.CATALOGUE, draw.tree([4]), draw.HELVETICA, draw.page(5), draw.stream(draw.HELLO), info],
        trailer=b"/Info 6 0 R",
    )
    facts = sandbox.inspect(saved(tmp_path, data))
    for text in (facts.title, facts.producer):
        assert len(text) <= 300
        assert not set(text) & {"\x00", "\x01", "\u202e"}
        text.encode("utf-8")
    assert facts.title.startswith("abc")


# What it refuses


def encrypted_pdf() -> bytes:
    book = draw.blank_book()
    book.set_encryption(owner_password="owner", user_password="user")
    book.add_page()
    return bytes(book.output())


ZIP = b"PK\x03\x04" + bytes(60)
CYCLE = draw.pdf(
    [
        draw.CATALOGUE,
        draw.tree([4, 6], 3),
        draw.HELVETICA,
        draw.page(5),
        draw.stream(draw.HELLO),
        draw.tree([2], 2),
    ]
)

REFUSED = [
    ("empty", "a.pdf", b"", Reason.EMPTY_FILE),
    ("html", "a.pdf", b"<!DOCTYPE html><html><body>hello</body></html>", Reason.NOT_PDF),
    ("svg", "a.pdf", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", Reason.NOT_PDF),
    ("markdown", "a.pdf", b"# A title\n\nand *text*\n", Reason.NOT_PDF),
    ("png", "a.pdf", draw.encoded(draw.scan(1), "PNG"), Reason.NOT_PDF),
    ("zip", "a.pdf", ZIP, Reason.NOT_PDF),
    ("zip by its own name", "a.docx", ZIP, Reason.UNSUPPORTED_TYPE),
    ("text", "a.txt", b"plain words", Reason.UNSUPPORTED_TYPE),
    ("garbage", "a.pdf", bytes(range(256)) * 20, Reason.PDF_UNREADABLE),
    ("garbage behind a header", "a.pdf", b"%PDF-1.7\n" + bytes(range(256)) * 20, Reason.PDF_UNREADABLE),
    ("header only", "a.pdf", b"%PDF-1.7\n", Reason.PDF_UNREADABLE),
    ("no pages", "a.pdf", draw.pdf([draw.CATALOGUE, draw.tree([])]), Reason.PDF_NO_PAGES),
    ("a million pages", "a.pdf", draw.small_pdf(draw.HELLO, count=1_000_000), Reason.PDF_BAD_PAGE_TREE),
    ("minus one page", "a.pdf", draw.small_pdf(draw.HELLO, count=-1), Reason.PDF_BAD_PAGE_TREE),
    ("one page too many", "a.pdf", draw.small_pdf(draw.HELLO, count=2), Reason.PDF_BAD_PAGE_TREE),
    ("a page tree in a circle", "a.pdf", CYCLE, Reason.PDF_BAD_PAGE_TREE),
    ("a user password", "a.pdf", encrypted_pdf(), Reason.PDF_ENCRYPTED),
    ("half a PNG", "a.png", draw.encoded(draw.scan(), "PNG")[:900], Reason.IMAGE_UNREADABLE),
    ("half a JPEG", "a.jpg", draw.encoded(draw.scan(), "JPEG")[:9000], Reason.IMAGE_UNREADABLE),
    ("a PNG of 60000 x 60000", "a.png", draw.png(60_000, 60_000, b"x"), Reason.IMAGE_LIMIT),
    ("a PNG of 25000 x 25000", "a.png", draw.png(25_000, 25_000, b"x"), Reason.IMAGE_LIMIT),
]


@pytest.mark.parametrize(
    ("name", "data", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_file_that_cannot_be_used_is_rejected_with_its_reason(
    sandbox: Sandbox, tmp_path: Path, name: str, data: bytes, reason: Reason
) -> None:
    with pytest.raises(Rejected) as caught:
        sandbox.inspect(saved(tmp_path, data, "blob"), name=name)
    assert caught.value.reason is reason


def test_a_page_of_a_billion_points_is_too_large(sandbox: Sandbox, tmp_path: Path) -> None:
    path = saved(tmp_path, draw.small_pdf(draw.HELLO, box=b"0 0 1000000000 1000000000"))
    assert only(sandbox.facts(path, [0])) is Reason.PAGE_TOO_LARGE
    assert only(sandbox.render(path, [0], 72)) is Reason.PAGE_TOO_LARGE


def test_an_image_beyond_the_limit_is_not_decoded(sandbox: Sandbox, tmp_path: Path) -> None:
    path = saved(tmp_path, draw.image_pdf(60_000, 60_000, b"short"))
    assert only(sandbox.facts(path, [0])) is Reason.IMAGE_LIMIT
    assert only(sandbox.render(path, [0], 72)) is Reason.IMAGE_LIMIT


def test_a_page_whose_content_object_is_missing_is_not_a_blank_page(sandbox: Sandbox, tmp_path: Path) -> None:
    data = draw.pdf([draw.CATALOGUE, draw.tree([4]), draw.HELVETICA, draw.page(99)])
    assert only(sandbox.text(saved(tmp_path, data), [0], layout=False)) is Reason.PAGE_CONTENT_MISSING


@pytest.mark.parametrize("share", [0.3, 0.62, 0.95])
def test_a_truncated_file_gives_its_whole_pages_and_says_of_the_rest_that_they_are_gone(
    sandbox: Sandbox, tmp_path: Path, share: float
) -> None:
    count = 40
    data = draw.small_pdf(*(b"BT /F 12 Tf 20 100 Td (page number %d) Tj ET" % k for k in range(count)))
    path = saved(tmp_path, data[: int(data.index(b"xref\n") * share)])
    facts = sandbox.inspect(path)
    assert facts.repaired
    assert facts.pages == count
    found = texts(list(sandbox.text(path, range(count), layout=False)))
    whole = [text for text in found if not isinstance(text, Reason)]
    assert whole == [f"page number {k}" for k in range(len(whole))]
    assert count * share - 3 <= len(whole) <= count * share
    assert set(found[len(whole) :]) == {Reason.PAGE_CONTENT_MISSING}


def test_a_page_whose_font_was_cut_off_is_not_shown_in_another(sandbox: Sandbox, tmp_path: Path) -> None:
    draw.latin_pdf(tmp_path / "whole.pdf", pages=5)  # fpdf2 writes fonts behind the pages
    data = (tmp_path / "whole.pdf").read_bytes()
    path = saved(tmp_path, data[: data.index(b"/BaseFont") - 20], "cut.pdf")
    found = texts(list(sandbox.text(path, range(5), layout=False)))
    assert found == [Reason.PAGE_CONTENT_MISSING] * 5


def test_a_page_number_beyond_the_end_fails_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    path = saved(tmp_path, draw.small_pdf(draw.HELLO))
    assert texts(list(sandbox.text(path, [0, 7], layout=False))) == ["hello paper", Reason.PAGE_UNREADABLE]


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", bytes(range(256)) * 20, draw.png(60_000, 60_000, b"x")])
def test_the_details_of_a_refusal_name_no_local_file(sandbox: Sandbox, tmp_path: Path, data: bytes) -> None:
    directory = tmp_path / "a store" / "sha256"
    directory.mkdir(parents=True)
    with pytest.raises(Rejected) as caught:
        sandbox.inspect(saved(directory, data, "blob"), name="a.png" if data.startswith(b"\x89PNG") else "a.pdf")
    assert not {"sha256", "store", str(tmp_path), tmp_path.name} & set(
        caught.value.detail.replace("/", " ").split()
    )
    assert str(tmp_path) not in caught.value.detail


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("Failed to open file '/srv/a store/ab'", "Failed to open the file"),
        ("cannot open /usr/share/fonts/x.ttf: no such file", "cannot open the file: no such file"),
        ("3/4 of 12 and /F1 is gone", "3/4 of 12 and /F1 is gone"),
    ],
)
def test_paths_go_and_other_slashes_stay(words: str, left: str) -> None:
    from flywheel.pdf.documents import without_paths

    assert without_paths(words, "/srv/a store/ab") == left
