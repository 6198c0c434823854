"""Postgres and the API, killed or cut off while work is being written down."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from flywheel import database, keys
from flywheel.local.ports import free_port
from flywheel.local.postgres import PostgresServer, prepare_postgres
from flywheel.settings import settings
from flywheel.tables import Document
from tests.chaos.cluster import Cluster, Member, submission_hash
from tests.flywheel import draw


def test_fault_15_a_connection_cut_after_commit_was_sent_writes_nothing_twice(cluster: Cluster) -> None:
    cluster.books(1, 6)
    cluster.sweep()
    worker = cluster.worker("labels:before cut 1", processes=1)
    cluster.settle()
    assert (cluster.directory / "fault.0").exists()
    assert "deferred" in worker.says
    assert cluster.labels() == 6


def api(cluster: Cluster, port: int, fault: str = "") -> Member:
    """The API, answering."""
    serve = ["-m", "uvicorn", "flywheel.api:app", "--host", "127.0.0.1", "--port", str(port)]
    code = f"import sys, runpy, tests.chaos.sabotage; sys.argv = {serve[1:]}; runpy.run_module('uvicorn', run_name='__main__')"
    argv = [sys.executable, "-c", code] if fault else [sys.executable, *serve]
    member = cluster.start("api", argv, **cluster._fault(fault))

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/openapi.json").status_code == 200
        return False

    cluster.wait("the API", answers)
    return member
