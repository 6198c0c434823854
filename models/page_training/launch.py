"""Start a fine-tuning in this process, or in one process a device under torchrun.

    train_pages(job, progress=..., should_stop=..., saved=...) -> TrainingResult

Processes side by side are started with torchrun as `python -m models.page_training JOB.json`. The first of them
reports in JSON lines on its standard output; asked to stop, it finds a file. A process that fails writes its
error to a file.
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
from models.checkpoint import from_plain, write_json
from models.training.job import Progress, TrainingJob, TrainingResult

STOP = "stop"  # the file that asks to end
STORED = "stored"  # the file that names the last checkpoint that was stored
ACKNOWLEDGED = "FLYWHEEL_TRAINING_ACKNOWLEDGED"  # set where the parent stores checkpoints and says so
POLL_SECONDS = 0.1
FAILED = 3  # exit code of a process that wrote its error down
PATHS = ("dataset", "out", "resume", "parent", "base")


def train_pages(
    job: TrainingJob,
    *,
    progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    saved: Callable[[Path], None],
) -> TrainingResult:
    """Train in as many processes as the job says. Raises what `train_in_process` does; FlywheelError when a
    process ends otherwise, with the end of its log."""
    job.resume.mkdir(parents=True, exist_ok=True)
    if job.processes > 1:
        return _train_in_processes(job, progress, should_stop, saved)
    from models.page_training.training import train_in_process

    result = train_in_process(job, progress=progress, should_stop=should_stop, saved=saved)
    assert result is not None  # of the first process
    return result


def _train_in_processes(
    job: TrainingJob,
    progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    saved: Callable[[Path], None],
) -> TrainingResult:
    path, stop = job.resume / "job.json", job.resume / STOP
    path.write_text(json.dumps(to_json(job)), encoding="utf-8")
    for left in (stop, job.resume / STORED, *job.resume.glob("error-*.json")):
        left.unlink(missing_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(job.processes), "-m", "models.page_training", str(path)]
    log = job.resume / "processes.log"
    environment = {**os.environ, ACKNOWLEDGED: "1"}
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment) as process,
    ):
        try:
            reported = _follow(process, stop, progress, should_stop, saved)
        except BaseException:
            process.terminate()  # torchrun ends its processes
            raise
    if "result" in reported:
        return _result(reported["result"])
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
    """Relay the first process's reports until it ends; returns its last one of a result."""
    last: dict[str, Any] = {}
    assert process.stdout is not None
    for line in process.stdout:
        try:
            reported = json.loads(line)
        except ValueError:
            continue  # a library's chatter
        if "progress" in reported:
            progress(decoded(Progress, reported["progress"]))
        elif "saved" in reported:
            saved(Path(reported["saved"]))
            stop.with_name(STORED).write_text(reported["saved"], encoding="utf-8")
        else:
            last = reported
        if should_stop():
            stop.touch()
    return last


def main(path: Path) -> None:
    """One of several processes: train and report."""
    from models.page_training.training import train_in_process

    job = from_json(json.loads(path.read_text(encoding="utf-8")))
    rank = int(os.environ.get("RANK", "0"))
    first = rank == 0
    try:
        result = train_in_process(
            job,
            progress=lambda p: _report("progress", encoded(p)) if first else None,
            should_stop=(job.resume / STOP).exists,
            saved=lambda directory: _report_saved(directory, job.resume / STORED),
        )
    except FlywheelError as error:
        reason = error.reason.value if isinstance(error, Rejected) else None
        detail = error.detail if isinstance(error, Rejected) else str(error)
        reported = {"kind": type(error).__name__, "reason": reason, "detail": detail}
        write_json(job.resume / f"error-{rank}.json", reported)
        raise SystemExit(FAILED) from error  # torchrun ends the others, who would wait for this one
    if result is not None:
        made = {"manifest": asdict(result.manifest), "progress": encoded(result.progress)}
        _report("result", {**made, "directory": str(result.directory), "architecture": result.architecture})


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


def _report_saved(directory: Path, stored: Path) -> None:
    """Report a complete checkpoint; where the parent stores it, leave it alone until that is done."""
    _report("saved", str(directory))
    while ACKNOWLEDGED in os.environ and not (
        stored.is_file() and stored.read_text(encoding="utf-8") == str(directory)
    ):
        if os.getppid() == 1:
            raise Cancelled("whoever started this training is gone")
        time.sleep(POLL_SECONDS)


def _report(kind: str, value: Any) -> None:
    print(json.dumps({kind: value}), flush=True)


def _result(values: dict[str, Any]) -> TrainingResult:
    manifest = from_plain(values["manifest"])
    progress = decoded(Progress, values["progress"])
    return TrainingResult(Path(values["directory"]), manifest, values["architecture"], progress)


def error_of(values: dict[str, Any]) -> FlywheelError:
    """The error that a process wrote down."""
    if values["kind"] == "Cancelled":
        return Cancelled(values["detail"])
    if values["reason"]:
        return Rejected(Reason.of(values["reason"]), values["detail"])
    return SetupError(values["detail"])
