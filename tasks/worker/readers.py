"""Readers of a worker process: loaded once, one big network at a time.

    open_reader(attempt, checkpoint) -> LoadedReader      for a shard, with the device held
    page_reader(checkpoint, mode)                         a page reader by the name of its checkpoint
    recogniser(checkpoint)                                the same as a reader of lines
    load(architecture, directory, ...)                    a reader from files that are no checkpoint yet

Modes of one reader share its network.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.errors import DeviceBusy, SetupError
from flywheel.settings import settings
from tasks.worker.architectures import (
    ARCHITECTURES,
    LineArchitecture,
    NetworkArchitecture,
    architecture_of,
)
from tasks.worker.attempt import Attempt
from tasks.worker.checkpoints import UNSET, LoadableCheckpoint, find_checkpoint
from tasks.worker.device import hold_device
from tasks.worker.process import device

if TYPE_CHECKING:
    from models.readers.protocol import PageReader
    from models.recognition.protocol import Recogniser

LINE_PAGES = 4  # pages whose lines are read together


@dataclass(frozen=True, slots=True)
class LoadedReader:
    """A reader to read a shard with: its mode (None: it has none), if it `reads_pages` and answers in markup, the
    number of pages it takes at once, and the resolution of their images."""

    reader: PageReader
    mode: str | None
    reads_pages: bool
    batch: int
    dpi: float


@contextmanager
def open_reader(attempt: Attempt, checkpoint_id: str, mode: str | None = None) -> Iterator[LoadedReader]:
    """A reader with its device held. Raises NotFound, SetupError, Transient: DeviceBusy while a training holds
    the device, which the network then leaves."""
    found = find_checkpoint(checkpoint_id)
    chosen = found.mode(mode)
    place = device() if architecture_of(found).on_device else "cpu"
    try:
        with hold_device(attempt, place, attempt.claim.stop, training=False):
            batch = settings().reader_batch if found.reads_pages else LINE_PAGES
            yield LoadedReader(_reader(found, chosen), chosen, found.reads_pages, batch, found.dpi)
    except DeviceBusy:
        release()
        raise


def page_reader(checkpoint_id: str, mode: str | None = None) -> PageReader:
    """The reader of a checkpoint. Raises NotFound, SetupError."""
    found = find_checkpoint(checkpoint_id)
    return _reader(found, found.mode(mode))


def recogniser(checkpoint_id: str) -> Recogniser:
    """The recogniser of a checkpoint; a page reader as one. Raises NotFound, SetupError."""
    found = find_checkpoint(checkpoint_id)
    architecture = architecture_of(found)
    if isinstance(architecture, LineArchitecture):
        return architecture.recogniser(found)
    from models.readers.as_recogniser import PageReaderAsRecogniser

    return PageReaderAsRecogniser(page_reader(checkpoint_id))


def load(architecture: str, directory: Path, *, checkpoint: str) -> PageReader:
    """A page reader from the files of a training in `directory`, which are no checkpoint yet, as it will read for
    the service. Raises SetupError."""
    kind = ARCHITECTURES.get(architecture)
    if not isinstance(kind, NetworkArchitecture):
        raise SetupError(f"{checkpoint}: {architecture!r} is no page reader with weights of its own")
    from models.checkpoint import read_manifest

    own = read_manifest(directory).reading or UNSET
    trained = LoadableCheckpoint(checkpoint, architecture, None, own)
    return _loaded(kind, directory, trained, trained.mode(None))


def count_tokens(checkpoint_id: str | None, text: str) -> int | None:
    """Tokens of a text for a checkpoint; None for one whose tokenizer is not at hand."""
    found = find_checkpoint(checkpoint_id) if checkpoint_id is not None else None
    if found is None or not isinstance(architecture_of(found), NetworkArchitecture):
        return None
    from models.training.tokens import tokenizer_in

    return len(tokenizer_in(found.directory()).encode(text, add_special_tokens=False))


def release() -> None:
    """Unload the big network, e.g. before a training."""
    _slot.unload()


class NetworkSlot:
    """Memory for one big network. The one before is unloaded before the next is loaded."""

    def __init__(self) -> None:
        self._key: Any = None
        self._modes: dict[str | None, PageReader] = {}

    def reader(self, key: Any, make: Callable[[], PageReader], mode: str | None) -> PageReader:
        """The reader of `key` in a mode, made unless it is loaded already."""
        if self._key != key:
            self.unload()
            self._modes[None] = make()
            self._key = key
        if mode not in self._modes:
            self._modes[mode] = _in_mode(self._modes[None], mode)
        return self._modes[mode]

    def unload(self) -> None:
        """Free the network's memory, also on the device."""
        self._key, self._modes = None, {}
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            gc.collect()
            torch.cuda.empty_cache()


_slot = NetworkSlot()


def _reader(found: LoadableCheckpoint, mode: str | None) -> PageReader:
    architecture = architecture_of(found)
    if isinstance(architecture, NetworkArchitecture):
        return _loaded(architecture, found.directory(), found, mode)
    if isinstance(architecture, LineArchitecture):
        return architecture.page_reader(found)
    return architecture.page_reader(found.checkpoint)


def _loaded(kind: NetworkArchitecture, directory: Path, found: LoadableCheckpoint, mode: str | None) -> PageReader:
    key = (kind, directory, found.checkpoint, found.reading, settings().reader_tokens, settings().reader_batch)
    return _slot.reader(key, lambda: kind.load(directory, found.checkpoint, found.reading), mode)


def _in_mode(reader: Any, mode: str | None) -> PageReader:
    """The same network in a mode; one without modes as it is."""
    found: PageReader = reader if mode is None else reader.with_mode(mode)
    return found
