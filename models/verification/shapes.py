"""The letters of a page against drawings of what its text layer says: for scripts that nobody reads yet.

    evidence(pieces, typeface) -> ShapeEvidence | None

Each letter group of the sample is cut out of the page and compared with the typeface's drawings of all groups that
the sample claims. A page set in another typeface than the drawings' differs from all of them alike: heavier,
wider, of other serifs. That common difference is taken off; what the page shows is then nearer to the drawing of
what the layer says than to the others. Where the layer says "b" of every "d" and "d" of every "b", each is nearer
to the other's drawing: no typeface does that.

Distances are half the squared Euclidean distance of unit vectors (gradients by orientation, Dalal and Triggs 2005,
over a coarse grid, and the ink itself). A group that is as near to its own drawing as the drawings of two groups
are to each other has a lead of 0; its own letter in the same typeface gives -1, the other letter +1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flywheel.document import Character
from models.verification.drawn import DrawnGroup, DrawnWord, Typeface
from models.verification.exchanges import Draw, LetterComparison, exchanged, overstated
from models.verification.sampling import POINTS, LayerPage, LayerPiece, words

Image = NDArray[np.float32]

WIDE, TALL, CELL = 24, 48, 3  # pixels of a group, stretched to one size, and of a cell of the grid
BETWEEN = 9  # pixels of paper above and below a group
REACH = 3.2  # standard deviations of the ink's height, above and below its middle
SHEARS = (0.0, 0.2)  # of an italic, horizontally for each vertical
STRAIGHTER = 0.01  # by which a shear must lessen the distance to be believed
OF_ONE_GROUP = 6  # most occurrences that are looked at
GROUPS = 320  # letter groups that are looked at in all
FEWEST = 12  # and fewest that say anything
SEPARATORS = (
    "\u0f0b\u0f0c\u0f0d\u0f0e\u104a\u104b\u17d4"  # between syllables: words are short, and so are drawings
)
NARROWEST = 1.0  # pixels of a group, on the page and in the drawing
LEAD = 0.25  # with so much is a group nearer to another drawing than to its own
CLEARLY = 0.04  # and by this distance
EXTENDED = 30  # groups, the most frequent, that are drawn with one sign more
# Vowel signs and subjoined letters that a lying layer leaves out: drawn beside what it says.
LEFT_OUT = {
    "Tibt": "\u0f72\u0f74\u0f7a\u0f7c\u0fb1\u0fb2",
    "Deva": "\u093e\u093f\u0940\u0941\u0947\u094b\u0902",
}


@dataclass(frozen=True, slots=True)
class ShapeEvidence:
    """Letter groups looked at, and how many look more like another than like what the layer says of them.

    `nearer`: share of the other drawings that are nearer to a group than its own, 0 to 1, mean; of a text that has
    nothing to do with the page 0.5. `exchanged`: two letters or groups each of which looks like the other.
    `overstated`: two signs said where only the second is shown. `left_out`: groups that look like themselves with
    one and the same sign more, which `sign` is. `example`: what the layer says, what the page shows.
    """

    groups: int
    contradicted: int
    nearer: float
    exchanged: tuple[str, str] | None = None
    overstated: tuple[str, str] | None = None
    left_out: int = 0
    sign: str = ""
    example: tuple[str, str] = ("", "")

    @property
    def share(self) -> float:
        return self.contradicted / self.groups


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """A letter group on a page and in the drawing of its word.

    Pixels of the page's image; y is the baseline, and the outlines of its letters lie between top and bottom: what
    is above and below is other lines' ink.
    """

    text: str
    group: DrawnGroup
    word: DrawnWord
    page: LayerPage
    x0: float
    x1: float
    y: float
    top: int
    bottom: int


def evidence(pieces: Iterable[LayerPiece], typeface: Typeface, script: str) -> ShapeEvidence | None:
    """Evidence about what a layer says; None where there is too little that the typeface has."""
    found = _occurrences(pieces, typeface)
    if len(found) < FEWEST:
        return None
    inks = {key: _ink(page.image) for key, page in {id(o.page): o.page for o in found}.items()}
    texts, drawings, claimed, frame = _drawings(found, typeface, LEFT_OUT.get(script, ""))
    own = np.array([claimed[o.group.key] for o in found])
    vectors = _fitted(found, inks, drawings[: len(claimed)], own)
    comparison = LetterComparison(texts, drawings, len(claimed), vectors, own)
    return _weigh(comparison, lambda text: _drawing(text, typeface, frame))


def _occurrences(pieces: Iterable[LayerPiece], typeface: Typeface) -> list[_Occurrence]:
    """Occurrences of letter groups in the pieces' words, not too many of one group."""
    found: list[_Occurrence] = []
    times: Counter[tuple[int, ...]] = Counter()
    for piece in pieces:
        for word in _drawable(piece):
            text = "".join(c.text for c in word)
            drawn = typeface.draw(text)
            for group in drawn.groups if drawn else ():
                placed = _placed(piece.page, word, group, drawn)
                if placed and times[group.key] < OF_ONE_GROUP:
                    times[group.key] += 1
                    found.append(placed)
        if len(found) >= GROUPS:
            break
    return found


def _drawable(piece: LayerPiece) -> Iterable[Sequence[Character]]:
    """Words that are whole as far as one can tell, cut at what separates syllables."""
    for word in words(piece):
        part: list[Character] = []
        for character in word:
            if character.text in SEPARATORS:
                if part:
                    yield part
                part = []
            else:
                part.append(character)
        if part:
            yield part


def _placed(
    page: LayerPage, word: Sequence[Character], group: DrawnGroup, drawn: DrawnWord | None
) -> _Occurrence | None:
    of_each = [k for k, character in enumerate(word) for _ in character.text]  # a ligature may be one of several
    within = (0 < at < len(of_each) and of_each[at - 1] == of_each[at] for at in (group.start, group.end))
    if drawn is None or any(within):
        return None
    characters = [word[k] for k in dict.fromkeys(of_each[group.start : group.end])]
    scale = page.dpi / POINTS
    x0 = min(c.box.x0 for c in characters) * scale
    x1 = max(c.box.x1 for c in characters) * scale
    text = "".join(c.text for c in characters)
    if not any(c.isalpha() for c in text) or min(x1 - x0, group.x1 - group.x0) < NARROWEST:
        return None
    top = int(min(c.box.y0 for c in characters) * scale) - 1
    bottom = int(max(c.box.y1 for c in characters) * scale) + 2
    return _Occurrence(text, group, drawn, page, x0, x1, characters[0].y * scale, max(0, top), max(1, bottom))


def _drawings(
    found: Sequence[_Occurrence], typeface: Typeface, left_out: str
) -> tuple[list[str], Image, dict[tuple[int, ...], int], tuple[float, float]]:
    """Texts and vectors of all groups claimed, then of those with a sign more; key -> index of the claimed; and
    the middle and spread of their ink."""
    claimed: dict[tuple[int, ...], int] = {}
    one_each: list[tuple[str, DrawnGroup, DrawnWord]] = []
    for o in found:
        if o.group.key not in claimed:
            claimed[o.group.key] = len(claimed)
            one_each.append((o.text, o.group, o.word))
    times = Counter(o.text for o in found)
    more = [
        (text + sign, word.groups[0], word)
        for text, _ in times.most_common(EXTENDED)
        if not set(text) & set(left_out)
        for sign in left_out
        if (word := typeface.draw(text + sign)) and len(word.groups) == 1 and word.groups[0].key not in claimed
    ]
    frame = _ink_heights((o.word.ink[:, int(o.group.x0) : int(o.group.x1) + 1], o.word.baseline) for o in found)
    cuts = [
        _cut(word.ink, group.x0, group.x1, word.baseline, *frame, 0.0) for _, group, word in (*one_each, *more)
    ]
    return [text for text, _, _ in (*one_each, *more)], _vectors(cuts), claimed, frame


def _drawing(text: str, typeface: Typeface, frame: tuple[float, float]) -> Image | None:
    """Vector of one letter group drawn alone; None when the typeface does not draw the text as one group."""
    word = typeface.draw(text)
    if word is None or len(word.groups) != 1 or word.groups[0].x1 - word.groups[0].x0 < NARROWEST:
        return None
    group = word.groups[0]
    return np.asarray(_vectors([_cut(word.ink, group.x0, group.x1, word.baseline, *frame, 0.0)])[0])


def _fitted(
    found: Sequence[_Occurrence], inks: dict[int, Image], drawings: Image, own: NDArray[np.int64]
) -> Image:
    """Vectors of the occurrences less that in which all of them differ from what they are said to be: the weight,
    width and manner of the page's typeface. Upright, or with an italic set straight where that is nearer."""
    middle, spread = _ink_heights(_column(o, inks[id(o.page)]) for o in found)
    weights = (1 / np.sqrt(np.bincount(own))[own]).astype(np.float32)[:, None]
    best, least = None, np.inf
    for shear in SHEARS:
        vectors = _vectors(
            [
                _cut(inks[id(o.page)][o.top : o.bottom], o.x0, o.x1, o.y - o.top, middle, spread, shear)
                for o in found
            ]
        )
        vectors = vectors - ((vectors - drawings[own]) * weights).sum(axis=0) / weights.sum()
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + np.float32(1e-6)
        mean = float((1 - vectors @ drawings.T).min(axis=1).mean())
        if best is None or mean < least - STRAIGHTER:
            best, least = vectors, mean
    assert best is not None
    return np.asarray(best, dtype=np.float32)


def _weigh(comparison: LetterComparison, draw: Draw) -> ShapeEvidence:
    """Sum up what the comparison shows."""
    own, texts, claimed = comparison.own, comparison.texts, comparison.claimed
    distances, rows = comparison.distances, np.arange(len(own))
    gain = distances[rows, own][:, None] - distances
    lead = gain / np.maximum(comparison.apart[own], 1e-3)
    doubtful = (gain > CLEARLY) & (lead > LEAD)
    nearest = np.where(doubtful, gain, -1).argmax(axis=1)
    contradicted = doubtful.any(axis=1)
    signs = Counter(
        texts[j][-1]
        for i, j in zip(own[contradicted], nearest[contradicted], strict=True)
        if j >= claimed and texts[j][:-1] == texts[i]
    )
    sign, left_out = signs.most_common(1)[0] if signs else ("", 0)
    exchange = exchanged(comparison, draw)
    example = overstatement = None if exchange else overstated(comparison, draw)
    example = example or exchange
    if example is None and contradicted.any():
        worst = int(np.where(contradicted, gain[rows, nearest], -1).argmax())
        example = texts[own[worst]], texts[nearest[worst]]
    return ShapeEvidence(
        groups=len(own),
        contradicted=int(contradicted.sum()),
        nearer=float((gain[:, :claimed] > 0).sum(axis=1).mean() / max(1, claimed - 1)),
        exchanged=exchange,
        overstated=overstatement,
        left_out=left_out,
        sign=sign,
        example=example or ("", ""),
    )


def _ink(image: NDArray[np.uint8]) -> Image:
    """0 for paper to 1 for ink; dark paper is turned to light."""
    paper = float(np.median(image[::7, ::7]))
    ink = np.abs(image.astype(np.float32) - np.float32(paper)) / np.float32(max(paper, 255 - paper))
    return np.asarray(ink, dtype=np.float32)


def _column(o: _Occurrence, ink: Image) -> tuple[Image, float]:
    """The ink of an occurrence's letters, and their baseline there."""
    return ink[o.top : o.bottom, max(0, int(o.x0)) : int(o.x1) + 1], o.y - o.top


def _ink_heights(columns: Iterable[tuple[Image, float]]) -> tuple[float, float]:
    """Mean and standard deviation of the ink's height, in pixels below the baseline."""
    mass = first = second = 0.0
    for ink, baseline in columns:
        rows = ink.sum(axis=1, dtype=np.float64)
        places = np.arange(len(rows)) - baseline
        mass += float(rows.sum())
        first += float((rows * places).sum())
        second += float((rows * places * places).sum())
    if mass <= 0:
        return 0.0, 1.0
    middle = first / mass
    return middle, max(1.0, (second / mass - middle * middle)) ** 0.5


def _cut(ink: Image, x0: float, x1: float, baseline: float, middle: float, spread: float, shear: float) -> Image:
    """A group stretched to one size: as wide as it is, as high as the whole sample's ink."""
    step_x, step_y = (x1 - x0) / WIDE, 2 * REACH * spread / TALL
    top = middle - REACH * spread + step_y / 2  # below the baseline
    to_page = np.array(
        [
            [step_x, -shear * step_y, x0 + step_x / 2 - 0.5 - shear * top],
            [0.0, step_y, baseline + top - 0.5],
        ],
        np.float32,
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(ink, to_page, (WIDE, TALL), flags=flags), dtype=np.float32)


def _vectors(images: Sequence[Image]) -> Image:
    """Gradients in four orientations and the ink, on a grid of 8 x 16, as unit vectors (N x 640).

    All groups are filtered as one tall image, with paper between them: that is several times cheaper.
    """
    tall = np.zeros((len(images), TALL + 2 * BETWEEN, WIDE), np.float32)
    tall[:, BETWEEN : BETWEEN + TALL] = images
    sheet = cv2.GaussianBlur(tall.reshape(-1, WIDE), (0, 0), 0.8)
    x, y = cv2.Sobel(sheet, cv2.CV_32F, 1, 0), cv2.Sobel(sheet, cv2.CV_32F, 0, 1)
    strength, angle = cv2.cartToPolar(x, y)
    angle = (angle % np.float32(np.pi)) * np.float32(4 / np.pi)
    planes = [cv2.GaussianBlur(sheet, (0, 0), 1.5)]
    for orientation in range(4):
        off = np.abs(angle - orientation)
        planes.append(cv2.GaussianBlur(strength * np.clip(1 - np.minimum(off, 4 - off), 0, 1), (0, 0), 2.0))
    grids = [
        _grid(np.asarray(plane, np.float32).reshape(tall.shape)[:, BETWEEN : BETWEEN + TALL]) for plane in planes
    ]
    vectors = np.concatenate(grids, axis=1)
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-6), dtype=np.float32)


def _grid(plane: Image) -> Image:
    """Means over cells of CELL x CELL pixels, a row for each group."""
    cells = plane.reshape(len(plane), TALL // CELL, CELL, WIDE // CELL, CELL).mean(axis=(2, 4))
    return np.asarray(cells.reshape(len(plane), -1), dtype=np.float32)
