"""A network learns lines from right to left in the order of their ink, and they are read in logical order."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from PIL import Image, ImageDraw, ImageFont

from flywheel.recipes import load_recipe
from flywheel.text.bidi import to_visual
from models.checkpoint import load
from models.line_training.batches import target_text
from models.line_training.comparison import evaluate
from models.line_training.dataset import LineSample, write_patches
from models.recognition.line import LineRecogniser
from models.trainers import train
from models.training.job import TrainingJob
from models.training.manifest import write_manifest
from tests.flywheel.right_to_left import LATIN_SCRIPT, SCRIPTS
from tests.models.drawing import Gray

# By heart: too few to learn letters from, enough to tell whether the order is one that a network can follow.
LINES = {"he": ("שלום (12)", "ספר ab 7", "עולם, 3"), "ar": ("سلام (12)", "كتاب ab 7", "بيت، 3")}
TINY = {
    "network": {"height": 32, "widths": [8, 8, 16, 32], "dimension": 48, "dilations": [1, 1], "dropout": 0.0},
    "learning_rate": 1e-2,
    "batch_pixels": 2000,
    "degrade": 0.0,
    "steps": 150,
    "evaluate_seconds": 1000.0,
    "checkpoint_seconds": 1000.0,
}


def drawn(text: str, language: str) -> Gray:
    """The line as its ink stands: runs in a face of the script and in a Latin one, shaped by Pillow."""
    faces = [
        ImageFont.truetype(io.BytesIO(bytes(pymupdf.Font(script=script).buffer)), 34)
        for script in (SCRIPTS[language], LATIN_SCRIPT)
    ]
    canvas, x = Image.new("L", (500, 90), 255), 20.0
    for run in runs(to_visual(text)):
        face = faces[0] if ord(run.strip()[:1] or " ") > 0x500 else faces[1]
        shown = run[::-1] if face is faces[0] else run  # Pillow turns it about
        ImageDraw.Draw(canvas).text((x, 60), shown, fill=0, font=face, anchor="ls")
        x += face.getlength(shown)
    gray = np.asarray(canvas)
    return gray[10:85, : int(x) + 20].copy()


def runs(shown: str) -> list[str]:
    """The parts of a displayed line that one face draws."""
    out = [shown[0]]
    for before, symbol in pairwise(shown):
        if (ord(symbol) > 0x500) == (ord(before) > 0x500):
            out[-1] += symbol
        else:
            out.append(symbol)
    return out


@pytest.mark.parametrize("language", ["he", "ar"])
def test_lines_learned_by_heart_are_read_back_in_logical_order(tmp_path: Path, language: str) -> None:
    rows = [LineSample("d", i, 0, text, drawn(text, language)) for i, text in enumerate(LINES[language])]
    (tmp_path / "data").mkdir()
    write_patches(tmp_path / "data" / "a.parquet", rows)
    write_manifest(tmp_path / "data", splits={"d": "train"}, language=language)
    job = TrainingJob(
        dataset=tmp_path / "data",
        out=tmp_path / "checkpoint",
        recipe=load_recipe("line").with_overrides(TINY),
        language=language,
        scripts=("Hebr" if language == "he" else "Arab",),
        resume=tmp_path / "resume",
        seed=1,
    )
    result = train(job)
    reader = LineRecogniser.load(result.directory)
    readings = reader.read([row.image for row in rows])
    assert [reading.text for reading in readings] == list(LINES[language])
    assert all(len(reading.character_confidences) == len(reading.text) for reading in readings)
    assert evaluate(reader, tmp_path / "data", "train").cer == 0
    assert set(load(result.directory).manifest.charset) == set("".join(map(to_visual, LINES[language])))


def test_targets_stand_as_the_ink_does() -> None:
    assert target_text("שלום  (12)") == "(12) " + "שלום"[::-1]
    assert target_text("བཀྲ་ཤིས།") == "བཀྲ་ཤིས།"
