"""Whole letter groups that look like each other."""

from __future__ import annotations

import numpy as np
import pytest

from models.verification.exchanges import LetterComparison, exchanged


@pytest.mark.parametrize(
    ("texts", "found"),
    [(["\u0646", "\u0628"], True), (["\u0646", "\u0646"], False), (["\u0646", "\u0646\u200d"], False)],
    ids=["two letters", "two forms of one letter", "a form with a joiner"],
)
def test_only_groups_that_say_different_things_are_exchanged(texts: list[str], found: bool) -> None:
    """Final and medial forms of one letter may look the wrong way round in another typeface."""
    drawings = np.eye(4, dtype=np.float32)
    own = np.repeat(np.arange(4), 5)
    shown = np.array([1, 0, 2, 3])[own]  # the first two look like each other
    comparison = LetterComparison([*texts, "\u0633", "\u0641"], drawings, 4, drawings[shown], own)
    assert (exchanged(comparison, lambda *_: None) is not None) == found
