"""Sound pages that are refused, by script and producer, and what for.

    python benchmarks/sound_pages.py [--books 120] [--fonts DIRECTORY ...] [--part A] [--keep DIRECTORY]

Sound documents (benchmarks/sound_books.py) in faces of the directories go through what the coarse stop does. A
producer may itself write a layer that is broken: a page is sound when MuPDF's text of it, or the label, is in the
document's own text but for a few letters; the others are counted apart. Families of faces are in two parts: on A
rules are mended, B is looked at in the end. With `--keep` drawn documents are found again by a later call, and
`judged.jsonl` has a line for each page. Prints JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import pymupdf

from benchmarks.planted_lies import SERVICE
from benchmarks.sound_books import LANGUAGES, WRITTEN, Book, Face, convert, draw, faces, producers
from flywheel.database.tables import DocumentRow
from flywheel.gate import Gate
from flywheel.labels.recording import LabelledPage
from flywheel.pdf import PageFailure, Sandbox
from flywheel.pdf.coarse import label as coarse_label
from tasks.worker.verification import builtin_reader, judge_layers

NEAR = 0.995  # of a line's threes of letters stand in the document's text: where cells meet there are others
GRAM = 3
PAGES = 6


@dataclass(frozen=True, slots=True)
class Judged:
    """A page's verdict, and how much of what its layer and its label say is in the document's text (0..1)."""

    number: int
    accepted: bool
    reason: str
    detail: str
    layer: float
    label: float

    @property
    def sound(self) -> bool:
        return max(self.layer, self.label) >= NEAR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--books", type=int, default=60)
    parser.add_argument("--fonts", nargs="*", type=Path, default=[Path("/usr/share/fonts")])
    parser.add_argument("--languages", default=",".join(LANGUAGES), help="as gflanguages has them: hi_Deva")
    parser.add_argument("--producers", default=",".join(producers()))
    parser.add_argument("--part", choices=("A", "B"), help="of the families of faces; else both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        directory = arguments.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        for (
            name,
            value,
        ) in SERVICE.items():  # nothing of it is asked, but the worker's parts want to know where it is
            os.environ.setdefault(name, value.format(directory=directory.absolute()))
        known = faces(arguments.fonts, directory)
        known = {k: [f for f in known[k] if arguments.part in (None, part(f.family))] for k in known}
        asked = {k: known[k] for k in arguments.languages.split(",") if known[k]}
        books = list(bookshelf(asked, arguments.producers.split(","), arguments.books, arguments.seed))
        drawn = dict(shelved(books, directory.absolute()))
        drawn_in, started = time.perf_counter() - started, time.perf_counter()
        judged: dict[Book, list[Judged]] = {}
        with Sandbox() as sandbox, open(directory / "judged.jsonl", "w", encoding="utf-8") as log:
            for book, (path, shown) in drawn.items():
                judged[book] = judge(sandbox, path, shown, book)
                for page in judged[book]:
                    log.write(json.dumps(row(book, path, page), ensure_ascii=False) + "\n")
                log.flush()
    print(json.dumps(report(judged, drawn_in, time.perf_counter() - started), indent=2, ensure_ascii=False))


def part(family: str) -> str:
    return "AB"[hashlib.sha256(family.encode()).digest()[0] % 2]


def bookshelf(known: dict[str, list[Face]], writers: list[str], count: int, seed: int) -> Iterator[Book]:
    """Books of all languages in turn, each in another face, by producers that can write its script."""
    for language, found in known.items():
        random.Random(f"{language} {seed}").shuffle(found)
    languages = list(known)
    for number in range(count):
        language = languages[number % len(languages)]
        turn, script = number // len(languages), language.split("_")[1]
        able = [w for w in writers if script in WRITTEN.get(w, (script,))]
        face = known[language][turn % len(known[language])]
        if able:
            yield Book(language, face, able[(turn + number) % len(able)], 1000 * seed + turn)


def shelved(books: list[Book], directory: Path) -> Iterator[tuple[Book, tuple[Path, str]]]:
    """Each book's file and text; those that a producer does not write are told on the error output."""
    found: dict[Book, tuple[Path, str]] = {}
    for book in books:
        stem = f"{book.language}-{book.producer}-{book.seed}-{book.face.path.stem}-{book.face.number}"
        path, text = directory / f"{stem}.pdf", directory / f"{stem}.txt"
        if not text.exists():
            try:
                path, shown = draw(book, directory, stem)
            except Exception as error:  # of many kinds: a face that a producer cannot use
                print(f"{stem}: {type(error).__name__}: {str(error)[:100]}", file=sys.stderr)
                continue
            text.write_text(shown, encoding="utf-8")
        found[book] = path, text.read_text(encoding="utf-8")
    waiting = [path.with_suffix(".html") for path, _ in found.values() if not path.exists()]
    for start in range(0, len(waiting), 20):
        convert(waiting[start : start + 20], directory)
    yield from ((book, pair) for book, pair in found.items() if pair[0].exists())


def judge(sandbox: Sandbox, path: Path, shown: str, book: Book) -> list[Judged]:
    """The pages of a document as the coarse stop judges them."""
    language, labelled = book.language.replace("_", "-"), {}
    truth = set(grams(shown))
    with pymupdf.open(path) as document:
        layers = [page.get_text() for page in document.pages(0, min(PAGES, len(document)))]
    pages = []
    for page in sandbox.text(path, list(range(len(layers))), layout=False):
        if isinstance(page, PageFailure):
            pages.append(Judged(page.number, False, page.reason.value, page.detail, 1.0, 0.0))
            continue
        label, counts = coarse_label(page, language)
        verdict = Gate().judge_coarse(label, page.facts, counts, language)
        labelled[page.facts.number] = LabelledPage(page.facts.number, label, verdict, page.facts)
    document = DocumentRow(id=0, language=language)
    lying = judge_layers(document, labelled, path, lambda _language, _script: builtin_reader())
    for number, one in labelled.items():
        verdict = lying.get(number, one.verdict)
        told = told_of(layers[number], truth), told_of(one.label.text, truth)
        pages.append(Judged(number, verdict.accepted, verdict.reason.value, verdict.detail, *told))
    return sorted(pages, key=lambda page: page.number)


def grams(text: str) -> list[str]:
    letters = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c)[0] in "LM")
    return [letters[k : k + GRAM] for k in range(len(letters) - GRAM + 1)]


def told_of(said: str, truth: set[str]) -> float:
    found = [gram for line in said.split("\n") for gram in grams(line)]
    return round(sum(gram in truth for gram in found) / len(found), 3) if found else 0.0


def row(book: Book, path: Path, page: Judged) -> dict[str, Any]:
    return {
        "file": path.name,
        "script": book.script,
        "face": f"{book.face.family} {book.face.style}",
        "producer": book.producer,
        "page": page.number,
        "sound": page.sound,
        "layer": page.layer,
        "label": page.label,
        "accepted": page.accepted,
        "reason": page.reason,
        "detail": page.detail,
    }


def report(judged: dict[Book, list[Judged]], drawn_in: float, judged_in: float) -> dict[str, Any]:
    pages = [(book, page) for book, found in judged.items() for page in found]
    sound = [(book, page) for book, page in pages if page.sound]
    refused = [(book, page) for book, page in sound if not page.accepted]
    broken = [(book, page) for book, page in pages if not page.sound]
    by: dict[str, dict[str, str]] = defaultdict(dict)
    for name, of in (("script", lambda book: book.script), ("producer", lambda book: book.producer)):
        totals, wrong = Counter(of(book) for book, _ in sound), Counter(of(book) for book, _ in refused)
        by[name] = {key: f"{wrong[key]} of {total}" for key, total in sorted(totals.items())}
    return {
        "documents": len(judged),
        "with_a_sound_page": len({book for book, _ in sound}),
        "with_a_sound_page_refused": len({book for book, _ in refused}),
        "sound_pages": len(sound),
        "sound_refused": len(refused),
        "by_reason": counted(page.reason for _, page in refused),
        "by_script": by["script"],
        "by_producer": by["producer"],
        "broken_pages": counted(f"{book.producer} {book.script}" for book, _ in broken),
        "broken_accepted": counted(f"{book.producer} {book.script}" for book, page in broken if page.accepted),
        "seconds": {"drawn": round(drawn_in, 1), "judged": round(judged_in, 1)},
    }


def counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


if __name__ == "__main__":
    main()
