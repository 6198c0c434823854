"""The store on S3: servers that misbehave, large files, local copies and their limit."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import flywheel.store.s3 as s3_module
from flywheel.errors import BlobCorrupt, FlywheelError, SetupError, StoreUnavailable
from flywheel.store import Store, key_of, open_store
from flywheel.store.cache import BlobCache
from flywheel.store.keys import copy_checked
from tests.flywheel.store.damage import flipped


class Wire(http.server.BaseHTTPRequestHandler):
    """Answers HEAD bucket with 200, and everything else as `answer` says."""

    answer: Callable[[Wire], None]
    requests: list[str]

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        type(self).requests.append(self.path)
        type(self).answer(self)

    do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: bytes, kind: str = "application/octet-stream", length: int = -1) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def misbehaving(answer: Callable[[Wire], None], work: Path) -> Iterator[tuple[Store, list[str]]]:
    handler = type("Handler", (Wire,), {"answer": staticmethod(answer), "requests": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        url = f"s3://key:secret@127.0.0.1:{server.server_port}/bucket?secure=false"
        yield open_store(url, work), handler.requests  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(s3_module, "RETRIES", 1)


def drip(wire: Wire) -> None:
    wire.reply(200, b"", length=1000)
    end = threading.Event()
    for _ in range(20):
        try:
            wire.wfile.write(b"x")
            wire.wfile.flush()
        except OSError:
            return
        end.wait(0.1)


ANSWERS: dict[str, tuple[Callable[[Wire], None], type[FlywheelError]]] = {
    "503": (lambda wire: wire.reply(503, b""), StoreUnavailable),
    "html": (lambda wire: wire.reply(404, b"<html>", "text/html"), StoreUnavailable),
    "bad xml": (lambda wire: wire.reply(400, b"<Error", "application/xml"), StoreUnavailable),
    "hangs up": (lambda wire: wire.connection.close(), StoreUnavailable),
    "breaks off": (lambda wire: wire.reply(200, b"half", length=100), StoreUnavailable),
    "drips": (drip, StoreUnavailable),
    "200 with an error": (
        lambda wire: wire.reply(200, b"<Error><Code>InternalError</Code></Error>", "application/xml"),
        BlobCorrupt,
    ),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", ANSWERS)
def test_a_server_that_misbehaves_is_never_believed(name: str, tmp_path: Path) -> None:
    answer, expected = ANSWERS[name]
    key = key_of(b"the true bytes")
    with misbehaving(answer, tmp_path) as (store, _):
        with pytest.raises(expected):
            store.get(key)
        with pytest.raises(expected):
            store.fetch(key, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("impatient")
def test_bytes_damaged_on_the_way_are_asked_for_once_more(tmp_path: Path) -> None:
    data = b"the true bytes"
    answers = [flipped(data), data]
    with misbehaving(lambda wire: wire.reply(200, answers.pop(0)), tmp_path) as (store, requests):
        assert store.get(key_of(data)) == data
    assert len(requests) == 2


@pytest.mark.usefixtures("impatient")
def test_no_server_at_all_is_transient(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        open_store("s3://key:secret@127.0.0.1:9/bucket?secure=false", tmp_path)


def test_a_server_that_refuses_the_credentials_is_a_setup_error(tmp_path: Path) -> None:
    class Refusing(Wire):
        def do_HEAD(self) -> None:
            self.send_response(403)
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        with pytest.raises(SetupError, match="refuses"):
            open_store(f"s3://key:secret@127.0.0.1:{server.server_port}/bucket?secure=false", tmp_path)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_large_file_goes_up_in_parts(s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "PART_BYTES", 5 << 20)
    store = open_store(s3_url, tmp_path / "work")
    data = os.urandom(1 << 20) * 11
    (tmp_path / "file").write_bytes(data)
    assert store.get(store.put_file(tmp_path / "file")) == data


@pytest.fixture
def cache(tmp_path: Path) -> BlobCache:
    def fetch(key: str, path: Path) -> None:
        data = BLOBS[key]
        with path.open("wb") as target:
            copy_checked(key, [data], target)

    return BlobCache(tmp_path / "cache", fetch, limit=2500)


BLOBS = {key_of(data): data for data in (bytes([n]) * 1000 for n in range(5))}


def test_the_cache_stays_within_its_limit_and_drops_the_least_recently_used(
    cache: BlobCache, tmp_path: Path
) -> None:
    first, second, third = list(BLOBS)[:3]
    for key in (first, second, first, third):
        with cache.open(key) as path:
            assert path.read_bytes() == BLOBS[key]
    kept = {path.name for path in (tmp_path / "cache").iterdir()}
    assert kept == {key.rpartition("/")[2] for key in (first, third)}


def test_a_file_in_use_is_never_evicted(cache: BlobCache) -> None:
    first, *others = BLOBS
    with cache.open(first) as path:
        for key in others:
            with cache.open(key):
                pass
        assert path.read_bytes() == BLOBS[first]


def test_a_local_copy_that_was_tampered_with_is_fetched_again(cache: BlobCache) -> None:
    key = next(iter(BLOBS))
    with cache.open(key) as path:
        pass
    path.write_bytes(b"tampered")
    with cache.open(key) as path:
        assert path.read_bytes() == BLOBS[key]
