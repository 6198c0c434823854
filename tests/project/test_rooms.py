"""Rooms are of a size to be read, and know only whom they may: an arrow against the plan fails the build."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("flywheel", "models", "tasks")
LONGEST_FUNCTION, LONGEST_FILE = 80, 500  # lines


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("room", [*ROOMS, "migrations", "tests"])
def test_files_and_functions_are_short_enough_to_be_read(room: str) -> None:
    files_over = [
        str(path.relative_to(ROOT)) for path in files(room) if len(path.read_text().splitlines()) > LONGEST_FILE
    ]
    functions_over = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in files(room)
        if room != "migrations"  # a revision is one long list
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert (files_over, functions_over) == ([], [])


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A copy of the rooms and of what they may import."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


# What is added to a file, and what import-linter says of it.
ARROWS = {
    ("models/scores.py", "from flywheel.settings import settings"): "models.scores -> flywheel.settings",
    ("flywheel/work/new.py", "from flywheel.loop import rounds"): "flywheel.work.new -> flywheel.loop.rounds",
    ("flywheel/pdf/new.py", "import models.scores"): "flywheel.pdf.new -> models.scores",
    ("tasks/export.py", "from tasks import ingest"): "tasks.export -> tasks.ingest",
    ("models/homeless.py", "from flywheel.document import Label"): "models.homeless",
    ("flywheel/homeless.py", "VALUE = 1"): "flywheel.homeless",
}


def test_an_arrow_or_a_room_that_is_not_planned_fails_the_build(plan: Path) -> None:
    for file, line in ARROWS:
        with (plan / file).open("a") as code:
            code.write(f"\n{line}\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=plan,
        env={**os.environ, "PYTHONPATH": str(plan)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    said = " ".join(done.stdout.split())
    assert [told for told in ARROWS.values() if told not in said] == []


def drawn_floors() -> dict[str, list[list[str]]]:
    """Floors of each room's drawing in docs/architecture.md, from the top down: the names on each."""
    section = (ROOT / "docs/architecture.md").read_text().split("## Rooms and arrows")[1]
    drawing = re.findall(r"^    .*$", section.split("Three arrows")[0], re.MULTILINE)
    floors: dict[str, list[list[str]]] = {}
    unfinished = False
    for line in drawing:
        if line.strip().startswith("---"):
            continue
        if room := re.match(r"    (\w+)/", line):
            floors[room[1]] = []
        names = re.split(r"\s{2,}", line[17:])[0].strip()
        if not names:
            continue  # more words on the floor above
        if unfinished:
            floors[next(reversed(floors))][-1] += re.findall(r"\w+", names)
        else:
            floors[next(reversed(floors))].append(re.findall(r"\w+", names))
        unfinished = names.endswith("|")
    return floors


def test_the_architecture_draws_the_floors_that_import_linter_holds() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = {
        contract["containers"][0]: [layer.split(" | ") for layer in contract["layers"]]
        for contract in contracts
        if "containers" in contract
    }
    drawn = drawn_floors()
    assert set(drawn) == set(held) == set(ROOMS)
    for room in ROOMS:
        assert [set(floor) for floor in drawn[room]] == [set(floor) for floor in held[room]], room
