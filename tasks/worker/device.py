"""The device of a worker process, and the file lock that keeps training and labelling apart on one GPU.

    device_facts() -> DeviceFacts            for the worker's row
    hold_device(attempt, device, ...)        locked while training or labelling uses it

The rule, where one GPU serves labelling and training ("training-first", the setting device_rule): a
training waits for the shards that are being read to end, and from the moment it waits nobody begins
another; labelling gives its shard back, uncharged, until the training is over. Shards that read share
the device. Locks are of files in the work directory, one pair a device, so the kernel frees them when a
process dies. A CPU is shared without rule.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pynvml

from flywheel.errors import DeviceBusy
from flywheel.settings import DeviceRule, settings
from flywheel.work.workers import DeviceFacts
from tasks.worker.attempt import Attempt
from tasks.worker.lifecycle import worker_status

POLL_SECONDS = 0.2  # between tries while a training waits for shards to end


def device_facts() -> DeviceFacts:
    """The first NVIDIA device that this process may see, else this process on the CPU."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return DeviceFacts("cpu", f"{os.cpu_count()} cores", _resident(), _memory_total())
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(_visible())
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        used = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
        name = str(pynvml.nvmlDeviceGetName(handle))
        return DeviceFacts(f"cuda:{_visible()}", name, int(memory.used), int(memory.total), used)
    except pynvml.NVMLError as error:
        return DeviceFacts("cuda", str(error))
    finally:
        pynvml.nvmlShutdown()


@contextmanager
def hold_device(attempt: Attempt, device: str, what: str, *, training: bool) -> Iterator[None]:
    """Hold a device for a training, or share it with other shards that read.

    `device` as torch names it, `what` for people who wait. Raises DeviceBusy when labelling meets a
    training, and what `attempt.check` raises while a training waits.
    """
    if device == "cpu" or settings().device_rule is DeviceRule.TOGETHER:
        yield
        return
    name = device if ":" in device else f"{device}:{_visible()}"
    root = settings().work_dir / "devices"
    root.mkdir(parents=True, exist_ok=True)
    with _open(root / f"{name}.training") as intent, _open(root / f"{name}.labelling") as use:
        if training:
            _lock_exclusively(intent, attempt, f"another training on {name}")
            _write_holder(intent, what)
            _lock_exclusively(use, attempt, f"labelling on {name} to end its shard")
            worker_status.set_activity(what)
        else:
            _lock_shared(intent, use, name)
        yield


def _lock_exclusively(lock: IO[str], attempt: Attempt, awaited: str) -> None:
    """Take a lock alone, however long it takes."""
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            worker_status.set_waiting_for(awaited)
            attempt.check()
            time.sleep(POLL_SECONDS)  # flock has no way to wait and be asked to stop


def _lock_shared(intent: IO[str], use: IO[str], name: str) -> None:
    """Join those that read, unless a training has the device or waits for it."""
    try:
        fcntl.flock(intent, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        intent.seek(0)
        raise DeviceBusy(f"{intent.read() or 'a training'} has {name}") from None
    fcntl.flock(use, fcntl.LOCK_SH)
    fcntl.flock(intent, fcntl.LOCK_UN)


def _open(path: Path) -> IO[str]:
    return open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")


def _write_holder(intent: IO[str], what: str) -> None:
    intent.seek(0)
    intent.truncate()
    intent.write(what)
    intent.flush()


def _visible() -> int:
    """The index, among all devices of the machine, of the first that this process may use."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    return int(listed) if listed.isdigit() else 0


def _resident() -> int:
    """Bytes of memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _memory_total() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
