"""Scores of what error rates of characters leave out: tables by TEDS, formulas by the edits of their tokens.

    structure_of(truths, readings) -> StructureScores      of texts that know tables or formulas; else nothing

TEDS (Zhong et al. 2020, arXiv 1911.10683, eq. 1) is 1 - d / max(n, m): d is the edit distance of two trees of
n and m nodes (table, rows, cells; the table itself is not counted), with the published costs: 1 for a node that
comes or goes and for another kind or another span, and for a cell's words their edits by the longer one's
characters. Sections of a table and headings of columns are rows and cells like others, for readers mark them or
do not. A table that was not read scores 0; one that the truth does not have is not counted.

A formula's error is the edits of its tokens by the true ones (flywheel/markup/formulas.py says what is
normalised); one that was not read, and one that the truth does not have, is wrong altogether. On a page tables and
formulas are matched in their order, as costs least.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from apted import APTED, Config
from rapidfuzz.distance import Levenshtein

from flywheel.markup import Formula, Grid, has_notation, parts, tokens

MOST_NODES = 250_000  # product of two trees' nodes that is compared node by node, in about two seconds
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StructureScores:
    """Counts over all texts: sum of the TEDS of `tables`, edits by tokens of `formulas`."""

    tables: int = 0
    teds_sum: float = 0.0
    formulas: int = 0
    formula_edits: int = 0
    formula_tokens: int = 0

    @property
    def teds(self) -> float | None:
        return self.teds_sum / self.tables if self.tables else None

    @property
    def formula_error(self) -> float | None:
        return self.formula_edits / self.formula_tokens if self.formula_tokens else None


def structure_of(truths: Sequence[str], readings: Sequence[str]) -> StructureScores:
    """Scores of the readings' tables and formulas, on the pages whose truth has some."""
    tables = formulas = edits = size = 0
    teds_sum = 0.0
    for truth, reading in zip(truths, readings, strict=True):
        true_grids, true_formulas = _structures(truth)
        if not (true_grids or true_formulas):
            continue
        grids, read_formulas = _structures(reading)
        tables += len(true_grids)
        teds_sum += sum(teds(one, other) for one, other in _matched_tables(true_grids, grids))
        if true_formulas:
            formulas += len(true_formulas)
            edits += _formula_edits(true_formulas, read_formulas)
            size += sum(map(len, true_formulas))
    return StructureScores(tables, teds_sum, formulas, edits, size)


def teds(truth: Grid, reading: Grid) -> float:
    """Similarity of two tables, 0..1 (see the module's docstring)."""
    one, other = _tree(truth), _tree(reading)
    most = max(one.size, other.size) - 1
    if one.size * other.size <= MOST_NODES:
        distance = float(APTED(one, other, _Costs()).compute_edit_distance())
    else:
        distance = _distance_by_rows(one, other)
    return max(0.0, 1 - distance / most) if most else 1.0


@dataclass(frozen=True, slots=True)
class _Node:
    """A node of a table's tree: its kind and spans, its words, what is in it."""

    kind: tuple[str, int, int]
    words: str = ""
    children: tuple[_Node, ...] = ()

    @property
    def size(self) -> int:
        return 1 + sum(child.size for child in self.children)


def _tree(grid: Grid) -> _Node:
    rows = (
        _Node(("tr", 1, 1), "", tuple(_Node(("td", cell.columns, cell.rows), cell.text) for cell in row))
        for row in grid.rows
    )
    return _Node(("table", 1, 1), "", tuple(rows))


class _Costs(Config):  # type: ignore[misc]  # apted has no types
    """The published costs. A node that comes or goes costs 1, as apted has it."""

    def rename(self, node1: _Node, node2: _Node) -> float:
        if node1.kind != node2.kind:
            return 1.0
        return Levenshtein.normalized_distance(node1.words, node2.words)

    def children(self, node: _Node) -> Sequence[_Node]:
        return node.children


def _distance_by_rows(one: _Node, other: _Node) -> float:
    """Of big tables: rows are aligned as wholes, and cells inside of them; never less than the true distance."""
    costs = _Costs()

    def of_rows(first: _Node, second: _Node) -> float:
        return _alignment(first.children, second.children, costs.rename, lambda _: 1.0)[0]

    return _alignment(one.children, other.children, of_rows, lambda row: float(row.size))[0]


def _structures(text: str) -> tuple[list[Grid], list[list[str]]]:
    """Tables, and the tokens of formulas, of a text."""
    if not has_notation(text):
        return [], []
    found = parts(text)
    grids = [part for part in found if isinstance(part, Grid) and part.rows]
    formulas = (tokens(part.tex) for part in found if isinstance(part, Formula))
    return grids, [formula for formula in formulas if formula]


def _matched_tables(truths: Sequence[Grid], readings: Sequence[Grid]) -> list[tuple[Grid, Grid]]:
    """Tables that stand for each other, by their words: TEDS itself would take long for every pair."""

    def unlike(one: Grid, other: Grid) -> float:
        return Levenshtein.normalized_distance(one.by_rows(), other.by_rows())

    return _alignment(truths, readings, unlike, lambda _: 0.5 + 1e-9)[1]


def _formula_edits(truths: Sequence[Sequence[str]], readings: Sequence[Sequence[str]]) -> int:
    return round(_alignment(truths, readings, lambda a, b: float(Levenshtein.distance(a, b)), len)[0])


def _alignment(
    ones: Sequence[T], others: Sequence[T], cost: Callable[[T, T], float], alone: Callable[[Any], float]
) -> tuple[float, list[tuple[T, T]]]:
    """The least cost of aligning two sequences in their order, and the pairs; `alone` is the cost of one without
    a partner."""
    table = np.zeros((len(ones) + 1, len(others) + 1))
    table[1:, 0] = np.cumsum([alone(one) for one in ones])
    table[0, 1:] = np.cumsum([alone(other) for other in others])
    costs = np.array([[cost(one, other) for other in others] for one in ones]).reshape(len(ones), len(others))
    for i, one in enumerate(ones):
        for j, other in enumerate(others):
            steps = (table[i, j] + costs[i, j], table[i, j + 1] + alone(one), table[i + 1, j] + alone(other))
            table[i + 1, j + 1] = min(steps)
    return float(table[-1, -1]), _pairs(ones, others, table, costs)


def _pairs(ones: Sequence[T], others: Sequence[T], table: Any, costs: Any) -> list[tuple[T, T]]:
    pairs = []
    i, j = len(ones), len(others)
    while i and j:
        if np.isclose(table[i, j], table[i - 1, j - 1] + costs[i - 1, j - 1]):
            i, j = i - 1, j - 1
            pairs.append((ones[i], others[j]))
        elif table[i - 1, j] <= table[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]
