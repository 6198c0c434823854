"""Training checkpoints: all of a run's state, so that a killed run goes on from its last complete one.

    save_state(directory, state) -> path      directory/step-00001234, complete or absent
    newest_state(directory) -> state | None   the furthest one that verifies; broken ones are passed over
    restore_random(state, device)             the last thing before the next step

safetensors for the tensors (network, best network so far, optimiser moments, torch's random states),
JSON for the rest, written last with the tensors' hash, the whole renamed into place. A directory
that was itself such a checkpoint (as a store hands it back) counts, too.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from flywheel.encoding import from_json, to_json
from flywheel.errors import Rejected
from flywheel.figures import CurvePoint
from models.checkpoint import sha256_of, verified_tensors, write_json
from models.training.schedule import EarlyEnd

TENSORS, MANIFEST = "state.safetensors", "state.json"
KEPT = 2  # the newest, and one more should the newest's disk blocks rot


@dataclass(slots=True)
class LineTrainingState:
    """A run between two steps. `position` is the next batch of `epoch`; `seconds` of training so far."""

    charset: tuple[str, ...]
    network: dict[str, Tensor]
    optimiser: dict[str, Any]
    best: dict[str, Tensor] = field(default_factory=dict)
    best_cer: float | None = None
    step: int = 0
    epoch: int = 0
    position: int = 0
    lines: int = 0
    seconds: float = 0.0
    curve: list[CurvePoint] = field(default_factory=list)
    job: str = ""  # what the run is of; a state of another job is not resumed
    loss: float | None = None  # the running mean that is reported
    early_end: EarlyEnd | None = None  # once the target was met
    random: dict[str, Tensor] = field(default_factory=dict)  # torch's generators, by device


def save_state(directory: Path, state: LineTrainingState) -> Path:
    """Write a complete training checkpoint under `directory`; returns its path, keeps the newest two."""
    final = directory / f"step-{state.step:08d}"
    staging = directory / f".{final.name}.partial"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    tensors, scalars = flatten(state.optimiser)
    tensors |= {f"network.{k}": v for k, v in state.network.items()}
    tensors |= {f"best.{k}": v for k, v in state.best.items()}
    tensors |= {f"random.{k}": v for k, v in random_states().items()}
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, staging / TENSORS)
    body = {name: to_json(getattr(state, name)) for name in _PLAIN}
    manifest = {**body, "optimiser": scalars, "sha256": sha256_of(staging / TENSORS)}
    write_json(staging / MANIFEST, manifest)
    shutil.rmtree(final, ignore_errors=True)
    os.replace(staging, final)
    for old in sorted(directory.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def newest_state(directory: Path, job: str = "") -> LineTrainingState | None:
    """The furthest complete state under `directory` that belongs to `job`; None when there is none."""
    found = [_read(path, job) for path in (directory, *directory.glob("step-*"))]
    return max((state for state in found if state is not None), key=lambda state: state.step, default=None)


def random_states() -> dict[str, Tensor]:
    """States of torch's generators: "cpu", and "cuda" of the current device where one is in use."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random(state: LineTrainingState, device: str) -> None:
    """Set torch's generators to where `state` left them.

    Do it last: networks draw their weights when they are made, also those that are loaded over afterwards.
    """
    torch.set_rng_state(state.random["cpu"])
    if device.startswith("cuda") and "cuda" in state.random:
        torch.cuda.set_rng_state(state.random["cuda"], device)


def flatten(optimiser: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A torch optimiser's state dict as flat tensors and plain values."""
    tensors: dict[str, Tensor] = {}
    for index, values in optimiser["state"].items():
        for name, value in values.items():
            tensors[f"optimiser.{index}.{name}"] = torch.as_tensor(value)
    return tensors, {"param_groups": optimiser["param_groups"]}


def unflatten(tensors: dict[str, Tensor], scalars: dict[str, Any]) -> dict[str, Any]:
    """Inverse of `flatten`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    return {"state": state, "param_groups": scalars["param_groups"]}


_PLAIN = (
    "charset",
    "best_cer",
    "step",
    "epoch",
    "position",
    "lines",
    "seconds",
    "curve",
    "job",
    "loss",
    "early_end",
)


def _read(path: Path, job: str) -> LineTrainingState | None:
    try:
        data = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        tensors = verified_tensors(path / TENSORS, data["sha256"])
        plain = {name: data[name] for name in _PLAIN}
        curve = list(from_json(tuple[CurvePoint, ...], plain["curve"]))
        end = from_json(EarlyEnd, plain["early_end"]) if plain["early_end"] else None
    except (OSError, ValueError, KeyError, Rejected):
        return None  # incomplete or damaged: an older one, or the start, is as good
    if job and data["job"] != job:
        return None
    return LineTrainingState(
        **{**plain, "charset": tuple(plain["charset"]), "curve": curve, "early_end": end},
        network=_part(tensors, "network."),
        best=_part(tensors, "best."),
        optimiser=unflatten(tensors, data["optimiser"]),
        random=_part(tensors, "random."),
    )


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
