"""Files that go wrong, each in one known way: a lying text layer, a locked file, a broken one."""

from __future__ import annotations

import random
import re
from pathlib import Path

PASSWORD = "sample"  # the point of the file is that nobody passes it


def garble(source: Path, path: Path, *, seed: int) -> None:
    """Copy a PDF and remap its ToUnicode tables: it looks the same and extracts as Latin and private use."""
    import pymupdf

    rng = random.Random(seed)
    with pymupdf.open(source) as document:
        for xref in range(1, document.xref_length()):
            if document.xref_is_stream(xref):
                stream = document.xref_stream(xref)
                if b"beginbfchar" in stream:
                    document.update_stream(xref, _remapped(stream, rng))
        path.write_bytes(document.tobytes(no_new_id=True))


def _remapped(stream: bytes, rng: random.Random) -> bytes:
    """Old fonts put their glyphs on Latin codes, and those that did not fit on private-use ones."""
    seen: dict[bytes, bytes] = {}

    def target(match: re.Match[bytes]) -> bytes:
        old = match.group(2)
        if old.lower() in (b"0020", b""):
            return match.group(0)
        if old not in seen:
            code = rng.randint(0x21, 0x7E) if rng.random() < 0.7 else rng.randint(0xE000, 0xE0FF)
            seen[old] = b"%04X" % code
        return match.group(1) + b"<" + seen[old] + b">"

    return re.sub(rb"(<[0-9A-Fa-f]{4}>\s*)<([0-9A-Fa-f]*)>(?=\s*\n)", target, stream)


def encrypt(source: Path, path: Path) -> None:
    """Copy a PDF so that a user password is needed to open it (AES-256; its salt differs every time)."""
    import pymupdf

    with pymupdf.open(source) as document:
        locked = document.tobytes(
            encryption=pymupdf.mupdf.PDF_ENCRYPT_AES_256, owner_pw=PASSWORD, user_pw=PASSWORD, permissions=0
        )
    path.write_bytes(locked)


def corrupt(path: Path, *, seed: int) -> None:
    """A PDF header, then noise: nothing can be recovered from it."""
    path.write_bytes(b"%PDF-1.7\n" + random.Random(seed).randbytes(6000))
