"""Drawing of every file of the sample corpus and of its truth. Runs in its own process (see __main__.py).

`DRAFTS` is the corpus, one row a document. Text of different documents comes from different
streams of one lexicon, so scans share words and faces with the born-digital files, but no line.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from flywheel.sample import damage
from flywheel.sample.corpus import DocumentKind
from flywheel.sample.faces import CUTS, write_faces
from flywheel.sample.pages import DrawnPage, Face, Layout, TextSource, compose, write_pdf
from flywheel.sample.phrases import CHINESE, ENGLISH, Phrases, Pieces, chinese_pieces, english_pieces
from flywheel.sample.scans import scan
from flywheel.sample.syllables import Tibetan, pieces


@dataclass(frozen=True, slots=True)
class Draft:
    """One document to draw. A scan has a `dpi`; a damaged file names its `damage`."""

    name: str
    face: str
    layout: Layout
    pages: int
    language: str = "bo"
    kind: DocumentKind = "born_digital"
    dpi: int = 0
    blank: int | None = None


def _book(size: float, **more: Any) -> Layout:
    return Layout(size=size, pitch=size * 1.72, **more)


_COLUMNS = Layout(size=12, pitch=21.5, width=595, height=842, columns=2, sentences=(3, 6))
_PLAIN = Layout(size=12, pitch=19, width=595, height=842, margin_x=72, margin_y=76, sentences=(4, 7))

DRAFTS: tuple[Draft, ...] = (
    Draft("book-01-regular.pdf", "regular", _book(14), 8),
    Draft("book-02-condensed.pdf", "condensed", _book(14, indent=18), 8),
    Draft("book-03-expanded.pdf", "expanded", _book(13), 7, blank=3),
    Draft("book-04-slanted.pdf", "slanted", _book(14), 6),
    Draft("book-05-bold.pdf", "bold", _book(13.5, indent=16), 6),
    Draft("book-06-light.pdf", "light", _book(15), 8),
    Draft("book-07-tall.pdf", "tall", _book(13), 6),
    Draft("book-08-regular.pdf", "regular", _book(12.5), 7),
    Draft("columns-09-condensed.pdf", "condensed", _COLUMNS, 3),
    Draft("columns-10-light.pdf", "light", _COLUMNS, 3),
    Draft("pecha-11-bold.pdf", "bold", Layout.pecha(15), 9),
    Draft("pecha-12-regular.pdf", "regular", Layout.pecha(16), 9),
    Draft("scan-book.pdf", "regular", _book(14), 4, kind="scan", dpi=170),
    Draft("scan-columns.pdf", "condensed", _COLUMNS, 3, kind="scan", dpi=200),
    Draft("scan-pecha.pdf", "bold", Layout.pecha(16), 4, kind="scan", dpi=160),
    Draft("scan-page.png", "light", _book(15), 1, kind="scan", dpi=180),
    Draft("english.pdf", "latin", _PLAIN, 3, language="en"),
    Draft("chinese.pdf", "han", _PLAIN, 3, language="zh"),
    Draft("garbled.pdf", "regular", _book(14), 3, kind="garbled"),
    Draft("encrypted.pdf", "regular", _book(14), 1, kind="encrypted"),
)
DUPLICATED = "book-08-regular.pdf"
CORRUPT = "corrupt.pdf"


def draw_files(directory: Path, *, seed: int, scale: float, processes: int = 2) -> None:
    """Write faces/, documents/ and truth.json under `directory`; documents drawn there before are replaced."""
    documents = directory / "documents"
    shutil.rmtree(documents, ignore_errors=True)
    documents.mkdir(parents=True)
    names = tuple(CUTS)
    with ProcessPoolExecutor(processes) as pool:
        halves = pool.map(write_faces, [directory / "faces"] * 2, (names[::2], names[1::2]))
        files = {name: path for half in halves for name, path in half.items()}
        truth = list(pool.map(partial(_draw, documents, files, seed, scale), DRAFTS))
    damage.corrupt(documents / CORRUPT, seed=seed)
    truth.append({"name": CORRUPT, "language": "bo", "kind": "corrupt", "face": "", "pages": None})
    truth.append(_duplicate(documents, truth))
    out = json.dumps({"seed": seed, "scale": scale, "documents": truth}, ensure_ascii=False, indent=1)
    (directory / "truth.json").write_text(out, encoding="utf-8")


def _draw(documents: Path, files: dict[str, Path], seed: int, scale: float, draft: Draft) -> dict[str, Any]:
    """Draw one document; returns its truth, without pages when nobody can open it."""
    face = Face(files[draft.face], shaped=draft.language == "bo")
    path, (writer, cut) = documents / draft.name, _writer(draft, seed)
    pages = compose(writer, face, cut, draft.layout, max(1, round(draft.pages * scale)), blank=draft.blank)
    title = path.stem.replace("-", " ")
    if draft.kind == "born_digital":
        write_pdf(pages, face, path, title=title)
        return _truth(draft, pages)
    with tempfile.TemporaryDirectory() as scratch:
        clean = Path(scratch) / "clean.pdf"
        write_pdf(pages, face, clean, title=title)
        if draft.kind == "scan":
            rng = np.random.default_rng([seed, *draft.name.encode()])
            return _truth(draft, scan(clean, pages, path, dpi=draft.dpi, rng=rng))
        if draft.kind == "garbled":
            damage.garble(clean, path, seed=seed)
            return _truth(draft, pages)
        damage.encrypt(clean, path)
        return _truth(draft, None)


def _writer(draft: Draft, seed: int) -> tuple[TextSource, Pieces]:
    makers: dict[str, Callable[[], tuple[TextSource, Pieces]]] = {
        "bo": lambda: (Tibetan(seed, draft.name), pieces),
        "en": lambda: (Phrases(ENGLISH, seed, draft.name), english_pieces),
        "zh": lambda: (Phrases(CHINESE, seed, draft.name), chinese_pieces),
    }
    return makers[draft.language]()


def _duplicate(documents: Path, truth: list[dict[str, Any]]) -> dict[str, Any]:
    """The same bytes under another name."""
    name = "copy-of-" + DUPLICATED
    shutil.copyfile(documents / DUPLICATED, documents / name)
    original = next(item for item in truth if item["name"] == DUPLICATED)
    return {**original, "name": name, "kind": "duplicate"}


def _truth(draft: Draft, pages: list[DrawnPage] | None) -> dict[str, Any]:
    head = {"name": draft.name, "language": draft.language, "kind": draft.kind, "face": draft.face}
    return {**head, "pages": None if pages is None else [_page(page) for page in pages]}


def _page(page: DrawnPage) -> dict[str, Any]:
    def box(line: Any) -> list[float]:
        return [round(v, 2) for v in (line.box.x0, line.box.y0, line.box.x1, line.box.y1)]

    lines = [{"text": x.text, "box": box(x), "category": x.category} for x in page.lines]
    return {"width": page.width, "height": page.height, "lines": lines}
