"""One page inside the child: its text layer, characters, ink and image, as messages for the parent.

A page's content is interpreted once, into a display list, from which text and the
small gray rendering both come. The text layer crosses the wire as MuPDF's own JSON;
the parent takes it apart. (Python dictionaries of every span would cost more than
the interpretation itself.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymupdf
from pymupdf import mupdf

from flywheel.pdf import actual_text, glyphs, suspicion
from flywheel.pdf.limits import Limits
from flywheel.pdf.messages import parsed
from flywheel.pdf.refusal import Refusal
from flywheel.reasons import Reason
from flywheel.text.bidi import runs_right_to_left

# No CID_FOR_UNKNOWN_UNICODE: a glyph without a known character must come out as U+FFFD,
# which the gate sees, and not as a letter that happens to have the glyph's number.
# Ligatures are expanded. Boxes are those of the outlines, not of the font's ascenders.
FLAGS = (
    mupdf.FZ_STEXT_PRESERVE_WHITESPACE
    | mupdf.FZ_STEXT_PRESERVE_IMAGES
    | mupdf.FZ_STEXT_MEDIABOX_CLIP
    | mupdf.FZ_STEXT_ACCURATE_BBOXES
)
JSON_SCALE = 100  # MuPDF writes integers: hundredths of a point
INK_DPI = 24.0  # a 10-point line is 3 pixels high
INK_PIXELS = 1_000_000  # of the small rendering, on giant pages


def check_size(page: Any, limits: Limits) -> None:
    """Refuse a page beyond any paper, before anything is drawn."""
    longest = max(page.rect.width, page.rect.height)
    if not 0 < longest <= limits.page_points:
        raise Refusal(Reason.PAGE_TOO_LARGE, f"{page.rect.width:.0f} x {page.rect.height:.0f} points")


def check_image(page: Any, limits: Limits) -> None:
    """Decode an image file's page coarsely: raises when it cannot be, or is too large."""
    check_size(page, limits)
    display_list = page.get_displaylist()
    _image_boxes(display_list.get_textpage(FLAGS), limits)
    pymupdf.TOOLS.reset_mupdf_warnings()
    _gray(display_list, page.rect, INK_DPI, INK_PIXELS)
    warnings = pymupdf.TOOLS.mupdf_warnings()
    if warnings:
        raise Refusal(Reason.IMAGE_UNREADABLE, warnings.split("\n", 1)[0][:200])


def text(page: Any, request: dict[str, Any], limits: Limits) -> tuple[Any, ...]:
    """Head with geometry and images; bodies: MuPDF's text JSON, then the small gray rendering, and on a page with
    letters that run from right to left its characters, for whose order the JSON is no help.

    The text is what is seen, each character once (`flywheel.pdf.glyphs`). `hidden_share` is that of the characters
    which are not seen; of a layer that is mainly hidden all is kept. `turned` characters stand upside down.
    """
    del request
    layer = _layer(page, limits)
    written = layer.written
    if layer.kept is not None:
        masked = glyphs.as_layer(layer.glyphs(), layer.kept.mask, JSON_SCALE)
        written = json.dumps(masked, ensure_ascii=False).encode("utf-8", "surrogatepass")
    symbols, places, fonts = _characters(layer) if _has_right_to_left(written) else ("", b"", [])
    head = _head(page) | {
        "characters": symbols,
        "fonts": fonts,
        "text_bytes": len(written),
        "scale": JSON_SCALE,
        "images": layer.images,
        "hidden_share": layer.kept.hidden / max(layer.kept.total, 1) if layer.kept else 0.0,
        "turned": layer.kept.turned if layer.kept else 0,
        "ink_dpi": layer.dpi,
        "rows": layer.small.height,
        "columns": layer.small.width,
    }
    return head, written, layer.small.samples, places


@dataclass(frozen=True, slots=True)
class _Layer:
    """A page's text as MuPDF tells it, its images, and a small gray rendering of the page.

    `kept` says which of the `glyphs` the label is made of; None where it is all of them.
    """

    text_page: Any
    written: bytes
    images: list[list[float]]
    small: Any
    dpi: float
    taken_apart: glyphs.Glyphs | None
    kept: glyphs.Kept | None

    def glyphs(self) -> glyphs.Glyphs:
        return self.taken_apart or glyphs.read(self.text_page)


def _layer(page: Any, limits: Limits) -> _Layer:
    display_list = page.get_displaylist()
    text_page = display_list.get_textpage(FLAGS)
    written = _text_json(text_page)
    images = _image_boxes(text_page, limits) if b'"type":"image"' in written else []
    small, dpi = _gray(display_list, page.rect, INK_DPI, INK_PIXELS)
    rows = [row for block in parsed(written)["blocks"] for row in block.get("lines", ()) if row["text"].strip()]
    found = what = None
    if rows:
        bare = glyphs.without_text(display_list, pymupdf.Matrix(dpi / 72, dpi / 72), small)
        pictures = small.samples, bare, small.height, dpi
        given = actual_text.given_texts(page, [row["text"] for row in rows])
        if (
            given
            or suspicion.is_suspect(rows, JSON_SCALE, images, *pictures)
            or suspicion.colour_changes(text_page)
        ):
            found = glyphs.read(text_page, given)
            what = glyphs.kept(found, display_list, page.rect, given)
    return _Layer(text_page, written, images, small, dpi, found, what)


def layout(page: Any, request: dict[str, Any], limits: Limits) -> tuple[Any, ...]:
    """Head with the regions that the layout model finds. The images are those of a page that was read before."""
    del request, limits
    from flywheel.pdf import layout as model

    return ({"is": "page", "regions": model.regions(page)},)


def characters(page: Any, request: dict[str, Any], limits: Limits) -> tuple[Any, ...]:
    """Head with the characters that `text` keeps as one string, and their fonts; body: float32 x, y, x0, y0, x1,
    y1, line, upright, font for each."""
    del request
    symbols, places, fonts = _characters(_layer(page, limits))
    return _head(page) | {"text": symbols, "fonts": fonts}, places


def render(page: Any, request: dict[str, Any], limits: Limits) -> tuple[Any, ...]:
    """Head with the resolution in fact; body: gray pixels, row by row."""
    display_list = page.get_displaylist()
    text_page = display_list.get_textpage(mupdf.FZ_STEXT_PRESERVE_IMAGES)
    _image_boxes(text_page, limits)
    pixmap, dpi = _gray(display_list, page.rect, float(request["dpi"]), limits.pixel_limit)
    return _head(page) | {"dpi": dpi, "rows": pixmap.height, "columns": pixmap.width}, pixmap.samples


ANSWERS: dict[str, Callable[[Any, dict[str, Any], Limits], tuple[Any, ...]]] = {
    "text": text,
    "layout": layout,
    "characters": characters,
    "render": render,
}


def _head(page: Any) -> dict[str, Any]:
    rect = page.rect
    return {
        "is": "page",
        "width": round(rect.width, 3),
        "height": round(rect.height, 3),
        "rotation": page.rotation if page.parent.is_pdf else 0,
    }


def _text_json(text_page: Any) -> bytes:
    buffer = mupdf.fz_new_buffer(1 << 14)
    output = mupdf.FzOutput(buffer)
    output.fz_print_stext_page_as_json(text_page, JSON_SCALE)
    output.fz_close_output()
    return bytes(buffer.fz_buffer_extract())


def _characters(layer: _Layer) -> tuple[str, bytes, list[str]]:
    """The characters, float32 x, y, x0, y0, x1, y1, line, upright, font for each, and the names of the fonts.

    MuPDF writes blanks into gaps. Where text runs from right to left it takes for gaps what an ActualText covers;
    there those blanks are left out, if the page has blanks of its own.
    """
    found = layer.glyphs()
    mask = np.ones(len(found.symbols), dtype=bool) if layer.kept is None else layer.kept.mask
    own_blanks = any(
        s == " " and not made for s, made in zip(found.symbols, found.synthetic.tolist(), strict=True)
    )
    if own_blanks and runs_right_to_left("".join(found.symbols)):
        mask = mask & ~found.synthetic
    names = sorted(set(found.fonts))
    numbers = {name: number for number, name in enumerate(names)}
    fonts = np.array([numbers[name] for name in found.fonts], dtype=np.float64)
    columns = (found.origins, found.boxes, found.lines[:, None], found.upright[:, None], fonts[:, None])
    table = np.hstack([column[mask] for column in columns]).astype(np.float32)
    symbols = "".join(s for s, wanted in zip(found.symbols, mask.tolist(), strict=True) if wanted)
    return symbols, table.tobytes(), names


def _has_right_to_left(written: bytes) -> bool:
    return not written.isascii() and runs_right_to_left(written.decode("utf-8", "replace"))


def _image_boxes(text_page: Any, limits: Limits) -> list[list[float]]:
    """Boxes of the images. Refuses the page when one is larger than the limit, before it is decoded."""
    boxes = []
    for info in pymupdf.TextPage(text_page).extractIMGINFO():
        if info["width"] * info["height"] > limits.image_pixels:
            raise Refusal(Reason.IMAGE_LIMIT, f"an image of {info['width']} x {info['height']} pixels")
        boxes.append([round(float(v), 2) for v in info["bbox"]])
    return boxes


def _gray(display_list: Any, rect: Any, dpi: float, pixels: int) -> tuple[Any, float]:
    """A gray pixmap and its resolution, lowered until the page fits `pixels`."""
    area = rect.width * rect.height * (dpi / 72) ** 2
    if area > pixels:
        dpi *= (pixels / area) ** 0.5 * 0.999
    matrix = pymupdf.Matrix(dpi / 72, dpi / 72)
    return display_list.get_pixmap(matrix=matrix, colorspace=pymupdf.csGRAY, alpha=0), dpi
