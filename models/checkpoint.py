"""Checkpoints: a directory of `model.safetensors` and `checkpoint.json`, the manifest written last.

    save(directory, weights, manifest)   weights, then the manifest that holds their sha256
    seal(directory, manifest)            the manifest of weights that lie there already, in a published layout
    load(directory) -> Checkpoint        verified; loaded by an explicit path, never "the latest"
    read_manifest(directory)             the manifest alone; from_plain(values) -> Manifest

The manifest says what the weights are: architecture, its configuration, the charset, languages and
scripts, the dataset's hash, the parent and the scores. A directory without a manifest is no
checkpoint. Anything that is not what it says is refused with `Rejected(UNSAFE_MODEL_FORMAT)`:
pickles, headers that lie about their tensors, weights whose hash does not match.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file

from flywheel.encoding import from_json
from flywheel.errors import Rejected
from flywheel.figures import ReadingSettings
from flywheel.reasons import Reason

FORMAT = 1
WEIGHTS = "model.safetensors"
MANIFEST = "checkpoint.json"
HEADER_LIMIT = 16 << 20  # bytes; a header larger than this describes no model of ours
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """Content of `checkpoint.json`. `charset` holds the output symbols in order, the CTC blank left out."""

    architecture: str
    config: dict[str, Any]
    charset: tuple[str, ...]
    language: str
    scripts: tuple[str, ...]
    dataset_hash: str = ""
    parent: str | None = None  # sha256 of the parent's weights
    recipe: str = ""
    scores: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""  # of the weights; filled in by `save` and `seal`
    files: dict[str, str] = field(default_factory=dict)  # several weight files by their sha256
    reading: ReadingSettings | None = None  # settings that it was watched by in training, and reads by
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class LoadedCheckpoint:
    """A verified checkpoint: where it lies, what it says, its tensors by name."""

    directory: Path
    manifest: Manifest
    weights: dict[str, torch.Tensor]

    @property
    def id(self) -> str:
        """The first 16 digits of the weights' sha256."""
        return self.manifest.sha256[:16]


def save(directory: Path, weights: dict[str, torch.Tensor], manifest: Manifest) -> Manifest:
    """Write a checkpoint so that it exists whole or not at all; returns the manifest with its sha256.

    An existing checkpoint at `directory` is replaced.
    """
    staging = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, staging / WEIGHTS)
    complete = dataclasses.replace(manifest, sha256=sha256_of(staging / WEIGHTS))
    write_json(staging / MANIFEST, dataclasses.asdict(complete))
    if directory.exists():
        shutil.rmtree(directory)
    os.replace(staging, directory)
    return complete


def seal(directory: Path, manifest: Manifest) -> Manifest:
    """Write the manifest beside safetensors of whatever names; its sha256 is that of their names and hashes.

    Raises Rejected(UNSAFE_MODEL_FORMAT) when there are none.
    """
    files = {path.name: sha256_of(path) for path in sorted(directory.glob("*.safetensors"))}
    if not files:
        raise _unsafe(f"no safetensors in {directory.name}")
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    complete = dataclasses.replace(manifest, sha256=digest, files=files)
    write_json(directory / MANIFEST, dataclasses.asdict(complete))
    return complete


def load(directory: Path) -> LoadedCheckpoint:
    """Read and verify a checkpoint.

    Raises Rejected(UNSAFE_MODEL_FORMAT) for pickles, a missing or foreign manifest, a lying
    safetensors header, or weights that do not match their hash.
    """
    manifest = read_manifest(directory)
    tensors = verified_tensors(directory / WEIGHTS, manifest.sha256)
    return LoadedCheckpoint(directory, manifest, tensors)


def verified_tensors(path: Path, sha256: str) -> dict[str, torch.Tensor]:
    """The tensors of one safetensors file whose hash is known; raises Rejected when it lies."""
    if not path.is_file():
        raise _unsafe(f"{path.name} is missing")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _unsafe(f"{path.name} does not match its recorded sha256")
    check_header(content)
    try:
        return dict(load_tensors(content))
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise _unsafe(f"{path.name}: {error}") from error


def check_header(content: bytes) -> None:
    """Refuse a safetensors file whose header claims what the bytes do not hold.

    Raises Rejected for pickles and ZIPs, a header beyond the file, overlapping or uncovered bytes,
    offsets that disagree with shape and type, non-finite sizes.
    """
    if content[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"):
        raise _unsafe("a pickle, not safetensors")
    if len(content) < 8:
        raise _unsafe("shorter than a safetensors header")
    (length,) = struct.unpack("<Q", content[:8])
    if length > min(HEADER_LIMIT, len(content) - 8):
        raise _unsafe(f"the header claims {length} bytes")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise _unsafe("the header is no JSON") from error
    if not isinstance(header, dict):
        raise _unsafe("the header is no object")
    _check_spans(header, len(content) - 8 - length)


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON and wait until the disk has it."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())


def from_plain(values: dict[str, Any]) -> Manifest:
    """A manifest from its JSON form. Raises ValueError, TypeError, KeyError."""
    reading = values.get("reading")
    return Manifest(
        **{
            **values,
            "charset": tuple(values["charset"]),
            "scripts": tuple(values["scripts"]),
            "reading": from_json(ReadingSettings, reading) if reading is not None else None,
        }
    )


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a checkpoint, whose weights are not looked at. Raises Rejected(UNSAFE_MODEL_FORMAT)."""
    path = directory / MANIFEST
    if not path.is_file():
        pickles = sorted(p.name for p in directory.glob("*") if p.suffix in PICKLES)
        raise _unsafe(f"no {MANIFEST} in the directory" + (f", but {', '.join(pickles)}" if pickles else ""))
    try:
        manifest = from_plain(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError) as error:
        raise _unsafe(f"{MANIFEST} is not readable: {error}") from error
    if manifest.format != FORMAT:
        raise _unsafe(f"{MANIFEST} has format {manifest.format}, this program reads {FORMAT}")
    return manifest


def _check_spans(header: dict[str, Any], size: int) -> None:
    spans = []
    for name, entry in header.items():
        if name != "__metadata__":
            spans.append(_span(name, entry, size))
    position = 0
    for start, end in sorted(spans):
        if start != position:
            raise _unsafe("tensors overlap or leave holes")
        position = end
    if position != size:
        raise _unsafe(f"the header accounts for {position} of {size} bytes")


def _span(name: str, entry: object, size: int) -> tuple[int, int]:
    try:
        kind, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]  # type: ignore[index]
        expected = ITEM_BYTES[kind] * math.prod(shape)
        honest = all(isinstance(n, int) and n >= 0 for n in (*shape, start, end))
    except (TypeError, KeyError, ValueError) as error:
        raise _unsafe(f"tensor {name!r} is described wrongly") from error
    if not honest or not start <= end <= size or end - start != expected:
        raise _unsafe(f"tensor {name!r} claims bytes that its shape does not fill")
    return start, end


def _unsafe(detail: str) -> Rejected:
    return Rejected(Reason.UNSAFE_MODEL_FORMAT, detail)
