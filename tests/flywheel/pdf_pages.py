"""Files for the sandbox's tests, and their pages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flywheel.pdf import PageFailure, PageText
from flywheel.reasons import Reason


def saved(directory: Path, data: bytes, name: str = "a.pdf") -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def texts(pages: Iterable[PageText | PageFailure]) -> list[str | Reason]:
    return [
        page.reason if isinstance(page, PageFailure) else " ".join(r.text for r in page.regions) for page in pages
    ]


def only(pages: Iterable[object]) -> Reason:
    """The reason of the one page that failed."""
    (failure,) = [page for page in pages if isinstance(page, PageFailure)]
    return failure.reason
