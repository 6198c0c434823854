"""Calls made a few at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(call: Callable[[Item], Result], items: Iterable[Item], *, at_once: int) -> Iterator[Result]:
    """Yield the results of `call` in the order of `items`, `at_once` calls at a time.

    The first error is raised, and calls that have not begun are not made.
    """
    with ThreadPoolExecutor(at_once) as pool:
        try:
            yield from pool.map(call, items)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
