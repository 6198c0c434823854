"""The API served over real HTTP, a key for it, and a client."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from flywheel import keys
from flywheel.api import app
from flywheel.client import Client


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
