"""Short trainings of a tiny page reader: six pages, and a job for them."""

from __future__ import annotations

from pathlib import Path

from flywheel.recipes import load_recipe
from models.page_training.dataset import PageSample
from models.training.job import TrainingJob
from tests.models.drawing import draw_page

SPLITS = {"a": "train", "b": "train", "c": "validation", "d": "heldout"}
QUICK = {
    "mode": "tiny",
    "steps": 3,
    "epochs": 0,
    "batch": 2,
    "accumulation": 1,
    "learning_rate": 1e-3,
    "evaluate_seconds": 1e6,
    "checkpoint_seconds": 1e6,
    "validation_pages": 1,
    "gradient_checkpointing": False,
}


def pages() -> list[PageSample]:
    rows = []
    for number, (document, text) in enumerate(
        [*zip("abab", ["ab", "cd", "ef", "gh"], strict=True), ("c", "ij"), ("d", "kl")]
    ):
        page = draw_page([(20.0, 60.0, text)], size=40, language="en", width=120, height=100)
        markup = f"<|ref|>text<|/ref|><|det|>[[100, 100, 800, 700]]<|/det|>\n{text}"
        rows.append(
            PageSample(
                document, number, page.image, page.dpi, *page.points, text, markup, language="en", label=number
            )
        )
    return rows


def job(
    tmp_path: Path, data: Path, base: Path, recipe: str = "deepseek-ocr-full", **overrides: object
) -> TrainingJob:
    return TrainingJob(
        dataset=data,
        out=tmp_path / "out",
        recipe=load_recipe(recipe).with_overrides({**QUICK, **overrides}),
        language="en",
        scripts=("Latn",),
        resume=tmp_path / "resume",
        base=base,
        seed=3,
    )
