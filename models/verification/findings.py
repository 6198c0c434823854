"""Finding about a layer's text in one font, by a reader of its script or by drawn letters.

    FontSample(font, pieces, script)
    examine(sample, reader, typeface) -> FontFinding

A reader decides where it is sure of what it reads. A champion's disagreement must be borne out by drawings, where
there are any: it may never have seen such a typeface, and would condemn all that it could learn it from. The
built-in reader has seen all that Latin and Chinese are set in. Where neither can tell, the layer is believed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.text.scripts import parts
from models.recognition.protocol import Recogniser
from models.verification.comparison import Finding, Tally, tally_of
from models.verification.drawn import Typeface
from models.verification.sampling import LayerPiece
from models.verification.shapes import ShapeEvidence, evidence

FIRST, FEWEST = 6, 4  # pieces of a shard read at first and then again, of a font,
MORE = 30  # and more where that did not settle it
# Of the letter groups, and of the drawings: sound ones have up to 0.54 and 0.25 in the boldest titling faces,
# texts of other pages at least 0.75 and 0.32 (468 samples, 2026-11-24).
CONTRADICTED, NEARER = 0.65, 0.3
UNLEARNED = 0.02  # of a layer's letters: a champion that lacks more of them mistakes their neighbours, too
LEFT_OUT = 0.05  # of the letter groups look like themselves with the same sign more; a sound bold face had 0.026
FEW_LEFT_OUT = 4


@dataclass(frozen=True, slots=True)
class FontSample:
    """Pieces of one font and script (ISO 15924), in the order in which they are looked at."""

    font: str
    script: str
    pieces: Sequence[LayerPiece]
    share: float = 1.0  # of the text that is looked at


@dataclass(frozen=True, slots=True)
class LineReader:
    """A recogniser with the characters that it can write. `trusted`: its disagreement needs no second opinion."""

    recogniser: Recogniser
    alphabet: frozenset[str]
    trusted: bool

    def reads(self, script: str) -> bool:
        return parts(script) <= self.recogniser.scripts


@dataclass(frozen=True, slots=True)
class FontFinding:
    """Finding about a font, and for people what was seen. `looked`: whether there was anything to look with."""

    font: str
    finding: Finding
    detail: str = ""
    looked: bool = True


def examine(sample: FontSample, reader: LineReader | None, typeface: Typeface | None) -> FontFinding:
    """Look at a font's sample until it is plain what the layer is worth there, or the sample ends."""
    read = _read(sample, reader) if reader is not None and reader.reads(sample.script) else None
    if read is not None and (
        read.finding is Finding.AGREES or (read.finding is Finding.DISAGREES and _final(reader))
    ):
        return read
    drawn = _compare(sample, typeface) if typeface is not None else None
    if drawn is not None and drawn.finding is not Finding.UNSURE:
        return drawn
    if drawn is None and read is not None:
        return read
    if read is None and typeface is None:
        detail = f"{_named(sample.font)}not verified: neither a reader nor a typeface of {sample.script}"
        return FontFinding(sample.font, Finding.UNSURE, detail, looked=False)
    return FontFinding(sample.font, Finding.UNSURE)


def silence(font: str, silent: int, letters: int) -> FontFinding:
    """The finding on a font that draws letters which the layer leaves out."""
    seen = f"{silent} glyphs are drawn and say nothing, beside {letters} letters that are told"
    return FontFinding(font, Finding.DISAGREES, f"{_named(font)}{seen}: the layer leaves letters out")


def _final(reader: LineReader | None) -> bool:
    return reader is not None and reader.trusted


def _read(sample: FontSample, reader: LineReader) -> FontFinding:
    """By the first look a layer agrees only when all is read as it says; a slip has it looked at again."""
    tally, start = Tally(), 0
    first = max(FEWEST, round(FIRST * sample.share))
    for size in (first, first, MORE):
        part = sample.pieces[start : start + size]
        start += len(part)
        readings = reader.recogniser.read([piece.image for piece in part])
        for piece, reading in zip(part, readings, strict=True):
            tally += tally_of(piece.text, reading, reader.alphabet, reader.recogniser.scripts)
        finding = tally.finding(final=size == MORE or start == len(sample.pieces))
        slipped = finding is Finding.AGREES and start == first < len(sample.pieces) and tally.wrong > 0
        if finding is not Finding.UNSURE and not slipped:
            break
    if finding is not Finding.DISAGREES:
        return FontFinding(sample.font, finding)
    if not reader.trusted and not tally.only_exchanged and _unlearned(sample, reader) > UNLEARNED:
        return FontFinding(sample.font, Finding.UNSURE)
    return FontFinding(sample.font, finding, _reading_detail(sample, tally))


def _unlearned(sample: FontSample, reader: LineReader) -> float:
    """Share of the layer's letters and marks that the reader cannot write."""
    letters = [c for piece in sample.pieces for c in piece.text if unicodedata.category(c)[0] in "LM"]
    return sum(c not in reader.alphabet for c in letters) / max(1, len(letters))


def _reading_detail(sample: FontSample, tally: Tally) -> str:
    said, read = tally.example
    seen = f"{tally.wrong} of {tally.letters} letters read otherwise"
    if tally.exchanged:
        seen += f", {tally.exchanged[0]!r} as {tally.exchanged[1]!r}"
    return f"{_named(sample.font)}{seen}: the layer says {said.strip()!r}, the page shows {read!r}"


def _compare(sample: FontSample, typeface: Typeface) -> FontFinding | None:
    found = evidence(sample.pieces, typeface, sample.script)
    if found is None:
        return None
    if not lies(found):
        return FontFinding(sample.font, Finding.AGREES)
    said, shown = found.example
    seen = f"{found.contradicted} of {found.groups} letter groups look like others"
    if found.exchanged:
        seen += f", {found.exchanged[0]!r} and {found.exchanged[1]!r} like each other"
    if found.overstated:
        seen += f", {found.overstated[0]!r} like {found.overstated[1]!r}"
    return FontFinding(
        sample.font,
        Finding.DISAGREES,
        f"{_named(sample.font)}{seen}: the layer says {said!r}, the page shows what looks like {shown!r}",
    )


def lies(found: ShapeEvidence) -> bool:
    """True when no typeface explains what was seen."""
    left_out = found.left_out >= max(FEW_LEFT_OUT, LEFT_OUT * found.groups)
    another_text = found.share > CONTRADICTED and found.nearer > NEARER
    return bool(found.exchanged or found.overstated) or another_text or left_out


def _named(font: str) -> str:
    return f"{font}: " if font else ""
