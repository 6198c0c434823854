"""The API served over real HTTP, a key for it, a client, and the command line against it."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from flywheel import cli, keys
from flywheel.api import app
from flywheel.client import Client
from tests.flywheel.cli.answers import Run

CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """The API on a free port. It asks for its settings with each request, so every test brings its own."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline, "the API did not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def admin_key(environment: dict[str, str]) -> str:
    """A key for everything, of this test's database."""
    return keys.create_embedded_key(environment["FLYWHEEL_DATABASE_URL"])


@pytest.fixture
def client(server_url: str, admin_key: str) -> Iterator[Client]:
    with Client(server_url, admin_key) as connected:
        yield connected


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `flywheel ARGS` with no server to be found; gives exit code, output and errors."""
    for name in ("FLYWHEEL_API_URL", "FLYWHEEL_API_KEY", "FLYWHEEL_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["flywheel", *map(str, args)])
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        return status, CODES.sub("", captured.out), CODES.sub("", captured.err)

    return call


@pytest.fixture
def run(bare: Run, server_url: str, admin_key: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `flywheel ARGS` against the served API."""
    monkeypatch.setenv("FLYWHEEL_API_URL", server_url)
    monkeypatch.setenv("FLYWHEEL_API_KEY", admin_key)
    return bare
