"""Results of the sandbox: pages of text, page images, and failures a page.

All frozen; boxes and sizes in points of the page as shown, origin top left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box, Line, PageFacts, Region
from flywheel.reasons import Reason
from flywheel.text.bidi import Base


@dataclass(frozen=True, slots=True)
class InkEvidence:
    """Measures of text against ink on a page. Shares are 0..1 of all ink pixels.

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
    base: Base = "L"  # the direction that most of its letters run in: of the order of columns

    @property
    def needs_layout(self) -> bool:
        """True when the layout model can add something: there is text, and it is not plain."""
        return bool(self.blocks) and not self.plain


@dataclass(frozen=True, slots=True)
class PageLayout:
    """Regions that the layout model finds on page `number`: boxes with the category of `Region`."""

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
    """Reason for which page `number` gave nothing."""

    number: int
    reason: Reason
    detail: str = ""
