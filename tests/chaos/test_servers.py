"""Postgres and the API, killed or cut off while work is being written down."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from flywheel import keys
from flywheel.database import engine, upgrade
from flywheel.database.tables import DocumentRow
from flywheel.local.ports import HOST, free_port
from flywheel.local.postgres import PostgresServer, end_leftover, prepare_postgres
from flywheel.settings import settings
from tests.chaos import invariants
from tests.chaos.cluster import Cluster, Member, submission_hash
from tests.flywheel import draw


def test_fault_15_a_connection_cut_after_commit_was_sent_writes_nothing_twice(cluster: Cluster) -> None:
    cluster.books(1, 6)
    cluster.sweep()
    worker = cluster.worker("labels:before cut 1", processes=1)
    cluster.settle()
    assert (cluster.directory / "fault.0").exists()
    cluster.wait("the worker to say that its commit's answer was lost", lambda: "deferred" in worker.says)
    assert cluster.labels() == 6


def api(cluster: Cluster, port: int, fault: str = "") -> Member:
    """The API, answering."""
    member = cluster.program("uvicorn", "flywheel.api:app", "--host", HOST, "--port", str(port), fault=fault)

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://{HOST}:{port}/healthz").status_code == 200
        return False

    cluster.wait("the API", answers)
    return member


@pytest.mark.parametrize(("when", "documents", "code"), [("before", 0, 201), ("after", 1, 200)])
def test_fault_5_a_submission_that_lost_its_answer_is_sent_again_and_is_in_once(
    cluster: Cluster, when: str, documents: int, code: int
) -> None:
    port = free_port()
    path = cluster.directory / "book.pdf"
    draw.latin_pdf(path, 3, lines=3)
    url = f"http://{HOST}:{port}/v1/corpora/chaos/documents?name=book.pdf&language=en"
    key = keys.create_embedded_key(cluster.environment["FLYWHEEL_DATABASE_URL"])

    def send() -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/pdf"}
        return httpx.post(url, content=path.read_bytes(), headers=headers, timeout=30)

    killed = api(cluster, port, f"documents:{when} kill 1")
    with pytest.raises(httpx.TransportError):
        send()
    assert killed.process.wait(10) == -signal.SIGKILL
    assert cluster.count(DocumentRow) == documents
    api(cluster, port)
    answer = send()
    assert answer.status_code == code, answer.text
    cluster.note(answer.json()["documents"][0]["document_id"], submission_hash(path))
    cluster.sweep()
    cluster.worker(processes=1)
    cluster.settle()
    assert cluster.labels() == 3


@pytest.fixture
def own_postgres(programs: Cluster, servers_dir: Path) -> Iterator[PostgresServer]:
    """A Postgres of this cluster alone that keeps what it promised, not started yet."""
    server = prepare_postgres(servers_dir / "chaos-postgres", programs.directory / "postgres.log", free_port())
    yield server
    end_leftover(server.directory)


@pytest.mark.chaos_long
def test_fault_14_postgres_killed_under_load_comes_back_and_nothing_promised_is_lost(
    programs: Cluster, own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = own_postgres.spawn()
    programs.wait("Postgres", own_postgres.ready)
    upgrade(own_postgres.url())
    monkeypatch.setenv("FLYWHEEL_DATABASE_URL", own_postgres.url())
    settings.cache_clear()
    programs.environment["FLYWHEEL_DATABASE_URL"] = own_postgres.url()
    pages = programs.books(30, 8)
    sweep, worker = programs.sweep(), programs.worker()
    for _ in range(2):
        before = programs.labels()
        programs.wait("work going on", lambda n=before: programs.labels() > n + 16 and programs.held() > 0)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(10)
        end_leftover(own_postgres.directory)
        first = own_postgres.spawn()
        programs.wait("Postgres", own_postgres.ready)
        engine().dispose()
    programs.settle(150)
    assert (sweep.process.poll(), worker.process.poll()) == (None, None)
    assert programs.labels() == pages
    invariants.check(programs)
    engine().dispose()
    programs.end()
    first.send_signal(own_postgres.stop_signal)
    first.wait(20)
