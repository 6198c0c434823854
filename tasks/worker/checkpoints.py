"""Checkpoints as a worker process finds them: their architecture, and their files on this machine.

    find_checkpoint(id) -> LoadableCheckpoint      .directory() -> its files
    published_weights(architecture) -> Path        of a reader that comes with the service

A checkpoint's row names its architecture. Trained checkpoints lie in the store as trees; the readers that
come with the service have their weights where the settings say: in a folder, or on the hub at a revision.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow
from flywheel.errors import BlobCorrupt, BlobMissing, NotFound, SetupError, Transient
from flywheel.figures import ReadingSettings
from flywheel.loop.readers import builtin_reader, modes_of
from flywheel.settings import settings
from tasks.worker.process import fetched

ON_THE_HUB = re.compile(r"([\w.-]+/[\w.-]+)@([\w./-]+)")
PATTERNS = ["*.safetensors", "*.json"]  # nothing that could be code


UNSET = ReadingSettings()  # of readers that come with the service: as the settings say


@dataclass(frozen=True, slots=True)
class LoadableCheckpoint:
    """A checkpoint as a process can load it. Without a `tree_key` it came with the service. By `reading` it was
    examined, and reads."""

    checkpoint: str
    architecture: str
    tree_key: str | None
    reading: ReadingSettings = UNSET

    @property
    def reads_pages(self) -> bool:
        """Whole pages, answered in markup; else lines."""
        reader = builtin_reader(self.architecture)
        return reader is not None and reader.pages

    def directory(self) -> Path:
        """Its files on this machine. Raises SetupError where they are gone, or the settings do not name them."""
        if self.tree_key is None:
            return published_weights(self.architecture)
        try:
            return fetched(self.tree_key)
        except (BlobMissing, BlobCorrupt) as error:
            raise SetupError(f"the files of {self.checkpoint} are lost: {error}") from error

    @property
    def dpi(self) -> float:
        """Resolution of the page images that it reads: its own, or the setting's."""
        return self.reading.dpi or settings().render_dpi

    def mode(self, asked: str | None) -> str | None:
        """The mode to read in: the one asked for, its own, or the setting's; None for readers without any.

        Raises SetupError for one that the reader does not have.
        """
        known = modes_of(self.architecture)
        own = self.reading.mode or settings().reader_mode if known else None
        mode = asked if asked is not None else own
        if mode is not None and mode not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            where = "" if asked is not None else " (FLYWHEEL_READER_MODE)"
            raise SetupError(f"{self.checkpoint} has no mode {mode!r}{where}: {has}")
        return mode


def find_checkpoint(checkpoint_id: str) -> LoadableCheckpoint:
    """The checkpoint of a row. Raises NotFound."""
    with transaction() as session:
        row = session.get(CheckpointRow, checkpoint_id)
        if row is None:
            raise NotFound(f"no checkpoint {checkpoint_id}")
        return LoadableCheckpoint(row.id, row.architecture, row.tree_key, row.reading or UNSET)


def published_weights(architecture: str) -> Path:
    """The published files of a reader that comes with the service: its setting's folder, or fetched once from
    the hub. Raises SetupError, and Transient when the hub is out of reach."""
    reader = builtin_reader(architecture)
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
