"""Decode PP-DocLayout's outputs: queries that found something, their boxes, and their reading order.

    found(logits, boxes, thresholds) -> indices, labels, scores
    rectangles(boxes) -> upright boxes, 0..1                   V2, V3: centre and size; V4: centre and four corners
    pairwise_ranks(order) -> ranks                             V2, V3: "is it read before?", for each pair
    graph_ranks(relative, successor) -> ranks                  V4: and "does it follow directly?"

The published post-processing in numpy: the library's own needs torchvision and, for V4, scipy, which this
project does without. One difference: a query counts with its best label alone, where the library may list it
again under the next best; those doubles would go in the cleaning anyway.
Arrays of one page: Q queries, C classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Indices = NDArray[np.int64]
Edge = tuple[int, int]


def found(logits: Floats, thresholds: Floats) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """Queries (n of Q), labels (n) and scores (n, 0..1) of those whose best class (of `logits`, Q x C) reaches
    its threshold (C)."""
    scores = sigmoid(logits)
    labels = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), labels]
    queries = np.flatnonzero(best >= thresholds[labels])
    return queries, labels[queries], best[queries]


def rectangles(boxes: Floats) -> NDArray[np.float64]:
    """x0, y0, x1, y1 as shares of the page's sides (Q x 4), from what the box head says (Q x 4 or Q x 10).

    Four numbers are centre and size. Ten are a centre and the offsets of four corners from it, each shifted by
    +0.5 to fit a sigmoid; the rectangle is the one around them.
    """
    values = boxes.astype(np.float64)
    centres = values[:, :2]
    if values.shape[1] == 4:
        return np.concatenate([centres - values[:, 2:] / 2, centres + values[:, 2:] / 2], axis=1)
    corners = centres[:, None] + values[:, 2:].reshape(-1, 4, 2) - 0.5
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def pairwise_ranks(order: Floats) -> Indices:
    """Each query's place in the reading order (Q), from logits that the row is read before the column (Q x Q).

    Only the upper triangle counts; a query's place is by the votes for the others that come before it.
    """
    before = np.triu(sigmoid(order), 1)
    votes = before.sum(axis=0) + np.tril(1.0 - before.T, -1).sum(axis=0)
    return _places(votes.argsort(kind="stable"))


def graph_ranks(relative: Floats, successor: Floats) -> Indices:
    """Each region's place in the reading order (n), from two matrices of logits (n x n), row before column.

    Positive successors make a graph; its weakest edges go until no cycle is left; each of its connected parts
    is sorted topologically, and the parts among each other by the mean votes for what comes before them.
    """
    count = len(successor)
    if count < 2:
        return np.zeros(count, np.int64)
    scores = sigmoid(relative)
    np.fill_diagonal(scores, 0.0)
    rows, columns = np.nonzero(successor > 0)
    edges = [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if i != j]
    graph = _acyclic(count, sorted(edges, key=lambda edge: float(successor[edge])))
    votes = scores.sum(axis=0)
    parts = sorted(_parts(count, graph), key=lambda part: float(votes[part].mean()))
    return _places(np.array([node for part in parts for node in _topological(part, graph, scores)]))


def sigmoid(values: Floats) -> NDArray[np.float64]:
    """Written so that the -10,000 of a masked pair does not overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(values.astype(np.float64) / 2)))


def _places(order: Indices) -> Indices:
    """The inverse of a permutation: where each one stands."""
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return places


def _acyclic(count: int, weakest_first: Iterable[Edge]) -> NDArray[np.bool_]:
    """The graph (count x count) without each edge that lies on a cycle when it is tried.

    The same edges go as when the weakest of every cyclic component goes again and again: components only fall
    apart, so an edge that joins two of them once is safe for good.
    """
    edges = list(weakest_first)
    graph = np.zeros((count, count), bool)
    for edge in edges:
        graph[edge] = True
    for start, end in edges:
        if _reaches(graph, end, start):
            graph[start, end] = False
    return graph


def _reaches(graph: NDArray[np.bool_], start: int, end: int) -> bool:
    seen = front = graph[start]
    while front.any() and not seen[end]:
        front = graph[front].any(axis=0) & ~seen
        seen = seen | front
    return bool(seen[end])


def _parts(count: int, graph: NDArray[np.bool_]) -> list[list[int]]:
    """Connected parts, whatever the edges' direction, by their first node; nodes ascending."""
    label = np.arange(count)
    for i, j in np.argwhere(graph):
        label[label == max(label[i], label[j])] = min(label[i], label[j])
    parts: dict[int, list[int]] = defaultdict(list)
    for node in range(count):
        parts[int(label[node])].append(node)
    return list(parts.values())


def _topological(part: list[int], graph: NDArray[np.bool_], scores: NDArray[np.float64]) -> list[int]:
    """The part's nodes; of those that are free, first the one most surely read before the other free ones."""
    waits = graph[np.ix_(part, part)].sum(axis=0)
    waiting = {node: int(wait) for node, wait in zip(part, waits, strict=True)}
    order: list[int] = []
    while waiting:
        free = [node for node, wait in waiting.items() if wait == 0]
        chosen = max(free, key=lambda node: (float(scores[node, free].sum()), -node))
        order.append(chosen)
        del waiting[chosen]
        for node in waiting:
            waiting[node] -= int(graph[chosen, node])
    return order
