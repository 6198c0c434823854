"""The contract of layout detectors (models/layout/protocol.py), on models in the published form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flywheel.document import Box
from flywheel.errors import SetupError
from flywheel.markup import CATEGORIES
from models.layout.protocol import LayoutDetector, LayoutRegion
from models.paddle import PaddleLayout
from tests.paddle.drawing import ENGLISH, Pixels, column, draw_page, stored
from tests.paddle.tiny_layout import LABELS, ORDERED, tiny_layout

READ = ["title", "picture", "text", "footer"]
PAGES: list[Pixels] = [
    draw_page(column(ENGLISH)).image,
    np.full((500, 400), 255, np.uint8),
    draw_page(column(ENGLISH[:2]), width=1200, height=400).image,
]


@pytest.fixture(scope="module", params=ORDERED)
def detector(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PaddleLayout:
    folder = tiny_layout(tmp_path_factory.mktemp("layout"), request.param)
    return PaddleLayout(model=request.param, directory=folder)


def find(detector: PaddleLayout, pages: list[Pixels]) -> list[list[LayoutRegion]]:
    return detector.find(pages, [150.0] * len(pages))


def test_there_are_as_many_answers_as_pages(detector: PaddleLayout) -> None:
    assert isinstance(detector, LayoutDetector)
    assert find(detector, []) == []
    assert [bool(regions) for regions in find(detector, PAGES)] == [True, False, True]


def test_regions_come_in_reading_order_with_our_categories(detector: PaddleLayout) -> None:
    for regions in find(detector, PAGES)[::2]:
        assert [region.category for region in regions] == READ
        assert {region.category for region in regions} <= set(CATEGORIES)
        assert [round(region.confidence, 2) for region in regions] == [0.95, 0.85, 0.9, 0.8]


def test_only_models_that_know_the_order_tell_it(detector: PaddleLayout, request: pytest.FixtureRequest) -> None:
    told = [region.order for region in find(detector, PAGES)[0]]
    assert told == ([0, 1, 2, 3] if ORDERED[request.node.callspec.params["detector"]] else [None] * 4)


def test_boxes_are_in_the_pages_own_pixels(detector: PaddleLayout) -> None:
    for page, regions in zip(PAGES, find(detector, PAGES), strict=True):
        height, width = page.shape
        if regions:
            box = regions[READ.index("text")].box
            drawn = Box(0.1 * width, 0.5 * height, 0.9 * width, 0.8 * height)
            assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx(
                (drawn.x0, drawn.y0, drawn.x1, drawn.y1), abs=1
            )


def test_a_page_has_the_same_regions_alone_and_in_colour(detector: PaddleLayout) -> None:
    together = find(detector, PAGES)
    assert find(detector, [PAGES[2]]) == together[2:]
    assert find(detector, [stored(PAGES[2], ".png")]) == together[2:]


def test_labels_of_another_kind_are_refused(tmp_path: Path) -> None:
    folder = tiny_layout(tmp_path, "PP-DocLayoutV2", ["cat", *LABELS[1:]])
    with pytest.raises(SetupError, match="cat"):
        find(PaddleLayout(model="PP-DocLayoutV2", directory=folder), PAGES)
