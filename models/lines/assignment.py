"""Assignment of a text layer's characters to the detected lines whose crops show their ink.

    clusters_of(characters, scale) -> clusters         what is drawn at one place, in pixels of the page
    assign(image, lines, clusters) -> Assignment       every cluster in one line at most, with what each crop shows

A base and the marks on it are one cluster, for MuPDF gives marks without an advance no width. A cluster is
shown by a crop when at least half of its ink lies in it, counted in the very pixels; of several crops that
show it (their air overlaps) it belongs to the one that shows most of its text-layer line. What no crop shows
is elsewhere.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box, Character
from flywheel.text.bidi import is_mark
from models.lines.crop import LevelPage
from models.lines.detector import DetectedLine

SHOWN = 0.5  # of a cluster's ink
NO_WIDTH = 0.05  # of a character's height: with less of an advance it stands on the one before it
STEEPEST = 15.0  # degrees; text that runs steeper is not the page's slant
TALL = 1.1  # of a crop's height: a box taller than that is no letter's of the line
BELOW = 0.2  # of a crop's height: how far below it a baseline may stand
FAINT = 24  # gray levels from the paper that are no ink
SILENT = frozenset("\u00ad\u200b\u2060\ufeff")  # cleaned away: nothing is drawn for them
OWN = 0.04  # of a line's height beside its own characters' boxes: their overhang


@dataclass(frozen=True, slots=True)
class Cluster:
    """Characters drawn at one place: text and indices, box and the baseline's point in pixels of the page.

    `line` is the index of the text-layer line; `blank` are white space.
    """

    text: str
    characters: tuple[int, ...]
    box: Box
    x: float
    y: float
    line: int
    blank: bool
    upright: bool


@dataclass(frozen=True, slots=True)
class View:
    """The clusters in one line's crop: indices in the text layer's order; places in pixels of the level page.

    `own` are the line's, without blanks; `blanks` those that follow them. `shown` is a cluster's share of ink in
    the crop, of all that reach into it; `foreign` what of that, of others' clusters, is not in the place of its
    own, with the height of their middle over the crop's, in heights of the crop. `bare` are own clusters
    without ink. `starts` and `baselines` are where clusters begin.
    """

    own: tuple[int, ...]
    blanks: tuple[int, ...]
    shown: dict[int, float]
    foreign: dict[int, tuple[float, float]]
    bare: tuple[int, ...]
    starts: dict[int, float]
    baselines: dict[int, float]


@dataclass(frozen=True, slots=True)
class Assignment:
    """A view for each line, and the number of inked clusters that no line has."""

    views: tuple[View, ...]
    elsewhere: int


@dataclass(frozen=True, slots=True)
class _Window:
    """One line's crop before it is known whose clusters are whose. Boxes N x 4 in the level frame, pixels.

    `near` are the clusters that reach into the crop; `ink` is theirs in all, `inside` the part in the crop.
    """

    near: NDArray[np.int64]
    boxes: NDArray[np.float64]
    points: NDArray[np.float64]
    crop: Box
    dark: NDArray[np.uint8]
    left: int
    top: int
    ink: NDArray[np.float64]
    inside: NDArray[np.float64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each near cluster that the crop shows: of its ink, or of its box where it has none."""
        areas = _areas(self.boxes)
        of_box = _areas(_clipped(self.boxes, self.crop)) / np.maximum(areas, 1e-6)
        inked: NDArray[np.float64] = np.where(self.ink > 0, self.inside / np.maximum(self.ink, 1), of_box)
        return inked


def clusters_of(characters: Sequence[Character], scale: float) -> list[Cluster]:
    """The clusters of a page in the text layer's order. `scale` is pixels in a point."""
    boxes = _upright(characters)
    groups: list[list[int]] = []
    based = True  # whether the last group has a character with an advance
    for index, (character, box) in enumerate(zip(characters, boxes, strict=True)):
        blank = character.text.isspace()
        advances = _advances(box) and not _hangs(character.text)
        before = characters[groups[-1][-1]] if groups else None
        apart = before is None or before.line != character.line or before.text.isspace() or blank
        if apart or (advances and based):
            groups.append([index])
            based = False
        else:
            groups[-1].append(index)
        based = based or advances
    return [_cluster(characters, boxes, group, scale) for group in groups]


def assign(image: NDArray[np.uint8], lines: Sequence[DetectedLine], clusters: Sequence[Cluster]) -> Assignment:
    """Give each cluster to at most one line. `image` is the gray page, `lines` in its pixels."""
    pages = {slant: LevelPage.of(image, slant) for slant in {line.slant for line in lines}}
    boxes = np.array([(c.box.x0, c.box.y0, c.box.x1, c.box.y1) for c in clusters]).reshape(-1, 4)
    points = np.array([(c.x, c.y) for c in clusters]).reshape(-1, 2)
    placed = {slant: (_level_boxes(page, boxes), page.places(points)) for slant, page in pages.items()}
    windows = [_window(pages[line.slant], line, *placed[line.slant]) for line in lines]
    owner = _owners(windows, clusters)
    followed = _with_blanks(owner, clusters)
    views = tuple(_view(window, followed, i, clusters) for i, window in enumerate(windows))
    return Assignment(views, sum(not cluster.blank for cluster in clusters) - len(owner))


def _cluster(characters: Sequence[Character], boxes: Sequence[Box], group: list[int], scale: float) -> Cluster:
    """MuPDF gives further characters of one glyph the font's own height and no width: those say nothing."""
    base = max(group, key=lambda i: boxes[i].width)
    told = [boxes[i] for i in group if i == base or not _stands_for_nothing(boxes[i], boxes[base])]
    text = "".join(characters[i].text for i in group)
    first = characters[base]
    box = Box.around(told).scaled(scale)
    return Cluster(
        text, tuple(group), box, first.x * scale, first.y * scale, first.line, text.isspace(), first.upright
    )


def _hangs(text: str) -> bool:
    """True for marks and joiners, whose advance, if a font gives them one, leaves no ink of its own. Others
    without ink have a place: a letter that is told as a zero-width space shows there."""
    return is_mark(text) and text not in SILENT


def _advances(box: Box) -> bool:
    return box.width > NO_WIDTH * box.height


def _stands_for_nothing(box: Box, base: Box) -> bool:
    return not _advances(box) and box.y0 <= base.y0 and box.y1 >= base.y1


def _upright(characters: Sequence[Character]) -> list[Box]:
    """The characters' boxes as they would be were their lines level: MuPDF's are around slanting ones.

    A box of w x h turned by t is W x H large, W = w cos t + h sin t and H = w sin t + h cos t.
    """
    slant = abs(_text_slant(characters))
    if not slant:
        return [c.box for c in characters]
    cos, sin, both = math.cos(slant), math.sin(slant), math.cos(2 * slant)
    out = []
    for box in (c.box for c in characters):
        width = max(0.0, (box.width * cos - box.height * sin) / both)
        height = max(0.0, (box.height * cos - box.width * sin) / both)
        x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        out.append(Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return out


def _text_slant(characters: Sequence[Character]) -> float:
    """Radians by which text falls to the right: the median of its lines, by their length."""
    ends: dict[int, tuple[Character, Character]] = {}
    for character in characters:
        ends[character.line] = (ends.get(character.line, (character, character))[0], character)
    steps = [sorted(((a.x, a.y), (b.x, b.y))) for a, b in ends.values()]
    runs = [(math.atan2(y1 - y0, x1 - x0), x1 - x0) for (x0, y0), (x1, y1) in steps if x1 > x0]
    level = sorted(run for run in runs if abs(run[0]) < math.radians(STEEPEST))
    reach = list(accumulate(length for _, length in level))
    return level[bisect_left(reach, reach[-1] / 2)][0] if level else 0.0


def _level_boxes(page: LevelPage, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes about the turned middles, of their old size: a glyph's changes little by a few degrees."""
    middles = page.places((boxes[:, :2] + boxes[:, 2:]) / 2)
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.concatenate((middles - half, middles + half), axis=1)


def _window(
    page: LevelPage, line: DetectedLine, boxes: NDArray[np.float64], points: NDArray[np.float64]
) -> _Window:
    crop = page.window(line)
    boxes = _believed(boxes, points, crop)
    near = np.flatnonzero(
        (boxes[:, 0] < crop.x1) & (boxes[:, 2] > crop.x0) & (boxes[:, 1] < crop.y1) & (boxes[:, 3] > crop.y0)
    )
    mine = boxes[near]
    reach = np.concatenate((mine, [(crop.x0, crop.y0, crop.x1, crop.y1)]))
    left, top = (max(0, int(np.floor(v)) - 1) for v in reach[:, :2].min(axis=0))
    right, low = (int(np.ceil(v)) + 1 for v in reach[:, 2:].max(axis=0))
    part = page.image[top:low, left:right]
    shown = part[max(0, round(crop.y0) - top) : round(crop.y1) - top, max(0, round(crop.x0) - left) :]
    dark = _darkness(part, shown)
    sums = cv2.integral(dark)
    ink = _sums(sums, mine, left, top)
    inside = _sums(sums, _clipped(mine, crop), left, top)
    return _Window(near, mine, points[near], crop, dark, left, top, ink, inside)


def _believed(boxes: NDArray[np.float64], points: NDArray[np.float64], crop: Box) -> NDArray[np.float64]:
    """The boxes, but where most on this line are taller than it (a font's ascent and descent instead of outlines):
    there the baseline alone tells the line, and those of other lines are moved out of sight."""
    across = (boxes[:, 0] < crop.x1) & (boxes[:, 2] > crop.x0)
    on = across & (points[:, 1] > crop.y0) & (points[:, 1] < crop.y1 + BELOW * crop.height)
    tall = boxes[:, 3] - boxes[:, 1] > TALL * crop.height
    if not on.any() or tall[on].mean() < 0.5:
        return boxes
    out = boxes.copy()
    out[on & tall, 1], out[on & tall, 3] = crop.y0, crop.y1
    out[tall & ~on, 1] = out[tall & ~on, 3] = crop.y0 - crop.height
    return out


def _darkness(part: NDArray[np.uint8], shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Distance from the paper, which is the crop's most common gray; faint differences are none."""
    paper = int(np.bincount(shown.ravel(), minlength=256).argmax()) if shown.size else 255
    distance = np.abs(part.astype(np.int16) - paper) - FAINT
    return np.asarray(np.clip(distance, 0, 255), dtype=np.uint8)


def _owners(windows: Sequence[_Window], clusters: Sequence[Cluster]) -> dict[int, int]:
    """Cluster -> the line it belongs to."""
    showing: dict[int, list[tuple[int, float, float]]] = defaultdict(list)  # line, share, distance from its middle
    for index, window in enumerate(windows):
        middle = (window.crop.y0 + window.crop.y1) / 2
        heights = np.abs((window.boxes[:, 1] + window.boxes[:, 3]) / 2 - middle) / max(1.0, window.crop.height)
        for cluster, share, off in zip(window.near, window.shares, heights, strict=True):
            if share >= SHOWN and not clusters[int(cluster)].blank:
                showing[int(cluster)].append((index, float(share), float(off)))
    votes: dict[tuple[int, int], float] = defaultdict(float)
    for cluster, found in showing.items():
        for index, share, off in found:
            votes[clusters[cluster].line, index] += share - off
    return {
        cluster: max(found, key=lambda f: (votes[clusters[cluster].line, f[0]], -f[2]))[0]
        for cluster, found in showing.items()
    }


def _with_blanks(owner: dict[int, int], clusters: Sequence[Cluster]) -> dict[int, int]:
    """White space goes with the cluster before it in its text-layer line; where that begins with it, as MuPDF's
    lines do where the direction changes, with the one after."""
    out = dict(owner)
    for index in range(len(clusters) - 2, -1, -1):
        cluster, after = clusters[index], clusters[index + 1]
        if cluster.blank and after.line == cluster.line and index + 1 in out:
            out[index] = out[index + 1]
    for index, (before, cluster) in enumerate(pairwise(clusters), start=1):
        if cluster.blank and before.line == cluster.line and index - 1 in out:
            out[index] = out[index - 1]
    return out


def _view(window: _Window, owner: dict[int, int], index: int, clusters: Sequence[Cluster]) -> View:
    blank = np.array([clusters[int(c)].blank for c in window.near], dtype=bool)
    held = np.array([owner.get(int(c)) == index for c in window.near], dtype=bool)
    mine = held & ~blank
    shares = window.shares
    sums = cv2.integral(_without(window, mine))
    left_over = _sums(sums, _clipped(window.boxes, window.crop), window.left, window.top)
    foreign = np.where(mine | blank, 0.0, left_over / np.maximum(window.ink, 1))
    names = window.near.tolist()
    middle = (window.crop.y0 + window.crop.y1) / 2
    off = ((window.boxes[:, 1] + window.boxes[:, 3]) / 2 - middle) / max(1.0, window.crop.height)
    return View(
        own=tuple(window.near[mine].tolist()),
        blanks=tuple(window.near[held & blank].tolist()),
        shown=dict(zip(names, shares.tolist(), strict=True)),
        foreign={c: (f, o) for c, f, o in zip(names, foreign.tolist(), off.tolist(), strict=True) if f > 0},
        bare=tuple(window.near[mine & (window.ink <= 0)].tolist()),
        starts=dict(zip(names, window.points[:, 0].tolist(), strict=True)),
        baselines=dict(zip(names, window.points[:, 1].tolist(), strict=True)),
    )


def _without(window: _Window, mine: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The darkness that is not in the place of these clusters."""
    out = window.dark.copy()
    air = OWN * window.crop.height
    for x0, y0, x1, y1 in window.boxes[mine] - (window.left, window.top, window.left, window.top):
        rows = slice(max(0, int(y0)), int(np.ceil(y1)) + 1)
        out[rows, max(0, int(x0 - air)) : int(np.ceil(x1 + air))] = 0
    return out


def _clipped(boxes: NDArray[np.float64], crop: Box) -> NDArray[np.float64]:
    low = np.array((crop.x0, crop.y0, crop.x0, crop.y0))
    high = np.array((crop.x1, crop.y1, crop.x1, crop.y1))
    return np.clip(boxes, low, high)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area


def _sums(integral: NDArray[Any], boxes: NDArray[np.float64], left: int, top: int) -> NDArray[np.float64]:
    """Sum of darkness in each box (N x 4), by the integral image of a part that begins at left, top."""
    height, width = integral.shape
    columns = np.clip(np.rint(boxes[:, [0, 2]]).astype(int) - left, 0, width - 1)
    rows = np.clip(np.rint(boxes[:, [1, 3]]).astype(int) - top, 0, height - 1)
    (x0, x1), (y0, y1) = columns.T, rows.T
    total = integral[y1, x1] - integral[y0, x1] - integral[y1, x0] + integral[y0, x0]
    return np.asarray(total, dtype=np.float64)
