"""Truth of line patches on pages whose every glyph is known: how many have a text that is not what they show.

    python benchmarks/patch_truth.py [--pages 200] [--seed 1] [--cutter FILE] [--examples 5]

Pages are drawn in 18 faces of ten scripts (upright, slanted, narrow and bold ones among them, marks before
the base, right-to-left), small and large, in one column or two, level or slanted, with footnotes and raised
marks. Patches are cut as the service cuts them: characters and image from the PDF child, lines from the
detector, `cut`. The judge does not ask the text layer: HarfBuzz says where each cluster stands, its outlines
are filled into a map of the page, and the map is cut out where the patch was. A cluster is shown when at
least half of its ink is in the patch.

    lacking    patches that show a cluster which the text lacks
    too_many   patches whose text has a character that no shown cluster has
    order      patches with the right characters in another order (left-to-right scripts)

Spaces are not judged. `--cutter` measures another version of models/lines/patches.py, such as
`git show <commit>:models/lines/patches.py > FILE`. Prints JSON.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import random
import re
import sys
import tempfile
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pymupdf
import uharfbuzz as hb
from fpdf import FPDF
from numpy.typing import NDArray

from flywheel.pdf import PageImage, Sandbox
from flywheel.sample.faces import Cut, cut_face, wheel_font
from flywheel.sample.pages import Face
from flywheel.sample.syllables import Tibetan
from models.lines.crop import crop
from models.lines.detector import DetectedLine, LineDetector

DPI = 150
SHOWN = 0.5  # of a cluster's ink
MARKS = "123456789*༡༢༣१२३১২௧๑២"  # of footnotes
FINE = 4  # bits of a pixel's fraction in outlines
ITALIC, NARROW, BOLD = Cut(slant=0.23), Cut(width=0.8), Cut(weight=(14.0, 10.0), width=1.03)

LATIN, HEBREW, ARABIC, DEVANAGARI, BENGALI, TAMIL, THAI, TIBETAN, KHMER, HAN = 1, 5, 6, 9, 10, 14, 19, 21, 30, 35
WORDS = {
    "english": "The first folio was copied by James, then judged and found to fit. Typefaces jut left of their "
    "origin; quick boxes (five, at 27 Fjord Street) hold wry maps & 304 jars. Above, Officials filed "
    "fluffy proofs",
    "french": "Où l'été naît-il déjà, garçon? À côté du chêne, près d'ici, s'élève une fontaine où l'eau coule à "
    "flots; Éloïse y jeta cinq pièces, voilà tout. « Ça va », dit-elle, l'œil fixé sur l'île",
    "russian": "Широкая река текла мимо старого дома, где жил писарь. Книга лежала на столе; фонарь едва светил, "
    "и юный дьяк щурился, держа перо. Объём листа был подсчитан ещё вчера",
    "greek": "Ο γραφέας άφησε το βιβλίο στο τραπέζι, κι έφυγε. Ξημέρωνε όταν ήρθαν οι ψαράδες από τη νήσο· "
    "φώτα έλαμπαν, ζέφυρος φυσούσε, και τα χρώματα ήταν ήδη καθαρά",
    "hindi": "पुरानी किताब की प्रति लिपिकार ने दिन में लिखी थी। नदी के किनारे स्थित विद्यालय में शिक्षक ने बच्चों को कविता सिखाई "
    "और उन्होंने निश्चित विधि से अक्षर लिखे। सूर्य की किरणें खिड़की से आईं",
    "bengali": "পুরোনো বইটি লিপিকার দিনে লিখেছিল। নদীর তীরে বিদ্যালয়ে শিক্ষক শিশুদের কবিতা শিখিয়েছেন এবং তারা নিয়মিত "
    "অক্ষর লিখেছে। সূর্যের কিরণ জানালা দিয়ে এলো",
    "tamil": "பழைய நூலை எழுத்தர் பகலில் எழுதினார். ஆற்றின் கரையில் உள்ள பள்ளியில் ஆசிரியர் குழந்தைகளுக்கு கவிதை "
    "கற்பித்தார், அவர்கள் கொடுத்த பேனாவால் எழுதினர். ஒவ்வொரு நாளும் வெயில் வீசியது",
    "thai": "หนังสือเก่า เล่มนี้ ผู้คัดลอก เขียนขึ้น ใกล้แม่น้ำ ที่โรงเรียน ครูสอนบทกวี ให้เด็กๆ และพวกเขา เขียนตัวอักษร "
    "ด้วยหมึกดำ แสงอาทิตย์ ส่องผ่าน หน้าต่าง ไม่มีใคร ไปไหน",
    "khmer": "សៀវភៅ ចាស់ នេះ អ្នក ចម្លង បាន សរសេរ នៅ ក្បែរ ទន្លេ ក្នុង សាលា គ្រូ បង្រៀន កំណាព្យ ដល់ ក្មេង ៗ ហើយ ពួកគេ "
    "ស្រស់ ស្អាត ពន្លឺ ព្រះអាទិត្យ ចូល តាម បង្អួច",
    "hebrew": "הספר הישן הועתק ביד הסופר ליד הנהר בבית הספר לימד המורה שירים לילדים והם כתבו אותיות "
    "בדיו שחורה אור השמש נכנס מן החלון הפתוח ואיש לא הלך",
    "arabic": "كتب الناسخ هذا الكتاب القديم قرب النهر، وفي المدرسة علم الأستاذ الأطفال قصيدة جميلة فكتبوا الحروف "
    "بحبر أسود. دخل ضوء الشمس من النافذة المفتوحة ولم يذهب أحد",
    "chinese": "旧书 由 抄写员 在 小桥 旁边 写成， 学校 里 的 老师 教 孩子们 读 诗。 「他们」 用 黑墨 写字； "
    "阳光 从 （打开的） 窗户 照进来， 没有 人 离开。 一 二 三 丁 卜 丫 门 川",
}


@dataclass(frozen=True)
class Script:
    """A face and the text it is to show. Shaping is left out where glyphs map one to one."""

    name: str
    font: int
    text: str
    cut: Cut | None = None
    right_to_left: bool = False
    joint: str = " "


SCRIPTS = (
    Script("latin", LATIN, "english"),
    Script("latin-italic", LATIN, "english", ITALIC),
    Script("latin-bold-italic", LATIN, "french", Cut(slant=0.2, weight=(14.0, 10.0))),
    Script("latin-narrow", LATIN, "french", NARROW),
    Script("cyrillic-italic", LATIN, "russian", ITALIC),
    Script("greek", LATIN, "greek"),
    Script("tibetan", TIBETAN, "tibetan", joint=""),
    Script("tibetan-slanted", TIBETAN, "tibetan", Cut(slant=0.21), joint=""),
    Script("tibetan-narrow", TIBETAN, "tibetan", NARROW, joint=""),
    Script("devanagari", DEVANAGARI, "hindi"),
    Script("devanagari-bold", DEVANAGARI, "hindi", BOLD),
    Script("bengali", BENGALI, "bengali"),
    Script("tamil", TAMIL, "tamil"),
    Script("thai", THAI, "thai"),
    Script("khmer", KHMER, "khmer"),
    Script("hebrew", HEBREW, "hebrew", right_to_left=True),
    Script("arabic", ARABIC, "arabic", right_to_left=True),
    Script("han", HAN, "chinese", joint=""),
)


@dataclass(frozen=True)
class Placed:
    """A line as drawn: its baseline's start in points of the level page, and its size."""

    text: str
    x: float
    y: float
    size: float


@dataclass(frozen=True)
class Page:
    """A page to draw: lines in the order they are written, turned by `slant` degrees about its middle."""

    width: float
    height: float
    slant: float
    lines: tuple[Placed, ...]


@dataclass
class Tally:
    """Figures of one face."""

    lines: int = 0
    patches: int = 0
    lacking: int = 0
    too_many: int = 0
    order: int = 0
    missed: int = 0  # drawn lines whose text is in no patch
    drawn: int = 0
    elsewhere: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, str]] = field(default_factory=list)


def main() -> int:
    call = arguments()
    cut = cutter(call.cutter)
    detector = LineDetector(threads=1)
    tallies: dict[str, Tally] = {}
    agreement: list[float] = []
    chosen = [s for s in SCRIPTS if not call.only or s.name in call.only.split(",")]
    with tempfile.TemporaryDirectory() as scratch, Sandbox() as sandbox:
        for number, script in enumerate(chosen):
            pages = call.pages // len(chosen) + (number < call.pages % len(chosen))
            if pages:
                tally = tallies[script.name] = Tally()
                for page, image, characters, face in drawn(script, pages, call.seed, Path(scratch), sandbox):
                    clusters = Clusters(page, face, image)
                    agreement.append(clusters.agreement(image.image))
                    lines = detector.find(image.image, image.dpi)
                    report = cut(image.image, image.dpi, characters, lines)
                    judge(tally, script, page, clusters, lines, report, call.examples)
    report = summary(tallies) | {"drawing_agrees": round(min(agreement), 4), "seed": call.seed}
    json.dump(report, sys.stdout, indent=1, ensure_ascii=False)
    print()
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/patch_truth.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cutter", type=Path, help="another patches.py to measure")
    parser.add_argument("--only", default="", help="names of faces, separated by commas")
    parser.add_argument("--examples", type=int, default=3, help="of wrong patches, for each face")
    return parser.parse_args()


def cutter(file: Path | None) -> Callable[..., Any]:
    """`cut` of the service, or of another version of its module."""
    if file is None:
        from models.lines.patches import cut

        return cut
    spec = importlib.util.spec_from_file_location("other_patches", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["other_patches"] = module
    spec.loader.exec_module(module)
    return module.cut  # type: ignore[no-any-return]


def drawn(
    script: Script, pages: int, seed: int, scratch: Path, sandbox: Sandbox
) -> Iterator[tuple[Page, PageImage, Any, Face]]:
    """Pages of one face, each with what the PDF child says of it."""
    file = scratch / f"{script.name}.ttf"
    data = wheel_font(script.font)
    file.write_bytes(cut_face(data, script.name, script.cut) if script.cut else data)
    face = Face(file, shaped=script.font != HAN)
    chance = random.Random(f"{seed} {script.name}")
    composed = [compose(script, face, chance) for _ in range(pages)]
    pdf = scratch / f"{script.name}.pdf"
    write(pdf, composed, face)
    for number, page in enumerate(composed):
        [image] = sandbox.render(pdf, [number], DPI)
        assert isinstance(image, PageImage)
        yield page, image, sandbox.characters(pdf, number), face


def compose(script: Script, face: Face, chance: random.Random) -> Page:
    """A page with a heading, one column or two, raised marks, and footnotes in small type."""
    size = chance.choice((7.5, 9, 10.5, 12, 14, 20))
    pitch = size * (chance.choice((1.75, 1.95)) if script.font in (TIBETAN, KHMER) else chance.choice((1.35, 1.6)))
    width, height, margin = chance.choice((420.0, 500.0, 595.0)), chance.choice((500.0, 640.0)), 48.0
    columns = 2 if size <= 10.5 and chance.random() < 0.4 else 1
    room = (width - 2 * margin - (columns - 1) * 24) / columns
    words = sentence(script, chance)
    lines = [
        placed(script, face, words, margin, room * columns + 24 * (columns - 1), margin, size * 1.5, ragged=0.5)
    ]
    foot = height - margin - 4 * size * 1.5
    for column in range(columns):
        left, y = margin + column * (room + 24), margin + 2.2 * pitch
        while y < foot - pitch:
            ragged = chance.choice((1.0, 1.0, 1.0, 0.35, 0.7))
            lines.append(placed(script, face, words, left, room, y, size, ragged))
            if not script.right_to_left and chance.random() < 0.1:
                lines.append(raised(face, lines[-1], chance))
            y += pitch
    small = size * 0.8
    lines += [
        placed(script, face, words, margin, room, foot + (k + 1) * small * pitch / size, small, 0.8)
        for k in range(3)
    ]
    slant = chance.choice((0.0, 0.0, 0.0, -2.1, 1.3, 3.0))
    return Page(width, height, slant, tuple(line for line in lines if line.text))


def sentence(script: Script, chance: random.Random) -> Iterator[str]:
    """Words without end: those of a text, begun at random places, or made up by the rules of Tibetan."""
    if script.text == "tibetan":
        writer = Tibetan(chance.randrange(1 << 30), script.name)
        while True:
            yield from (syllable + "་" for syllable in writer.paragraph(3).replace(" ", "").split("་") if syllable)
    words = WORDS[script.text].split()
    while True:
        start = chance.randrange(len(words))
        yield from words[start : start + chance.randint(3, 12)]


def placed(
    script: Script,
    face: Face,
    words: Iterator[str],
    left: float,
    room: float,
    y: float,
    size: float,
    ragged: float,
) -> Placed:
    """One line of as many words as fit into `ragged` of the room; right-to-left lines end at its right."""
    text = next(words)
    while face.advance(text) * size > room:
        text = next(words)
    for word in words:
        longer = text + script.joint + word
        if face.advance(longer) * size > room * ragged:
            break
        text = longer
    text = unicodedata.normalize("NFC", text)
    x = left + room - face.advance(text) * size if script.right_to_left else left
    return Placed(text, x, y, size)


def raised(face: Face, line: Placed, chance: random.Random) -> Placed:
    """A footnote's mark after a line, small and high, among those that the face has."""
    mark = chance.choice(sorted(face_marks(face)) or [""])
    small = line.size * 0.6
    x = line.x + face.advance(line.text) * line.size + 0.05 * line.size
    return Placed(mark if mark else "", x, line.y - 0.35 * line.size, small)


def face_marks(face: Face) -> set[str]:
    """The digits and stars that a face has."""
    font = hb.Font(hb.Face(hb.Blob.from_file_path(str(face.path))))
    return {mark for mark in MARKS if font.get_nominal_glyph(ord(mark))}


def write(path: Path, pages: list[Page], face: Face) -> None:
    """Draw the pages with fpdf2, as flywheel.sample.pages does, turned where they slant."""
    pdf = FPDF(unit="pt")
    pdf.set_auto_page_break(False)
    pdf.c_margin = 0
    pdf.add_font("face", "", face.path)
    pdf.set_text_shaping(face.shaped)
    for page in pages:
        pdf.add_page(format=(page.width, page.height))
        with pdf.rotation(-page.slant, page.width / 2, page.height / 2):
            for line in page.lines:
                pdf.set_font("face", "", line.size)
                pdf.set_xy(line.x, line.y - 0.8 * line.size)
                pdf.cell(h=line.size, text=line.text)
    path.write_bytes(with_silent_glyphs(bytes(pdf.output())))


def with_silent_glyphs(data: bytes) -> bytes:
    """The PDF with a zero-width space for every glyph that says nothing: fpdf2 gives a cluster's text to its first
    glyph and leaves the others without, which reads as U+FFFD, a fault of the writer that is not measured here."""
    with pymupdf.open(stream=data) as document:
        for xref in range(1, document.xref_length()):
            if document.xref_is_stream(xref) and b"beginbfchar" in (stream := document.xref_stream(xref)):
                told = {int(code, 16) for code in re.findall(rb"(?m)^<([0-9A-Fa-f]{4})> <", stream)}
                silent = [b"<%04X> <200B>\n" % code for code in range(1, max(told) + 200) if code not in told]
                blocks = [silent[i : i + 100] for i in range(0, len(silent), 100)]
                more = b"".join(b"%d beginbfchar\n%sendbfchar\n" % (len(b), b"".join(b)) for b in blocks)
                document.update_stream(xref, stream.replace(b"endcmap", more + b"endcmap", 1))
        return bytes(document.tobytes())


class Clusters:
    """Every cluster of a page: its text, and its ink in a map of the page, H x W, 0 where there is none."""

    def __init__(self, page: Page, face: Face, image: PageImage) -> None:
        self.texts, self.lines = [""], [-1]
        self.map = np.zeros(image.image.shape, np.int32)
        self._scale = image.dpi / 72
        font = hb.Font(hb.Face(hb.Blob.from_file_path(str(face.path))))
        self._em = font.face.upem
        self._outlines: dict[int, list[NDArray[np.float64]]] = {}
        for number, line in enumerate(page.lines):
            self._draw(page, line, number, font, face.shaped)
        counted = np.bincount(self.map.ravel(), minlength=len(self.texts))
        self.ink = np.maximum(counted, 1)

    def agreement(self, image: NDArray[np.uint8]) -> float:
        """Share of the page's black pixels that the map has, too (give or take one)."""
        near = cv2.dilate((self.map > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
        black = image < 96
        return float((near[black] > 0).mean()) if black.any() else 1.0

    def _draw(self, page: Page, line: Placed, number: int, font: Any, shaped: bool) -> None:
        buffer = hb.Buffer()
        buffer.add_str(line.text)
        buffer.guess_segment_properties()
        hb.shape(font, buffer, {} if shaped else {"kern": False, "liga": False})
        starts = [*sorted({info.cluster for info in buffer.glyph_infos}), len(line.text)]
        first = len(self.texts)
        ids = {start: first + i for i, start in enumerate(starts[:-1])}
        self.texts += [line.text[a:b] for a, b in pairwise(starts)]
        self.lines += [number] * (len(starts) - 1)
        pen = 0.0
        for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            at = np.array((pen + place.x_offset, place.y_offset))
            self._fill(page, line, [c + at for c in self._outline(font, info.codepoint)], ids[info.cluster])
            pen += place.x_advance

    def _outline(self, font: Any, glyph: int) -> list[NDArray[np.float64]]:
        """Contours in font units, curves as short straight pieces."""
        if glyph not in self._outlines:
            self._outlines[glyph] = contours_of(font, glyph)
        return self._outlines[glyph]

    def _fill(self, page: Page, line: Placed, contours: list[NDArray[np.float64]], name: int) -> None:
        if not contours:
            return
        cos, sin = math.cos(math.radians(page.slant)), math.sin(math.radians(page.slant))
        middle = np.array((page.width / 2, page.height / 2))
        shown = []
        for contour in contours:
            x, y = (np.array((line.x, line.y)) + contour * (1, -1) * line.size / self._em - middle).T
            points = (np.stack((x * cos - y * sin, x * sin + y * cos), axis=1) + middle) * self._scale - 0.5
            shown.append(np.rint(points * (1 << FINE)).astype(np.int32))
        cv2.fillPoly(self.map, shown, int(name), shift=FINE)


def contours_of(font: Any, glyph: int) -> list[NDArray[np.float64]]:
    """Contours of a glyph, flattened."""
    out: list[list[tuple[float, float]]] = []

    def curve(*control: tuple[float, float]) -> None:
        points = np.array([out[-1][-1], *control], dtype=np.float64)
        for t in np.linspace(0, 1, 9)[1:]:
            level = points
            while len(level) > 1:
                level = level[:-1] * (1 - t) + level[1:] * t
            out[-1].append((float(level[0][0]), float(level[0][1])))

    draw = hb.DrawFuncs()
    draw.set_move_to_func(lambda x, y, _: out.append([(x, y)]))
    draw.set_line_to_func(lambda x, y, _: out[-1].append((x, y)))
    draw.set_quadratic_to_func(lambda a, b, x, y, _: curve((a, b), (x, y)))
    draw.set_cubic_to_func(lambda a, b, c, d, x, y, _: curve((a, b), (c, d), (x, y)))
    font.draw_glyph(glyph, draw, None)
    return [np.array(points) for points in out if len(points) > 2]


def judge(
    tally: Tally,
    script: Script,
    page: Page,
    clusters: Clusters,
    lines: list[DetectedLine],
    report: Any,
    examples: int,
) -> None:
    """Add one page's patches to the tally."""
    by_box = {line.box.scaled(72 / DPI): line for line in lines}
    tally.lines += len(lines)
    tally.patches += len(report.patches)
    tally.drawn += len(page.lines)
    tally.elsewhere += getattr(report, "elsewhere", 0)
    tally.dropped.update({reason.value: n for reason, n in report.dropped.items()})
    told: Counter[str] = Counter(plain(patch.text) for patch in report.patches)
    tally.missed += sum((Counter(plain(line.text) for line in page.lines) - told).values())
    height, width = clusters.map.shape
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), (height, width)).copy()
    rows = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], (height, width)).copy()
    for patch in report.patches:
        line = by_box[patch.box]
        x, y = (np.rint(crop(where, line)).astype(int) for where in (columns, rows))
        inside = np.bincount(clusters.map[y, x].ravel(), minlength=len(clusters.texts))
        shown = np.flatnonzero(inside >= SHOWN * clusters.ink)
        names = [int(i) for i in shown if i > 0 and clusters.texts[i].strip()]
        expected = "".join(clusters.texts[i] for i in names)
        lacking = Counter(plain(expected)) - Counter(plain(patch.text))
        too_many = Counter(plain(patch.text)) - Counter(plain(expected))
        tally.lacking += bool(lacking)
        tally.too_many += bool(too_many)
        one_line = len({clusters.lines[i] for i in names}) == 1
        wrong_order = one_line and not (lacking or too_many) and plain(patch.text) != plain(expected)
        tally.order += wrong_order and not script.right_to_left
        if (lacking or too_many or wrong_order) and len(tally.examples) < examples:
            kind = "lacking" if lacking else "too_many" if too_many else "order"
            tally.examples.append({"kind": kind, "text": patch.text, "shown": expected})


def plain(text: str) -> str:
    """NFC without white space and zero-width spaces."""
    return unicodedata.normalize("NFC", "".join(text.replace("\u200b", "").split()))


def summary(tallies: dict[str, Tally]) -> dict[str, Any]:
    """Figures of all faces and of each."""
    total: dict[str, float] = defaultdict(float)
    faces, dropped = {}, Counter[str]()
    for name, tally in tallies.items():
        figures = {k: v for k, v in vars(tally).items() if isinstance(v, int)}
        faces[name] = figures | {"dropped": dict(tally.dropped), "examples": tally.examples}
        dropped.update(tally.dropped)
        for key, value in figures.items():
            total[key] += value
    patches = max(1.0, total["patches"])
    return {
        "faces": faces,
        "total": {key: int(value) for key, value in total.items()} | {"dropped": dict(dropped)},
        "share_lacking": round(total["lacking"] / patches, 5),
        "share_too_many": round(total["too_many"] / patches, 5),
        "share_other_order": round(total["order"] / patches, 5),
        "yield": round(total["patches"] / max(1.0, total["lines"]), 4),
    }


if __name__ == "__main__":
    sys.exit(main())
