"""Sample of a text layer: short pieces of lines and whole words, each of one font, spread over pages and fonts."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box, Character

POINTS = 72.0
LONGEST = 6.5  # times its height is a piece wide: what a reader takes at once for the least cost
FEWEST = 2  # letters of a piece
AIR = 0.12  # of a piece's height, above and below
REAL_SHARE = 0.05  # of the sampled letters: fonts with less are not looked at
LOWEST, HIGHEST = 4.0, 160.0  # points of a piece's height: smaller and larger print is left out


@dataclass(frozen=True, slots=True)
class LayerPage:
    """A page with its text layer's characters (points) and its image (gray H x W, uint8, at `dpi`)."""

    number: int
    characters: Sequence[Character]
    image: NDArray[np.uint8]
    dpi: float


@dataclass(frozen=True, slots=True)
class LayerPiece:
    """Characters of one line and font that stand side by side."""

    page: LayerPage
    characters: tuple[Character, ...]

    @property
    def text(self) -> str:
        return "".join(c.text for c in self.characters)

    @property
    def font(self) -> str:
        return self.characters[0].font

    @property
    def image(self) -> NDArray[np.uint8]:
        """The page where the layer says that these characters are."""
        box = Box.around(c.box for c in self.characters if not c.text.isspace())
        air, scale = AIR * box.height + 0.5, self.page.dpi / POINTS
        height, width = self.page.image.shape
        x0, x1 = max(0, int((box.x0 - 0.5) * scale)), min(width, int((box.x1 + 0.5) * scale) + 1)
        y0, y1 = max(0, int((box.y0 - air) * scale)), min(height, int((box.y1 + air) * scale) + 1)
        return np.ascontiguousarray(self.page.image[y0:y1, x0:x1])


def letters_by_font(pages: Sequence[LayerPage]) -> dict[str, int]:
    """Letters, marks and digits of each font with a real share of the pages' text, most first."""
    counts = Counter(c.font for page in pages for c in page.characters if c.text.isalnum())
    return {font: n for font, n in counts.most_common() if n >= REAL_SHARE * counts.total()}


def pieces(pages: Sequence[LayerPage]) -> dict[str, list[LayerPiece]]:
    """All pieces of the pages by font, in an order that spreads over pages and lines and is always the same."""
    found: dict[str, list[LayerPiece]] = defaultdict(list)
    for page in pages:
        for run in _runs(page.characters):
            for part in _cut(run):
                piece = LayerPiece(page, part)
                if _is_legible(piece):
                    found[piece.font].append(piece)
    for font, parts in found.items():
        random.Random(f"{font} {len(parts)}").shuffle(parts)
    return found


def words(piece: LayerPiece) -> Iterator[tuple[Character, ...]]:
    """Words of a piece: what blanks separate. The first and last may be parts of words."""
    word: list[Character] = []
    for character in piece.characters:
        if not character.text.isspace():
            word.append(character)
        elif word:
            yield tuple(word)
            word = []
    if word:
        yield tuple(word)


def _runs(characters: Sequence[Character]) -> Iterator[list[Character]]:
    """Characters of one line and font in the layer's order; blanks take the font of what stands before them."""
    run: list[Character] = []
    for character in characters:
        blank = character.text.isspace()
        if run and (character.line != run[0].line or (character.font != run[0].font and not blank)):
            yield run
            run = []
        if run or not blank:
            run.append(character)
    if run:
        yield run


def _cut(run: Sequence[Character]) -> Iterator[tuple[Character, ...]]:
    """Parts of a run that are short enough, cut at blanks where there are any."""
    height = max(c.box.height for c in run)
    part: list[Character] = []
    for character in run:
        if part and abs(_reach(part, character)) > LONGEST * height:
            blank = next((k for k in range(len(part) - 1, 0, -1) if part[k].text.isspace()), 0)
            taken, rest = (part[:blank], part[blank + 1 :]) if blank else (part, [])
            yield tuple(taken)
            part = rest
        if part or not character.text.isspace():
            part.append(character)
    if part:
        yield tuple(part)


def _reach(part: Sequence[Character], character: Character) -> float:
    """Width of a part with one more character."""
    return max(character.box.x1, *(c.box.x1 for c in part)) - min(character.box.x0, *(c.box.x0 for c in part))


def _is_legible(piece: LayerPiece) -> bool:
    inked = [c for c in piece.characters if not c.text.isspace()]
    if sum(c.text.isalnum() for c in inked) < FEWEST:
        return False
    box = Box.around(c.box for c in inked)
    return LOWEST <= box.height <= HIGHEST and box.width > 0.5
