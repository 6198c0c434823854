"""Names and docstrings: no class name in two modules, and docstrings that say plainly what a thing does."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("flywheel", "models", "tasks", "migrations")
RIDDLE = re.compile(r"(What|Who|Whose|Where|Which|How|When|Whether|Why)\b")


def parsed(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def test_no_two_modules_have_a_class_of_one_name() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for path, tree in parsed(*ROOMS):
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(path)
    assert len(found) > 100
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("room", [*ROOMS, "tests", "benchmarks"])
def test_no_docstring_begins_as_a_question_does(room: str) -> None:
    riddles = [
        f"{path}:{getattr(node, 'lineno', 1)}"
        for path, tree in parsed(room)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and RIDDLE.match(ast.get_docstring(node) or "")
    ]
    assert riddles == []
