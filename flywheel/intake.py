"""Intake of files from outside: media types by content, archives unpacked under caps, inert display names.

Nothing here opens a PDF, and no name from outside ever becomes a path.
"""

from __future__ import annotations

import codecs
import io
import lzma
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from flywheel.errors import Rejected
from flywheel.reasons import Reason
from flywheel.text.cleaning import clean

PDF = "application/pdf"
PNG, JPEG, TIFF = "image/png", "image/jpeg", "image/tiff"
ZIP = "application/zip"
IMAGES = frozenset({PNG, JPEG, TIFF})
READABLE = IMAGES | {PDF}
SUFFIXES_BY_TYPE = {
    PDF: (".pdf",),
    PNG: (".png",),
    JPEG: (".jpg", ".jpeg"),
    TIFF: (".tif", ".tiff"),
    ZIP: (".zip",),
}
READABLE_SUFFIXES = frozenset(suffix for media in READABLE for suffix in SUFFIXES_BY_TYPE[media])
SUFFIXES = READABLE_SUFFIXES.union(SUFFIXES_BY_TYPE[ZIP])  # of all that may be submitted

NAME_LENGTH = 255
SUBMITTED_NAME_LENGTH = 4096  # longer is no name but an attack
PDF_HEADER_WITHIN = 1024  # PDF 1.7, appendix H: readers accept the header in the first 1024 bytes
CHUNK = 1 << 20
LOCAL_HEADER = 30  # least bytes of a member's own header inside the archive

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"II+\x00", TIFF),
    (b"MM\x00+", TIFF),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"GIF8", "image/gif"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!", "application/vnd.rar"),
    (b"%!PS", "application/postscript"),
    (b"\x7fELF", "application/x-executable"),
)
MARKUP = (
    (
        re.compile(rb"^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg\b", re.S | re.I),
        "image/svg+xml",
    ),
    (re.compile(rb"^\s*(<!--.*?-->\s*)*<(!DOCTYPE\s+html|html|head|body)\b", re.S | re.I), "text/html"),
    (re.compile(rb"^\s*<\?xml\b", re.I), "application/xml"),
)
OFFICE = (".docx", ".xlsx", ".pptx", ".epub", ".odt", ".ods", ".odp")  # ZIPs that are documents
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError)
SNIFFED = 4096
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Limits on archives. `total_bytes` and `ratio` (times the archive's size) bound the bytes really unpacked."""

    entries: int = 100_000
    total_bytes: int = 20 << 30
    member_bytes: int = 2 << 30
    ratio: int = 200


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive. `content` streams it and must be read before the next member."""

    name: str
    path: str  # as in the archive, cleaned, for people: never a path on this machine
    size: int
    content: io.RawIOBase


def sniff(start: bytes) -> str | None:
    """Media type by the first bytes (4 KB are plenty); None for unknown binary data."""
    for magic, media in MAGIC:
        if start.startswith(magic):
            return media
    if b"%PDF-" in start[:PDF_HEADER_WITHIN]:
        return PDF
    for pattern, media in MARKUP:
        if pattern.match(start):
            return media
    return "text/plain" if _is_text(start) else None


def media_type(path: Path, name: str) -> str:
    """Media type of a file by its bytes: one of READABLE, or ZIP.

    A file called .pdf whose bytes are unknown passes as a PDF: it may be a damaged one, and
    the sandbox decides. Raises Rejected: empty_file, not_pdf, unsupported_type.
    """
    with path.open("rb") as file:
        start = file.read(SNIFFED)
    if not start:
        raise Rejected(Reason.EMPTY_FILE)
    found = sniff(start)
    if name.lower().endswith(SUFFIXES_BY_TYPE[PDF]):
        if found not in (PDF, None):
            raise Rejected(Reason.NOT_PDF, f"{name}: the bytes are {found}")
        return PDF
    if found is None or (found not in READABLE and found != ZIP):
        raise Rejected(Reason.UNSUPPORTED_TYPE, f"{name}: the bytes are {found or 'of no known type'}")
    return found


def clean_name(name: str) -> str:
    """Make a display name: last path part only, no controls or bidi marks, NFC, at most 255 characters.

    Raises Rejected(invalid_text) for NUL, lone surrogates and names beyond 4096 characters.
    """
    if "\x00" in name or len(name) > SUBMITTED_NAME_LENGTH or any("\ud800" <= c <= "\udfff" for c in name):
        raise Rejected(Reason.INVALID_TEXT, "a name with NUL, a lone surrogate, or thousands of characters")
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    visible = "".join(c for c in last if c not in BIDI and unicodedata.category(c)[0] != "C")
    shown = clean(visible)
    if shown.strip(". ") == "":
        return "unnamed"
    return _shortened(shown)


def expand(path: Path, name: str, limits: ArchiveLimits | None = None) -> Iterator[Member]:
    """Yield the files of a ZIP in its order, without directories and hidden system members.

    Members are checked as they are read, so a caller stores each before asking for the next.
    Raises Rejected: archive_unsafe_path, archive_limit, archive_unreadable.
    """
    limits = limits or ArchiveLimits()
    packed = path.stat().st_size
    try:
        archive = zipfile.ZipFile(path)
        infos = archive.infolist()
    except (*DAMAGE, UnicodeDecodeError, ValueError) as error:
        raise Rejected(Reason.ARCHIVE_UNREADABLE, f"{clean_name(name)}: {clean(str(error))}") from error
    with archive:
        budget = _Budget(_allowed(packed, limits))
        for info in _checked(infos, packed, limits):
            shown = clean_name(info.filename)
            try:
                source = archive.open(info)
            except (*DAMAGE, RuntimeError) as error:
                raise Rejected(Reason.ARCHIVE_UNREADABLE, f"{shown}: {clean(str(error))}") from error
            with source:
                content = _Metered(source, budget, limits.member_bytes, shown)
                yield Member(shown, clean(info.filename), info.file_size, content)
                content.drain()


def _allowed(packed: int, limits: ArchiveLimits) -> int:
    """Bytes an archive of `packed` bytes may unpack to; a small one may always unpack to a megabyte."""
    return min(limits.total_bytes, max(CHUNK, limits.ratio * packed))


def _checked(infos: list[zipfile.ZipInfo], archive_bytes: int, limits: ArchiveLimits) -> list[zipfile.ZipInfo]:
    """The members to read, after every check that the directory of the archive allows."""
    if len(infos) > limits.entries:
        raise Rejected(Reason.ARCHIVE_LIMIT, f"{len(infos)} members, {limits.entries} allowed")
    for info in infos:
        _check_member(info)
    _check_overlap(infos)
    unpacked = sum(info.file_size for info in infos)
    allowed = _allowed(archive_bytes, limits)
    if unpacked > allowed:
        raise Rejected(Reason.ARCHIVE_LIMIT, f"unpacks to {unpacked} bytes, {allowed} allowed")
    return [info for info in infos if not info.is_dir() and not _is_system(info.filename)]


def _check_member(info: zipfile.ZipInfo) -> None:
    shown = clean(info.orig_filename)[:NAME_LENGTH]
    parts = re.split(r"[/\\]", info.orig_filename)
    absolute = parts[0] == "" or re.match(r"[A-Za-z]:", info.orig_filename)
    if absolute or ".." in parts or "\x00" in info.orig_filename:
        raise Rejected(Reason.ARCHIVE_UNSAFE_PATH, shown)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Rejected(Reason.ARCHIVE_UNSAFE_PATH, f"{shown} is a link or a device")
    if info.flag_bits & 0x1:
        raise Rejected(Reason.ARCHIVE_UNREADABLE, f"{shown} is encrypted")


def _check_overlap(infos: list[zipfile.ZipInfo]) -> None:
    """Refuse members that share bytes: they unpack to more than any ratio tells."""
    end = 0
    for info in sorted(infos, key=lambda i: i.header_offset):
        if info.header_offset < end:
            raise Rejected(Reason.ARCHIVE_LIMIT, f"{clean(info.filename)[:NAME_LENGTH]} overlaps its neighbour")
        end = info.header_offset + LOCAL_HEADER + len(info.orig_filename) + info.compress_size


def _is_system(name: str) -> bool:
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name in (".DS_Store", "Thumbs.db", "desktop.ini")


class _Budget:
    """Rest of the bytes that an archive may unpack to."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise Rejected(Reason.ARCHIVE_LIMIT, "unpacks to more than its directory says")


class _Metered(io.RawIOBase):
    """Stream of a member's bytes, counted as they really come, with its errors as Rejected."""

    def __init__(self, source: IO[bytes], budget: _Budget, size: int, name: str) -> None:
        super().__init__()
        self._source = source
        self._budget = budget
        self._left = size
        self._name = name
        self._ahead = self._take(SNIFFED)
        if sniff(self._ahead) == ZIP and not name.lower().endswith(OFFICE):
            raise Rejected(Reason.ARCHIVE_LIMIT, f"{name} is an archive inside the archive")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._ahead[: len(buffer)] if self._ahead else self._take(len(buffer))
        self._ahead = self._ahead[len(data) :]
        buffer[: len(data)] = data
        return len(data)

    def drain(self) -> None:
        """Read the rest that the caller left, so that the checksum is verified all the same."""
        while self._take(CHUNK):
            pass

    def _take(self, count: int) -> bytes:
        try:
            data = self._source.read(count)
        except DAMAGE as error:
            raise Rejected(Reason.ARCHIVE_UNREADABLE, f"{self._name}: {clean(str(error))}") from error
        self._left -= len(data)
        if self._left < 0:
            raise Rejected(Reason.ARCHIVE_LIMIT, f"{self._name} is larger than one file may be")
        self._budget.spend(len(data))
        return data


def _is_text(start: bytes) -> bool:
    """Tell whether the bytes are UTF-8 text; a character cut off at the end does not count."""
    if not start or b"\x00" in start:
        return False
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    controls = sum(c < " " and c not in "\t\n\r\f" for c in text)
    return controls == 0


def _shortened(name: str) -> str:
    """Shorten a name to 255 characters, with its extension kept."""
    if len(name) <= NAME_LENGTH:
        return name
    suffix = PurePosixPath(name).suffix
    suffix = suffix if len(suffix) <= 10 else ""
    return name[: NAME_LENGTH - len(suffix)] + suffix
