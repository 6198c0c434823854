"""Limits of a PDF child: time, memory, size. Its parent keeps the wall deadlines, the child the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flywheel.settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one child. Seconds are wall time, enforced by the parent with SIGKILL.

    `document_seconds` bounds opening a file and reading its page tree. `pixel_limit` bounds a
    rendered page (the resolution is lowered to fit), `image_pixels` an image stored in a file
    (the page is refused). A child is replaced after `recycle_documents` documents, or when it
    holds more than `recycle_bytes` of memory between two requests.
    """

    page_seconds: float = 20.0
    document_seconds: float = 60.0
    memory_bytes: int = 2 << 30
    pixel_limit: int = 40_000_000
    image_pixels: int = 400_000_000
    page_points: float = 20_000.0  # longest side of a page; PDF itself stops at 14,400
    recycle_documents: int = 200
    recycle_bytes: int = 1 << 30
    message_bytes: int = 256 << 20  # largest message taken from a child
    open_files: int = 64

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits that the settings name, and the defaults for the others."""
        return cls(
            page_seconds=settings.page_seconds,
            memory_bytes=settings.child_memory,
            pixel_limit=settings.pixel_limit,
        )
