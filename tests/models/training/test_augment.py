"""Degraded lines are still lines; drawn lines show the text they were given."""

from __future__ import annotations

import numpy as np
import pytest

from models.line_training.drawn import DrawnLines, can_draw
from models.training.augment import degrade
from tests.models.drawing import draw_line, syllables


def test_a_degraded_line_keeps_its_height_and_about_its_width() -> None:
    line = draw_line(syllables(8, 1))
    for seed in range(30):
        out = degrade(line, np.random.default_rng(seed))
        assert out.dtype == np.uint8
        assert out.shape[0] == line.shape[0]
        assert 0.85 < out.shape[1] / line.shape[1] < 1.15


def test_degrading_is_decided_by_the_generator_alone() -> None:
    line = draw_line(syllables(8, 1))
    one, same, other = (degrade(line, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(one, same)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_a_degraded_line_can_still_be_read_its_ink_is_darker_than_its_paper() -> None:
    line = draw_line(syllables(8, 1))
    for seed in range(30):
        out = degrade(line, np.random.default_rng(seed))
        dark, light = np.percentile(out, (2, 80))
        assert light - dark > 40


def test_the_line_itself_is_never_changed() -> None:
    line = draw_line(syllables(8, 1))
    before = line.copy()
    for seed in range(10):
        degrade(line, np.random.default_rng(seed))
    assert np.array_equal(line, before)


def test_lines_are_drawn_in_more_than_one_shape() -> None:
    assert can_draw()
    drawn = [DrawnLines().draw("བོད་ཡིག་གི་", np.random.default_rng(seed)) for seed in range(12)]
    shapes = {image.shape for image in drawn if image is not None}
    assert len(shapes) > 6
    assert all(image is not None and (image < 128).any() and image[0].min() > 128 for image in drawn)


@pytest.mark.parametrize("text", ["", "中文"])
def test_what_the_face_lacks_is_not_drawn(text: str) -> None:
    assert DrawnLines().draw(text, np.random.default_rng(0)) is None
