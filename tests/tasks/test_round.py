"""Claims about a round's stops: refused, cancelled, stopped and resumed, and what its dataset holds.

Patches are drawn lines put into the store as the patches stop leaves them; training is a few steps of a
tiny network. That a round ends with a reader that reads is tests/end_to_end's claim.
"""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select, update

from flywheel.database import engine, transaction
from flywheel.database.tables import (
    CheckpointRow,
    DatasetRow,
    DocumentRow,
    LabelRow,
    LeaseRow,
    PageRow,
    PatchSetRow,
    PromotionRow,
    RoundRow,
    ShardRow,
)
from flywheel.errors import LeaseLost, Stopping
from flywheel.figures import Comparison, CurvePoint, TrainingProgress, Unit
from flywheel.loop import promotion, rounds
from flywheel.settings import settings
from flywheel.states import TrainingPhase
from flywheel.work import ledger
from flywheel.work.ledger import Work
from models.line_training.dataset import LineSample, write_patches
from models.training.job import Progress
from tasks import training
from tasks.app import app
from tasks.training import Reporter, blobs_of
from tasks.worker import judging, process
from tasks.worker.attempt import Attempt
from tests.flywheel.rows import give_labels, make_document, store
from tests.models.drawing import draw_line, syllables
from tests.tasks.drain import drain


@pytest.fixture(autouse=True)
def fresh(environment: dict[str, str]) -> None:
    """A worker's warm things belong to one cluster."""
    process.store.cache_clear()


TINY = {
    "network": {"height": 32, "widths": [4, 4, 8, 8], "dimension": 16, "dilations": [1]},
    "drawn_share": 0.0,
    "steps": 3,
    "epochs": 0,
    "checkpoint_seconds": 0.01,
    "evaluate_seconds": 1000,
}


def give_patches(directory: Path, documents: int = 4, lines: int = 6, language: str = "bo") -> list[int]:
    """Accepted labels with their patches in the store; returns the labels' ids."""
    made = []
    for number in range(documents):
        document_id, pages = make_document(1, name=f"{number}.pdf", language=language)
        [label_id] = give_labels(pages, lines=lines)
        made.append(label_id)
        with transaction() as session:
            sha256 = session.get_one(DocumentRow, document_id).sha256
        rows = [
            LineSample(sha256, pages[0], n, text, draw_line(text), 0, label_id, "fitz")
            for n in range(lines)
            for text in [syllables(5, seed=number * 100 + n)]
        ]
        write_patches(directory / "p.parquet", rows)
        key = store().put_file(directory / "p.parquet")
        with transaction() as session:
            session.add(PatchSetRow(label_id=label_id, blob_key=key, units=lines, dropped={"patch_empty": 1}))
    return made


def start(**overrides: Any) -> int:
    with transaction() as session:
        return rounds.start(session, language="bo", overrides={**TINY, **overrides})


def the_round(round_id: int) -> RoundRow:
    with transaction() as session:
        return session.get_one(RoundRow, round_id)


def test_a_checkpoint_that_reads_badly_is_refused_with_its_numbers_and_kept(tmp_path: Path) -> None:
    labels = give_patches(tmp_path)
    round_id = start()
    drain()
    row = the_round(round_id)
    assert row.status == "refused"
    assert "over the bar" in str(row.detail)
    assert row.comparison is not None
    assert row.comparison.candidate.units >= 6
    assert row.comparison.baseline_reader == promotion.BUILTIN
    with transaction() as session:
        checkpoint = session.get_one(CheckpointRow, row.checkpoint_id)
        assert (checkpoint.generation, checkpoint.round_id, checkpoint.language) == (1, round_id, "bo")
        assert store().exists(str(checkpoint.tree_key))
        [decision] = session.execute(select(PromotionRow)).scalars()
        assert (decision.action, decision.checkpoint_id) == ("refuse", checkpoint.id)
        assert decision.comparison == row.comparison
        assert checkpoint.scores == row.comparison.candidate
        assert promotion.champion(session, "bo") is None
        dataset = session.get_one(DatasetRow, row.dataset_id)
        assert set(session.execute(select(ShardRow.state)).scalars()) == {"finished"}
    manifest = json.loads(store().get(dataset.manifest_key))
    assert manifest["labels"] == labels
    assert set(manifest["splits"].values()) == {"train", "validation", "heldout"}
    assert dataset.counts.dropped == {"patch_empty": 4}
    kept = pq.read_table(io.BytesIO(store().get(manifest["files"][0]["key"])))
    assert kept.num_rows == 6
    assert row.resume_key is None
    stored = list(store().keys())
    assert not any(b"random.torch" in store().get(key) for key in stored)


def test_a_first_candidate_for_a_language_that_the_built_in_reader_knows_is_held_against_that_reader(
    tmp_path: Path,
) -> None:
    give_patches(tmp_path, language="en")
    with transaction() as session:
        round_id = rounds.start(session, language="en", overrides=TINY)
    drain()
    row = the_round(round_id)
    assert row.comparison is not None
    assert (row.comparison.baseline_reader, row.comparison.reads_now) == (promotion.BUILTIN, promotion.BUILTIN)
    assert len(row.comparison.by_document) == row.comparison.exam_size == row.comparison.candidate.documents
    assert row.comparison.candidate_degraded is not None
    assert row.comparison.candidate_degraded.units == row.comparison.candidate.units


def test_a_setting_that_the_recipe_no_longer_has_fails_the_round_and_is_named(tmp_path: Path) -> None:
    give_patches(tmp_path)
    old = start()
    with transaction() as session:
        session.execute(update(RoundRow).values(overrides={**TINY, "lerning_rate": 1.0}))
    drain()
    assert the_round(old).status == "failed"
    assert "recipe line: no setting 'lerning_rate'; there are network, seconds" in str(the_round(old).detail)


def test_too_few_documents_fail_the_round_and_say_how_many_are_needed(tmp_path: Path) -> None:
    give_patches(tmp_path, documents=2)
    round_id = start()
    drain()
    assert the_round(round_id).status == "failed"
    assert "at least 3" in str(the_round(round_id).detail)


def training_shard() -> int:
    """The id of the open training shard, everything before it done."""
    drain(only="dataset")
    with transaction() as session:
        return session.execute(select(ShardRow.id).where(ShardRow.stop == "training")).scalar_one()


def wait_for_steps(round_id: int) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        row = the_round(round_id)
        if row.resume_key and row.progress and row.progress.step:
            return row.progress.step
        time.sleep(0.02)  # training goes on in another thread: its row is what can be seen of it
    raise AssertionError("training did not start")


def held_reporter(round_id: int) -> Reporter:
    """A reporter of a round whose training shard was just claimed."""
    shard_id = training_shard()
    with transaction() as session:
        claim = ledger.claim(session, shard_id, "test")
    assert claim is not None
    return Reporter(Attempt(claim), the_round(round_id))


def at(step: int, *curve: CurvePoint) -> Progress:
    return Progress(Unit.LINE, step, 0, 1.0, 0.1, step, 1.0, 0.1, curve=curve)


def progress_of(row: RoundRow) -> TrainingProgress:
    assert row.progress is not None
    return row.progress


def tree(directory: Path, **files: str) -> Path:
    directory.mkdir()
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


def test_a_new_point_of_the_curve_is_reported_at_once_and_steps_now_and_then(tmp_path: Path) -> None:
    give_patches(tmp_path)
    round_id = start()
    reporter = held_reporter(round_id)
    reporter.progress(at(1))
    reporter.progress(at(2))
    assert progress_of(the_round(round_id)).step == 1
    reporter.progress(at(3, CurvePoint(seconds=1.0, cer=0.5, step=3)))
    row = the_round(round_id)
    assert (progress_of(row).step, row.curve) == (3, (CurvePoint(seconds=1.0, cer=0.5, step=3),))


def test_judging_is_a_phase_of_its_own_that_is_told_when_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_patches(tmp_path)
    round_id = start()
    seen: list[TrainingProgress] = []

    def judge(*given: Any) -> Comparison:
        seen.append(progress_of(the_round(round_id)))
        return judging.judge(*given)

    monkeypatch.setattr(training, "judge", judge)
    drain(only="dataset")
    drain(only="training")
    assert [(progress.phase, progress.step, progress.units > 0) for progress in seen] == [("judging", 3, True)]
    assert progress_of(the_round(round_id)).phase is TrainingPhase.JUDGING


def test_the_store_keeps_the_newest_training_checkpoint_alone_and_what_others_share_with_it(
    tmp_path: Path,
) -> None:
    give_patches(tmp_path)
    round_id = start()
    reporter = held_reporter(round_id)
    before = set(store().keys())
    reporter.saved(tree(tmp_path / "a", state="one", shared="alike"))
    first = the_round(round_id).resume_key
    reporter.saved(tree(tmp_path / "b", state="two", shared="alike"))
    second = the_round(round_id).resume_key
    assert first != second
    assert set(store().keys()) - before == blobs_of(str(second))
    taken_over = Reporter(reporter._attempt, the_round(round_id))
    taken_over.saved(tree(tmp_path / "c", state="three"))
    assert set(store().keys()) - before == blobs_of(str(the_round(round_id).resume_key))
    taken_over.delete_checkpoints()
    assert set(store().keys()) == before


def test_what_a_checkpoint_or_another_training_shares_with_an_old_training_checkpoint_stays(
    tmp_path: Path,
) -> None:
    give_patches(tmp_path)
    round_id = start()
    reporter = held_reporter(round_id)
    made = store().put_tree(tree(tmp_path / "made", config="as all", weights="made"))
    other = store().put_tree(tree(tmp_path / "other", arguments="as both", state="other"))
    with transaction() as session:
        session.add(CheckpointRow(id="c1", architecture="line", scripts=[], tree_key=made))
        session.add(RoundRow(language="en", recipe="line", status="training", resume_key=other))
    reporter.saved(tree(tmp_path / "a", config="as all", arguments="as both", state="one"))
    old = blobs_of(str(the_round(round_id).resume_key))
    reporter.delete_checkpoints()
    assert old & set(store().keys()) == old & (blobs_of(made) | blobs_of(other))
    assert len(old & set(store().keys())) == 2


def test_a_database_that_is_away_costs_training_its_reports_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_patches(tmp_path)
    round_id = start()
    reporter = held_reporter(round_id)
    before = set(store().keys())
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("FLYWHEEL_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
        settings.cache_clear()
        reporter.progress(at(1))
        reporter.saved(tree(tmp_path / "a", state="one"))
        engine().dispose()
    settings.cache_clear()
    assert (the_round(round_id).resume_key, the_round(round_id).progress) == (None, None)
    reporter.progress(at(2, CurvePoint(seconds=1.0, cer=0.5, step=2)))
    reporter.saved(tree(tmp_path / "b", state="two"))
    row = the_round(round_id)
    assert progress_of(row).step == 2
    assert set(store().keys()) - before == blobs_of(str(row.resume_key))


def test_a_checkpoint_that_comes_after_the_lease_was_lost_is_not_recorded(tmp_path: Path) -> None:
    give_patches(tmp_path)
    round_id = start()
    reporter = held_reporter(round_id)
    with transaction() as session:
        session.execute(update(LeaseRow).values(worker="other"))
    with pytest.raises(LeaseLost):
        reporter.saved(tree(tmp_path / "a", state="one"))
    with pytest.raises(LeaseLost):
        reporter.progress(at(1))
    assert the_round(round_id).resume_key is None


def test_cancelling_a_round_ends_its_training_at_once_and_leaves_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYWHEEL_LEASE_SCALE", "0.02")
    settings.cache_clear()
    give_patches(tmp_path)
    round_id = start(steps=100_000)
    shard_id = training_shard()
    worker = threading.Thread(target=app.tasks["tasks.training"].run, args=(shard_id,))
    worker.start()
    wait_for_steps(round_id)
    with transaction() as session:
        rounds.cancel(session, round_id)
    worker.join(60)
    assert not worker.is_alive()
    assert the_round(round_id).status == "cancelled"
    with transaction() as session:
        count = select(func.count()).select_from(CheckpointRow).where(CheckpointRow.round_id.is_not(None))
        assert session.execute(count).scalar_one() == 0
        assert session.execute(select(func.count()).select_from(LeaseRow)).scalar_one() == 0


def test_training_that_a_worker_gives_back_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_patches(tmp_path)
    round_id = start(steps=100_000)
    shard_id = training_shard()
    ending = threading.Event()

    def check(_: Attempt) -> None:
        if ending.is_set():
            raise Stopping("the worker is shutting down")

    monkeypatch.setattr(Attempt, "check", check)
    worker = threading.Thread(target=app.tasks["tasks.training"].run, args=(shard_id,))
    worker.start()
    before = wait_for_steps(round_id)
    ending.set()
    worker.join(60)
    with transaction() as session:
        lease = session.get_one(LeaseRow, shard_id)
        assert (lease.worker, lease.attempts) == (None, 0)
        session.execute(update(RoundRow).values(overrides={**TINY, "steps": before + 40}))
    ending.clear()
    drain()
    row = the_round(round_id)
    assert row.status == "refused"
    assert progress_of(row).step == before + 40
    assert progress_of(row).seconds > 0


def test_a_persons_page_and_an_accepted_reading_are_learned_from_and_a_rejected_one_is_not(tmp_path: Path) -> None:
    labels = give_patches(tmp_path)
    with transaction() as session:
        session.execute(update(LabelRow).where(LabelRow.id == labels[0]).values(kind="human"))
        session.execute(update(LabelRow).where(LabelRow.id == labels[1]).values(verdict="rejected"))
    round_id = start()
    drain(only="dataset")
    with transaction() as session:
        dataset = session.get_one(DatasetRow, session.get_one(RoundRow, round_id).dataset_id)
    assert json.loads(store().get(dataset.manifest_key))["labels"] == [labels[0], *labels[2:]]


def test_a_shard_of_a_cancelled_round_is_never_claimed() -> None:
    _, pages = make_document(1)
    give_labels(pages)
    round_id = start()
    with transaction() as session:
        rounds.cancel(session, round_id)
    with transaction() as session:
        shard = session.execute(select(ShardRow).where(ShardRow.round_id == round_id)).scalar_one()
        assert shard.state == "cancelled"
        assert ledger.claim(session, shard.id, "late") is None
        assert ledger.enqueue(session, [Work("coarse", page_ids=pages, salt="other")]) == 1
        assert session.execute(select(PageRow.verdict)).scalar_one() == "accepted"
