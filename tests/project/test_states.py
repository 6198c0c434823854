"""States stand in flywheel/states.py alone: elsewhere its members are named, never their values."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest

from flywheel import document, states

ROOT = Path(__file__).parents[2]
ROOMS = ("flywheel", "models", "tasks")
HOLDERS = {"state", "status", "verdict", "outcome", "action"}  # names of columns, arguments and keys that hold one
ENUMS = [
    *(value for value in vars(states).values() if isinstance(value, type) and issubclass(value, StrEnum)),
    document.Outcome,
]
VALUES = {str(member.value) for enum in ENUMS for member in enum}


def literals(tree: ast.AST) -> Iterator[ast.Constant]:
    """Values of states that are compared with, assigned or handed to what holds a state."""
    for node in ast.walk(tree):
        for value in given_to_holders(node):
            yield from (part for part in constants(value) if part.value in VALUES)


def given_to_holders(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Compare(left=left, comparators=others) if any(map(holds, [left, *others])):
            return [left, *others]
        case ast.keyword(arg=name, value=value) if name in HOLDERS:
            return [value]
        case ast.Assign(targets=targets, value=value) if any(map(holds, targets)):
            return [value]
        case ast.AnnAssign(target=target, value=ast.expr() as value) if holds(target):
            return [value]
        case ast.Dict(keys=keys, values=values):
            return [value for key, value in zip(keys, values, strict=True) if key is not None and holds(key)]
    return []


def holds(node: ast.AST) -> bool:
    return named(node) in HOLDERS


def named(node: ast.AST) -> str | None:
    """The name of a name, an attribute or a key."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def constants(node: ast.AST) -> Iterator[ast.Constant]:
    """The node, or the parts of a tuple, list, set or choice."""
    if isinstance(node, ast.Constant):
        yield node
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        for element in node.elts:
            yield from constants(element)
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body)
        yield from constants(node.orelse)


def test_no_value_of_a_state_is_written_outside_its_module() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{literal.lineno} {literal.value!r}"
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if path != ROOT / "flywheel" / "states.py"
        for literal in literals(ast.parse(path.read_text()))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("row.state == 'pending'", 1),
        ("'ready' != found.state", 1),
        ("page.verdict in ('accepted', 'review')", 2),
        ("Row(state='open')", 1),
        ("row.status = 'failed' if late else 'finished'", 2),
        ("status: str = 'failed'", 1),
        ("{'state': 'waiting'}", 1),
        ("row.state == PageState.PENDING", 0),
        ("log.info('pending')", 0),
        ("kind == 'failed'", 0),
        ("Row(name='open')", 0),
    ],
)
def test_the_search_finds_states_and_nothing_else(code: str, count: int) -> None:
    assert len(list(literals(ast.parse(code)))) == count
