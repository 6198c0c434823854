"""The things that travel between stops: pages, regions, lines, boxes, labels, verdicts.

Boxes are in page points (1/72 inch), origin top left, y down, of the page as
shown (rotation applied), until `Box.bins` writes them as 0-999 integers.
Everything here is frozen and has an exact JSON form (`encode`, `decode_label`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from flywheel.reasons import Reason

BINS = 1000  # DeepSeek-OCR, section 3.4: coordinates are normalised into 1000 bins


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle: x0 <= x1, y0 <= y1."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    def scaled(self, factor: float) -> Box:
        """The same rectangle in another unit, e.g. points -> pixels with dpi / 72."""
        return Box(self.x0 * factor, self.y0 * factor, self.x1 * factor, self.y1 * factor)

    def contains(self, x: float, y: float) -> bool:
        return self.x0 <= x <= self.x1 and self.y0 <= y <= self.y1

    def intersection(self, other: Box) -> float:
        """Shared area; 0 when apart."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return width * height if width > 0 and height > 0 else 0.0

    def bins(self, width: float, height: float) -> tuple[int, int, int, int]:
        """0-999 integers relative to a page of `width` x `height` points."""

        def bin_of(value: float, size: float) -> int:
            return min(BINS - 1, max(0, int(value / size * BINS))) if size > 0 else 0

        return (
            bin_of(self.x0, width),
            bin_of(self.y0, height),
            bin_of(self.x1, width),
            bin_of(self.y1, height),
        )

    @classmethod
    def around(cls, boxes: Iterable[Box]) -> Self:
        """The smallest box that holds all; raises ValueError when there is none."""
        parts = list(boxes)
        return cls(
            min(b.x0 for b in parts),
            min(b.y0 for b in parts),
            max(b.x1 for b in parts),
            max(b.y1 for b in parts),
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text. Confidences are probabilities in 0..1; None or () for a text layer's lines."""

    text: str
    box: Box
    confidence: float | None = None
    character_confidences: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Region:
    """A block of the layout. Category: text, title, list, table, picture, caption, formula,
    header, footer, footnote (lower case, no others)."""

    category: str
    box: Box
    lines: tuple[Line, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


class Kind(StrEnum):
    """Origin of a label: a text layer, a reader, a person."""

    COARSE = "coarse"
    FINE = "fine"
    HUMAN = "human"


class TextOrigin(StrEnum):
    """Origin of a label's words, whoever vouched for them since.

    An OCR layer is a text layer that some program read off the page's image: hidden, covered, or in
    the paper's colour.
    """

    TEXT_LAYER = "text_layer"
    OCR_LAYER = "ocr_layer"
    READER = "reader"
    PERSON = "person"


# Of the characters of a text layer: one that hides more of them was read off the page's image by some program.
MAINLY_HIDDEN = 0.5
# Origins whose words were not made by a reader: exams are of these alone.
TRUE_ORIGINS = frozenset({TextOrigin.TEXT_LAYER, TextOrigin.PERSON})
_ORIGIN_BY_KIND = {
    Kind.COARSE: TextOrigin.TEXT_LAYER,
    Kind.FINE: TextOrigin.READER,
    Kind.HUMAN: TextOrigin.PERSON,
}


@dataclass(frozen=True, slots=True)
class Label:
    """Text of a page and its places. Regions stand in reading order. `width` and `height` in points.

    `script` is what was detected (ISO 15924, e.g. "Tibt", or "Zyyy" when undecided);
    `language` is what was declared (BCP-47), or None. `origin` is who wrote the words; left out, it follows from
    the kind.
    """

    kind: Kind
    producer: str
    width: float
    height: float
    regions: tuple[Region, ...]
    script: str = "Zyyy"
    language: str | None = None
    checkpoint: str | None = None
    origin: TextOrigin = None  # type: ignore[assignment]  # __post_init__ fills it in

    def __post_init__(self) -> None:
        object.__setattr__(self, "origin", TextOrigin(self.origin or _ORIGIN_BY_KIND[self.kind]))

    @property
    def text(self) -> str:
        return "\n\n".join(region.text for region in self.regions if region.lines)

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(line for region in self.regions for line in region.lines)

    @property
    def confidence(self) -> float | None:
        """Mean confidence of the lines, weighted by characters; None for a text layer's label."""
        lines = [(x.confidence, max(1, len(x.text))) for x in self.lines if x.confidence is not None]
        known = [(c, n) for c, n in lines if math.isfinite(c)]
        weight = sum(n for _, n in known)
        return sum(c * n for c, n in known) / weight if weight else None


@dataclass(frozen=True, slots=True)
class ReadInk:
    """Ink of a page's image by what was read there, rules and dust left out. `area` in square points.

    `text`, `unread` and `drawn` are shares of it and sum to 1: what the text that was read accounts for, what is
    like letters and was not read, what is larger. `text_area` and `drawn_area` are shares of the page's area.
    """

    area: float
    text: float
    unread: float
    drawn: float
    text_area: float
    drawn_area: float


@dataclass(frozen=True, slots=True)
class PageReading:
    """Answer of a page reader for one page: its label, and what the gate should know of its making.

    `truncated`: the reader stopped at its token limit, not at an end of its own. `flaws`: the faults of
    its markup (`markup.Fault` values), one an occurrence; "refused" and "unanswered" by a server that would not,
    or did not, read this page. `recited`: the reader gave the same text for
    another image; None when it was not probed. `ink` is None where it was not measured. Tokens are of the page's
    image and of the reader's answer.
    """

    label: Label
    truncated: bool = False
    flaws: tuple[str, ...] = ()
    recited: bool | None = None
    ink: ReadInk | None = None
    vision_tokens: int | None = None
    text_tokens: int | None = None


class Outcome(StrEnum):
    """Outcome of a verdict on a label."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Judgement on a label: an outcome, its reason, and the evidence in words."""

    outcome: Outcome
    reason: Reason
    detail: str = ""

    @property
    def accepted(self) -> bool:
        return self.outcome is Outcome.ACCEPTED


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """Facts of a file. `format` as MuPDF names it, e.g. "PDF 1.7", or "PNG", "JPEG", "TIFF".

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
class PageFacts:
    """Facts of a page that need no reader.

    `width`, `height` in points as shown; `rotation` in degrees (0, 90, 180, 270);
    `ink` the share of dark pixels, 0..1; `image_only` when images cover the page and
    hardly any visible text is drawn; `fonts` the names used; `scripts` characters by ISO 15924 code.
    `characters` are those that the page shows; or all, where the layer is mainly hidden. `hidden_share`: of all
    of the layer's characters, those that leave no trace on the page. `turned`: characters that are shown upside
    down or mirrored. `drawn`: share of the ink that is neither text nor image. `sloping`: letters from right to
    left that climb and fall within their line, as in Nastaliq.
    """

    number: int  # 0-based
    width: float
    height: float
    rotation: int
    ink: float
    has_text: bool
    image_only: bool
    characters: int
    fonts: tuple[str, ...] = ()
    scripts: dict[str, int] = dataclasses.field(default_factory=dict)
    hidden_share: float = 0.0
    turned: int = 0
    drawn: float = 0.0
    sloping: int = 0

    @property
    def mainly_hidden(self) -> bool:
        return self.hidden_share >= MAINLY_HIDDEN


@dataclass(frozen=True, slots=True)
class Character:
    """One character of a text layer: its text (NFC cluster part), its origin on the baseline and its box."""

    text: str
    x: float
    y: float
    box: Box
    line: int  # index of the text-layer line it came from
    upright: bool = True  # False for text that stands sideways, upside down or mirrored as the page is shown
    font: str = ""  # as `PageFacts.fonts` names it


def encode(label: Label) -> dict[str, Any]:
    """JSON form of a label; boxes as four-number lists rounded to 1/100 point."""

    def line(value: Line) -> dict[str, Any]:
        out: dict[str, Any] = {"text": value.text, "box": box(value.box)}
        if value.confidence is not None:
            out["confidence"] = round(value.confidence, 4)
        if value.character_confidences:
            out["character_confidences"] = [round(c, 3) for c in value.character_confidences]
        return out

    def box(value: Box) -> list[float]:
        return [round(v, 2) for v in (value.x0, value.y0, value.x1, value.y1)]

    return {
        "kind": label.kind.value,
        "origin": label.origin.value,
        "producer": label.producer,
        "checkpoint": label.checkpoint,
        "language": label.language,
        "script": label.script,
        "width": label.width,
        "height": label.height,
        "regions": [
            {"category": r.category, "box": box(r.box), "lines": [line(x) for x in r.lines]} for r in label.regions
        ],
    }


def decode_label(data: dict[str, Any]) -> Label:
    """Inverse of `encode`. Raises KeyError, TypeError or ValueError on anything else."""
    return Label(
        kind=Kind(data["kind"]),
        origin=data.get("origin"),  # type: ignore[arg-type]  # labels of older versions have none
        producer=str(data["producer"]),
        checkpoint=data.get("checkpoint"),
        language=data.get("language"),
        script=str(data.get("script", "Zyyy")),
        width=float(data["width"]),
        height=float(data["height"]),
        regions=tuple(
            Region(
                category=str(r["category"]),
                box=Box(*(float(v) for v in r["box"])),
                lines=tuple(
                    Line(
                        text=str(x["text"]),
                        box=Box(*(float(v) for v in x["box"])),
                        confidence=x.get("confidence"),
                        character_confidences=tuple(x.get("character_confidences", ())),
                    )
                    for x in r["lines"]
                ),
            )
            for r in data["regions"]
        ),
    )
