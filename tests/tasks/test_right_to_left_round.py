"""Hebrew and Arabic go through a round: drawn PDFs, labels, patches, training, reading, all in logical order."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow, LabelRow, PatchSetRow, RoundRow
from flywheel.document import Line
from flywheel.labels.storage import load_label
from flywheel.loop import rounds, submission
from flywheel.pdf import PageImage
from models.lines.detector import LineDetector
from models.readers.lines import LinePageReader
from models.recognition.line import LineRecogniser
from models.scores import score
from tasks.worker import process
from tests.flywheel import right_to_left
from tests.flywheel.rows import store
from tests.tasks.drain import drain

WORDS = {"he": "שלום עולם ספר בית מים אור".split(), "ar": "كتاب بيت نور قمر بحر سلام".split()}
TINY = {
    "network": {"height": 32, "widths": [8, 8, 16, 32], "dimension": 48, "dilations": [1, 1], "dropout": 0.0},
    "learning_rate": 1e-2,
    "batch_pixels": 2000,
    "degrade": 0.0,
    "steps": 130,
    "evaluate_seconds": 1000,
    "checkpoint_seconds": 1000,
}


@pytest.fixture(autouse=True)
def fresh(environment: dict[str, str]) -> None:
    """A worker's warm things belong to one cluster."""
    process.store.cache_clear()


def line_of(language: str, rng: random.Random) -> str:
    first, second = rng.sample(WORDS[language], 2)
    return f"{first} ({rng.randint(10, 19)}) {second}"


def submit(directory: Path, language: str, pages: list[list[str]]) -> list[Path]:
    """A document of one page for each list of lines."""
    paths = []
    for number, lines in enumerate(pages):
        made = right_to_left.book(language, directory)
        right_to_left.write(made, lines, y=50, pitch=60)
        paths.append(directory / f"{number}.pdf")
        made.output(str(paths[-1]))
        with transaction() as session:
            submission.submit(
                session,
                store(),
                corpus="books",
                name=paths[-1].name,
                path=paths[-1],
                media_type="application/pdf",
                language=language,
            )
    return paths


@pytest.mark.parametrize("language", ["he", "ar"])
def test_a_round_learns_lines_from_right_to_left_and_reads_them_in_logical_order(
    tmp_path: Path, language: str
) -> None:
    rng = random.Random(language)
    pages = [[line_of(language, rng) for _ in range(6)] for _ in range(4)]
    paths = submit(tmp_path, language, pages)
    drain()
    with transaction() as session:
        labels = session.execute(select(LabelRow).order_by(LabelRow.id)).scalars().all()
        round_id = rounds.start(session, language=language, overrides=TINY)
    assert [label.verdict for label in labels] == ["accepted"] * 4
    said = [[line.text for line in load_label(store(), row).lines] for row in labels]
    assert sorted(said) == sorted(pages)
    drain()
    with transaction() as session:
        row = session.get_one(RoundRow, round_id)
        tree = str(session.get_one(CheckpointRow, row.checkpoint_id).tree_key)
        patches = session.execute(select(PatchSetRow)).scalars().all()
    taught = [t for p in patches for t in pq.read_table(io.BytesIO(store().get(p.blob_key)))["text"].to_pylist()]
    lines = [line for page in pages for line in page]
    assert sorted(taught) == sorted(lines)
    assert row.comparison is not None
    store().fetch_tree(tree, tmp_path / "checkpoint")
    recogniser = LineRecogniser.load(tmp_path / "checkpoint")
    reader = LinePageReader(LineDetector(), recogniser, checkpoint="line", producer="line")
    errors = [
        score(page, [line.text for line in read(reader, path, language)]).cer
        for path, page in zip(paths, pages, strict=True)
    ]
    assert min(errors) < 0.05  # of a page that was trained on: four pages teach no more than themselves


def read(reader: LinePageReader, path: Path, language: str) -> tuple[Line, ...]:
    """Lines of the page as the reader reads them."""
    [image] = process.sandbox().render(path, [0], 150)
    assert isinstance(image, PageImage)
    return reader.read(image.image, image.dpi, image.width, image.height, language).lines
