"""What may come in: media types by content, members of archives under caps, inert display names.

Nothing here opens a PDF, and no name from outside ever becomes a path.
"""

from __future__ import annotations

import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from flywheel.cleaning import clean
from flywheel.errors import Rejected
from flywheel.reasons import Reason

NAME_LENGTH = 255
SUBMITTED_NAME_LENGTH = 4096  # longer is no name but an attack
PDF_HEADER_WITHIN = 1024  # PDF 1.7, appendix H: readers accept the header in the first 1024 bytes
CHUNK = 1 << 20
LOCAL_HEADER = 30  # least bytes of a member's own header inside the archive

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"GIF8", "image/gif"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!", "application/vnd.rar"),
    (b"%!PS", "application/postscript"),
    (b"\x7fELF", "application/x-executable"),
)
MARKUP = (
    (re.compile(rb"^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg\b", re.S | re.I), "image/svg+xml"),
    (re.compile(rb"^\s*(<!--.*?-->\s*)*<(!DOCTYPE\s+html|html|head|body)\b", re.S | re.I), "text/html"),
    (re.compile(rb"^\s*<\?xml\b", re.I), "application/xml"),
)
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """`total_bytes` and `ratio` (times the archive's size) bound what is really unpacked."""

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
    content: IO[bytes]


def sniff(start: bytes) -> str | None:
    """Media type by the first bytes (4 KB are plenty); None for unknown binary data."""
    for magic, media in MAGIC:
        if start.startswith(magic):
            return media
    if b"%PDF-" in start[:PDF_HEADER_WITHIN]:
        return "application/pdf"
    for pattern, media in MARKUP:
        if pattern.match(start):
            return media
    return "text/plain" if _is_text(start) else None


def clean_name(name: str) -> str:
    """A display name: last path part only, no controls or bidi marks, NFC, at most 255 characters.

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
    """The files of a ZIP, in its order, directories and hidden system members left out.

    Members are checked as they are read, so a caller stores each before asking for the next.
    Raises Rejected: archive_unsafe_path, archive_limit, archive_unreadable.
    """
    limits = limits or ArchiveLimits()
    try:
        with zipfile.ZipFile(path) as archive:
            infos = _checked(archive.infolist(), path.stat().st_size, limits)
            budget = _Budget(min(limits.total_bytes, max(CHUNK, limits.ratio * path.stat().st_size)))
            for info in infos:
                with archive.open(info) as content:
                    source = _Metered(content, budget, min(limits.member_bytes, info.file_size))
                    yield Member(clean_name(info.filename), clean(info.filename), info.file_size, source)
                    source.drain()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise Rejected(Reason.ARCHIVE_UNREADABLE, f"{clean_name(name)}: {clean(str(error))}") from error
