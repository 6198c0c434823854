"""Statistics over documents: the test is exact for few, and there is no interval of too few."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from models.resampling import EXACT, interval, sign_flip, totals


def of(*values: float) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def test_totals_are_by_name_in_the_order_of_appearance() -> None:
    assert totals(np.array([1, 2, 3, 4]), ["b", "a", "b", "c"]).tolist() == [4, 2, 4]
    assert totals(np.array([], dtype=np.int64), []).tolist() == []


@pytest.mark.parametrize(("documents", "p"), [(1, 1 / 2), (7, 1 / 128), (8, 1 / 256), (16, 2**-16), (17, 2**-16)])
def test_a_lead_in_every_document_is_as_unlikely_as_so_many_coins_that_fall_alike(
    documents: int, p: float
) -> None:
    better, worse = np.arange(documents) * 3.0, np.arange(documents) * 3.0 + 5
    assert sign_flip(better, worse) == pytest.approx(p, rel=0.01 if documents <= EXACT else 5)
    assert sign_flip(better, worse) > 0
    assert sign_flip(worse, better) == 1.0


def test_documents_that_are_read_alike_say_nothing() -> None:
    assert sign_flip(of(3, 3, 3), of(3, 3, 3)) == 1.0
    assert sign_flip(of(), of()) == 1.0
    alike = sign_flip(of(1, 2, 7, 7, 7, 7), of(2, 4, 7, 7, 7, 7))
    assert alike == sign_flip(of(1, 2), of(2, 4)) == 1 / 4


def test_the_p_value_is_the_share_of_exchanges_that_lead_as_far() -> None:
    ours, theirs = of(3, 9, 1, 4, 0), of(5, 8, 6, 5, 2)
    lead = ((ours - theirs) / np.sqrt(ours + theirs)).sum()
    found = 0
    for flips in itertools.product((False, True), repeat=5):
        one, other = np.where(flips, theirs, ours), np.where(flips, ours, theirs)
        found += ((one - other) / np.sqrt(one + other)).sum() <= lead + 1e-9
    assert sign_flip(ours, theirs) == found / 32


def test_equal_readers_are_found_different_no_oftener_than_the_level_says() -> None:
    generator = np.random.default_rng(5)
    for documents in (8, 20):
        found = []
        for _ in range(500):
            rate = generator.gamma(0.5, 0.1, documents)  # documents differ far more than their readers
            size = np.exp(generator.normal(7, 1.2, documents))
            readers = [generator.poisson(rate * size * generator.gamma(5, 0.2, documents)) for _ in range(2)]
            found.append(sign_flip(*(reader.astype(float) for reader in readers)))
        for level in (0.01, 0.05, 0.2):
            expected, spread = 500 * level, 3 * np.sqrt(500 * level)
            assert np.sum(np.array(found) <= level) <= expected + spread


def test_one_long_document_neither_decides_alone_nor_is_lost() -> None:
    short = np.full(9, 10.0)
    assert sign_flip(of(*short, 1000), of(*short + 1, 5000)) == 2**-10
    assert sign_flip(of(*short - 5, 5000), of(*short, 1000)) > 0.05


def test_the_interval_holds_the_rates_of_subsets_of_documents() -> None:
    edits, sizes = of(1, 2, 3, 4, 5, 6, 30), of(100, 100, 100, 100, 100, 100, 100)
    found = interval(edits, sizes)
    assert found is not None
    assert found[0] < edits.sum() / sizes.sum() < found[1]
    rates = sorted(
        edits[list(part)].sum() / sizes[list(part)].sum()
        for count in range(1, 8)
        for part in itertools.combinations(range(7), count)
    )
    assert found == (pytest.approx(rates[2]), pytest.approx(rates[-3]))  # 2.5 % of the 128 gaps on each side


def test_five_documents_have_no_interval() -> None:
    assert interval(of(1, 2, 3, 4, 5), of(9, 9, 9, 9, 9)) is None
    assert interval(of(), of()) is None
    assert interval(of(1, 2, 3, 4, 5, 6), of(9, 9, 9, 9, 9, 9)) == (pytest.approx(1 / 9), pytest.approx(6 / 9))


def test_a_sample_of_subsets_gives_about_the_interval_of_all_and_always_the_same() -> None:
    generator = np.random.default_rng(1)
    edits, sizes = generator.poisson(20, 40).astype(float), np.full(40, 500.0)
    found = interval(edits, sizes)
    assert found is not None
    assert found == interval(edits, sizes)
    standard_error = edits.std() / np.sqrt(40) / 500
    middle = edits.sum() / sizes.sum()
    assert found == (
        pytest.approx(middle - 2 * standard_error, abs=standard_error / 2),
        pytest.approx(middle + 2 * standard_error, abs=standard_error / 2),
    )
