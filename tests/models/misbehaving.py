"""An OpenAI-compatible server that misbehaves on command, for tests of what must bear it.

    with Server() as server:
        server.does(busy(503), answers("..."))    for the next requests, one each
        server.always = hangs                     for all that follow
        server.of_level[40] = html                for the page whose image is of this gray

Pages are told apart by their gray: a good server answers with the level it sees.
"""

from __future__ import annotations

import base64
import io
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEAD = "<|ref|>text<|/ref|><|det|>[[100, 100, 900, 300]]<|/det|>\n"


@dataclass
class Exchange:
    """One request, and the way to answer it."""

    server: Server
    handler: BaseHTTPRequestHandler
    body: dict[str, Any]
    at: float = field(default_factory=time.monotonic)
    together: int = 0  # requests that the server had when this one came, itself counted

    @property
    def image(self) -> NDArray[np.uint8]:
        url = self.body["messages"][0]["content"][0]["image_url"]["url"]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))))

    @property
    def level(self) -> int:
        return round(float(self.image.mean()))

    def reply(self, status: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", kind)
        self.handler.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()
        self.server.leave()
        self.handler.wfile.write(content)

    def reply_json(self, status: int, data: object, **headers: str) -> None:
        self.reply(status, json.dumps(data).encode(), **headers)


Behaviour = Callable[[Exchange], None]


def completion(text: str | None, finish: str = "stop", logprobs: object = None, tokens: int = 7) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": logprobs}
    return {"object": "chat.completion", "choices": [choice], "usage": {"completion_tokens": tokens}}


def pieces_of(text: str, probability: float = 0.5) -> dict[str, Any]:
    """Logprobs as vLLM gives them, a character a token."""
    value = float(np.log(probability))
    return {"content": [{"token": c, "logprob": value, "bytes": list(c.encode())} for c in text]}


def good(exchange: Exchange) -> None:
    """Says which gray it sees, in markup, with a confidence when asked for one."""
    text = f"{HEAD}gray {exchange.level}"
    exchange.reply_json(200, completion(text, logprobs=pieces_of(text) if exchange.body.get("logprobs") else None))


def slow(seconds: float) -> Behaviour:
    """Good, after a while."""

    def behave(exchange: Exchange) -> None:
        time.sleep(seconds)
        good(exchange)

    return behave


def answers(text: str | None, **options: Any) -> Behaviour:
    return lambda exchange: exchange.reply_json(200, completion(text, **options))


def replies(status: int, data: object, **headers: str) -> Behaviour:
    return lambda exchange: exchange.reply_json(status, data, **headers)


def busy(status: int = 503, hold: Callable[[], object] = lambda: None, **headers: str) -> Behaviour:
    """Has no room, which it says after `hold`."""

    def behave(exchange: Exchange) -> None:
        hold()
        exchange.reply_json(status, {"error": {"message": "busy"}}, **headers)

    return behave


def refuses(name: str, words: str) -> Behaviour:
    """Answers 400 to whatever has this argument, and is good to all else."""

    def behave(exchange: Exchange) -> None:
        if name in exchange.body:
            exchange.reply_json(400, {"object": "error", "message": words, "code": 400})
        else:
            good(exchange)

    return behave


def resets(exchange: Exchange) -> None:
    """Drops the connection with a reset."""
    linger = struct.pack("ii", 1, 0)
    exchange.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    exchange.handler.close_connection = True
    exchange.handler.rfile.close()  # it holds the socket open, too
    exchange.handler.connection.close()


def hangs(exchange: Exchange) -> None:
    """Says nothing until the server closes."""
    exchange.server.closing.wait(20)


def drips(exchange: Exchange) -> None:
    """A byte every 20 ms, and never the last."""
    exchange.handler.send_response(200)
    exchange.handler.send_header("Content-Length", "100000")
    exchange.handler.end_headers()
    while not exchange.server.closing.wait(0.02):
        exchange.handler.wfile.write(b" ")
        exchange.handler.wfile.flush()


def drips_headers(exchange: Exchange) -> None:
    """A header without end."""
    exchange.handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not exchange.server.closing.wait(0.02):
        exchange.handler.wfile.write(b"a")
        exchange.handler.wfile.flush()


def html(exchange: Exchange) -> None:
    exchange.reply(200, b"<html><body>Sign in</body></html>", "text/html")


def cut_json(exchange: Exchange) -> None:
    exchange.reply(200, json.dumps(completion("gray")).encode()[:-20])


def nested(exchange: Exchange) -> None:
    exchange.reply(200, b"[" * 100_000)


def huge(exchange: Exchange) -> None:
    """More than anyone should keep, and no end in sight."""
    exchange.handler.send_response(200)
    exchange.handler.send_header("Content-Length", str(1 << 40))
    exchange.handler.end_headers()
    while not exchange.server.closing.is_set():
        exchange.handler.wfile.write(b" " * 65536)


def error_with_200(exchange: Exchange) -> None:
    exchange.reply_json(200, {"error": {"message": "engine is dead", "code": 500}})


class Server(ThreadingHTTPServer):
    """Keeps what it sees. `now`: the requests that it has in hand."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: list[str] = ["a-model"]
        self.always: Behaviour = good
        self.of_level: dict[int, Behaviour] = {}
        self.seen: list[Exchange] = []
        self.now = 0
        self.closing = threading.Event()
        self._next: list[Behaviour] = []
        self._lock = threading.Lock()
        self._here = threading.local()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def does(self, *behaviours: Behaviour) -> None:
        self._next += behaviours

    def serve(self, exchange: Exchange) -> None:
        with self._lock:
            self.seen.append(exchange)
            self.now += 1
            exchange.together = self.now
            behaviour = self._next.pop(0) if self._next else None
        self._here.inside = True
        try:
            (behaviour or self.of_level.get(exchange.level, self.always))(exchange)
        finally:
            self.leave()

    def leave(self) -> None:
        """The request is over: from the last byte on its sender may send another."""
        if getattr(self._here, "inside", False):
            self._here.inside = False
            with self._lock:
                self.now -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that turn away are what these tests are about."""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    timeout = 20

    def do_GET(self) -> None:
        exchange = Exchange(self.server, self, {})
        entries = [{"id": name, "object": "model"} for name in self.server.models]
        exchange.reply_json(*((200, {"data": entries}) if self.path == "/v1/models" else (404, {"detail": "no"})))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        exchange = Exchange(self.server, self, body)
        if self.path == "/v1/chat/completions":
            self.server.serve(exchange)
        else:
            exchange.reply_json(404, {"detail": "Not Found"})

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test's output is its own."""
