"""One page inside the child: its text layer, characters, ink and image, as messages for the parent.

A page's content is interpreted once, into a display list, from which text and the
small gray rendering both come. The text layer crosses the wire as MuPDF's own JSON;
the parent takes it apart. (Python dictionaries of every span would cost more than
the interpretation itself.)
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import pymupdf
from pymupdf import mupdf

from flywheel.pdf.limits import Limits
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
    letters that run from right to left its characters, for whose order the JSON is no help."""
    del request
    display_list = page.get_displaylist()
    text_page = display_list.get_textpage(FLAGS)
    written = _text_json(text_page)
    images = _image_boxes(text_page, limits) if b'"type":"image"' in written else []
    small, dpi = _gray(display_list, page.rect, INK_DPI, INK_PIXELS)
    symbols, places = _characters(text_page) if _has_right_to_left(written) else ("", b"")
    head = _head(page) | {
        "characters": symbols,
        "text_bytes": len(written),
        "scale": JSON_SCALE,
        "images": images,
        "visible_text": not images or _draws_text(page),
        "ink_dpi": dpi,
        "rows": small.height,
        "columns": small.width,
    }
    return head, written, small.samples, places


def layout(page: Any, request: dict[str, Any], limits: Limits) -> tuple[Any, ...]:
    """Head with the regions that the layout model finds. The images are those of a page that was read before."""
    del request, limits
    from flywheel.pdf import layout as model

    return ({"is": "page", "regions": model.regions(page)},)


def characters(page: Any, request: dict[str, Any], limits: Limits) -> tuple[Any, ...]:
    """Head with the characters as one string; body: float32 x, y, x0, y0, x1, y1, line for each."""
    del request, limits
    text_page = page.get_displaylist().get_textpage(FLAGS & ~mupdf.FZ_STEXT_PRESERVE_IMAGES)
    symbols, places = _characters(text_page)
    return _head(page) | {"text": symbols}, places


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


def _characters(text_page: Any) -> tuple[str, bytes]:
    """The characters, and float32 x, y, x0, y0, x1, y1, line for each.

    MuPDF writes blanks into gaps. Where text runs from right to left it takes for gaps what an ActualText covers;
    there those blanks are left out, if the page has blanks of its own.
    """
    found: list[str] = []
    table = array("f")
    lines = [
        line for block in pymupdf.TextPage(text_page).extractRAWDICT()["blocks"] for line in block.get("lines", ())
    ]
    characters = [[c for span in line["spans"] for c in span["chars"]] for line in lines]
    turned = runs_right_to_left("".join(c["c"][:1] for line in characters for c in line))
    spaced = turned and any(c["c"] == " " and not c["synthetic"] for line in characters for c in line)
    for number, line in enumerate(characters):
        for character in line:
            if spaced and character["synthetic"]:
                continue
            found.append(character["c"][:1])
            table.extend((*character["origin"], *character["bbox"], number))
    return "".join(found), table.tobytes()


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


def _draws_text(page: Any) -> bool:
    """True when any text is painted; a recognised scan's text layer is there to be searched, not seen."""
    return any(kind in ("fill-text", "stroke-text") for kind, *_ in page.get_bboxlog())


def _gray(display_list: Any, rect: Any, dpi: float, pixels: int) -> tuple[Any, float]:
    """A gray pixmap and its resolution, lowered until the page fits `pixels`."""
    area = rect.width * rect.height * (dpi / 72) ** 2
    if area > pixels:
        dpi *= (pixels / area) ** 0.5 * 0.999
    matrix = pymupdf.Matrix(dpi / 72, dpi / 72)
    return display_list.get_pixmap(matrix=matrix, colorspace=pymupdf.csGRAY, alpha=0), dpi
