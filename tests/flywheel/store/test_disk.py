"""The store on disk: full disks, left-over files, directories that cannot be made."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from flywheel.errors import SetupError, StoreUnavailable
from flywheel.store import DiskStore, open_store
from flywheel.store.failures import writing


def test_a_full_disk_is_transient_and_leaves_no_blob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DiskStore(tmp_path)

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        store.put(b"too much")
    assert list(store.keys()) == []
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_real_write_limit_is_transient_too(tmp_path: Path) -> None:
    """/dev/full answers ENOSPC from the kernel itself."""
    with pytest.raises(StoreUnavailable, match="No space left"), writing("x"), open("/dev/full", "wb", 0) as out:
        out.write(b"x")


def test_what_a_crash_left_is_swept_after_a_day_and_not_before(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    old, young = tmp_path / "incoming" / "old", tmp_path / "incoming" / "young"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    assert list(store.keys()) == []
    DiskStore(tmp_path)
    assert not old.exists()
    assert young.exists()


def test_a_store_directory_that_cannot_be_made_is_a_setup_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError):
        open_store(f"file://{tmp_path}/file/store", tmp_path)
