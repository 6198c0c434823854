"""The wheel: every file that a program of the service needs is in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("flywheel", "models", "tasks", "migrations")
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """Names of the files in the wheel that setuptools builds from a copy of this tree."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-c", BUILD, str(built)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


@pytest.mark.parametrize("room", ["flywheel", "models", "tasks"])
def test_the_wheel_says_of_each_room_that_it_is_typed(members: frozenset[str], room: str) -> None:
    assert f"{room}/py.typed" in members


def test_the_wheel_holds_every_module_recipe_and_template(members: frozenset[str]) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for pattern in ("*.py", "*.toml", "*.mako")
        for path in (ROOT / room).rglob(pattern)
    }
    assert wanted - members == set()


def test_the_wheel_holds_the_licence_and_the_command(members: frozenset[str]) -> None:
    assert {name.rsplit("/", 1)[-1] for name in members} >= {"LICENSE", "entry_points.txt"}
