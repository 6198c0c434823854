"""Client against the real API, and against servers that misbehave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flywheel import wire
from flywheel.client import Client
from flywheel.client.connection import TRIES
from flywheel.errors import ApiError, BlobCorrupt
from tests.flywheel.files import a_pdf, a_png, a_zip, written
from tests.flywheel.rows import give_labels, make_document

HEALTHY = b'{"status": "ok", "version": "1", "new_field": 1}'
REFUSED = b'{"error": {"code": "unavailable", "detail": "the database sleeps"}}'


class Scripted(ThreadingHTTPServer):
    """Server that answers each request with the next of its script, and records the requests."""

    def __init__(self, script: list[tuple[int, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.asked = script, list[str]()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        server = self.server
        assert isinstance(server, Scripted)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.asked.append(f"{self.command} {self.path}")
        status, body = server.script.pop(0)
        if status == 0:  # hang up without a word
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def scripted(*script: tuple[int, bytes]) -> Iterator[tuple[Client, Scripted]]:
    server = Scripted(list(script))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with Client(f"http://127.0.0.1:{server.server_port}/", "fw_a_b") as client:
            yield client, server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flywheel.client.connection.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("flywheel.client.connection.LONGEST_PAUSE", 0.02)


def test_a_get_is_tried_again_while_the_server_is_busy_or_hangs_up() -> None:
    with scripted((503, REFUSED), (0, b""), (503, REFUSED), (200, HEALTHY)) as (client, server):
        assert client.health().version == "1"
        assert len(server.asked) == 4


def test_trying_again_has_an_end() -> None:
    with scripted(*[(503, REFUSED)] * TRIES) as (client, server):
        with pytest.raises(ApiError, match="the database sleeps") as caught:
            client.corpora()
        assert (caught.value.status, caught.value.code) == (503, "unavailable")
        assert len(server.asked) == TRIES


def test_a_post_that_starts_work_is_sent_once() -> None:
    with scripted((503, REFUSED), (200, HEALTHY)) as (client, server):
        with pytest.raises(ApiError):
            client.start_round("bo")
        assert server.asked == ["POST /v1/rounds"]
    with scripted((0, b""), (200, HEALTHY)) as (client, server):
        with pytest.raises(ApiError) as caught:
            client.promote("line-bo-1")
        assert (caught.value.status, caught.value.code) == (0, "unreachable")
        assert len(server.asked) == 1


def test_a_submission_is_sent_again_because_its_bytes_tell_it_apart(tmp_path: Path) -> None:
    accepted = b'{"name": "a.pdf", "duplicate": false, "documents": []}'
    with scripted((503, REFUSED), (0, b""), (201, accepted)) as (client, server):
        assert client.submit("books", written(tmp_path, "a.pdf", a_pdf())).duplicate is False
        assert server.asked == ["POST /v1/corpora/books/documents?name=a.pdf"] * 3


def test_no_server_at_all_is_an_error_that_names_it() -> None:
    with (
        Client("http://127.0.0.1:1", "fw_a_b") as client,
        pytest.raises(ApiError, match=r"127\.0\.0\.1:1") as caught,
    ):
        client.health()
    assert (caught.value.status, caught.value.code) == (0, "unreachable")


@pytest.mark.parametrize("body", [b"<html>a login page</html>", b'{"something": "else"}'])
def test_a_server_of_another_kind_is_recognised(body: bytes) -> None:
    with scripted((200, body), (200, body), (404, body)) as (client, _):
        for call in (client.health, client.corpora):
            with pytest.raises(ApiError, match="does not answer like a Flywheel server"):
                call()
        with pytest.raises(ApiError, match="HTTP 404"):
            client.health()


def test_a_download_that_hashes_wrong_twice_leaves_nothing(tmp_path: Path) -> None:
    file = wire.ExportFile(path="rows.jsonl", size=3, sha256="0" * 64)
    bodies = [(200, b"abc")] * 2
    with scripted(*bodies) as (client, _), pytest.raises(BlobCorrupt, match=r"rows\.jsonl"):
        client.download_export_file(1, file, tmp_path / "rows.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_names_are_one_part_of_an_address() -> None:
    with scripted((404, b"{}")) as (client, server):
        with pytest.raises(ApiError):
            client.summary("a/../b c?")
        assert server.asked == ["GET /v1/corpora/a%2F..%2Fb%20c%3F"]


def test_a_file_is_streamed_and_its_bytes_are_counted(client: Client, tmp_path: Path) -> None:
    seen: list[int] = []
    data = a_zip({f"{number}.pdf": a_pdf(str(number)) for number in range(40)})
    upload = client.submit("books", written(tmp_path, "all.zip", data), language="en", on_bytes=seen.append)
    assert sum(seen) == len(data)
    assert len(upload.documents) == 40
    assert len(list(client.documents("books"))) == 40


def test_a_refusal_carries_status_code_and_detail(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ApiError) as caught:
        client.submit("books", written(tmp_path, "a.pdf", a_png()))
    assert (caught.value.status, caught.value.code) == (415, "not_pdf")
    assert caught.value.detail == "a.pdf: the bytes are image/png"


def test_following_a_corpus_ends_when_nothing_is_pending(client: Client) -> None:
    _, pages = make_document(2, corpus="books")
    give_labels(pages[:1])
    followed = client.follow_corpus("books")
    assert next(followed).pages.pending == 1
    give_labels(pages[1:])
    assert [summary.pages.pending for summary in followed] == [0]
