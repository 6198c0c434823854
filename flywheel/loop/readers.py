"""The readers that come with the service: one literal, used by migrations, API, CLI and workers alike.

Each is a checkpoint of its own name from the start, without a stored tree: its weights lie inside a
package, in a folder or on the hub (the setting says where), or behind another server. What rounds train
are checkpoints of the same architectures, with stored trees.
"""

from __future__ import annotations

from dataclasses import dataclass

# Of DeepSeek-OCR (arXiv 2510.18234, section 3.2): how a page becomes views. "auto" reads in base mode, and
# again in gundam mode what it was unsure of.
MODES = ("tiny", "small", "base", "large", "gundam", "gundam-m")
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class BuiltinReader:
    """A reader by its name. `pages`: it takes whole pages and answers in markup, else it reads lines.
    `setting`: the environment variable that says where its weights or its server are."""

    name: str
    architecture: str
    pages: bool
    modes: tuple[str, ...] = ()
    setting: str | None = None


BUILTIN_READERS = {
    reader.name: reader
    for reader in (
        BuiltinReader("ppocr-v6-small", "ppocr", pages=False),
        BuiltinReader("deepseek-ocr", "deepseek-ocr", True, (AUTO, *MODES), "FLYWHEEL_DEEPSEEK_OCR"),
        BuiltinReader("deepseek-ocr-2", "deepseek-ocr-2", True, (), "FLYWHEEL_DEEPSEEK_OCR_2"),
        BuiltinReader("got-ocr2", "got-ocr2", True, (), "FLYWHEEL_GOT_OCR2"),
        BuiltinReader("endpoint", "endpoint", True, (), "FLYWHEEL_ENDPOINT"),
        BuiltinReader("paddleocr", "paddleocr", False, (), "FLYWHEEL_PADDLE_ENGINE"),
    )
}


def builtin_reader(architecture: str) -> BuiltinReader | None:
    """The reader of an architecture that comes with the service, untrained by rounds."""
    return next((reader for reader in BUILTIN_READERS.values() if reader.architecture == architecture), None)


def modes_of(architecture: str) -> tuple[str, ...]:
    """The modes of readers of an architecture, trained ones too; empty: it has none to choose from."""
    reader = builtin_reader(architecture)
    return reader.modes if reader is not None else ()
