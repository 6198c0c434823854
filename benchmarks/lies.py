"""PDFs whose text layers lie in known ways, and sound ones to hold them against.

    draw_sound(path, script, words, ...)        a faithful document of two pages and the text that its pages show
    LIES[kind](sound, path, draft)              a copy that lies in one way

Every lie leaves the page looking as it was or, where the lie is in what is drawn (upside down, twice, as
outlines), changes what is drawn and not what the layer says. Fonts are those of the PyMuPDF wheel, cut anew by
flywheel.sample.faces, or files of the caller's.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pymupdf
import regex
from fpdf import FPDF
from fpdf.enums import TextMode

from benchmarks.scripts import Script
from flywheel.sample.faces import cut_face, wheel_font

WIDTH, HEIGHT, MARGIN = 420.0, 595.0, 44.0
PAGES, LINES = 2, 14


@dataclass(frozen=True, slots=True)
class Draft:
    """A document to draw: script, type size, seed, and its face: a font file, or a cut of the wheel's."""

    script: Script
    face: Path
    seed: int
    size: float

    @property
    def shown(self) -> list[list[str]]:
        """The lines of every page, as anyone sees them."""
        rng = random.Random(f"{self.script.code} {self.seed}")
        return [[self._line(rng) for _ in range(LINES)] for _ in range(PAGES)]

    def _line(self, rng: random.Random) -> str:
        most = (WIDTH - 2 * MARGIN) / self.size * (1.0 if self.script.code == "Hani" else 1.5)
        most *= 1.3 if self.script.code == "Tibt" else 1.0  # marks and stacks take no width
        line = ""
        while True:
            longer = f"{line}{self.script.gap if line else ''}{rng.choice(self.script.words)}"
            if len(longer) > most:
                return line
            line = longer


def face_of(script: Script, cut: str, directory: Path) -> Path:
    """A face of the wheel's font for a script, cut as flywheel.sample.faces cuts Tibetan."""
    path = directory / f"{script.code}-{cut}.ttf"
    if not path.exists():
        data = wheel_font(script.number)
        if cut != "regular":
            try:
                data = cut_face(data, cut)
            except Exception:  # faces of other kinds of outlines stay as they are
                cut = "regular"
        path.write_bytes(data)
    return path


def draw_sound(path: Path, draft: Draft, *, mode: TextMode = TextMode.FILL, colour: int = 0) -> Path:
    """A document whose layer says what its pages show."""
    return _draw(path, draft, draft.shown, mode=mode, colour=colour)


def _draw(
    path: Path,
    draft: Draft,
    pages: list[list[str]],
    *,
    mode: TextMode = TextMode.FILL,
    colour: int = 0,
    opacity: float = 1.0,
    times: tuple[tuple[float, float], ...] = ((0.0, 0.0),),
) -> Path:
    book = FPDF(unit="pt", format=(WIDTH, HEIGHT))
    book.set_auto_page_break(False)
    book.set_margin(0)
    book.c_margin = 0
    book.add_font("face", fname=draft.face)
    for lines in pages:
        book.add_page()
        book.set_font("face", size=draft.size)
        book.set_text_shaping(True)
        book.set_text_color(colour)
        book.text_mode = mode
        for number, line in enumerate(lines):
            for dx, dy in times:
                book.set_xy(MARGIN + dx, MARGIN + number * (HEIGHT - 2 * MARGIN) / LINES + dy)
                align = "R" if draft.script.code in ("Arab", "Hebr") else "L"
                with book.local_context(fill_opacity=opacity):
                    if draft.script.code in SPELT:
                        _spell(book, line, draft.size)
                    else:
                        book.cell(WIDTH - 2 * MARGIN, draft.size * 1.4, line, align=align)
    book.output(str(path))
    return path


def _spell(book: FPDF, line: str, size: float) -> None:
    """Draw a line cluster by cluster, each with its own text beside it: glyphs of these scripts stand in another
    order than their characters, and a map from single glyphs to characters cannot say so."""
    for cluster in regex.findall(r"\X", line):
        width = book.get_string_width(cluster)
        book._out(f"/Span <</ActualText <FEFF{cluster.encode('utf-16-be').hex().upper()}>>> BDC")
        book.cell(width, size * 1.4, cluster)
        book._out("EMC")


# Lies of the map from glyphs to characters

SPELT = frozenset({"Deva", "Taml", "Thai"})
_SPELT = re.compile(rb"/ActualText <FEFF([0-9A-F]+)>")
_CHAR = re.compile(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>")


def remap(sound: Path, path: Path, change: Callable[[str], str]) -> Path:
    """A copy whose ToUnicode maps say `change(text)` for every glyph that said `text`."""
    document = pymupdf.open(sound)
    for xref in range(1, document.xref_length()):
        if not document.xref_is_stream(xref):
            continue
        stream = document.xref_stream(xref)
        if b"begincmap" in stream and (b"beginbfchar" in stream or b"beginbfrange" in stream):
            document.update_stream(xref, _changed(stream, change))
        elif _SPELT.search(stream):
            document.update_stream(xref, _SPELT.sub(lambda found: _respelt(found, change), stream))
    document.save(path)
    document.close()
    return path


def _changed(stream: bytes, change: Callable[[str], str]) -> bytes:
    pairs = dict(_pairs(stream))
    head = stream[: min(i for i in (stream.find(b"beginbfchar"), stream.find(b"beginbfrange")) if i > 0)]
    head = head[: head.rstrip().rfind(b"\n") + 1] if b"\n" in head.rstrip() else head
    rows = []
    for code, text in pairs.items():
        units = change(text).encode("utf-16-be").hex().upper()
        rows.append(b"<%04X> <%s>" % (code, units.encode()))
    blocks = [rows[k : k + 100] for k in range(0, len(rows), 100)]
    body = b"".join(b"%d beginbfchar\n%s\nendbfchar\n" % (len(b), b"\n".join(b)) for b in blocks)
    return head + body + b"endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"


def _respelt(found: re.Match[bytes], change: Callable[[str], str]) -> bytes:
    return b"/ActualText <FEFF%s>" % change(_text(found[1])).encode("utf-16-be").hex().upper().encode()


def _pairs(stream: bytes) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", stream, re.DOTALL):
        found += [(int(a, 16), _text(b)) for a, b in _CHAR.findall(block)]
    for block in re.findall(rb"beginbfrange(.*?)endbfrange", stream, re.DOTALL):
        for first, last, start in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block):
            text = _text(start)
            for step in range(int(last, 16) - int(first, 16) + 1):
                found.append((int(first, 16) + step, text[:-1] + chr(ord(text[-1]) + step)))
    return found


def _text(units: bytes) -> str:
    return bytes.fromhex(units.decode()).decode("utf-16-be", "replace")


def _letters(draft: Draft) -> list[str]:
    """Letters of the shown text, most frequent first; of both cases as one."""
    counts = Counter(c for page in draft.shown for line in page for c in line if c.isalpha())
    return [letter for letter, _ in counts.most_common()]


def _marks(draft: Draft) -> set[str]:
    """Marks that hang on letters; of scripts that have none, the most frequent letter."""
    seen = {c for page in draft.shown for line in page for c in line if unicodedata.category(c)[0] == "M"}
    return seen or set(_letters(draft)[:1])


def _exchange(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(c, c) for c in text)


def two_letters_exchanged(sound: Path, path: Path, draft: Draft) -> Path:
    one, two = _letters(draft)[:2]
    return remap(sound, path, lambda text: _exchange(text, {one: two, two: one}))


def letters_permuted(sound: Path, path: Path, draft: Draft) -> Path:
    letters = _letters(draft)
    table = dict(zip(letters, letters[7:] + letters[:7], strict=True))
    return remap(sound, path, lambda text: _exchange(text, table))


def marks_dropped(sound: Path, path: Path, draft: Draft) -> Path:
    """Vowel signs say nothing (a zero-width character); in scripts without, the most frequent letter."""
    marks = _marks(draft)
    return remap(sound, path, lambda text: "".join(c for c in text if c not in marks) or "\u200b")


def code_points_shifted(sound: Path, path: Path, draft: Draft) -> Path:
    del draft
    return remap(sound, path, lambda text: "".join(chr(ord(c) + 3) if c.isalpha() else c for c in text))


def legacy_bytes(sound: Path, path: Path, draft: Draft) -> Path:
    """Glyphs of a font of before Unicode: accented letters and signs of Latin-1."""
    letters = sorted({c for page in draft.shown for line in page for c in line if not c.isspace()})
    table = {c: chr(0xA1 + k * 7 % 0x5E) for k, c in enumerate(letters)}
    return remap(sound, path, lambda text: _exchange(text, table))


def private_use(sound: Path, path: Path, draft: Draft) -> Path:
    del draft
    return remap(
        sound, path, lambda text: "".join(c if c.isspace() else chr(0xF000 + ord(c) % 0xE0) for c in text)
    )


def some_private_use(sound: Path, path: Path, draft: Draft) -> Path:
    """Every tenth kind of letter is of private use."""
    lost = set(_letters(draft)[2::10])
    return remap(sound, path, lambda text: "".join(chr(0xF041) if c in lost else c for c in text))


def replacement(sound: Path, path: Path, draft: Draft) -> Path:
    del draft
    return remap(sound, path, lambda text: "".join(c if c.isspace() else "\ufffd" for c in text))


def look_alikes(sound: Path, path: Path, draft: Draft) -> Path:
    """Letters of another script's block, one of each kind: what a reader of another language would have said."""
    letters = _letters(draft)
    start = 0x0430 if draft.script.code == "Latn" else 0x0061
    table = {c: chr(start + k % 24) for k, c in enumerate(letters)}
    return remap(sound, path, lambda text: "".join(table.get(c, "") for c in text) or " ")


# Lies of visibility: what is seen is an image (or outlines), what is said is a layer of another page's words


def _with_layer(
    sound: Path,
    path: Path,
    draft: Draft,
    *,
    mode: TextMode = TextMode.FILL,
    over: bool = True,
    opacity: float = 1.0,
    colour: int = 0,
    stamp: bool = False,
) -> Path:
    """Page images of `sound` with a layer of other words over (or under) them."""
    other = replace(draft, seed=draft.seed + 1000)
    layer = path.with_suffix(".layer.pdf")
    _draw(layer, other, other.shown, mode=mode, colour=colour, opacity=opacity)
    images, words, out = pymupdf.open(sound), pymupdf.open(layer), pymupdf.open()
    for number in range(len(images)):
        page = out.new_page(width=WIDTH, height=HEIGHT)
        picture = images[number].get_pixmap(dpi=130, colorspace=pymupdf.csGRAY)
        if over:
            page.insert_image(page.rect, stream=picture.tobytes("png"))
            page.show_pdf_page(page.rect, words, number)
        else:
            page.show_pdf_page(page.rect, words, number)
            page.insert_image(page.rect, stream=picture.tobytes("png"))
        if stamp:
            page.insert_text((MARGIN, HEIGHT - 14), "Scanned by the library of the long room, 2026", fontsize=8)
    out.save(path)
    return path


def hidden_layer(sound: Path, path: Path, draft: Draft) -> Path:
    return _with_layer(sound, path, draft, mode=TextMode.INVISIBLE)


def hidden_layer_and_stamp(sound: Path, path: Path, draft: Draft) -> Path:
    return _with_layer(sound, path, draft, mode=TextMode.INVISIBLE, stamp=True)


def under_the_image(sound: Path, path: Path, draft: Draft) -> Path:
    return _with_layer(sound, path, draft, over=False)


def under_the_image_and_stamp(sound: Path, path: Path, draft: Draft) -> Path:
    return _with_layer(sound, path, draft, over=False, stamp=True)


def transparent(sound: Path, path: Path, draft: Draft) -> Path:
    return _with_layer(sound, path, draft, opacity=0.0)


def in_the_papers_colour(sound: Path, path: Path, draft: Draft) -> Path:
    """White words between outlines: what is seen is drawn as curves."""
    other = replace(draft, seed=draft.seed + 1000)
    layer = draw_sound(path.with_suffix(".layer.pdf"), other, colour=255)
    words, out = pymupdf.open(layer), pymupdf.open()
    curves = _outlined(sound)
    for number in range(len(words)):
        page = out.new_page(width=WIDTH, height=HEIGHT)
        page.show_pdf_page(page.rect, words, number)
        page.show_pdf_page(page.rect, curves, number)
    out.save(path)
    return path


def _outlined(sound: Path) -> Any:
    """The document with its text as curves."""
    out = pymupdf.open()
    for page in pymupdf.open(sound):
        svg = pymupdf.open("svg", page.get_svg_image(text_as_path=True).encode())
        out.insert_pdf(pymupdf.open("pdf", svg.convert_to_pdf()))
    return out


def mostly_outlines(sound: Path, path: Path, draft: Draft) -> Path:
    """A third of the lines are text, the others curves."""
    lines = [page[: LINES // 3] + [""] * (LINES - LINES // 3) for page in draft.shown]
    rest = [[""] * (LINES // 3) + page[LINES // 3 :] for page in draft.shown]
    words = pymupdf.open(_draw(path.with_suffix(".layer.pdf"), draft, lines))
    curves = _outlined(_draw(path.with_suffix(".curves.pdf"), draft, rest))
    out = pymupdf.open()
    del sound
    for number in range(len(words)):
        page = out.new_page(width=WIDTH, height=HEIGHT)
        page.show_pdf_page(page.rect, words, number)
        page.show_pdf_page(page.rect, curves, number)
    out.save(path)
    return path


# Lies of drawing: the layer's words are sound, what is drawn of them is not what a reader of lines may learn


def _turned(sound: Path, path: Path, matrix: str) -> Path:
    document = pymupdf.open(sound)
    for page in document:
        [first, *_] = page.get_contents()
        content = page.read_contents()
        document.update_stream(first, f"q {matrix} cm\n".encode() + content + b"\nQ\n")
        document.xref_set_key(page.xref, "Contents", f"{first} 0 R")
    document.save(path)
    return path


def upside_down(sound: Path, path: Path, draft: Draft) -> Path:
    del draft
    return _turned(sound, path, f"-1 0 0 -1 {WIDTH} {HEIGHT}")


def mirrored(sound: Path, path: Path, draft: Draft) -> Path:
    del draft
    return _turned(sound, path, f"-1 0 0 1 {WIDTH} 0")


def drawn_twice(sound: Path, path: Path, draft: Draft) -> Path:
    del sound
    return _draw(path, draft, draft.shown, times=((0.0, 0.0), (0.35, 0.0)))


def with_a_shadow(sound: Path, path: Path, draft: Draft) -> Path:
    del sound
    return _draw(path, draft, draft.shown, times=((1.2, 1.2), (0.0, 0.0)))


Lie = Callable[[Path, Path, Draft], Path]
LIES: dict[str, Lie] = {
    lie.__name__: lie
    for lie in (
        two_letters_exchanged,
        letters_permuted,
        marks_dropped,
        code_points_shifted,
        legacy_bytes,
        private_use,
        some_private_use,
        replacement,
        look_alikes,
        hidden_layer,
        hidden_layer_and_stamp,
        under_the_image,
        under_the_image_and_stamp,
        transparent,
        in_the_papers_colour,
        mostly_outlines,
        upside_down,
        mirrored,
        drawn_twice,
        with_a_shadow,
    )
}
# Lies of drawing teach no line recogniser even where the label's words are right.
UNFIT = frozenset({"upside_down", "mirrored"})
