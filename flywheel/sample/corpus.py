"""The sample corpus for the rest of the project: documents on disk and their ground truth.

`draw` runs `python -m flywheel.sample` so that MuPDF stays out of the calling process, and
reads back `truth.json`. Nothing is downloaded and no text is copied: see syllables.py and
phrases.py. The same seed and scale give the same text, pages and files (but for the
encrypted file's salt).

    directory/documents/   what to submit
    directory/faces/       the typefaces it was drawn with
    directory/truth.json   text, language, kind and boxes of every page
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flywheel.document import Box, Line
from flywheel.errors import SetupError

DocumentKind = Literal["born_digital", "scan", "garbled", "corrupt", "encrypted", "duplicate"]


@dataclass(frozen=True, slots=True)
class SampleDocument:
    """One file. `truth` holds the lines of every page in reading order (a blank page has none);
    None where there is nothing to read. `pages` is the same with boxes in points."""

    path: Path
    language: str
    kind: DocumentKind
    face: str = ""
    truth: tuple[tuple[str, ...], ...] | None = None
    pages: tuple[tuple[Line, ...], ...] | None = None

    @property
    def lines(self) -> int:
        return sum(len(page) for page in self.truth or ())


@dataclass(frozen=True, slots=True)
class SampleCorpus:
    """All files of one drawing."""

    directory: Path
    documents: tuple[SampleDocument, ...]

    def of(self, kind: DocumentKind, language: str | None = None) -> tuple[SampleDocument, ...]:
        """The documents of one kind, in one language if given."""
        return tuple(d for d in self.documents if d.kind == kind and language in (None, d.language))

    def named(self, name: str) -> SampleDocument:
        """By file name; raises KeyError."""
        return {d.path.name: d for d in self.documents}[name]

    @property
    def faces(self) -> dict[str, Path]:
        """Typefaces by name: those of `flywheel.sample.faces.CUTS`, "latin" and "han"."""
        files = sorted((self.directory / "faces").glob("*.ttf"))
        return {file.stem.removeprefix("tibetan-"): file for file in files}


def draw(directory: Path, *, seed: int = 1, scale: float = 1.0, timeout: float = 300.0) -> SampleCorpus:
    """Draw the corpus into `directory`. `scale` multiplies the page counts (every document keeps one page).

    Raises SetupError when the drawing fails or takes longer than `timeout` seconds.
    """
    command = [sys.executable, "-m", "flywheel.sample", str(directory), "--seed", str(seed), "--scale", str(scale)]
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"drawing the sample corpus took longer than {timeout:.0f} s") from error
    if done.returncode:
        raise SetupError(f"the sample corpus could not be drawn: {done.stderr.strip()[-800:]}")
    return load(directory)


def load(directory: Path) -> SampleCorpus:
    """Read a corpus drawn before. Raises SetupError when `directory` holds none."""
    try:
        data = json.loads((directory / "truth.json").read_text(encoding="utf-8"))
        return SampleCorpus(directory, tuple(_document(directory, item) for item in data["documents"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(f"no sample corpus in {directory}: {error!r}") from error


def _document(directory: Path, item: dict[str, Any]) -> SampleDocument:
    path, pages = directory / "documents" / item["name"], item["pages"]
    if pages is None:
        return SampleDocument(path, item["language"], item["kind"], item["face"])
    lines = tuple(tuple(Line(x["text"], Box(*x["box"])) for x in page["lines"]) for page in pages)
    texts = tuple(tuple(line.text for line in page) for page in lines)
    return SampleDocument(path, item["language"], item["kind"], item["face"], texts, lines)
