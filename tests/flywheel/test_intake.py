"""Files that may come in: types by content, archives under caps, names that cannot do anything."""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.errors import Rejected
from flywheel.intake import ArchiveLimits, clean_name, expand, sniff
from flywheel.reasons import Reason
from tests.flywheel import draw

PDF = draw.small_pdf(draw.HELLO)


@pytest.mark.parametrize(
    ("data", "media"),
    [
        (PDF, "application/pdf"),
        (b"\n\n" * 300 + PDF, "application/pdf"),
        (draw.encoded(draw.scan(1), "PNG"), "image/png"),
        (draw.encoded(draw.scan(1), "JPEG"), "image/jpeg"),
        (draw.encoded(draw.scan(1), "TIFF"), "image/tiff"),
        (b"PK\x03\x04....", "application/zip"),
        (b"<html><head>", "text/html"),
        (b"\n<!doctype html>", "text/html"),
        (b"<svg width='1'>", "image/svg+xml"),
        (b"<?xml version='1.0'?><svg>", "image/svg+xml"),
        (b"<?xml version='1.0'?><book>", "application/xml"),
        ("# Überschrift\n\nText བོད".encode(), "text/plain"),
        ("cut in a character: བ".encode()[:-1], "text/plain"),
        (bytes(range(256)), None),
        (b"", None),
    ],
)
def test_the_bytes_tell_the_type(data: bytes, media: str | None) -> None:
    assert sniff(data[:4096]) == media


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("book.pdf", "book.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\book.pdf", "book.pdf"),
        ("/abs/olute.pdf", "olute.pdf"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("dir/", "dir"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("line\nbreak\x07.pdf", "linebreak.pdf"),
        ("དཔེ་ཆ།.pdf", "དཔེ་ཆ།.pdf"),
        ("e\u0301.pdf", "é.pdf"),
        ("n" * 3000 + ".pdf", "n" * 251 + ".pdf"),
    ],
)
def test_a_name_becomes_inert(name: str, shown: str) -> None:
    assert clean_name(name) == shown


@pytest.mark.parametrize("name", ["a\x00.pdf", "a\ud800.pdf", "n" * 5000], ids=["NUL", "surrogate", "5 kB"])
def test_a_name_that_cannot_be_stored_is_refused(name: str) -> None:
    with pytest.raises(Rejected) as caught:
        clean_name(name)
    assert caught.value.reason is Reason.INVALID_TEXT


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=300))
def test_no_name_has_a_path_a_control_or_too_many_characters(name: str) -> None:
    shown = clean_name(name)
    assert 0 < len(shown) <= 255
    assert "/" not in shown
    assert "\\" not in shown
    assert shown.isprintable() or " " in shown or not shown.isascii()
    assert shown not in (".", "..")


def zipped(path: Path, members: dict[str, bytes], form: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", form) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def read_all(path: Path, limits: ArchiveLimits | None = None) -> dict[str, bytes]:
    return {member.name: member.content.read() for member in expand(path, "a.zip", limits)}


def reason_of(path: Path, limits: ArchiveLimits | None = None) -> Reason:
    with pytest.raises(Rejected) as caught:
        read_all(path, limits)
    return caught.value.reason


def test_members_come_out_in_order_without_directories_and_system_files(tmp_path: Path) -> None:
    members = {"b/two.pdf": PDF, "a.png": b"x" * 5000, "b/": b"", "__MACOSX/._a": b"m", "b/.DS_Store": b"d"}
    path = zipped(tmp_path / "a.zip", members)
    assert read_all(path) == {"two.pdf": PDF, "a.png": b"x" * 5000}
    assert [member.path for member in expand(path, "a.zip")] == ["b/two.pdf", "a.png"]


@pytest.mark.parametrize("name", ["../up.pdf", "a/../../up.pdf", "/abs.pdf", "C:/drive.pdf", "a\\..\\b.pdf"])
def test_a_member_that_leaves_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "a.zip", {"good.pdf": PDF, name: PDF})
    assert reason_of(path) is Reason.ARCHIVE_UNSAFE_PATH


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.pdf")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert reason_of(tmp_path / "a.zip") is Reason.ARCHIVE_UNSAFE_PATH


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"zeros.pdf": bytes(50 << 20)})
    assert path.stat().st_size < 60_000
    assert reason_of(path) is Reason.ARCHIVE_LIMIT


def test_a_bomb_that_lies_about_its_size_is_stopped_by_the_bytes_that_come(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"zeros.pdf": bytes(50 << 20)})
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, entry + 24, 1000)  # the size in the directory
    path.write_bytes(data)
    assert reason_of(path) in (Reason.ARCHIVE_LIMIT, Reason.ARCHIVE_UNREADABLE)


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.pdf": PDF, "b.pdf": PDF})
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, second + 42, 0)  # both entries point at the first member
    path.write_bytes(data)
    assert reason_of(path) is Reason.ARCHIVE_LIMIT


def test_an_archive_in_an_archive_is_refused_and_a_word_document_is_not(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.pdf", PDF)
    assert reason_of(zipped(tmp_path / "a.zip", {"inner.zip": inner.getvalue()})) is Reason.ARCHIVE_LIMIT
    assert list(read_all(zipped(tmp_path / "b.zip", {"text.docx": inner.getvalue()}))) == ["text.docx"]


@pytest.mark.parametrize(
    "limits",
    [ArchiveLimits(entries=2), ArchiveLimits(total_bytes=5000), ArchiveLimits(member_bytes=3000)],
    ids=["entries", "bytes", "bytes of one"],
)
def test_every_cap_holds(tmp_path: Path, limits: ArchiveLimits) -> None:
    members = {f"{k}.pdf": b"%PDF-" + bytes(4000) for k in range(3)}
    path = zipped(tmp_path / "a.zip", members, zipfile.ZIP_STORED)
    assert len(read_all(path)) == 3
    assert reason_of(path, limits) is Reason.ARCHIVE_LIMIT


def test_an_encrypted_member_is_unreadable(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.pdf": PDF})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert reason_of(path) is Reason.ARCHIVE_UNREADABLE


def test_a_wrong_checksum_is_unreadable_even_where_the_reader_stops_early(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.pdf": PDF * 50}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert reason_of(path) is Reason.ARCHIVE_UNREADABLE
    members = expand(path, "a.zip")
    next(members).content.read(10)
    with pytest.raises(Rejected) as caught:
        next(members)
    assert caught.value.reason is Reason.ARCHIVE_UNREADABLE


@pytest.mark.parametrize("keep", [0, 30, 200])
def test_what_is_no_whole_archive_is_unreadable(tmp_path: Path, keep: int) -> None:
    path = zipped(tmp_path / "a.zip", {"a.pdf": PDF})
    path.write_bytes(path.read_bytes()[:keep])
    assert reason_of(path) is Reason.ARCHIVE_UNREADABLE


@given(st.binary(max_size=300), st.integers(0, 400))
def test_damaged_archives_are_read_or_rejected_and_never_end_in_another_error(noise: bytes, at: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = zipped(Path(directory) / "a.zip", {"a.pdf": PDF})
        data = path.read_bytes()
        path.write_bytes(data[:at] + noise + data[at + len(noise) :])
        with contextlib.suppress(Rejected):
            assert set(read_all(path).values()) <= {PDF, b""}  # as it was, or as a directory of zeros says
