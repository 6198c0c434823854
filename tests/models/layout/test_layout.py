"""Layout detectors keep one contract; PP-DocLayout's outputs become the right regions, lines the right groups."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.pp_doclayout_v2.modeling_pp_doclayout_v2 import PPDocLayoutV2ForObjectDetectionOutput
from transformers.models.pp_doclayout_v4.modeling_pp_doclayout_v4 import PPDocLayoutV4ForObjectDetectionOutput

from flywheel.document import Box, Line, Region
from flywheel.errors import SetupError
from flywheel.markup import ALIASES
from flywheel.markup import CATEGORIES as OURS
from models.layout.categories import CATEGORIES
from models.layout.cleaning import cleaned, in_reading_order
from models.layout.decode import graph_ranks, pairwise_ranks
from models.layout.lines import LinesLayout, categorised, regions_of
from models.layout.pp_doclayout import ImagePreparation, PPDocLayout
from models.layout.protocol import LayoutDetector, LayoutRegion
from models.lines.detector import LineDetector
from tests.models.drawing import column, draw_page
from tests.models.tiny_layout import LABELS, PP_DOCLAYOUT, tiny_layout

# PP-DocLayout V2 as its published id2label folds its labels.
FOLDED = {"display_formula": "formula", "inline_formula": "formula", "footer_image": "footer"} | {
    "header_image": "header",
    "vertical_text": "text",
}
LARGE = (  # PP-DocLayout-L and plus-L, for weights of that family
    "paragraph_title image text number abstract content figure_title formula table table_title reference doc_title"
    " footnote header algorithm footer seal chart_title chart formula_number header_image footer_image aside_text"
    " reference_content"
).split()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("layout")
    return {name: tiny_layout(root / name, name) for name in PP_DOCLAYOUT}


@pytest.fixture(scope="module")
def lines_layout() -> LinesLayout:
    return LinesLayout(LineDetector())


@pytest.fixture(params=[*PP_DOCLAYOUT, "lines"])
def detector(
    request: pytest.FixtureRequest, folders: dict[str, Path], lines_layout: LinesLayout
) -> LayoutDetector:
    return lines_layout if request.param == "lines" else PPDocLayout.load(folders[request.param])


def drawn_pages() -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """A gray page wider than high, an RGB page higher than wide, a blank one."""
    gray = draw_page(column(60, 90, 6, 8, seed=1), width=900, height=560).image
    tall = draw_page([*column(40, 80, 5, 4, seed=2), *column(40, 600, 4, 4, seed=3)], width=620, height=900).image
    return [gray, np.stack([tall] * 3, axis=2), np.full((300, 500), 255, np.uint8)]


# The contract of every detector


def test_regions_lie_inside_their_page_in_reading_order_with_known_categories(detector: LayoutDetector) -> None:
    assert isinstance(detector, LayoutDetector)
    pages = drawn_pages()
    found = detector.find(pages, [150.0, 150.0, 150.0])
    assert len(found) == len(pages)
    assert found[0]
    assert found[1]
    for page, regions in zip(pages, found, strict=True):
        height, width = page.shape[:2]
        for region in regions:
            assert region.category in OURS
            assert 0 <= region.confidence <= 1
            assert 0 <= region.box.x0 < region.box.x1 <= width
            assert 0 <= region.box.y0 < region.box.y1 <= height
        assert [region.order for region in regions] in ([*range(len(regions))], [None] * len(regions))


def test_a_page_is_laid_out_the_same_again_and_among_others(detector: LayoutDetector) -> None:
    pages = drawn_pages()
    together = detector.find(pages, [150.0] * 3)
    assert detector.find(pages[::-1], [150.0] * 3)[::-1] == together
    assert [detector.find([page], [150.0])[0] for page in pages] == together


def test_no_pages_have_no_layouts(detector: LayoutDetector) -> None:
    assert detector.find([], []) == []
    with pytest.raises(ValueError, match="argument 2"):
        detector.find(drawn_pages(), [150.0])


# PP-DocLayout: loading


@pytest.mark.parametrize("name", PP_DOCLAYOUT)
def test_a_saved_model_finds_what_it_found_before(name: str, folders: dict[str, Path]) -> None:
    torch.manual_seed(0)
    network = PP_DOCLAYOUT[name]()
    saved = PPDocLayout.load(folders[name])
    network.load_state_dict(saved._network.state_dict())
    other = PPDocLayout(network.eval(), saved._preparation)
    assert other.find(drawn_pages(), [150.0] * 3) == saved.find(drawn_pages(), [150.0] * 3)


def changed(folder: Path, directory: Path, **config: object) -> Path:
    """A copy of a published folder whose configuration says something else too."""
    directory.mkdir(exist_ok=True)
    for file in folder.iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    said = json.loads((directory / "config.json").read_text()) | config
    (directory / "config.json").write_text(json.dumps(said))
    return directory


def test_what_is_no_layout_model_is_a_setup_error(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="neither a folder nor"):
        PPDocLayout.load(tmp_path / "nowhere")
    with pytest.raises(SetupError, match="neither a folder nor"):
        PPDocLayout.load("PaddlePaddle/PP-DocLayoutV3_safetensors")
    with pytest.raises(SetupError, match="no layout model"):
        PPDocLayout.load(tmp_path)
    with pytest.raises(SetupError, match="holds vit"):
        PPDocLayout.load(changed(folders["v4"], tmp_path / "vit", model_type="vit"))
    with pytest.raises(SetupError, match="labels of another kind: cat"):
        PPDocLayout.load(
            changed(folders["v4"], tmp_path / "cat", id2label={"0": "cat"} | dict(enumerate(LABELS[1:], 1)))
        )
    with pytest.raises(SetupError, match="weights are missing"):
        PPDocLayout.load(changed(folders["v4"], tmp_path / "deep", decoder_layers=3))
    pickled = changed(folders["v4"], tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(SetupError, match="no layout model"):
        PPDocLayout.load(pickled)


def test_code_beside_the_weights_is_never_run(folders: dict[str, Path], tmp_path: Path) -> None:
    auto = {"AutoConfig": "evil.Config", "AutoModelForObjectDetection": "evil.Network"}
    folder = changed(folders["v3"], tmp_path / "evil", model_type="evil", auto_map=auto)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(SetupError):
        PPDocLayout.load(folder)
    assert not (tmp_path / "ran").exists()


def test_pages_are_prepared_as_the_published_file_says(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = changed(folders["v4"], tmp_path / "a")
    said = {"size": {"height": 64, "width": 32}, "resample": 2, "rescale_factor": 1 / 255}
    said |= {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.5, 1.0]}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    page = np.full((100, 200), 255, np.uint8)
    pixels = PPDocLayout.load(folder)._preparation.tensor(page)
    assert pixels.shape == (1, 3, 64, 32)
    assert pixels[0, :, 5, 5].tolist() == pytest.approx([2.0, 1.0, 0.5])
    assert ImagePreparation().tensor(page).shape == (1, 3, 800, 800)
    (folder / "preprocessor_config.json").write_text('{"size": {"shortest_edge": 800}}')
    with pytest.raises(SetupError, match="how pages are prepared"):
        PPDocLayout.load(folder)


# PP-DocLayout: what its outputs mean


class ScriptedNetwork:
    """Stands where a network does, and says what it was told to."""

    device = "cpu"

    def __init__(self, outputs: Any) -> None:
        self.config = SimpleNamespace(id2label=dict(enumerate(LABELS)))
        self._outputs = outputs

    def __call__(self, pixel_values: torch.Tensor) -> Any:
        assert pixel_values.shape == (1, 3, 800, 800)
        return self._outputs


def logits(*said: tuple[str, float]) -> torch.Tensor:
    """(1, queries, 25): each query's one label with its logit."""
    out = torch.full((1, len(said), 25), -9.0)
    for query, (label, value) in enumerate(said):
        out[0, query, LABELS.index(label)] = value
    return out


WIDE = np.full((400, 1000), 255, np.uint8)  # height 400, width 1000


def test_centres_and_sizes_become_pixels_of_a_page_that_is_not_square() -> None:
    order = torch.tensor([[[0.0, -4.0, -4.0], [0.0, 0.0, 4.0], [0.0, 0.0, 0.0]]])
    outputs = PPDocLayoutV2ForObjectDetectionOutput(
        logits=logits(("text", 3.0), ("doc_title", 2.0), ("table", -1.0)),
        pred_boxes=torch.tensor([[[0.3, 0.6, 0.4, 0.5], [0.5, 0.15, 0.6, 0.1], [0.9, 0.9, 0.1, 0.1]]]),
        order_logits=order,
    )
    [[title, text]] = PPDocLayout(ScriptedNetwork(outputs)).find([WIDE], [100.0])
    assert (title.category, text.category) == ("title", "text")
    assert title.box == pytest_box(200, 40, 800, 80)
    assert text.box == pytest_box(100, 140, 500, 340)
    assert text.confidence == pytest.approx(1 / (1 + np.exp(-3)))
    assert (title.order, text.order) == (0, 1)


def test_a_quadrilateral_becomes_the_box_around_it_in_pixels() -> None:
    corners = [0.3, 0.35, 0.7, 0.4, 0.72, 0.6, 0.28, 0.65]  # offsets from the centre, + 0.5
    outputs = PPDocLayoutV4ForObjectDetectionOutput(
        logits=logits(("image", 3.0), ("number", 2.0), ("number", 2.0)),
        pred_boxes=torch.tensor(
            [
                [
                    [0.5, 0.5, *corners],
                    *([0.5, y, 0.49, 0.49, 0.51, 0.49, 0.51, 0.51, 0.49, 0.51] for y in (0.05, 0.95)),
                ]
            ]
        ),
        relative_order_logits=torch.zeros(1, 3, 3),
        successor_order_logits=torch.tensor([[[-9.0, -9, 4], [4, -9, -9], [-9, -9, -9]]]),
    )
    [found] = PPDocLayout(ScriptedNetwork(outputs)).find([WIDE], [100.0])
    assert [region.category for region in found] == ["header", "picture", "footer"]
    assert found[1].box == pytest_box(280, 140, 720, 260)


def pytest_box(*sides: float) -> Any:
    """Equal to a Box with nearly these sides."""
    return _NearBoxes(sides)


class _NearBoxes:
    def __init__(self, sides: tuple[float, ...]) -> None:
        self._sides = sides

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Box)
        return (other.x0, other.y0, other.x1, other.y1) == pytest.approx(self._sides, abs=1e-3)

    __hash__ = None  # type: ignore[assignment]


def test_pairs_are_ranked_by_the_votes_for_what_comes_before() -> None:
    truth = [2, 0, 3, 1]
    order = np.array([[8.0 if a < b else -8.0 for b in truth] for a in truth])
    for masked in (-1e4, 3.0):  # V2 and V3 mask all but the upper triangle: nothing else may count
        order[np.tril_indices(4)] = masked
        assert pairwise_ranks(order).tolist() == truth


def test_a_cycle_of_successors_loses_its_weakest_edge() -> None:
    successor = np.full((4, 4), -9.0)
    successor[0, 1], successor[1, 2], successor[2, 0] = 5.0, 4.0, 0.5
    relative = np.triu(np.full((4, 4), 5.0), 1)
    assert graph_ranks(relative - relative.T, successor).tolist() == [0, 1, 2, 3]
    successor[0, 1] = 0.1
    assert graph_ranks(relative - relative.T, successor).tolist() == [2, 0, 1, 3]


# Categories


@pytest.mark.parametrize("labels", [LABELS, [FOLDED.get(label, label) for label in LABELS], LARGE])
def test_every_published_label_has_a_category(labels: list[str]) -> None:
    assert {CATEGORIES[label] for label in labels} <= OURS


def test_the_tables_of_the_service_agree_on_what_they_share() -> None:
    from flywheel.pdf.layout import CATEGORIES as MUPDF

    for other in (ALIASES, MUPDF):
        shared = other.keys() & CATEGORIES.keys()
        assert len(shared) >= 4
        assert {label: other[label] for label in shared} == {label: CATEGORIES[label] for label in shared}
        assert set(other.values()) <= OURS


# Cleaning and order


def region(category: str, *sides: float, confidence: float = 0.9, order: int | None = None) -> LayoutRegion:
    return LayoutRegion(category, Box(*sides), confidence, order)


def categories(regions: list[LayoutRegion]) -> list[str]:
    return [r.category for r in regions]


def test_of_boxes_on_one_place_the_surest_is_left() -> None:
    text = region("text", 100, 100, 500, 200, confidence=0.8)
    again = region("text", 110, 105, 505, 210, confidence=0.6)
    named = region("footnote", 100, 100, 500, 201, confidence=0.9)
    beside = region("caption", 100, 100, 500, 160, confidence=0.6)
    assert cleaned([text, again], 600, 600) == [text]
    assert cleaned([text, named], 600, 600) == [named]
    assert sorted(categories(cleaned([text, beside], 600, 600))) == ["caption", "text"]


def test_what_lies_in_a_larger_region_of_its_kind_is_part_of_it() -> None:
    whole, part = region("text", 50, 50, 500, 400, confidence=0.6), region("text", 60, 60, 490, 120)
    assert cleaned([part, whole], 600, 600) == [whole]
    formula, cell = region("formula", 100, 300, 200, 320), region("text", 60, 60, 120, 80)
    assert cleaned([whole, formula], 600, 600) == [whole]
    table, picture = region("table", 50, 50, 500, 400), region("picture", 50, 50, 500, 400)
    assert cleaned([table, cell], 600, 600) == [table]
    assert sorted(categories(cleaned([picture, cell], 600, 600))) == ["picture", "text"]


def test_a_picture_of_the_whole_page_gives_way_to_what_is_on_it() -> None:
    scan, text = region("picture", -5, 2, 599, 600), region("text", 50, 50, 500, 400)
    assert cleaned([scan, text], 600, 600) == [text]
    assert [r.box for r in cleaned([scan], 600, 600)] == [Box(0, 2, 599, 600)]


def test_boxes_outside_the_page_are_clipped_or_gone() -> None:
    over, gone = region("text", -20, 550, 300, 640), region("text", 610, 10, 700, 40)
    assert [r.box for r in cleaned([over, gone], 600, 600)] == [Box(0, 550, 300, 600)]


def test_regions_without_an_order_are_read_by_columns_between_headers_and_footers() -> None:
    page = [
        region("header", 400, 20, 580, 40),
        region("title", 50, 60, 550, 100),
        region("text", 50, 120, 290, 300),
        region("table", 50, 320, 290, 500),
        region("picture", 310, 110, 550, 400),
        region("text", 310, 420, 550, 500),
        region("footer", 200, 560, 260, 580),
    ]
    assert in_reading_order(page[::-1]) == page
    assert in_reading_order([page[3], page[6], page[0], page[5], page[1], page[4], page[2]]) == page


def test_a_detectors_own_order_is_kept_and_counted_anew() -> None:
    last, first = region("text", 50, 50, 200, 90, order=17), region("text", 50, 200, 200, 290, order=4)
    assert [(r.box.y0, r.order) for r in cleaned([last, first], 600, 600)] == [(200, 0), (50, 1)]


# Lines


def lines_at(*boxes: tuple[float, float, float, float]) -> list[Region]:
    return regions_of([Line("x", Box(*box), 0.9) for box in boxes])


BODY = [(50.0, 120.0 + 20 * i, 450.0, 134.0 + 20 * i) for i in range(20)]


def test_a_page_number_a_title_and_a_leafs_number_show_in_the_lines() -> None:
    page = lines_at((150, 60, 350, 80), *BODY, (240, 660, 260, 672))
    assert [r.category for r in categorised(page, 500, 700)] == ["title", "text", "footer"]
    leaf = lines_at((10, 100, 20, 110), *((60.0, 20.0 + 30 * i, 760.0, 42.0 + 30 * i) for i in range(6)))
    assert [r.category for r in categorised(leaf, 792, 238)] == ["header", "text"]


def test_what_only_looks_like_a_title_or_a_page_number_stays_text() -> None:
    def of(*boxes: tuple[float, float, float, float]) -> set[str]:
        return {r.category for r in categorised(lines_at(*boxes), 500, 600)}

    low = [(50.0, 180.0 + 20 * i, 450.0, 194.0 + 20 * i) for i in range(19)]
    assert of(*low, (50, 560, 120, 574)) == {"text"}  # a paragraph's short last line
    assert of((200, 30, 300, 44), *BODY) == {"text"}  # a running head of the text's own size
    assert of((50, 30, 200, 60), *BODY) == {"text"}  # a large first line at the left
    assert of((150, 250, 350, 270), *BODY[8:], *low[:1]) == {"text"}  # not above everything
    assert of((150, 60, 350, 80), (150, 90, 350, 104)) == {"text"}  # too few lines to say


def test_lines_of_a_drawn_page_are_grouped_and_named(lines_layout: LinesLayout) -> None:
    number = (600.0, 1560.0, "༡༢")
    page = draw_page([*column(100, 200, 9, 10, seed=4), *column(100, 950, 6, 10, seed=5), number], height=1640)
    [found] = lines_layout.find([page.image], [page.dpi])
    assert categories(found) == ["text", "text", "footer"]
    first, second, foot = (r.box for r in found)
    assert first.contains(150, 190)
    assert first.contains(150, 750)
    assert second.contains(150, 940)
    assert foot.contains(610, 1550)
