"""Files drawn for tests: born-digital pages with fpdf2, and PDFs written object by object to be wrong."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import pymupdf
from fpdf import FPDF
from fpdf.enums import TextMode
from PIL import Image, ImageDraw

TIBETAN_SCRIPT, HAN_SCRIPT = 21, "cjk"
A4 = (595.28, 841.89)
LATIN_WORDS = (
    "the wheel turns and every page comes back with a label that somebody can check against its ink before the"
    " next round begins lines of text regions boxes margins columns and notes are counted twice"
).split()
TIBETAN_SYLLABLES = (
    "བོད ཡིག སྒྲུབ བསྒྲིགས དཔེ ཆ རྒྱལ ས བཀྲ ཤིས བདེ ལེགས འགྲོ བྱང ཆུབ སེམས དཔའ རྫོགས ཆེན སྤྱོད སླེབས ཀྱི གྱིས ནས དང ཟླ བ"
    " ཉི མ གངས རི ཆུ མིག ལག པ རྐང ཁྱིམ ཧཱུྃ པདྨ སཏྟྭ ཀླུ གཟུགས མཐའ འདི ཡི གེ སྐད ཅིག ཅེས བྱ"
).split()
HAN = "天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏文字識別需要大量頁面與標注"
SYSTEM_FONT_BYTES = 1 << 25


@lru_cache(maxsize=4)
def font_bytes(script: int | str) -> bytes:
    """A font that the PyMuPDF wheel carries."""
    font = pymupdf.Font(script=script) if isinstance(script, int) else pymupdf.Font(script)
    return bytes(font.buffer)


def blank_book(size: tuple[float, float] = A4) -> FPDF:
    book = FPDF(unit="pt", format=size)
    book.set_auto_page_break(False)
    book.set_margin(0)
    return book


def latin_line(rng: random.Random, characters: int = 70) -> str:
    words: list[str] = []
    while sum(map(len, words)) + len(words) < characters:
        words.append(rng.choice(LATIN_WORDS))
    return " ".join(words)


def tibetan_line(rng: random.Random, syllables: int = 12) -> str:
    return "་".join(rng.choice(TIBETAN_SYLLABLES) for _ in range(syllables)) + "།"


def han_line(rng: random.Random, characters: int = 28) -> str:
    return "".join(rng.choice(HAN) for _ in range(characters)) + "。"


def write_lines(book: FPDF, lines: Sequence[str], *, x: float = 60, y: float = 60, pitch: float = 24) -> None:
    """Lines with their baselines at y, y + pitch and so on.

    `text()` drops the offsets of shaped marks (fpdf2 2.8.9), so that vowels stand on the next letter; `cell()`
    keeps them, and puts the baseline at y + h / 2 + 0.3 size.
    """
    for k, line in enumerate(lines):
        if not book.text_shaping:
            book.text(x, y + k * pitch, line)
            continue
        size = book.font_size_pt
        book.set_xy(x - book.c_margin, y + k * pitch - 0.8 * size)
        book.cell(h=size, text=line)


def use_font(book: FPDF, script: int | str, size: float, directory: Path) -> None:
    """Load a font of the wheel once a book, with shaping."""
    family = f"script{script}".lower()
    if family not in book.fonts:
        path = directory / f"{family}.ttf"
        if not path.exists():
            path.write_bytes(font_bytes(script))
        book.add_font(family, fname=path)
    book.set_font(family, size=size)
    book.set_text_shaping(True)


def latin_pdf(path: Path, pages: int = 1, *, lines: int = 20, size: float = 11, seed: int = 1) -> list[list[str]]:
    """A book of Latin text; returns the lines of every page."""
    rng, book = random.Random(seed), blank_book()
    book.set_font("Helvetica", size=size)
    truth = []
    for _ in range(pages):
        book.add_page()
        truth.append([latin_line(rng) for _ in range(lines)])
        write_lines(book, truth[-1], pitch=size * 1.5)
    book.output(str(path))
    return truth


def tibetan_pdf(
    path: Path, pages: int = 1, *, lines: int = 12, size: float = 16, seed: int = 1
) -> list[list[str]]:
    """A book of Tibetan text with a faithful text layer; returns the lines of every page."""
    rng, book = random.Random(seed), blank_book()
    truth = []
    for _ in range(pages):
        book.add_page()
        use_font(book, TIBETAN_SCRIPT, size, path.parent)
        truth.append([tibetan_line(rng) for _ in range(lines)])
        write_lines(book, truth[-1], y=80, pitch=size * 2.4)
    book.output(str(path))
    return truth


def han_pdf(path: Path, pages: int = 1, *, lines: int = 16, size: float = 14, seed: int = 1) -> list[list[str]]:
    rng, book = random.Random(seed), blank_book()
    truth = []
    for _ in range(pages):
        book.add_page()
        use_font(book, HAN_SCRIPT, size, path.parent)
        truth.append([han_line(rng) for _ in range(lines)])
        write_lines(book, truth[-1], pitch=size * 1.8)
    book.output(str(path))
    return truth


def book_of(path: Path, draw: Callable[[FPDF], None], size: tuple[float, float] = A4) -> Path:
    """A one-page book."""
    book = blank_book(size)
    book.add_page()
    book.set_font("Helvetica", size=11)
    draw(book)
    book.output(str(path))
    return path


def scan(lines: int = 20, size: tuple[int, int] = (620, 877)) -> Image.Image:
    """A scanned page: dark strokes on light paper."""
    image = Image.new("L", size, 235)
    pen = ImageDraw.Draw(image)
    rng = random.Random(3)
    for row in range(lines):
        top = 60 + row * 36
        for column in range(60, size[0] - 60, 9):
            if rng.random() < 0.85:
                pen.rectangle((column, top + rng.randrange(4), column + 4, top + 14), fill=40)
    return image


def encoded(image: Image.Image, form: str, **more: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **more)
    return out.getvalue()


def invisible(book: FPDF) -> object:
    """A context in which text is placed and not drawn."""
    return book.local_context(text_mode=TextMode.INVISIBLE)


# PDFs written by hand


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(data), data)


def pdf(objects: Sequence[bytes], trailer: bytes = b"", head: bytes = b"%PDF-1.7\n") -> bytes:
    """A file of numbered objects (from 1; the first is the catalogue) with a correct table."""
    out = bytearray(head)
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, table)
    return bytes(out)


CATALOGUE = b"<</Type/Catalog/Pages 2 0 R>>"
HELVETICA = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
HELLO = b"BT /F 24 Tf 20 100 Td (hello paper) Tj ET"


def page(contents: int, *, box: bytes = b"0 0 200 200", resources: bytes = b"", more: bytes = b"") -> bytes:
    """A page object whose font F is object 3."""
    return b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents %d 0 R/Resources<</Font<</F 3 0 R>>%s>>%s>>" % (
        box,
        contents,
        resources,
        more,
    )


def tree(kids: Sequence[int], count: int | None = None) -> bytes:
    listed = b" ".join(b"%d 0 R" % kid for kid in kids)
    return b"<</Type/Pages/Kids[%s]/Count %d>>" % (listed, len(kids) if count is None else count)


def small_pdf(*contents: bytes, count: int | None = None, font: bytes = HELVETICA, **of_page: bytes) -> bytes:
    """Pages of 200 x 200 points with these content streams; object 3 is the font."""
    bodies = [stream(content) if not content.startswith(b"<<") else content for content in contents]
    first = 4
    pages = [page(first + 2 * k + 1, **of_page) for k in range(len(bodies))]
    pairs = [item for pair in zip(pages, bodies, strict=True) for item in pair]
    return pdf([CATALOGUE, tree([first + 2 * k for k in range(len(bodies))], count), font, *pairs])


def lying_font(mapping: dict[int, str]) -> bytes:
    """Objects' bytes of a font whose ToUnicode map says what `mapping` says, as (font, map) joined later."""
    rows = b"\n".join(
        b"<%02x> <%s>" % (code, text.encode("utf-16-be", "surrogatepass").hex().encode())
        for code, text in mapping.items()
    )
    return stream(
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        b"1 begincodespacerange <00> <ff> endcodespacerange\n"
        b"%d beginbfchar\n%s\nendbfchar endcmap end end" % (len(mapping), rows)
    )


def lying_pdf(lines: Sequence[str], mapping: dict[int, str]) -> bytes:
    """One page of Latin text whose text layer says something else."""
    shown = b" ".join(b"(%s) Tj 0 -16 Td" % line.encode("ascii") for line in lines)
    content = stream(b"BT /F 10 Tf 10 380 Td " + shown + b" ET")
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>"
    return pdf([CATALOGUE, tree([4]), font, page(5, box=b"0 0 400 400"), content, lying_font(mapping)])


def nested_forms(depth: int = 12, fan: int = 10) -> bytes:
    """Three pages; the second draws a form that draws ten forms that draw ten forms ... (10^12 of them)."""
    first_form = 10
    forms = []
    for k in range(depth):
        inner = b"q /X Do Q " * fan if k + 1 < depth else b"0 0 1 1 re f"
        resources = b"/Resources<</XObject<</X %d 0 R>>>>" % (first_form + k + 1) if k + 1 < depth else b""
        forms.append(stream(inner, b"/Type/XObject/Subtype/Form/BBox[0 0 200 200]" + resources))
    uses = b"/XObject<</X %d 0 R>>" % first_form
    return pdf(
        [
            CATALOGUE,
            tree([4, 6, 8]),
            HELVETICA,
            page(5),
            stream(HELLO),
            page(7, resources=uses),
            stream(b"/X Do"),
            page(9),
            stream(HELLO),
            *forms,
        ]
    )


def double_flate(megabytes: int = 300) -> bytes:
    """A page of about a kilobyte on disk that unpacks, twice, to `megabytes` of drawing."""
    unit = zlib.compressobj(1)
    once = bytearray()
    block = b"0 0 1 1 re f\n" * (1 << 16)
    for _ in range(megabytes * (1 << 20) // len(block)):
        once += unit.compress(block)
    once += unit.flush()
    packed = zlib.compress(bytes(once), 9)
    return small_pdf(HELLO, stream(packed, b"/Filter[/FlateDecode/FlateDecode]"), HELLO)


def image_pdf(columns: int, rows: int, data: bytes, entries: bytes = b"") -> bytes:
    """A page filled with one gray image."""
    head = b"/Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 8/ColorSpace/DeviceGray%s"
    return pdf(
        [
            CATALOGUE,
            tree([4]),
            HELVETICA,
            page(5, resources=b"/XObject<</I 6 0 R>>"),
            stream(b"q 200 0 0 200 0 0 cm /I Do Q"),
            stream(data, head % (columns, rows, entries)),
        ]
    )


def png(columns: int, rows: int, data: bytes) -> bytes:
    """A PNG whose header may promise more than its data hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
