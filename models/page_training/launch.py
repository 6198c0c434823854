"""Where a fine-tuning runs: in this process, or in one process a device under torchrun.

    train_pages(job, progress=..., should_stop=..., saved=...) -> TrainingResult

Processes side by side are started with torchrun as `python -m models.page_training JOB.json`. The first of them
tells what happens in JSON lines on its standard output; asked to stop, it finds a file. A process that fails
writes down why.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flywheel.encoding import from_json as decoded
from flywheel.encoding import to_json as encoded
from flywheel.errors import Cancelled, FlywheelError, Rejected, SetupError
from flywheel.reasons import Reason
from flywheel.recipes import load_recipe
from models.checkpoint import Manifest, write_json
from models.training.job import Progress, TrainingJob, TrainingResult

STOP = "stop"  # the file that asks to end
KEPT = "kept"  # the file that names the last checkpoint that was taken care of
TAKEN_OVER = "FLYWHEEL_TRAINING_TAKEN_OVER"  # set where someone takes checkpoints over, and says so
POLL_SECONDS = 0.1
FAILED = 3  # exit code of a process that tells of its error
PATHS = ("dataset", "out", "resume", "parent", "base")


def train_pages(
    job: TrainingJob,
    *,
    progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    saved: Callable[[Path], None],
) -> TrainingResult:
    """Train in as many processes as the job says. Raises what `train_here` does; FlywheelError when a process
    ends otherwise, with the last it said."""
    job.resume.mkdir(parents=True, exist_ok=True)
    if job.processes > 1:
        return _side_by_side(job, progress, should_stop, saved)
    from models.page_training.training import train_here

    result = train_here(job, progress=progress, should_stop=should_stop, saved=saved)
    assert result is not None  # of the first process
    return result


def _side_by_side(
    job: TrainingJob,
    progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    saved: Callable[[Path], None],
) -> TrainingResult:
    path, stop = job.resume / "job.json", job.resume / STOP
    path.write_text(json.dumps(to_json(job)), encoding="utf-8")
    for left in (stop, job.resume / KEPT, *job.resume.glob("error-*.json")):
        left.unlink(missing_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(job.processes), "-m", "models.page_training", str(path)]
    log = job.resume / "processes.log"
    environment = {**os.environ, TAKEN_OVER: "1"}
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment) as process,
    ):
        try:
            told = _follow(process, stop, progress, should_stop, saved)
        except BaseException:
            process.terminate()  # torchrun ends its processes
            raise
    if "result" in told:
        return _result(told["result"])
    for path in sorted(job.resume.glob("error-*.json")):
        raise error_of(json.loads(path.read_text(encoding="utf-8")))
    raise FlywheelError(
        f"training ended with code {process.returncode}: {log.read_text(errors='replace')[-2000:]}"
    )


def _follow(
    process: subprocess.Popen[bytes],
    stop: Path,
    progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    saved: Callable[[Path], None],
) -> dict[str, Any]:
    """Relay what the first process tells until it ends; what it told last of a result or an error."""
    last: dict[str, Any] = {}
    assert process.stdout is not None
    for line in process.stdout:
        try:
            told = json.loads(line)
        except ValueError:
            continue  # a library's chatter
        if "progress" in told:
            progress(decoded(Progress, told["progress"]))
        elif "saved" in told:
            saved(Path(told["saved"]))
            stop.with_name(KEPT).write_text(told["saved"], encoding="utf-8")
        else:
            last = told
        if should_stop():
            stop.touch()
    return last


def main(path: Path) -> None:
    """One of several processes: trains, and tells."""
    from models.page_training.training import train_here

    job = from_json(json.loads(path.read_text(encoding="utf-8")))
    rank = int(os.environ.get("RANK", "0"))
    first = rank == 0
    try:
        result = train_here(
            job,
            progress=lambda p: _tell("progress", encoded(p)) if first else None,
            should_stop=(job.resume / STOP).exists,
            saved=lambda directory: _hand_over(directory, job.resume / KEPT),
        )
    except FlywheelError as error:
        reason = error.reason.value if isinstance(error, Rejected) else None
        detail = error.detail if isinstance(error, Rejected) else str(error)
        told = {"kind": type(error).__name__, "reason": reason, "detail": detail}
        write_json(job.resume / f"error-{rank}.json", told)
        raise SystemExit(FAILED) from error  # torchrun ends the others, who would wait for this one
    if result is not None:
        made = {"manifest": asdict(result.manifest), "progress": encoded(result.progress)}
        _tell("result", {**made, "directory": str(result.directory), "architecture": result.architecture})


def to_json(job: TrainingJob) -> dict[str, Any]:
    """A job as plain values."""
    values = {name: getattr(job, name) for name in TrainingJob.__dataclass_fields__}
    values |= {name: str(values[name]) if values[name] else None for name in PATHS}
    recipe = {key: value for key, value in job.recipe.as_dict().items() if key != "name"}
    return {**values, "recipe": {"name": job.recipe.name, "values": recipe}}


def from_json(values: dict[str, Any]) -> TrainingJob:
    """Inverse of `to_json`."""
    recipe = load_recipe(values["recipe"]["name"], values["recipe"]["values"])
    paths = {name: Path(values[name]) if values[name] else None for name in PATHS}
    return TrainingJob(**{**values, **paths, "recipe": recipe, "scripts": tuple(values["scripts"])})


def _hand_over(directory: Path, kept: Path) -> None:
    """Tell of a complete checkpoint; where someone takes it over, leave it alone until that is done."""
    _tell("saved", str(directory))
    while TAKEN_OVER in os.environ and not (kept.is_file() and kept.read_text(encoding="utf-8") == str(directory)):
        if os.getppid() == 1:
            raise Cancelled("whoever started this training is gone")
        time.sleep(POLL_SECONDS)


def _tell(what: str, value: Any) -> None:
    print(json.dumps({what: value}), flush=True)


def _result(values: dict[str, Any]) -> TrainingResult:
    manifest = values["manifest"]
    manifest = Manifest(
        **{**manifest, "charset": tuple(manifest["charset"]), "scripts": tuple(manifest["scripts"])}
    )
    progress = decoded(Progress, values["progress"])
    return TrainingResult(Path(values["directory"]), manifest, values["architecture"], progress)


def error_of(values: dict[str, Any]) -> FlywheelError:
    """What a process told of its error, as the error."""
    if values["kind"] == "Cancelled":
        return Cancelled(values["detail"])
    if values["reason"]:
        return Rejected(Reason.of(values["reason"]), values["detail"])
    return SetupError(values["detail"])
