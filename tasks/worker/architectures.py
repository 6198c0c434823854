"""Architectures that a worker process can read with: one table, a line each.

A page reader with weights of its own is named by its class, which is imported when it is first used: the
parent of the worker's processes never loads torch. Detectors and small recognisers are made once a process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from flywheel.errors import Rejected, SetupError
from flywheel.figures import ReadingSettings
from flywheel.settings import settings
from tasks.worker.checkpoints import LoadableCheckpoint
from tasks.worker.process import device

if TYPE_CHECKING:
    from models.layout.protocol import LayoutDetector
    from models.lines.detector import LineDetector
    from models.readers.protocol import PageReader
    from models.recognition.protocol import Recogniser

SMALL_READERS = 4  # kept in memory at once


@dataclass(frozen=True, slots=True)
class LineArchitecture:
    """Reads lines, which a detector finds on the page. `on_device`: it computes where networks live, else on the
    CPU."""

    recogniser: Callable[[LoadableCheckpoint], Recogniser]
    on_device: bool

    def page_reader(self, found: LoadableCheckpoint) -> PageReader:
        return reader_by_lines(self.recogniser(found), found.checkpoint)


@dataclass(frozen=True, slots=True)
class NetworkArchitecture:
    """Reads pages with a big network; there is room for one at a time. `reader` is its class, "module:name"."""

    reader: str
    on_device: bool = True

    def load(self, directory: Path, checkpoint: str, reading: ReadingSettings) -> PageReader:
        """Raises SetupError for files that are not such a network's: no page is at fault."""
        import torch

        fast = device() == "cuda" and torch.cuda.is_bf16_supported()
        try:
            made: PageReader = resolve_name(self.reader).load(
                directory,
                checkpoint=checkpoint,
                device=device(),
                dtype=torch.bfloat16 if fast else torch.float32,
                limit=settings().reader_tokens,
                batch=settings().reader_batch,
                reading=reading,
            )
        except Rejected as error:
            raise SetupError(f"{checkpoint}, in {directory}: {error}") from error
        return made


@dataclass(frozen=True, slots=True)
class ExternalArchitecture:
    """Reads pages with weights in a package or behind a server. `page_reader` takes a checkpoint's name."""

    page_reader: Callable[[str], PageReader]
    on_device: bool = False


Architecture = LineArchitecture | NetworkArchitecture | ExternalArchitecture


def architecture_of(found: LoadableCheckpoint) -> Architecture:
    """Raises SetupError for an architecture that this version does not know."""
    if found.architecture not in ARCHITECTURES:
        raise SetupError(f"{found.checkpoint}: no reader of the architecture {found.architecture!r} is known here")
    return ARCHITECTURES[found.architecture]


@lru_cache(maxsize=1)
def line_detector() -> LineDetector:
    from models.lines.detector import LineDetector

    return LineDetector()


@lru_cache(maxsize=1)
def layout_detector(where: str) -> LayoutDetector:
    """PP-DocLayout from a folder or the hub. Raises SetupError."""
    from models.layout.pp_doclayout import PPDocLayout

    return PPDocLayout.load(where, device=device())


def reader_by_lines(recogniser: Recogniser, checkpoint: str) -> PageReader:
    """Page reader that finds lines and has them read by a recogniser, the weights of `checkpoint`."""
    from models.readers.lines import LinePageReader

    reader = LinePageReader(line_detector(), recogniser, checkpoint=checkpoint, producer=recogniser.producer)
    return _in_regions(reader)


def _in_regions(lines: PageReader) -> PageReader:
    """A reader of lines with the regions of a layout detector, where the settings name one."""
    if not settings().layout:
        return lines
    from models.readers.fine_labels import LayoutReader

    return LayoutReader(lines, layout_detector(settings().layout))


def _trained_on_lines(found: LoadableCheckpoint) -> Recogniser:
    return _line_recogniser(found.directory())


@lru_cache(maxsize=SMALL_READERS)
def _line_recogniser(directory: Path) -> Recogniser:
    from models.recognition.line import LineRecogniser

    return LineRecogniser.load(directory, device())


@lru_cache(maxsize=1)
def _ppocr() -> Recogniser:
    from models.recognition.ppocr import PpocrRecogniser

    return PpocrRecogniser()


def _endpoint(checkpoint: str) -> PageReader:
    config = settings()
    if not config.endpoint:
        raise SetupError("endpoint: set FLYWHEEL_ENDPOINT to the base URL of a server, ending in /v1")
    limits = config.endpoint_requests, config.reader_tokens
    return _server(checkpoint, config.endpoint, config.endpoint_model, config.endpoint_key, *limits)


@lru_cache(maxsize=SMALL_READERS)
def _server(checkpoint: str, url: str, model: str, key: str, requests: int, limit: int) -> PageReader:
    from models.readers.endpoint.reader import EndpointReader

    return EndpointReader(url, model, key=key, requests=requests, limit=limit, checkpoint=checkpoint)


def _paddleocr(checkpoint: str) -> PageReader:
    return _in_regions(_paddle(checkpoint, settings().paddle_engine.value))


@lru_cache(maxsize=SMALL_READERS)
def _paddle(checkpoint: str, engine: str) -> PageReader:
    from models.paddle import page_reader

    return page_reader(engine, checkpoint=checkpoint)


ARCHITECTURES: dict[str, Architecture] = {
    "line-conv-ctc": LineArchitecture(_trained_on_lines, on_device=True),
    "ppocr": LineArchitecture(lambda _: _ppocr(), on_device=False),
    "deepseek-ocr": NetworkArchitecture("models.readers.deepseek_ocr.reader:DeepseekOcrReader"),
    "deepseek-ocr-2": NetworkArchitecture("models.readers.deepseek_ocr2:DeepseekOcr2Reader"),
    "got-ocr2": NetworkArchitecture("models.readers.got_ocr2:GotOcr2Reader"),
    "endpoint": ExternalArchitecture(_endpoint),
    "paddleocr": ExternalArchitecture(_paddleocr),
}
