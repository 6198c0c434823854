"""A round of pages, stop by stop: what it learns from, where it begins, whom it is held against, who reads then.

The network is a tiny DeepSeek-OCR that takes a few steps and learns nothing in them. That one learns to read,
and is promoted for it, is tests/end_to_end's claim.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from sqlalchemy import select

from flywheel import markup
from flywheel.database import transaction
from flywheel.database.tables import (
    CheckpointRow,
    DatasetRow,
    DocumentRow,
    LabelRow,
    PageRow,
    PatchSetRow,
    RoundRow,
    ShardRow,
)
from flywheel.document import Box, Kind, Label, Line, Region
from flywheel.figures import Comparison, ReadingSettings, Unit
from flywheel.labels.recording import settings_hash
from flywheel.labels.storage import store_labels
from flywheel.loop import promotion, relabel, rounds
from flywheel.loop.sides import place_of
from flywheel.settings import settings
from tasks.worker import readers
from tests.flywheel import draw
from tests.flywheel.rows import store
from tests.tasks.books import add
from tests.tasks.drain import drain

pytestmark = pytest.mark.usefixtures("page_worker")

FEW_STEPS = {"mode": "tiny", "steps": 2, "epochs": 0, "batch": 2, "accumulation": 1, "checkpoint_seconds": 0.01}
TINY_LINES = {
    "network": {"height": 32, "widths": [4, 4, 8, 8], "dimension": 16, "dilations": [1]},
    "steps": 2,
    "epochs": 0,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks: threads cost more than they bring, the more so where others compute, too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def english(directory: Path) -> str:
    """The hash of an English document that no exam of its language could hold."""
    for seed in count():
        path = directory / f"en-{seed}.pdf"
        draw.latin_pdf(path, 1, lines=4, seed=seed)
        if place_of(hashlib.sha256(path.read_bytes()).hexdigest()) >= 0.5:
            return add(path, "en", ["the wheel turns"] * 4)
    raise AssertionError


def start(recipe: str = "deepseek-ocr-full", **overrides: Any) -> int:
    with transaction() as session:
        values = FEW_STEPS if recipe != "line" else TINY_LINES
        return rounds.start(session, language="bo", recipe=recipe, overrides={**values, **overrides})


def the_round(round_id: int) -> RoundRow:
    with transaction() as session:
        return session.get_one(RoundRow, round_id)


def comparison_of(row: RoundRow) -> Comparison:
    assert row.comparison is not None
    return row.comparison


def promote(checkpoint: str) -> None:
    with transaction() as session:
        promotion.promote(session, checkpoint, language="bo", actor="test")


def manifest_of(round_id: int) -> dict[str, Any]:
    with transaction() as session:
        dataset = session.get_one(DatasetRow, session.get_one(RoundRow, round_id).dataset_id)
    found: dict[str, Any] = json.loads(store().get(dataset.manifest_key))
    return found


def test_a_round_of_pages_goes_from_labels_to_a_decision_and_what_it_made_reads_when_promoted(
    tmp_path: Path, born: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = add(draw_scan(tmp_path / "scan.pdf"), "bo")
    round_id = start()
    drain()
    row = the_round(round_id)
    assert (row.status, row.parent_id) == ("refused", None)
    assert "over the bar" in str(row.detail)
    assert row.comparison is not None
    assert row.progress is not None
    assert (row.comparison.unit, row.comparison.reads_now, row.comparison.baseline_reader) == (
        Unit.PAGE,
        None,
        "deepseek-ocr",
    )
    assert row.comparison.candidate.units >= 1
    assert (row.progress.step, row.progress.unit, row.resume_key) == (2, Unit.PAGE, None)
    made = str(row.checkpoint_id)
    with transaction() as session:
        checkpoint = session.get_one(CheckpointRow, made)
        assert (checkpoint.architecture, checkpoint.generation, checkpoint.parent_id) == ("deepseek-ocr", 1, None)
        assert checkpoint.scripts == ["Tibt"]
        own = checkpoint.reading
        units = session.execute(select(PatchSetRow.unit, PatchSetRow.units)).all()
    assert own == ReadingSettings(dpi=150.0, mode="tiny", grounded=True, guard_size=30, guard_window=90)
    monkeypatch.setenv("FLYWHEEL_READER_MODE", "base")  # of readers without settings of their own
    monkeypatch.setenv("FLYWHEEL_RENDER_DPI", "90")
    settings.cache_clear()
    assert set(units) == {("page", 1)}
    assert len(units) == len(born)
    promote(made)
    with transaction() as session:
        assert relabel.enqueue_relabelling(session, "bo", made) == 1
    drain()
    with transaction() as session:
        query = (
            select(LabelRow)
            .join(PageRow)
            .join(DocumentRow)
            .where(DocumentRow.sha256 == waiting, LabelRow.stop == "recognition")
        )
        read = session.execute(query).scalar_one()
    assert (read.checkpoint_id, read.producer, read.generation) == (made, "deepseek-ocr", 1)
    assert read.settings_hash == settings_hash(dpi=150.0, mode="tiny")
    assert readers.page_reader(made).reading == replace(own, dpi=None)
    assert readers.page_reader(made, "small").reading.mode == "small"  # whoever asks for one gets it


def draw_scan(path: Path) -> Path:
    """A page that is an image."""
    return draw.book_of(path, lambda book: book.image(draw.scan(), x=0, y=0, w=book.w, h=book.h))


def test_a_page_is_learned_with_its_image_its_text_and_where_things_stand(born: dict[str, str]) -> None:
    round_id = start()
    drain(only="patches")
    drain(only="dataset")
    manifest = manifest_of(round_id)
    tables = [pq.read_table(io.BytesIO(store().get(file["key"]))).to_pylist() for file in manifest["files"]]
    rows = {row["document"]: row for table in tables for row in table}
    assert set(rows) == set(born) == set(manifest["splits"])
    for document, row in rows.items():
        assert row["text"].split() == born[document].split()
        read = markup.parse(row["markup"], row["width"], row["height"])
        assert "".join(region.text for region in read.regions).split() == born[document].split()
        assert (row["script"], row["language"], row["generation"]) == ("Tibt", "bo", 0)
        assert (round(row["width"]), row["dpi"]) == (595, 150)
    assert (manifest["unit"], manifest["replay"]) == ("page", {})


def test_pages_of_other_languages_are_cut_along_with_them_and_are_trained_on_alone(
    tmp_path: Path, born: dict[str, str]
) -> None:
    foreign = english(tmp_path)
    round_id = start(replay_share=0.25)
    drain(only="patches")
    drain(only="dataset")
    manifest = manifest_of(round_id)
    assert manifest["replay"] == {foreign: "en"}
    assert manifest["splits"][foreign] == "train"
    with transaction() as session:
        assert session.execute(select(DatasetRow.counts)).scalar_one().replay == {"en": 1}


def test_a_page_that_is_cut_for_lines_and_for_pages_is_kept_for_both(born: dict[str, str]) -> None:
    for recipe in ("line", "deepseek-ocr-full"):
        round_id = start(recipe)
        drain(only="patches")
        drain(only="dataset")
        with transaction() as session:
            rounds.cancel(session, round_id)
    with transaction() as session:
        units = list(session.execute(select(PatchSetRow.unit)).scalars())
    assert sorted(units) == ["line"] * 4 + ["page"] * 4
    with transaction() as session:
        signatures = set(session.execute(select(PatchSetRow.likeness)).scalars())
    assert None not in signatures
    assert len(signatures) == 4  # one a page, whatever is made of it


def test_a_round_goes_on_from_a_champion_of_its_kind_and_is_held_against_it(born: dict[str, str]) -> None:
    first = start()
    drain()
    made = str(the_round(first).checkpoint_id)
    promote(made)
    second = start()
    drain()
    row = the_round(second)
    assert row.status == "refused"
    compared = comparison_of(row)
    assert (row.parent_id, compared.reads_now, compared.baseline_reader) == (made, made, made)
    with transaction() as session:
        assert session.get_one(CheckpointRow, row.checkpoint_id).parent_id == made


def test_a_round_of_pages_begins_anew_beside_a_champion_that_reads_lines_and_is_held_against_it(
    born: dict[str, str],
) -> None:
    promote(promotion.BUILTIN)
    round_id = start("deepseek-ocr-lora")
    drain()
    row = the_round(round_id)
    assert row.status == "refused", row.detail
    assert (row.parent_id, comparison_of(row).reads_now) == (None, promotion.BUILTIN)
    assert "the same pages" in str(row.detail)
    with transaction() as session:
        assert session.get_one(CheckpointRow, row.checkpoint_id).architecture == "deepseek-ocr"


def test_a_round_of_lines_is_held_against_a_champion_that_reads_pages_on_whole_pages(born: dict[str, str]) -> None:
    promote("deepseek-ocr")
    round_id = start("line")
    drain()
    row = the_round(round_id)
    assert row.status == "refused", row.detail
    assert "the exam is too small" in str(row.detail)
    compared = comparison_of(row)
    assert (row.parent_id, compared.unit, compared.baseline_reader) == (None, Unit.PAGE, "deepseek-ocr")
    heldout = {document for document, side in manifest_of(round_id)["splits"].items() if side == "heldout"}
    assert {one.document for one in compared.by_document} == heldout
    assert compared.baseline.units == compared.candidate.units == len(heldout)  # documents of one page
    said = sum(len(" ".join(born[document].split())) for document in heldout)
    assert compared.candidate.characters == said
    made = readers.page_reader(str(row.checkpoint_id))
    assert (made.checkpoint, made.producer) == (row.checkpoint_id, "line")


def test_a_champion_that_comes_while_a_round_trains_is_whom_it_is_held_against_and_one_that_comes_later_ends_it(
    born: dict[str, str],
) -> None:
    round_id = start()
    drain(only="patches")
    drain(only="dataset")
    promote(promotion.BUILTIN)
    drain(only="training")
    assert comparison_of(the_round(round_id)).reads_now == promotion.BUILTIN
    promote("deepseek-ocr")
    drain()
    row = the_round(round_id)
    assert row.status == "refused"
    assert "changed from ppocr-v6-small to deepseek-ocr" in str(row.detail)


def test_a_round_without_weights_to_begin_with_fails_and_says_which_setting_names_them(
    born: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYWHEEL_DEEPSEEK_OCR", "")
    settings.cache_clear()
    round_id = start()
    drain()
    row = the_round(round_id)
    assert row.status == "failed"
    assert "set FLYWHEEL_DEEPSEEK_OCR" in str(row.detail)


def test_a_page_whose_label_says_nothing_teaches_nothing(born: dict[str, str]) -> None:
    silent = Label(Kind.COARSE, "t", 595, 842, (Region("text", Box(0, 0, 9, 9), (Line(" ", Box(0, 0, 9, 9)),)),))
    with transaction() as session:
        row = session.execute(select(LabelRow).order_by(LabelRow.id).limit(1)).scalar_one()
        [frame] = store_labels(store(), [silent])
        row.blob_key, row.blob_offset, row.blob_length = frame.key, frame.offset, frame.length
        first = row.id
    start()
    drain(only="patches")
    with transaction() as session:
        sets = {row.label_id: (row.units, row.dropped) for row in session.execute(select(PatchSetRow)).scalars()}
        assert set(session.execute(select(ShardRow.state).where(ShardRow.stop == "patches")).scalars()) == {
            "finished"
        }
    assert sets.pop(first) == (0, {"patch_empty": 1})
    assert set(dict(sets.values())) == {1}
