"""Directories of embedded stacks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.local import (
    Stack,
    start,
)
from tests.flywheel.local.stacks import API, DYING, POOL, QUICK, SHOWS, SLEEPER, fresh_directory


@pytest.fixture(scope="module")
def seed() -> Iterator[Path]:
    """A stack's directory, stopped: copying it is quicker than making another."""
    with fresh_directory() as directory:
        start(directory, programs=(), policy=QUICK).stop()
        for name in ("stack.json", "lock"):
            (directory / name).unlink()
        yield directory


@pytest.fixture
def data_dir(seed: Path) -> Iterator[Path]:
    with fresh_directory() as directory:
        directory.parent.mkdir()
        subprocess.run(["cp", "-a", seed, directory], check=True)  # keeps the owner of Postgres' files
        yield directory


@pytest.fixture(scope="module")
def running(seed: Path) -> Iterator[Stack]:
    """A stack that several tests look at, and whose children they kill."""
    with fresh_directory() as directory:
        directory.parent.mkdir()
        subprocess.run(["cp", "-a", seed, directory], check=True)
        with start(directory, programs=(API, SLEEPER, SHOWS, POOL, DYING), policy=QUICK) as stack:
            yield stack
