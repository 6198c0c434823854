"""The PDF sandbox: what it reads, what it refuses and why, and what it survives."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flywheel.document import Box
from flywheel.errors import Rejected
from flywheel.pdf import Limits, PageFailure, PageImage, PageText, Sandbox
from flywheel.pdf.frames import HEADER, Lost, receive, send
from flywheel.reasons import Reason
from tests.flywheel import draw

SHORT = Limits(page_seconds=2.5)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


def saved(directory: Path, data: bytes, name: str = "a.pdf") -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def texts(pages: list[PageText | PageFailure]) -> list[str | Reason]:
    return [
        page.reason if isinstance(page, PageFailure) else " ".join(r.text for r in page.regions) for page in pages
    ]


def alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


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


def test_the_layout_model_keeps_every_line_of_the_page(sandbox: Sandbox, tmp_path: Path) -> None:
    truth = draw.tibetan_pdf(tmp_path / "a.pdf", pages=2)
    for page, lines in zip(sandbox.text(tmp_path / "a.pdf", range(2), layout=True), truth, strict=True):
        assert isinstance(page, PageText)
        assert page.layout
        assert [line.text for region in page.regions for line in region.lines] == lines


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


def only(pages: Iterator[object]) -> Reason:
    """The reason of the one page that failed."""
    (failure,) = [page for page in pages if isinstance(page, PageFailure)]
    return failure.reason


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


# What it survives


def test_a_page_that_hangs_mupdf_times_out_and_its_neighbours_are_read(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.nested_forms())
    with Sandbox(SHORT) as sandbox:
        started = time.monotonic()
        found = texts(list(sandbox.text(path, range(3), layout=False)))
        assert found == ["hello paper", Reason.PAGE_TIMEOUT, "hello paper"]
        assert time.monotonic() - started < 15


def test_a_page_that_unpacks_twice_to_hundreds_of_megabytes_times_out(tmp_path: Path) -> None:
    data = draw.double_flate()
    assert len(data) < 4_000
    with Sandbox(SHORT) as sandbox:
        found = texts(list(sandbox.text(saved(tmp_path, data), range(3), layout=False)))
    assert found[0] == found[2] == "hello paper"
    assert found[1] in (Reason.PAGE_TIMEOUT, Reason.PAGE_MEMORY)


def test_a_page_that_crashes_mupdf_fails_alone(tmp_path: Path) -> None:
    draw.latin_pdf(tmp_path / "a.pdf", pages=4, lines=2)
    crashed: list[int] = []

    def crash(number: int, pid: int) -> None:
        if number == 2:
            crashed.append(pid)
            os.kill(pid, signal.SIGSEGV)

    with Sandbox(on_page=crash) as sandbox:
        pages = list(sandbox.text(tmp_path / "a.pdf", range(4), layout=False))
    assert [isinstance(page, PageText) for page in pages] == [True, True, False, True]
    assert isinstance(pages[2], PageFailure)
    assert pages[2].reason is Reason.PAGE_CRASHED
    assert "SIGSEGV" in pages[2].detail
    assert len(set(crashed)) >= 2  # tried again in a fresh child before the page was blamed


def test_a_child_killed_from_outside_costs_no_page(tmp_path: Path) -> None:
    draw.latin_pdf(tmp_path / "a.pdf", pages=5, lines=2)
    killed: list[int] = []

    def kill_once(number: int, pid: int) -> None:
        if number == 3 and not killed:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    with Sandbox(on_page=kill_once) as sandbox:
        pages = list(sandbox.text(tmp_path / "a.pdf", range(5), layout=False))
    assert killed
    assert all(isinstance(page, PageText) for page in pages)


def test_a_child_killed_between_two_documents_costs_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.small_pdf(draw.HELLO))
    with Sandbox() as sandbox:
        sandbox.inspect(path)
        assert sandbox.pid is not None
        os.kill(sandbox.pid, signal.SIGKILL)
        assert sandbox.inspect(path).pages == 1


def test_a_page_that_needs_more_memory_than_its_limit_fails_alone(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.small_pdf(draw.HELLO, box=b"0 0 14400 14400"))
    good = saved(tmp_path, draw.small_pdf(draw.HELLO), "good.pdf")
    with Sandbox(Limits(memory_bytes=400 << 20, pixel_limit=1_000_000_000)) as sandbox:
        assert only(sandbox.render(path, [0], 140)) is Reason.PAGE_MEMORY
        assert texts(list(sandbox.text(good, [0], layout=False))) == ["hello paper"]


def test_nothing_in_a_pdf_runs_and_nothing_calls_home(sandbox: Sandbox, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        url = b"http://127.0.0.1:%d/" % port
        script = b"<</S/JavaScript/JS(app.launchURL\\('%s'\\); this.submitForm\\('%s'\\);)>>" % (url, url)
        launch = b"<</S/Launch/F(/bin/sh)/Unix<</F(touch %s)>>>>" % str(marker).encode()
        catalogue = b"<</Type/Catalog/Pages 2 0 R/OpenAction 6 0 R/AA<</WC 7 0 R>>>>"
        actions = b"/AA<</O 7 0 R/C 8 0 R>>"
        data = draw.pdf(
            [
                catalogue,
                draw.tree([4]),
                draw.HELVETICA,
                draw.page(5, more=actions),
                draw.stream(draw.HELLO),
                script,
                launch,
                b"<</S/URI/URI(%s)>>" % url,
            ]
        )
        path = saved(tmp_path, data)
        assert sandbox.inspect(path).pages == 1
        assert texts(list(sandbox.text(path, [0], layout=True))) == ["hello paper"]
        list(sandbox.render(path, [0], 100))
        with pytest.raises(TimeoutError):
            server.accept()
    assert not marker.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="limits are read from /proc")
def test_the_child_has_limits_and_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_DATABASE_URL", "postgresql://user:secret@host/db")
    path = saved(tmp_path, draw.small_pdf(draw.HELLO))
    with Sandbox(Limits(memory_bytes=1 << 30)) as sandbox:
        sandbox.inspect(path)
        limits = Path(f"/proc/{sandbox.pid}/limits").read_text()
        environment = Path(f"/proc/{sandbox.pid}/environ").read_text()
    rows = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert rows["Max address space"] == str(1 << 30)
    assert rows["Max file size"] == "0"
    assert rows["Max core file size"] == "0"
    assert int(rows["Max open files"]) <= 64
    assert rows["Max cpu time"] != "unlimited"
    assert "secret" not in environment


ORPHAN = """
import sys
from pathlib import Path
from flywheel.pdf import Sandbox
sandbox = Sandbox()
sandbox.inspect(Path(sys.argv[1]))
print(sandbox.pid, flush=True)
next(iter(sandbox.text(Path(sys.argv[1]), [1, 1], layout=False)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel must kill children with their parent")
def test_a_busy_child_dies_with_its_killed_parent(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.nested_forms())
    parent = subprocess.Popen([sys.executable, "-c", ORPHAN, str(path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until_gone(child)


def read_in_a_daemon(path: Path) -> None:
    with Sandbox() as sandbox:
        assert sandbox.inspect(path).pages == 1


def test_it_works_in_a_daemonic_process_which_may_not_have_multiprocessing_children(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.small_pdf(draw.HELLO))
    process = multiprocessing.get_context("spawn").Process(target=read_in_a_daemon, args=(path,), daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def test_a_child_is_replaced_after_so_many_documents(tmp_path: Path) -> None:
    paths = [saved(tmp_path, draw.small_pdf(draw.HELLO), f"{k}.pdf") for k in range(4)]
    seen = []
    with Sandbox(Limits(recycle_documents=2), on_page=lambda _, pid: seen.append(pid)) as sandbox:
        for path in paths:
            list(sandbox.text(path, [0], layout=False))
    assert len(set(seen)) == 2


def test_a_sandbox_serves_one_request_at_a_time_and_recovers_from_an_abandoned_one(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.small_pdf(draw.HELLO, draw.HELLO))
    with Sandbox() as sandbox:
        pages = sandbox.text(path, range(2), layout=False)
        next(pages)
        with pytest.raises(RuntimeError, match="one request at a time"):
            sandbox.inspect(path)
        pages.close()  # type: ignore[attr-defined]
        assert texts(list(sandbox.text(path, range(2), layout=False))) == ["hello paper"] * 2


# The wire


@pytest.fixture
def wires() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_frames_arrive_as_sent(wires: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = wires
    send(theirs, {"text": "\ud800 ཀ"}, b"pixels", memoryview(b"more"))
    frame = receive(ours)
    assert frame.head == {"text": "\ud800 ཀ"}
    assert frame.body == b"pixelsmore"


@pytest.mark.parametrize(
    "sent",
    [
        HEADER.pack(1 << 30, 0),
        HEADER.pack(4, 1 << 30),
        HEADER.pack(3, 0) + b"{x}",
        HEADER.pack(2, 0) + b"[]",
        b"\0",
    ],
    ids=["too long a head", "too long a body", "no JSON", "no object", "cut short"],
)
def test_a_lying_child_is_given_up(wires: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    ours, theirs = wires
    theirs.sendall(sent)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(Lost):
        receive(ours, limit=1 << 20)


def test_a_dripping_child_cannot_stretch_the_deadline(wires: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = wires
    stop = threading.Event()

    def drip() -> None:
        theirs.sendall(HEADER.pack(1000, 0))
        while not stop.wait(0.05):
            theirs.sendall(b" ")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(TimeoutError):
            receive(ours, time.monotonic() + 0.4)
    finally:
        stop.set()
        thread.join()
