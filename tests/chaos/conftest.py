"""A cluster for each test, and which tests run: the long ones only with FLYWHEEL_CHAOS=full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import invariants
from tests.chaos.cluster import Cluster

FULL = os.environ.get("FLYWHEEL_CHAOS") == "full"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "chaos_long: a fault that takes its time; run by `make chaos`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if FULL:
        return
    long = [item for item in items if item.get_closest_marker("chaos_long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture
def kills() -> int:
    """Number of times that the worker group is killed under load."""
    return int(os.environ.get("FLYWHEEL_CHAOS_KILLS", "20" if FULL else "5"))


@pytest.fixture
def programs(environment: dict[str, str], tmp_path: Path) -> Iterator[Cluster]:
    """Nothing runs yet; whatever a test starts is killed in the end."""
    made = Cluster(environment, tmp_path)
    yield made
    made.end()


@pytest.fixture
def cluster(programs: Cluster) -> Iterator[Cluster]:
    """A test ends when its work has settled; then the invariants hold, whatever was done to it."""
    yield programs
    invariants.check(programs)
