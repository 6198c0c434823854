"""What the sandbox hands out: document facts, pages of text, page images, and failures a page.

All frozen; boxes and sizes in points of the page as shown, origin top left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box, Line, PageFacts, Region
from flywheel.reasons import Reason


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may use. Seconds are wall time, enforced by the parent with SIGKILL.

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
    frame_bytes: int = 256 << 20  # largest message taken from a child
    open_files: int = 64


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """What a file is. `format` as MuPDF names it, e.g. "PDF 1.7", or "PNG", "JPEG", "TIFF".

    `repaired`: the file's structure was damaged and rebuilt; pages whose content is gone are
    reported one by one as `page_content_missing`. `owner_locked`: an owner password restricts
    the file, and no password is needed to read it.
    """

    pages: int
    is_pdf: bool
    repaired: bool
    owner_locked: bool
    format: str
    title: str = ""
    producer: str = ""


@dataclass(frozen=True, slots=True)
class InkEvidence:
    """How text and ink lie together on a page. Shares are 0..1 of all ink pixels.

    `per_character` is the ink area in square points for one non-blank character.
    """

    in_text: float  # share of the ink inside text lines
    in_images: float  # share inside images and outside text lines
    image_cover: float  # share of the page's area under images
    bare_characters: int  # non-blank characters of lines whose box holds no ink at all
    per_character: float


@dataclass(frozen=True, slots=True)
class PageText:
    """A page's text layer in reading order, exactly as extracted (not yet cleaned), and its facts.

    `blocks` and `images` are the file's own, in its order: what a layout found later is applied to.
    """

    facts: PageFacts
    regions: tuple[Region, ...]
    ink: InkEvidence
    layout: bool  # whether the layout model found the regions
    plain: bool = False  # one column of even print, whose regions need no model
    blocks: tuple[tuple[Line, ...], ...] = ()
    images: tuple[Box, ...] = ()

    @property
    def needs_layout(self) -> bool:
        """Whether the layout model has anything to say: there is text, and it is not plain."""
        return bool(self.blocks) and not self.plain


@dataclass(frozen=True, slots=True)
class PageLayout:
    """Where the layout model sees what on page `number`: boxes with the category of `Region`."""

    number: int
    regions: tuple[tuple[Box, str], ...]


@dataclass(frozen=True, slots=True)
class PageImage:
    """A rendered page: `image` is H x W uint8, 0 black; `width`, `height` in points.

    `dpi` is the resolution in fact, at most the one asked for.
    """

    number: int
    image: NDArray[np.uint8]
    dpi: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class PageFailure:
    """Why page `number` gave nothing."""

    number: int
    reason: Reason
    detail: str = ""
