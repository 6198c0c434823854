"""The whole loop, through the API, on real processes: PDFs in, a trained reader, scans read, a training set out.

Once on the embedded stack; once on Postgres, Redis and an S3 server started apart, where
every worker is killed with SIGKILL in the middle of labelling and in the middle of training.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset
from rapidfuzz.distance import Levenshtein

from flywheel.client import Client
from flywheel.demo import normal
from flywheel.document import Box, Kind, Label, Line, Region
from flywheel.sample import SampleCorpus
from flywheel.wire import RoundDetail, Summary
from tests.end_to_end.cluster import ONE_THREAD, Cluster, embedded, separate
from tests.end_to_end.following import follow, steps_before_the_kill

# A short round: enough to read scans, not to read them well. It ends by its steps: a busy machine costs time
# and no quality. Measured (2026-11-24): 12 CPU-seconds, 5 % on the held-out lines, 7 % on scans.
RECIPE: dict[str, Any] = {
    "steps": 160,
    "epochs": 0,
    "batch_pixels": 8000,
    "learning_rate": 6e-3,
    "degrade": 0.4,
    "drawn_share": 0.0,
    "network": {"widths": [8, 16, 32, 96], "dimension": 160, "dilations": [1, 1]},
    "validation_lines": 24,
    "checkpoint_seconds": 1.5,
    "evaluate_seconds": 4,
}
READABLE = 0.15


@pytest.fixture
def embedded_cluster(servers_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    for name, value in ONE_THREAD.items():
        monkeypatch.setenv(name, value)
    with embedded(servers_dir / "turn") as cluster:
        yield cluster


@pytest.fixture
def separate_cluster(
    servers_dir: Path, database_url: str, redis_url: str, s3_url: str, tmp_path: Path
) -> Iterator[Cluster]:
    with separate(tmp_path, database_url, redis_url, s3_url) as cluster:
        yield cluster


@pytest.mark.timeout(600)
def test_the_loop_turns_on_the_embedded_stack(
    embedded_cluster: Cluster, sample_corpus: SampleCorpus, tmp_path: Path
) -> None:
    with embedded_cluster.client() as client:
        submit(client, sample_corpus)
        check_first_labels(settle(client), sample_corpus)
        found = follow(client, client.start_round("bo", ["turn"], overrides=RECIPE).id)
        check_round(client, found)
        settle(client)
        check_scans(client, sample_corpus)
        check_correction(client)
        check_export(client, tmp_path)
        assert client.rollback("bo").checkpoint_id is None


@pytest.mark.timeout(900)
def test_the_loop_turns_on_separate_servers_though_every_worker_is_killed_twice(
    separate_cluster: Cluster, sample_corpus: SampleCorpus, tmp_path: Path
) -> None:
    workers = ("worker-cpu", "worker-gpu", "worker-train")
    with separate_cluster.client() as client:
        submit(client, sample_corpus)
        for summary in client.follow_corpus("turn"):
            if summary.pages.labelled:
                break
        separate_cluster.kill_and_restart(*workers)
        check_first_labels(settle(client), sample_corpus)
        started = client.start_round("bo", ["turn"], overrides=RECIPE)
        before = steps_before_the_kill(client, started.id, RECIPE["checkpoint_seconds"])
        separate_cluster.kill_and_restart(*workers)
        found = follow(client, started.id)
        assert found.progress.step > before
        check_round(client, found)
        settle(client)
        check_scans(client, sample_corpus)
        check_export(client, tmp_path)
        check_once(client)


def submit(client: Client, drawn: SampleCorpus) -> None:
    for document in drawn.documents:
        upload = client.submit("turn", document.path, language=document.language)
        assert upload.duplicate == (document.kind == "duplicate")


def settle(client: Client) -> Summary:
    *_, summary = client.follow_corpus("turn")
    assert summary.settled
    return summary


def check_first_labels(summary: Summary, drawn: SampleCorpus) -> None:
    """Nothing is lost, and everything that is not accepted says why."""
    assert summary.documents.by_reason == {"pdf_encrypted": 1, "pdf_unreadable": 1}
    scanned = sum(len(d.truth or ()) for d in drawn.of("scan"))
    garbled = sum(len(d.truth or ()) for d in drawn.of("garbled"))
    born = sum(len(d.truth or ()) for d in drawn.of("born_digital"))
    reasons = Counter(summary.pages.by_reason)
    assert reasons["no_text_layer"] == scanned
    assert reasons["garbled_characters"] == garbled
    assert reasons["accepted"] + reasons["blank"] == born
    assert summary.pages.waiting == scanned + garbled
    assert summary.pages.submitted == scanned + garbled + born


def check_round(client: Client, found: RoundDetail) -> None:
    assert found.status == "finished", found.detail
    assert found.dataset is not None
    assert found.comparison is not None
    assert found.comparison.candidate.cer < READABLE < found.comparison.baseline.cer
    assert [decision.action for decision in found.decisions] == ["promote"]
    assert {c.language: c.checkpoint_id for c in client.champions()} == {"bo": found.checkpoint_id}
    assert len(found.curve) >= 2


def check_scans(client: Client, drawn: SampleCorpus) -> None:
    """The pages that nobody could read are read now, and name their reader."""
    truth = {d.path.name: d.truth for d in drawn.of("scan") if d.truth}
    edits = characters = 0
    for page in client.pages("turn"):
        if page.document not in truth:
            continue
        detail = client.page(page.id)
        assert page.state == "labelled"
        assert [label.kind for label in detail.labels if label.current] == ["fine"]
        assert {step.kind for step in detail.lineage} >= {"checkpoint", "round", "dataset"}
        lines = truth[page.document][page.number]
        said = normal(line.text for line in client.page_label(page.id).lines)
        edits += Levenshtein.distance(normal(lines), said)
        characters += len(normal(lines))
    assert edits / characters < READABLE


def check_correction(client: Client) -> None:
    """A person's text stands."""
    page = next(page for page in client.pages("turn") if page.document == "scan-page.png")
    box = Box(10, 10, 90, 30)
    label = Label(Kind.HUMAN, "human", 100, 100, (Region("text", box, (Line("བཀྲ་ཤིས", box),)),))
    client.correct(page.id, label, note="read by eye")
    assert client.page_label(page.id).text == "བཀྲ་ཤིས"
    assert client.page(page.id).reason == "corrected"


def check_export(client: Client, tmp_path: Path) -> None:
    *_, finished = client.follow_export(client.start_export("turn", "parquet").id)
    assert finished.status == "finished", finished.detail
    for file in finished.files:
        client.download_export_file(finished.id, file, tmp_path / file.path)
    files = [str(path) for path in tmp_path.glob("*.parquet")]
    rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert len(rows) == finished.rows
    assert rows[0]["image"].size > (100, 100)
    lineages = [row["lineage"] for row in rows.remove_columns("image")]
    lineages = [json.loads(x) if isinstance(x, str) else x for x in lineages]
    assert {lineage["kind"] for lineage in lineages} >= {"coarse", "fine"}
    assert all(
        lineage["round"] for lineage in lineages if lineage["kind"] == "fine" and lineage["producer"] == "line"
    )


def check_once(client: Client) -> None:
    """Killed workers left nothing twice: one label a page, stop and checkpoint."""
    for page in client.pages("turn"):
        labels = client.page(page.id).labels
        keys = [(label.stop, label.checkpoint_id) for label in labels]
        assert len(keys) == len(set(keys))
    assert client.queues() == []
