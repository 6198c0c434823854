"""Luck promotes nobody: simulated rounds on one exam go through the rule that decides."""

from __future__ import annotations

import pytest

from benchmarks.false_promotions import better, promotions, same


@pytest.mark.parametrize("documents", [8, 14])
def test_five_rounds_of_equal_readers_on_one_exam_promote_none_but_by_the_chance_that_is_allowed(
    documents: int,
) -> None:
    exams = 150
    wrong = sum(promotions(seed, documents=documents, rounds=5, factors=same) > 0 for seed in range(exams))
    assert wrong <= 0.02 * exams + 3 * (0.02 * exams) ** 0.5  # resampled lines: 31 of them on eight documents


@pytest.mark.parametrize("documents", [1, 4, 7])
def test_exams_of_few_documents_promote_nobody_however_much_better(documents: int) -> None:
    found = [promotions(seed, documents=documents, rounds=5, factors=better(0.9)) for seed in range(10)]
    assert found == [0] * 10


def test_a_reader_with_half_the_errors_is_promoted_on_enough_documents() -> None:
    found = [promotions(seed, documents=16, rounds=1, factors=better(0.5)) for seed in range(20)]
    assert sum(found) >= 15
