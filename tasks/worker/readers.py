"""The readers of a worker process: where their weights are, loaded once, one big network at a time.

    in_hand(attempt, checkpoint) -> InHand        a reader with its turn on the device, for a shard
    page_reader(checkpoint, mode)             a page reader by the name of its checkpoint
    recogniser(checkpoint)                    the same as a reader of lines
    load(architecture, directory, ...)        a reader from files that are no checkpoint yet

A checkpoint's row names its architecture. What rounds trained lies in the store as a tree; the readers
that come with the service have their weights where the settings say: in a folder, or on the hub at a
revision. Modes of one reader share its network.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow
from flywheel.errors import BlobCorrupt, BlobMissing, DeviceBusy, NotFound, Rejected, SetupError, Transient
from flywheel.loop.readers import BUILTIN_READERS, BuiltinReader, modes_of
from flywheel.settings import settings
from tasks.worker.attempt import Attempt
from tasks.worker.device import hold_device
from tasks.worker.process import device, fetched

if TYPE_CHECKING:
    from models.layout.protocol import LayoutDetector
    from models.lines.detector import LineDetector
    from models.readers.protocol import PageReader
    from models.recognition.protocol import Recogniser

TRAINED_ON_LINES = "line-conv-ctc"  # models.recognition.network.ARCHITECTURE, without loading torch
LINES = (TRAINED_ON_LINES, "ppocr")  # architectures that read lines; a detector finds them
LINE_PAGES = 4  # pages whose lines are read together
SMALL_READERS = 4  # kept in memory at once
ON_THE_HUB = re.compile(r"([\w.-]+/[\w.-]+)@([\w./-]+)")
PATTERNS = ["*.safetensors", "*.json"]  # nothing that could be code


@dataclass(frozen=True, slots=True)
class LoadableCheckpoint:
    """A checkpoint as a process can load it. `pages`: it takes whole pages and answers in markup."""

    checkpoint: str
    architecture: str
    tree_key: str | None

    @property
    def pages(self) -> bool:
        return any(reader.pages for reader in BUILTIN_READERS.values() if reader.architecture == self.architecture)

    @property
    def device(self) -> str:
        """Where its network is, as torch names it."""
        return device() if self.architecture in {TRAINED_ON_LINES, *NETWORKS} else "cpu"

    def directory(self) -> Path:
        """Its files on this machine. Raises SetupError where they are gone, or the settings do not name them."""
        if self.tree_key is None:
            return weights(self.architecture)
        try:
            return fetched(self.tree_key)
        except (BlobMissing, BlobCorrupt) as error:
            raise SetupError(f"the files of {self.checkpoint} are lost: {error}") from error


@dataclass(frozen=True, slots=True)
class OpenReader:
    """A reader to read a shard with: its mode (None: it has none) and how many pages it takes at once."""

    reader: PageReader
    mode: str | None
    pages: bool
    batch: int


@contextmanager
def open_reader(attempt: Attempt, checkpoint_id: str, mode: str | None = None) -> Iterator[OpenReader]:
    """A reader and its turn on the device. Raises NotFound, SetupError, Transient: DeviceBusy while a training
    has the device, which the network then leaves."""
    found = checkpoint_source(checkpoint_id)
    chosen = mode_of(found, mode)
    try:
        with hold_device(attempt, found.device, attempt.claim.stop, training=False):
            batch = settings().reader_batch if found.pages else LINE_PAGES
            yield OpenReader(_reader(found, chosen), chosen, found.pages, batch)
    except DeviceBusy:
        release()
        raise


def page_reader(checkpoint_id: str, mode: str | None = None) -> PageReader:
    """The reader of a checkpoint. Raises NotFound, SetupError."""
    found = checkpoint_source(checkpoint_id)
    return _reader(found, mode_of(found, mode))


def recogniser(checkpoint_id: str) -> Recogniser:
    """The recogniser of a checkpoint; a page reader as one. Raises NotFound, SetupError."""
    found = checkpoint_source(checkpoint_id)
    if found.architecture in LINES:
        return _recogniser(found)
    from models.readers.as_recogniser import PageReaderAsRecogniser

    return PageReaderAsRecogniser(page_reader(checkpoint_id))


def count_tokens(checkpoint_id: str | None, text: str) -> int | None:
    """How many tokens a text has for a checkpoint; None for one whose tokenizer is not at hand."""
    found = checkpoint_source(checkpoint_id) if checkpoint_id is not None else None
    if found is None or found.architecture not in NETWORKS:
        return None
    from models.training.tokens import tokenizer_in

    return len(tokenizer_in(found.directory()).encode(text, add_special_tokens=False))


@lru_cache(maxsize=1)
def line_detector() -> LineDetector:
    from models.lines.detector import LineDetector

    return LineDetector()


def checkpoint_source(checkpoint_id: str) -> LoadableCheckpoint:
    """Raises NotFound, and SetupError for an architecture that this version does not know."""
    with transaction() as session:
        row = session.get(CheckpointRow, checkpoint_id)
        if row is None:
            raise NotFound(f"no checkpoint {checkpoint_id}")
        found = LoadableCheckpoint(row.id, row.architecture, row.tree_key)
    if found.architecture not in {*LINES, *NETWORKS, *ELSEWHERE}:
        raise SetupError(f"{checkpoint_id}: no reader of the architecture {found.architecture!r} is known here")
    return found


def mode_of(found: LoadableCheckpoint, mode: str | None) -> str | None:
    """The mode to read in: the one asked for, or the setting's; None for readers without any.

    Raises SetupError for one that the reader does not have.
    """
    known = modes_of(found.architecture)
    asked = mode if mode is not None or not known else settings().reader_mode
    if asked is not None and asked not in known:
        has = f"it has {', '.join(known)}" if known else "it has none"
        where = "" if mode is not None else " (FLYWHEEL_READER_MODE)"
        raise SetupError(f"{found.checkpoint} has no mode {asked!r}{where}: {has}")
    return asked


def builtin(architecture: str) -> BuiltinReader | None:
    """The reader of an architecture that comes with the service, untrained by rounds."""
    return next((reader for reader in BUILTIN_READERS.values() if reader.architecture == architecture), None)


def weights(architecture: str) -> Path:
    """The published files of a reader that comes with the service: its setting's folder, or fetched once from
    the hub. Raises SetupError, and Transient when the hub is out of reach."""
    reader = builtin(architecture)
    if reader is None or reader.setting is None:
        raise SetupError(f"{architecture} comes without weights of its own")
    name = reader.setting
    value = str(getattr(settings(), name.removeprefix("FLYWHEEL_").lower()))
    if not value:
        raise SetupError(f"{reader.name}: set {name} to a folder with its weights, or to owner/name@revision")
    if Path(value).is_dir():
        return Path(value)
    on_the_hub = ON_THE_HUB.fullmatch(value)
    if on_the_hub is None:
        raise SetupError(f"{name}: {value!r} is no folder here; of the hub, name a revision: owner/name@revision")
    return _from_hub(name, on_the_hub[1], on_the_hub[2])


def _from_hub(name: str, repository: str, revision: str) -> Path:
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=PATTERNS))
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise SetupError(f"{name}: {repository}@{revision} is not on the hub: {error}") from error
    except Exception as error:  # its client's transport has errors of its own
        raise Transient(f"{name}: {repository}@{revision} cannot be had now: {error}") from error


def load(architecture: str, directory: Path, *, checkpoint: str, mode: str | None = None) -> PageReader:
    """A page reader from the files in `directory`, which are no checkpoint yet. Raises SetupError."""
    key = (architecture, directory, settings().reader_tokens, settings().reader_batch)
    return _slot.take(key, lambda: _network(architecture, directory, checkpoint), mode)


class NetworkSlot:
    """Room for one big network. The one before leaves before the next comes."""

    def __init__(self) -> None:
        self._key: Any = None
        self._modes: dict[str | None, PageReader] = {}

    def take(self, key: Any, make: Callable[[], PageReader], mode: str | None) -> PageReader:
        """The reader of `key` in a mode, made unless it sits here already."""
        if self._key != key:
            self.leave()
            self._modes[None] = make()
            self._key = key
        if mode not in self._modes:
            self._modes[mode] = _in_mode(self._modes[None], mode)
        return self._modes[mode]

    def leave(self) -> None:
        """Free the network's memory, also on the device."""
        self._key, self._modes = None, {}
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            gc.collect()
            torch.cuda.empty_cache()


_slot = NetworkSlot()


def release() -> None:
    """Let the big network go, e.g. before a training."""
    _slot.leave()


def _reader(found: LoadableCheckpoint, mode: str | None) -> PageReader:
    if found.architecture in LINES:
        return _line_reader(found)
    if found.architecture in ELSEWHERE:
        return ELSEWHERE[found.architecture](found.checkpoint)
    directory = found.directory()
    key = (found, directory, settings().reader_tokens, settings().reader_batch)
    return _slot.take(key, lambda: _network(found.architecture, directory, found.checkpoint), mode)


def _network(architecture: str, directory: Path, checkpoint: str) -> PageReader:
    """Raises SetupError for files that are not such a network's: no page is at fault."""
    import torch

    fast = device() == "cuda" and torch.cuda.is_bf16_supported()
    try:
        return NETWORKS[architecture](
            directory,
            checkpoint=checkpoint,
            device=device(),
            dtype=torch.bfloat16 if fast else torch.float32,
            limit=settings().reader_tokens,
            batch=settings().reader_batch,
        )
    except Rejected as error:
        raise SetupError(f"{checkpoint}, in {directory}: {error}") from error


def _in_mode(reader: Any, mode: str | None) -> PageReader:
    """The same network, looking at pages in a mode; one without modes as it is."""
    found: PageReader = reader if mode is None else reader.with_mode(mode)
    return found


def _line_reader(found: LoadableCheckpoint) -> PageReader:
    from models.readers.lines import LinePageReader

    reader = _recogniser(found)
    lines = LinePageReader(line_detector(), reader, checkpoint=found.checkpoint, producer=reader.producer)
    return _in_regions(lines)


def _in_regions(lines: PageReader) -> PageReader:
    """A reader of lines with the regions of a layout model, where the settings name one."""
    if not settings().layout:
        return lines
    from models.readers.regions import LayoutReader

    return LayoutReader(lines, layout_detector(settings().layout))


@lru_cache(maxsize=1)
def layout_detector(where: str) -> LayoutDetector:
    """PP-DocLayout from a folder or the hub. Raises SetupError."""
    from models.layout.pp_doclayout import PPDocLayout

    return PPDocLayout.load(where, device=device())


def _recogniser(found: LoadableCheckpoint) -> Recogniser:
    return _ppocr() if found.architecture == "ppocr" else _lines(found.directory())


@lru_cache(maxsize=1)
def _ppocr() -> Recogniser:
    from models.recognition.ppocr import PpocrRecogniser

    return PpocrRecogniser()


@lru_cache(maxsize=SMALL_READERS)
def _lines(directory: Path) -> Recogniser:
    from models.recognition.line import LineRecogniser

    return LineRecogniser.load(directory, device())


def _deepseek_ocr(directory: Path, **options: Any) -> PageReader:
    from models.readers.deepseek_ocr.reader import DeepseekOcrReader

    return DeepseekOcrReader.load(directory, **options)


def _deepseek_ocr_2(directory: Path, **options: Any) -> PageReader:
    from models.readers.deepseek_ocr2 import DeepseekOcr2Reader

    return DeepseekOcr2Reader.load(directory, **options)


def _got_ocr2(directory: Path, **options: Any) -> PageReader:
    from models.readers.got_ocr2 import GotOcr2Reader

    return GotOcr2Reader.load(directory, **options)


# A network with weights, by its architecture; there is room for one at a time.
NETWORKS: dict[str, Callable[..., PageReader]] = {
    "deepseek-ocr": _deepseek_ocr,
    "deepseek-ocr-2": _deepseek_ocr_2,
    "got-ocr2": _got_ocr2,
}


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
    return _in_regions(_paddle(checkpoint, settings().paddle_engine))


@lru_cache(maxsize=SMALL_READERS)
def _paddle(checkpoint: str, engine: str) -> PageReader:
    from models.paddle import page_reader as reader_of

    return reader_of(engine, checkpoint=checkpoint)


# Readers whose weights are in a package or behind a server.
ELSEWHERE: dict[str, Callable[[str], PageReader]] = {"endpoint": _endpoint, "paddleocr": _paddleocr}
