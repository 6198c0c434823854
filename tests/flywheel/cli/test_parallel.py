"""Calls made a few at once."""

from __future__ import annotations

import threading

import pytest

from flywheel.cli.parallel import in_parallel


def test_results_come_in_the_order_of_the_items_however_long_each_takes() -> None:
    second_done = threading.Event()

    def call(item: int) -> int:
        if item == 1:
            assert second_done.wait(10)
        if item == 2:
            second_done.set()
        return item * item

    assert list(in_parallel(call, [1, 2, 3], at_once=2)) == [1, 4, 9]


def test_no_more_calls_run_at_once_than_were_allowed() -> None:
    together = threading.Barrier(3)
    assert list(in_parallel(lambda _: together.wait(10) >= 0, range(9), at_once=3)) == [True] * 9
    with pytest.raises(threading.BrokenBarrierError):
        list(in_parallel(lambda _: together.wait(0.05), range(2), at_once=2))


def test_after_the_first_error_calls_that_have_not_begun_are_not_made() -> None:
    begun: list[int] = []

    def call(item: int) -> None:
        begun.append(item)
        raise OSError(f"item {item}")

    with pytest.raises(OSError, match="item 0"):
        list(in_parallel(call, range(1000), at_once=1))
    assert len(begun) < 1000
