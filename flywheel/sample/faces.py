"""Typefaces for the sample corpus: one Tibetan face from the PyMuPDF wheel, and relatives cut from it.

The wheel carries a single Tibetan face (Noto Serif Tibetan, OFL). A recogniser that has
seen one face reads one face, so further faces are made by changing its outlines: narrower,
wider, slanted, bolder, lighter, taller. Each becomes a TrueType file of its own; shaping rules are
kept, and mark anchors move with the outlines. Chinese and Latin come from the wheel as they are.

PyMuPDF is imported inside `wheel_font` alone: the corpus is drawn in a process of its own,
and the service's processes never load MuPDF. `python -m flywheel.sample.faces NUMBER FILE` writes the wheel's
face of a script to a file.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables import otTables
from numpy.typing import NDArray

# Numbers MuPDF gives to scripts and to its fallback faces (fitz.h, enum UCDN_SCRIPT).
LATIN_SCRIPT, TIBETAN_SCRIPT, HAN_SCRIPT = 1, 21, 35


@dataclass(frozen=True, slots=True)
class Cut:
    """Difference of a face from the wheel's. Widths are factors, `weight` is font units (1000 an em)
    that an outline moves outwards on each side, `slant` is dx per dy."""

    width: float = 1.0
    height: float = 1.0
    slant: float = 0.0
    weight: tuple[float, float] = (0.0, 0.0)  # horizontally, vertically


CUTS: dict[str, Cut] = {
    "regular": Cut(),
    "condensed": Cut(width=0.80),
    "expanded": Cut(width=1.20, weight=(4.0, 0.0)),
    "slanted": Cut(slant=0.21),
    "bold": Cut(weight=(15.0, 12.0), width=1.03),
    "light": Cut(weight=(-9.0, -4.0)),
    "tall": Cut(width=0.86, height=1.14, weight=(7.0, 2.0)),
}


def write_faces(directory: Path, names: Iterable[str] = tuple(CUTS)) -> dict[str, Path]:
    """Write the Tibetan faces named (see `CUTS`) and "latin" and "han" as font files; those already there stay.

    Raises KeyError for a name that is not a cut.
    """
    directory.mkdir(parents=True, exist_ok=True)
    out = {name: directory / f"tibetan-{name}.ttf" for name in names}
    missing = [name for name in out if not out[name].exists()]
    outlines = _Outlines(wheel_font(TIBETAN_SCRIPT)) if missing else None
    for name in missing:
        assert outlines is not None
        _write(out[name], outlines.cut(name, CUTS[name]))
    for name, script in (("latin", LATIN_SCRIPT), ("han", HAN_SCRIPT)):
        out[name] = directory / f"{name}.ttf"
        if not out[name].exists():
            _write(out[name], wheel_font(script))
    return out


def cut_face(data: bytes, name: str, cut: Cut | None = None) -> bytes:
    """A relative of another face of the wheel as a font file: by the cut of `CUTS` with this name, or by `cut`."""
    return _Outlines(data).cut(name, cut or CUTS[name])


def wheel_font(script: int) -> bytes:
    """The font file that PyMuPDF carries for a script."""
    import pymupdf

    return bytes(pymupdf.Font(script=script).buffer)


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(data)
    partial.replace(path)


class _Outlines:
    """The base face with quadratic outlines, converted once and cut many times."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        font = TTFont(io.BytesIO(data))
        drawn = font.getGlyphSet()
        self._order: list[str] = font.getGlyphOrder()
        self._glyphs: dict[str, Any] = {}
        for name in self._order:
            pen = TTGlyphPen(None)
            drawn[name].draw(Cu2QuPen(pen, max_err=1.0, reverse_direction=True))
            self._glyphs[name] = pen.glyph()

    def cut(self, name: str, cut: Cut) -> bytes:
        """A TrueType file with every outline, advance and anchor changed alike."""
        font = TTFont(io.BytesIO(self._data), recalcTimestamp=False)
        font.setGlyphOrder(self._order)  # else the names would come from `post`, which differ
        del font["CFF "]
        font.sfntVersion = "\0\1\0\0"
        font["loca"], font["glyf"] = newTable("loca"), newTable("glyf")
        font["glyf"].glyphOrder = self._order
        font["glyf"].glyphs = {n: _cut_glyph(glyph, cut) for n, glyph in self._glyphs.items()}
        _set_metrics(font, cut)
        if (cut.width, cut.height, cut.slant) != (1.0, 1.0, 0.0):
            _move_anchors(font["GPOS"].table, cut)
        _rename(font, f"Sample Tibetan {name.capitalize()}")
        out = io.BytesIO()
        font.save(out)
        return out.getvalue()


def _cut_glyph(glyph: Any, cut: Cut) -> Any:
    """A copy of a quadratic glyph with its points moved; empty glyphs stay empty."""
    from fontTools.ttLib.tables._g_l_y_f import Glyph, GlyphCoordinates

    out = Glyph()
    out.numberOfContours = glyph.numberOfContours
    if glyph.numberOfContours <= 0:
        return out
    points = np.array(glyph.coordinates, dtype=np.float64)
    start = 0
    for end in glyph.endPtsOfContours:
        contour = slice(start, end + 1)
        points[contour] += _outward(points[contour]) * np.array(cut.weight)
        start = end + 1
    x = points[:, 0] * cut.width + points[:, 1] * cut.height * cut.slant
    y = points[:, 1] * cut.height
    out.coordinates = GlyphCoordinates(np.rint(np.stack((x, y), axis=1)).astype(int).tolist())
    out.endPtsOfContours, out.flags = list(glyph.endPtsOfContours), glyph.flags
    out.program = glyph.program
    return out


def _outward(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2) contour -> (n, 2) steps that move each side outwards by one unit.

    Outer contours run clockwise in TrueType, so outwards is to the left of the way; inner
    ones run the other way and close up. Sharp corners are limited to twice the step.
    """
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    before, after = _filled(before), _filled(after[::-1])[::-1]
    left = np.stack((-before[:, 1] - after[:, 1], before[:, 0] + after[:, 0]), axis=1)
    cosine = np.sum(before * after, axis=1, keepdims=True)
    step: NDArray[np.float64] = left / np.maximum(1.0 + cosine, 0.5)
    return step


def _filled(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit directions; a point on top of its neighbour takes the direction of the one before."""
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    for index in np.flatnonzero(lengths == 0):
        steps[index] = steps[index - 1]
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    unit: NDArray[np.float64] = steps / np.where(lengths == 0, 1.0, lengths)[:, None]
    return unit


def _set_metrics(font: TTFont, cut: Cut) -> None:
    glyphs, spacing = font["glyf"].glyphs, cut.weight[0]
    for name, (advance, _) in sorted(font["hmtx"].metrics.items()):
        glyphs[name].recalcBounds(font["glyf"])
        wide = round(advance * cut.width + spacing) if advance else 0
        font["hmtx"].metrics[name] = (wide, getattr(glyphs[name], "xMin", 0))
    for table, fields in (("hhea", ("ascent", "descent")), ("OS/2", ("sTypoAscender", "sTypoDescender"))):
        for field in fields:
            setattr(font[table], field, round(getattr(font[table], field) * cut.height))
    maxp = font["maxp"]
    maxp.tableVersion = 0x00010000
    for field in _MAXP_ZEROS:
        setattr(maxp, field, 0)
    maxp.maxZones = 1
    font["post"].formatType = 3.0


_MAXP_ZEROS = (
    "maxZones maxTwilightPoints maxStorage maxFunctionDefs maxInstructionDefs maxStackElements "
    "maxSizeOfInstructions maxComponentElements maxPoints maxContours maxCompositePoints maxCompositeContours "
    "maxComponentDepth"
).split()


def _move_anchors(table: Any, cut: Cut) -> None:
    """Apply the cut to every anchor and value record under an OpenType table."""
    stack, seen = [table], set()
    while stack:
        node = stack.pop()
        if id(node) in seen or not (isinstance(node, list | dict) or hasattr(node, "__dict__")):
            continue
        seen.add(id(node))
        if isinstance(node, otTables.Anchor):
            node.XCoordinate, node.YCoordinate = _moved(node.XCoordinate, node.YCoordinate, cut)
        elif type(node).__name__ == "ValueRecord":
            _move_value(node, cut)
        elif isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            stack.extend(node.values())
        else:
            if hasattr(node, "ensureDecompiled"):
                node.ensureDecompiled()
            stack.extend(vars(node).values())


def _move_value(value: Any, cut: Cut) -> None:
    if hasattr(value, "XPlacement") or hasattr(value, "YPlacement"):
        x, y = getattr(value, "XPlacement", 0), getattr(value, "YPlacement", 0)
        x, y = _moved(x, y, cut)
        if hasattr(value, "XPlacement") or x:
            value.XPlacement = x
        if hasattr(value, "YPlacement"):
            value.YPlacement = y
    if hasattr(value, "XAdvance"):
        value.XAdvance = round(value.XAdvance * cut.width)


def _moved(x: float, y: float, cut: Cut) -> tuple[int, int]:
    return round(x * cut.width + y * cut.height * cut.slant), round(y * cut.height)


def _rename(font: TTFont, full: str) -> None:
    """Write its own name into every record that carries one: a PDF must not claim the wheel's face."""
    values = {1: full, 2: "Regular", 3: full, 4: full, 6: full.replace(" ", ""), 16: full, 17: "Regular"}
    for record in font["name"].names:
        if record.nameID in values:
            record.string = values[record.nameID]


if __name__ == "__main__":
    target = Path(sys.argv[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    _write(target, wheel_font(int(sys.argv[1])))
