"""Sound documents as common producers write them: prose of many languages in any face that has their letters.

    faces(directories, scratch) -> language -> faces that have all its letters
    draw(book, directory) -> PDF file           by MuPDF's Story, Chromium, LibreOffice or fpdf2

A book has headings, paragraphs with bold and foreign words, lists, tables, coloured boxes, small print, footnotes,
drop caps, spaced letters and text over a light picture, in one column or two, as its seed has it.
"""

from __future__ import annotations

import html
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pymupdf
import regex
from fontTools.ttLib import TTFont
from fpdf import FPDF
from gflanguages import LoadLanguages
from PIL import Image, ImageFilter

LANGUAGES = (
    "en_Latn ru_Cyrl hi_Deva zh_Hans de_Latn ar_Arab bn_Beng th_Thai el_Grek ta_Taml he_Hebr bo_Tibt vi_Latn "
    "km_Khmr uk_Cyrl ka_Geor te_Telu fa_Arab ja_Jpan my_Mymr fr_Latn hy_Armn kn_Knda ko_Kore am_Ethi ml_Mlym "
    "mr_Deva lo_Laoo pl_Latn gu_Gujr ur_Arab si_Sinh pa_Guru tr_Latn or_Orya zh_Hant kk_Cyrl as_Beng ne_Deva "
    "yi_Hebr cs_Latn dz_Tibt ug_Arab ti_Ethi sr_Cyrl sa_Deva is_Latn chr_Cher iu_Cans nqo_Nkoo sat_Olck "
    "ii_Yiii dv_Thaa mn_Cyrl yo_Latn sd_Arab ha_Latn"
).split()
RIGHT_TO_LEFT = ("Hebr", "Arab", "Thaa", "Nkoo", "Syrc")
PLAIN = "Latn Cyrl Grek Armn Geor Hans Hant Jpan Kore Ethi Hebr Cher Cans Yiii".split()
# Scripts of which a producer says the letters; of conjuncts and stacks these two say nothing, or too much.
WRITTEN = {"story": (*PLAIN, "Arab", "Thai", "Laoo"), "fpdf2": PLAIN}
FOREIGN = ("(Smith 1998, p. 42)", "PDF 1.7", "Table 3", "OpenType", "12.5 %", "in the year 1926", "vol. IX, no. 4")
COLOURS = (("#102a6b", "#e4ecfa"), ("#ffffff", "#29506d"), ("#5a1010", "#fff4d6"), ("#f5e9c8", "#3b3b3b"))
SECONDS = 120


@dataclass(frozen=True, slots=True)
class Face:
    """A face of a font file; `number` within a collection, `family` as typographers count."""

    path: Path
    number: int
    family: str
    style: str


@dataclass(frozen=True, slots=True)
class Book:
    """A document to draw. `language` is one of gflanguages'."""

    language: str
    face: Face
    producer: str
    seed: int

    @property
    def script(self) -> str:
        return self.language.split("_")[1]


def faces(directories: Iterable[Path], scratch: Path) -> dict[str, list[Face]]:
    """Upright and slanted faces by language, of those that fontconfig finds in the directories."""
    shown = "".join(f"<dir>{directory}</dir>" for directory in directories)
    (scratch / "fonts.conf").write_text(
        f'<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>{shown}'
        f"<cachedir>{scratch}/fontconfig</cachedir></fontconfig>"
    )
    os.environ["FONTCONFIG_FILE"] = str(scratch / "fonts.conf")
    return {language: list(_having(language)) for language in LANGUAGES}


def _having(language: str) -> Iterator[Face]:
    letters = {c for c in prose(language) if not c.isspace()} - set("\u200b\u200c\u200d")
    pattern = ":charset=" + " ".join(f"{ord(c):x}" for c in sorted(letters))
    form = "%{file}\t%{index}\t%{family[0]}\t%{style[0]}\n"
    listed = subprocess.run(
        ["fc-list", pattern, "--format", form], capture_output=True, text=True, check=True
    ).stdout
    for row in sorted(set(listed.splitlines())):
        file, number, family, style = row.split("\t")
        if int(number) < 0x10000 and "Color" not in family:  # instances of variable fonts have higher numbers
            yield Face(Path(file), int(number), family, style)


@lru_cache
def prose(language: str) -> str:
    sample = LoadLanguages()[language].sample_text
    parts = (sample.specimen_48, sample.specimen_36, sample.specimen_32, sample.specimen_21, sample.specimen_16)
    return "\n".join(parts)


def draw(book: Book, directory: Path, stem: str) -> tuple[Path, str]:
    """The book's file and its text. Of LibreOffice the file is written by `convert`, many at once."""
    page = _Writer(book, directory).page()
    path = directory / f"{stem}.pdf"
    shown = html.unescape(re.sub(r"<[^>]*>", "\n", page.partition("<body")[2].partition(">")[2]))
    if book.producer == "fpdf2":  # it has no other face for what this one lacks
        with TTFont(book.face.path, fontNumber=book.face.number, lazy=True) as font:
            known = font.getBestCmap().keys() | {ord("\n")}
        shown = "".join(c for c in shown if ord(c) in known)
        _fpdf2(book, shown, path, directory)
    elif book.producer == "story":
        _story(book, page, path, directory)
    else:
        source = directory / f"{stem}.html"
        source.write_text(page, encoding="utf-8")
        if book.producer == "chromium":
            _chromium(source, path, directory)
    return path, shown


def font_file(face: Face, directory: Path) -> Path:
    """The face as a file of its own."""
    if face.path.suffix.lower() not in (".ttc", ".otc"):
        return face.path
    path = directory / f"{face.path.stem}-{face.number}.otf"
    if not path.exists():
        TTFont(face.path, fontNumber=face.number).save(path)
    return path


class _Writer:
    """The book as HTML."""

    def __init__(self, book: Book, directory: Path) -> None:
        self._rng = random.Random(f"{book.language} {book.seed} {book.producer}")
        self._book, self._directory = book, directory
        self._size = self._rng.choice((8, 9.5, 10.5, 11, 12, 14))
        paragraphs = [p.strip() for p in prose(book.language).split("\n") if len(p.strip()) > 40]
        self._paragraphs = paragraphs * 4

    def page(self) -> str:
        rng, book = self._rng, self._book
        direction = "rtl" if book.script in RIGHT_TO_LEFT else "ltr"
        if book.producer == "writer":
            names = TTFont(book.face.path, fontNumber=book.face.number, lazy=True)["name"]
            style = names.getDebugName(2) or ""
            font, rule = names.getDebugName(1) or book.face.family, ""
            extra = f"font-weight:{'bold' if 'Bold' in style else 'normal'};" + (
                "font-style:italic;" if "Italic" in style else ""
            )
        else:
            file = font_file(book.face, self._directory)
            address = file.name if book.producer == "story" else file.as_uri()
            font, rule, extra = "set", f"@font-face{{font-family:set;src:url('{address}')}}", ""
        align = rng.choice(("left", "justify")) if direction == "ltr" else "right"
        columns = "column-count:2;column-gap:18pt;" if rng.random() < 0.25 and book.producer == "chromium" else ""
        body = f"font-family:'{font}';font-size:{self._size}pt;line-height:{rng.choice((1.2, 1.35, 1.6))};{extra}"
        sheet = f"{rule}@page{{size:{rng.choice(('A4', 'A5', 'letter'))};margin:15mm}}"
        sheet += f"body{{{body}{columns}}}p{{text-align:{align}}}"
        picture = self._picture() if rng.random() < 0.2 and book.producer == "chromium" else ""
        parts = "".join(self._parts(rng.choice((3, 8, 16, 28))))
        return (
            f'<!DOCTYPE html><html><head><meta charset="utf-8"><style>{sheet}</style></head>'
            f'<body dir="{direction}" lang="{book.language[:2]}" style="{picture}">{parts}</body></html>'
        )

    def _parts(self, count: int) -> Iterator[str]:
        heads = [p for p in prose(self._book.language).split("\n") if p.strip()]
        yield f'<h1 style="font-weight:normal">{self._some(self._rng.choice(heads), 24)}</h1>'
        kinds = (self._plain, self._plain, self._plain, self._rich, self._rich, self._head, self._list)
        kinds += (self._table, self._box, self._small, self._note, self._cap, self._wide)
        for _ in range(count):
            yield self._rng.choice(kinds)(self._rng.choice(self._paragraphs))

    def _plain(self, paragraph: str) -> str:
        return f"<p>{html.escape(paragraph)}</p>"

    def _rich(self, paragraph: str) -> str:
        """A paragraph with some words bold, slanted or coloured, and a foreign one."""
        rng, words = self._rng, paragraph.split(" ")
        if len(words) < 6:
            return f"<p>{html.escape(paragraph)} <b>{html.escape(rng.choice(FOREIGN))}</b></p>"
        out = []
        for word in words:
            told = html.escape(word)
            tag = rng.choice(("b", "i", 'span style="color:#8a1c1c"', "u", *[""] * 36))
            out.append(f"<{tag}>{told}</{tag.split()[0]}>" if tag else told)
        out.insert(len(out) // 2, html.escape(rng.choice(FOREIGN)))
        return f"<p>{' '.join(out)}</p>"

    def _head(self, paragraph: str) -> str:
        colour = self._rng.choice(COLOURS[:3:2])[0]
        return f'<h2 style="color:{colour}">{self._some(paragraph, 30)}</h2>{self._plain(paragraph)}'

    def _list(self, paragraph: str) -> str:
        items = [paragraph, *self._rng.choices(self._paragraphs, k=3)]
        tag = self._rng.choice(("ol", "ul"))
        return f"<{tag}>{''.join(f'<li>{self._some(item, 50)}</li>' for item in items)}</{tag}>"

    def _table(self, paragraph: str) -> str:
        rows = [paragraph, *self._rng.choices(self._paragraphs, k=3)]
        cells = "".join(
            f"<tr><td>{self._some(row, 12)} 1926</td><td>{self._some(row, 15)} 4.5</td></tr>" for row in rows
        )
        return f'<table border="1" cellpadding="3">{cells}</table>'

    def _box(self, paragraph: str) -> str:
        ink, ground = self._rng.choice(COLOURS)
        said = self._some(paragraph, 160)
        if self._book.producer == "writer":
            return f'<table><tr><td bgcolor="{ground}"><font color="{ink}">{said}</font></td></tr></table>'
        return f'<p style="background-color:{ground};color:{ink};padding:6pt">{said}</p>'

    def _small(self, paragraph: str) -> str:
        return f'<p style="font-size:{self._rng.choice((6, 7, 7.5))}pt">{html.escape(paragraph)}</p>'

    def _note(self, paragraph: str) -> str:
        mark = self._rng.randrange(1, 40)
        below = f'<hr><p style="font-size:7pt">{mark} {self._some(paragraph, 120)}</p>'
        return f"<p>{self._some(paragraph, 90)}<sup>{mark}</sup></p>{below}"

    def _cap(self, paragraph: str) -> str:
        first, rest = _clusters(paragraph)
        beside = "" if self._book.script in RIGHT_TO_LEFT else "float:left;font-size:300%;line-height:1;"
        return f'<p><span style="{beside}">{first}</span>{html.escape(rest)}</p>'

    def _wide(self, paragraph: str) -> str:
        spaced = self._book.script in PLAIN and self._book.script != "Hebr"
        style = f"letter-spacing:{self._rng.choice((0.5, 1, 2))}pt" if spaced else "word-spacing:2pt"
        return f'<p style="{style}">{self._some(paragraph, 140)}</p>'

    def _some(self, paragraph: str, most: int) -> str:
        """A beginning of a paragraph, of whole words."""
        if len(paragraph) <= most:
            return html.escape(paragraph)
        start = "".join(_clusters(paragraph[: most + 1])) if " " not in paragraph[:most] else paragraph[:most]
        cut = start.rfind(" ") if " " in start else len("".join(regex.findall(r"\X", start)[:-1]))
        return html.escape(start[:cut])

    def _picture(self) -> str:
        path = self._directory / "picture.png"
        if not path.exists():
            noise = np.random.default_rng(1).integers(0, 255, (160, 120, 3), dtype=np.uint8)
            soft = np.asarray(Image.fromarray(noise).resize((480, 640)).filter(ImageFilter.GaussianBlur(9)))
            Image.fromarray((215 + (soft.astype(np.float32) - 127) * 0.5).clip(170, 255).astype(np.uint8)).save(
                path
            )
        return f"background-image:url('{path.as_uri()}');background-size:cover"


def _clusters(text: str) -> tuple[str, str]:
    first = regex.match(r"\X", text)[0]
    return first, text[len(first) :]


def _story(book: Book, page: str, path: Path, directory: Path) -> None:
    archive = pymupdf.Archive(str(font_file(book.face, directory).parent))
    story = pymupdf.Story(page, archive=archive)
    paper = pymupdf.paper_rect(("a4", "a5", "letter")[book.seed % 3])
    parts = 2 if book.seed % 4 == 1 else 1
    wide = (paper.width - 80) / parts
    columns = [pymupdf.Rect(40 + k * wide, 44, 30 + (k + 1) * wide, paper.height - 44) for k in range(parts)]
    writer, more, pages = pymupdf.DocumentWriter(str(path)), 1, 0
    while more and pages < 6:
        device = writer.begin_page(paper)
        for column in columns:
            if more:
                more, _ = story.place(column)
                story.draw(device)
        writer.end_page()
        pages += 1
    writer.close()
    if book.seed % 2:
        document = pymupdf.open(path)
        document.subset_fonts()
        document.save(path.with_suffix(".subset"), garbage=4, deflate=True)
        document.close()
        path.with_suffix(".subset").replace(path)


def _chromium(source: Path, path: Path, directory: Path) -> None:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    command += [
        f"--user-data-dir={directory}/chromium",
        "--no-pdf-header-footer",
        f"--print-to-pdf={path}",
        source.as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)


def convert(sources: Sequence[Path], directory: Path) -> None:
    """Have LibreOffice write the books beside their sources."""
    if sources:
        command = [
            "soffice",
            "--headless",
            f"-env:UserInstallation=file://{directory}/office",
            "--infilter=HTML (StarWriter)",
        ]
        command += ["--convert-to", "pdf:writer_pdf_Export", "--outdir", str(directory), *map(str, sources)]
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS + 30 * len(sources))


def _fpdf2(book: Book, shown: str, path: Path, directory: Path) -> None:
    out = FPDF(unit="pt", format=("a4", "a5")[book.seed % 2])
    out.set_auto_page_break(True, 44)
    out.add_font("set", fname=font_file(book.face, directory))
    out.set_text_shaping(book.seed % 3 > 0 or book.script in RIGHT_TO_LEFT)
    out.add_page()
    for number, paragraph in enumerate(p for p in shown.split("\n") if p.strip()):
        size = 20 if number == 0 else (9, 11, 13)[book.seed % 3]
        out.set_font("set", size=size)
        out.set_text_color(*((0, 0, 0) if number % 5 else (20, 40, 110)))
        align = "R" if book.script in RIGHT_TO_LEFT else ("L", "J")[number % 2]
        out.multi_cell(
            0, size * 1.5, paragraph.strip(), align=align, wrapmode="CHAR" if " " not in paragraph else "WORD"
        )
        out.ln(4)
    out.output(str(path))


def producers() -> list[str]:
    """Those that are installed."""
    found = {"chromium": "chromium", "writer": "soffice"}
    return ["story", *(name for name, program in found.items() if shutil.which(program)), "fpdf2"]
