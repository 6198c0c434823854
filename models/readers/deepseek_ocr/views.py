"""Views of a page for DeepSeek-OCR: one of the whole page and, in two modes, tiles of it.

    MODES["gundam"]                               the six modes of the published model, by name
    views_of(image, mode) -> Views                the global view, the tiles, their grid
    vision_tokens(mode, grid) -> int              number of image tokens that the decoder reads
    valid_tokens(mode, width, height) -> int      number of them that show page, not padding

Pillow does the resampling, with the filter and the rounding of the published code, so views are equal to the byte.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from flywheel.errors import SetupError

Pixels = NDArray[np.uint8]
Grid = tuple[int, int]  # tiles across and down; UNCUT: the page was not cut
UNCUT: Grid = (1, 1)

PADDING = (127, 127, 127)  # int(0.5 * 255): about zero after normalisation
PIXELS_PER_TOKEN = 64  # along a side: SAM's patches of 16, four times fewer after the compressor
SMALL_PAGE = 640  # no tiles for a page that fits in this square, whatever the mode's tile
TILES = range(2, 10)
# Columns and rows of every grid of 2 to 9 tiles, those of fewer tiles first. The published code leaves the order
# of equal counts to a set; it never matters, for no two grids of one count are ever equally close and closest.
GRIDS = sorted(
    ((w, h) for w in range(1, 10) for h in range(1, 10) if w * h in TILES), key=lambda g: (g[0] * g[1], g)
)


@dataclass(frozen=True, slots=True)
class Mode:
    """Resolution of the views of a page: the view's side and the tiles' (None: no tiles), in pixels. `pad`: the
    view keeps the page's shape and is filled up with gray; otherwise the page is stretched to it."""

    name: str
    view: int
    tile: int | None
    pad: bool


MODES = {
    mode.name: mode
    for mode in (
        Mode("tiny", 512, None, pad=False),
        Mode("small", 640, None, pad=False),
        Mode("base", 1024, None, pad=True),
        Mode("large", 1280, None, pad=True),
        Mode("gundam", 1024, 640, pad=True),
        Mode("gundam-m", 1280, 1024, pad=True),
    )
}


@dataclass(frozen=True, slots=True)
class Views:
    """`global_view` side x side x 3; `tiles` n x tile x tile x 3, row by row; `grid`: tiles across and down."""

    global_view: Pixels
    tiles: Pixels
    grid: Grid

    @property
    def placeholders(self) -> int:
        """Tokens of the image in the decoder's input, newlines and separator included."""
        across, down = self.grid
        side, tile = _side(self.global_view.shape[1]), _side(self.tiles.shape[1])
        local = (tile * across + 1) * (tile * down) if self.grid != UNCUT else 0
        return local + (side + 1) * side + 1


def mode_named(name: str) -> Mode:
    """Raises SetupError for a name that is none of MODES."""
    if name not in MODES:
        raise SetupError(f"no mode is called {name!r}; there are {', '.join(MODES)}")
    return MODES[name]


def views_of(image: Pixels, mode: Mode) -> Views:
    """The views of a page (gray H x W or RGB H x W x 3) in a mode."""
    page = Image.fromarray(image).convert("RGB")
    grid = grid_of(mode, page.width, page.height)
    if mode.pad:
        view = ImageOps.pad(page, (mode.view, mode.view), color=PADDING)
    else:
        view = page.resize((mode.view, mode.view))
    return Views(np.asarray(view), _tiles(page, grid, mode.tile or 0), grid)


def grid_of(mode: Mode, width: int, height: int) -> Grid:
    """Number of tiles, across and down, that a page of so many pixels is cut into.

    The grid with the page's aspect ratio, or closest to it. Of equally close ones the one with more tiles, if the
    page has more than half the pixels of those tiles.
    """
    if mode.tile is None or max(width, height) <= SMALL_PAGE:
        return UNCUT
    aspect, best, closest = width / height, UNCUT, float("inf")
    for across, down in GRIDS:
        distance = abs(aspect - across / down)
        large = width * height > 0.5 * mode.tile * mode.tile * across * down
        if distance < closest or (distance == closest and large):
            closest, best = distance, (across, down)
    return best


def vision_tokens(mode: Mode, grid: Grid = UNCUT) -> int:
    """Tokens that carry image, newlines and separator left out (DeepSeek-OCR, table 1): 64, 100, 256, 400,
    n * 100 + 256, n * 256 + 400."""
    return _side(mode.view) ** 2 + _local(mode, grid)


def valid_tokens(mode: Mode, width: int, height: int) -> int:
    """Those of `vision_tokens` that show the page: ceil(N * (1 - (max - min) / max)) of a padded view
    (DeepSeek-OCR, section 3.2.2), all of a stretched one and of tiles. Sizes in any unit, e.g. pixels."""
    local = _local(mode, grid_of(mode, width, height))
    whole = _side(mode.view) ** 2
    if not mode.pad:
        return whole + local
    return -(-whole * min(width, height) // max(width, height)) + local


def _tiles(page: Image.Image, grid: Grid, tile: int) -> Pixels:
    """The page stretched to the grid and cut row by row; no tiles when it is not cut."""
    across, down = grid
    if grid == UNCUT:
        return np.empty((0, tile, tile, 3), dtype=np.uint8)
    stretched = np.asarray(page.resize((across * tile, down * tile)))
    cut = stretched.reshape(down, tile, across, tile, 3).swapaxes(1, 2)
    return np.ascontiguousarray(cut.reshape(across * down, tile, tile, 3))


def _local(mode: Mode, grid: Grid) -> int:
    return grid[0] * grid[1] * _side(mode.tile or 0) ** 2 if grid != UNCUT else 0


def _side(pixels: int) -> int:
    """Tokens along a side of so many pixels."""
    return -(-pixels // PIXELS_PER_TOKEN)
