"""Page readers in the service: chosen by a checkpoint's architecture, with weights from where the settings say.

The reader is a tiny DeepSeek-OCR that nobody trained: what it says is noise, and that it says it, in which mode
and by whom, is what counts here. That one learns to read is tests/end_to_end's claim.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
import torch
from fpdf import FPDF
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow, LabelRow, LeaseRow, PageRow, ShardRow, TrialRow
from flywheel.errors import SetupError, Stopping, Transient
from flywheel.labels.recording import settings_hash
from flywheel.labels.storage import load_label
from flywheel.loop import promotion, relabel, submission
from flywheel.pdf import Sandbox
from flywheel.settings import settings
from flywheel.work import ledger
from flywheel.work.ledger import Work
from tasks.app import app
from tasks.recognition import render_ahead
from tasks.worker import process, readers
from tasks.worker.attempt import Attempt
from tasks.worker.checkpoints import published_weights
from tasks.worker.readers import page_reader
from tests.flywheel import draw
from tests.flywheel.rows import make_document, store
from tests.models.tiny import LIGHT, tiny_deepseek_ocr
from tests.tasks.drain import drain


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks: threads cost more than they bring, the more so where others compute, too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_deepseek_ocr(tmp_path_factory.mktemp("weights") / "tiny", sam=LIGHT)


@pytest.fixture(autouse=True)
def fresh(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker's warm things belong to one cluster; the PDF child may stay."""
    process.store.cache_clear()
    configure(monkeypatch, FLYWHEEL_READER_MODE="tiny", FLYWHEEL_READER_TOKENS="8")
    yield
    readers.release()


@pytest.fixture
def there(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reader's weights are where the settings say."""
    configure(monkeypatch, FLYWHEEL_DEEPSEEK_OCR=str(tiny))
    return tiny


def configure(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()


def scans(path: Path, pages: int) -> Path:
    """A PDF of scanned pages, without text."""
    book = FPDF(unit="pt", format=(300, 300))
    for _ in range(pages):
        book.add_page()
        book.image(draw.scan(lines=8, size=(600, 600)), x=0, y=0, w=300, h=300)
    book.output(str(path))
    return path


def submit(path: Path) -> int:
    with transaction() as session:
        done = submission.submit(
            session, store(), corpus="c", name=path.name, path=path, media_type="application/pdf", language="bo"
        )
    return done.document_id


def champion(checkpoint: str = "deepseek-ocr") -> None:
    with transaction() as session:
        promotion.promote(session, checkpoint, language="bo", actor="test")


def waiting_shard(tmp_path: Path, pages: int = 1) -> int:
    """The id of a shard of scans that waits to be read by the champion."""
    submit(scans(tmp_path / "scan.pdf", pages))
    champion()
    drain(only="ingest")
    drain(only="coarse")
    with transaction() as session:
        return session.execute(select(ShardRow.id).where(ShardRow.stop == "recognition")).scalar_one()


def perform(shard_id: int) -> None:
    app.tasks["tasks.recognition"].run(shard_id)


def fine_labels() -> list[LabelRow]:
    with transaction() as session:
        query = select(LabelRow).where(LabelRow.stop == "recognition").order_by(LabelRow.page_id)
        return list(session.execute(query).scalars())


def test_scans_are_read_by_the_page_reader_that_was_made_champion_of_their_language(
    tmp_path: Path, there: Path
) -> None:
    perform(waiting_shard(tmp_path, pages=3))
    rows = fine_labels()
    assert [(row.kind, row.producer, row.checkpoint_id, row.generation) for row in rows] == [
        ("fine", "deepseek-ocr", "deepseek-ocr", 1)
    ] * 3
    assert {row.settings_hash for row in rows} == {settings_hash(dpi=150, mode="tiny")}
    assert load_label(store(), rows[0]).text
    with transaction() as session:
        assert set(session.execute(select(PageRow.state)).scalars()) == {"labelled"}
        assert session.execute(select(LeaseRow)).first() is None


def test_pages_that_wait_are_read_by_a_page_reader_as_soon_as_it_is_promoted(tmp_path: Path, there: Path) -> None:
    submit(scans(tmp_path / "scan.pdf", 2))
    drain()
    with transaction() as session:
        assert set(session.execute(select(PageRow.state)).scalars()) == {"waiting"}
    champion()
    with transaction() as session:
        assert relabel.enqueue_relabelling(session, "bo", "deepseek-ocr") == 2
    drain()
    assert [row.producer for row in fine_labels()] == ["deepseek-ocr"] * 2


WRONG: dict[str, tuple[Callable[[Path], str], str]] = {
    "unset": (lambda _: "", "set FLYWHEEL_DEEPSEEK_OCR"),
    "no folder": (lambda path: str(path / "nothing"), "no folder here"),
    "no revision": (lambda _: "owner/name", "owner/name@revision"),
    "no weights": (str, "config.json"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_worker_without_the_weights_puts_the_shard_off_says_why_and_condemns_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    value, said = WRONG[case]
    configure(monkeypatch, FLYWHEEL_DEEPSEEK_OCR=value(tmp_path))
    shard_id = waiting_shard(tmp_path)
    perform(shard_id)
    with transaction() as session:
        shard, lease = session.get_one(ShardRow, shard_id), session.get_one(LeaseRow, shard_id)
        assert (shard.state, lease.worker, lease.attempts, lease.deferrals) == ("open", None, 0, 1)
        assert said in str(shard.detail)
        assert session.execute(select(PageRow.state)).scalar_one() == "pending"


class Hub(BaseHTTPRequestHandler):
    """The hub's three answers about one repository at one revision; it knows no other."""

    revision = "a" * 40
    files: ClassVar = {"config.json": b"{}", "w.safetensors": b"bytes", "modeling.py": b"print()"}

    def do_GET(self) -> None:
        path, name = urlsplit(self.path).path, self.path.rsplit("/", 1)[-1]
        if path == f"/api/models/owner/name/revision/{self.revision}":
            siblings = [{"rfilename": file} for file in self.files]
            self.answer(json.dumps({"id": "owner/name", "sha": self.revision, "siblings": siblings}).encode())
        elif path == f"/api/models/owner/name/tree/{self.revision}":
            listed = [{"type": "file", "path": n, "size": len(b), "oid": n} for n, b in self.files.items()]
            self.answer(json.dumps(listed).encode())
        elif path == f"/owner/name/resolve/{self.revision}/{name}":
            self.answer(self.files[name], {"ETag": f'"{name}"', "X-Repo-Commit": self.revision})
        else:
            self.answer(b"{}", {"X-Error-Code": "RepoNotFound"}, 404)

    do_HEAD = do_GET

    def answer(self, body: bytes, headers: Mapping[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_weights_come_from_the_hub_at_a_revision_and_nothing_comes_with_them_that_could_be_code(
    tmp_path: Path, hub: str
) -> None:
    """In a process of its own: the hub's client reads the environment when it is imported."""
    script = (
        "from tasks.worker.checkpoints import published_weights; "
        "print(*sorted(p.name for p in published_weights('deepseek-ocr').iterdir()))"
    )
    env = {**os.environ, "HF_ENDPOINT": hub, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_DISABLE_TELEMETRY": "1"}

    def fetch(what: str) -> subprocess.CompletedProcess[str]:
        env["FLYWHEEL_DEEPSEEK_OCR"] = what
        return subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)

    assert fetch(f"owner/name@{Hub.revision}").stdout.split() == ["config.json", "w.safetensors"]
    unknown = fetch("owner/other@main").stderr
    assert "SetupError" in unknown
    assert "owner/other@main is not on the hub" in unknown


def test_a_hub_that_is_out_of_reach_is_tried_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, FLYWHEEL_DEEPSEEK_OCR="owner/name@main")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Transient, match="owner/name@main cannot be had now"):
        published_weights("deepseek-ocr")


def test_weights_of_another_shape_put_the_shard_off_too(tmp_path: Path, there: Path, monkeypatch: Any) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in there.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    [shard_file] = broken.glob("*.safetensors")
    shard_file.write_bytes(b"no tensors")
    configure(monkeypatch, FLYWHEEL_DEEPSEEK_OCR=str(broken))
    shard_id = waiting_shard(tmp_path)
    perform(shard_id)
    with transaction() as session:
        assert "unsafe_model_format" in str(session.get_one(ShardRow, shard_id).detail)
        assert session.execute(select(PageRow.state)).scalar_one() == "pending"


def test_a_mode_that_the_setting_misspells_puts_the_shard_off_and_says_which_there_are(
    tmp_path: Path, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, FLYWHEEL_READER_MODE="huge")
    shard_id = waiting_shard(tmp_path)
    perform(shard_id)
    with transaction() as session:
        detail = str(session.get_one(ShardRow, shard_id).detail)
    assert "'huge' (FLYWHEEL_READER_MODE)" in detail
    assert "gundam" in detail


def read_now(path: Path, **values: str) -> TrialRow:
    with transaction() as session:
        row = TrialRow(name=path.name, blob_key=store().put_file(path), language="bo", **values)
        session.add(row)
        session.flush()
        ledger.enqueue(session, [Work("trial", trial_id=row.id)])
    drain(only="trial")
    with transaction() as session:
        return session.get_one(TrialRow, row.id)


def test_a_reading_looks_in_the_mode_it_is_given_and_counts_the_tokens(tmp_path: Path, there: Path) -> None:
    path = scans(tmp_path / "scan.pdf", 2)
    row = read_now(path, checkpoint_id="deepseek-ocr", mode="small")
    assert row.status == "finished"
    result = json.loads(store().get(str(row.result_key)))
    assert [(p["number"], p["vision_tokens"], p["text_tokens"]) for p in result["pages"]] == [
        (0, 100, 8),
        (1, 100, 8),
    ]
    assert result["pages"][0]["label"]["checkpoint"] == "deepseek-ocr"


@pytest.mark.parametrize(("checkpoint", "has"), [("deepseek-ocr", "tiny, small"), ("ppocr-v6-small", "none")])
def test_a_reading_in_a_mode_that_its_reader_does_not_have_fails_and_says_which_it_has(
    tmp_path: Path, there: Path, checkpoint: str, has: str
) -> None:
    row = read_now(scans(tmp_path / "scan.pdf", 1), checkpoint_id=checkpoint, mode="huge")
    assert (row.status, row.reason) == ("failed", "bad_settings")
    assert "'huge'" in str(row.detail)
    assert has in str(row.detail)


def test_modes_share_a_network_and_another_checkpoints_network_takes_its_place(there: Path) -> None:
    first, closer = page_reader("deepseek-ocr", "tiny"), page_reader("deepseek-ocr", "base")
    assert first is not closer
    assert page_reader("deepseek-ocr") is first
    network = weakref.ref(network_of(first))
    assert network_of(closer) is network()
    with transaction() as session:
        session.add(
            CheckpointRow(id="mine", architecture="deepseek-ocr", scripts=[], tree_key=store().put_tree(there))
        )
    del first, closer
    mine = page_reader("mine")
    assert mine.checkpoint == "mine"
    gc.collect()
    assert network() is None
    assert network_of(page_reader("mine", "base")) is network_of(mine)


def add_checkpoint(checkpoint: str, architecture: str = "deepseek-ocr", tree_key: str | None = None) -> None:
    with transaction() as session:
        row = CheckpointRow(id=checkpoint, architecture=architecture, scripts=[], tree_key=tree_key)
        session.add(row)


def network_of(reader: Any) -> Any:
    return reader._network


def test_what_cannot_be_loaded_says_what_is_missing() -> None:
    with transaction() as session:
        session.add(
            CheckpointRow(id="lost", architecture="deepseek-ocr", scripts=[], tree_key=f"sha256/ab/cd/{'0' * 64}")
        )
        session.add(CheckpointRow(id="odd", architecture="crystal-ball", scripts=[]))
    with pytest.raises(SetupError, match="files of lost are lost"):
        page_reader("lost")
    with pytest.raises(SetupError, match="crystal-ball"):
        page_reader("odd")
    with pytest.raises(SetupError, match="set FLYWHEEL_ENDPOINT"):
        page_reader("endpoint")


def test_while_one_batch_is_read_the_next_is_rendered_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits: list[int] = []
    second = threading.Event()

    def visit(number: int, _: int) -> None:
        visits.append(number)
        if number == 1:
            second.set()

    path, pages = scans(tmp_path / "scan.pdf", 4), drawn_pages(4)
    with Sandbox(on_page=visit) as sandbox:
        monkeypatch.setattr("tasks.recognition.sandbox", lambda: sandbox)
        parts = render_ahead(Attempt(a_claim()), path, pages, 1, 150.0)
        assert [page.number for page, _ in next(parts).pages] == [0]
        assert second.wait(30)
        assert [page.number for page, _ in next(parts).pages] == [1]
        assert visits[:2] == [0, 1]
        parts.close()
        assert 3 not in visits
        assert [
            page.number for page, _ in next(render_ahead(Attempt(a_claim()), path, pages[3:], 1, 150.0)).pages
        ] == [3]


def test_a_worker_that_ends_leaves_the_pdf_child_at_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, pages = scans(tmp_path / "scan.pdf", 6), drawn_pages(6)
    run = Attempt(a_claim())
    parts = render_ahead(run, path, pages, 2, 150.0)
    next(parts)

    def stopping() -> None:
        raise Stopping("the worker is shutting down")

    monkeypatch.setattr(run, "check", stopping)
    with pytest.raises(Stopping):
        next(parts)
    assert process.sandbox().inspect(path).pages == 6


def drawn_pages(count: int) -> list[PageRow]:
    _, ids = make_document(count, name="drawn.pdf")
    with transaction() as session:
        return list(session.execute(select(PageRow).where(PageRow.id.in_(ids)).order_by(PageRow.number)).scalars())


def a_claim() -> ledger.Claim:
    return ledger.Claim(1, "recognition", 1, "test", 1)
