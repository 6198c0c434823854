"""Messages between sandbox and child: JSON with raw bytes behind it, each with its length in front.

    message = json length, body length (two big-endian uint32) | json (ASCII) | body

Nothing is ever unpickled, and the receiver refuses lengths beyond its limit, because
the child works on hostile files and may say anything.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

HEADER = struct.Struct("!II")
REQUEST_BYTES = 16 << 20
_LAYER = json.JSONDecoder(strict=False)  # json.loads would make one a page


class ConnectionLost(Exception):
    """The other end is gone, or sends something else than messages."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a JSON object and bytes that go with it."""

    head: dict[str, Any]
    body: bytes = b""


def send(wire: socket.socket, head: dict[str, Any], *bodies: bytes | memoryview) -> None:
    """Write one message, blocking. Raises OSError when the other end is gone."""
    text = json.dumps(head, separators=(",", ":")).encode("ascii")
    header = HEADER.pack(len(text), sum(len(body) for body in bodies))
    wire.sendall(b"".join((header, text, *bodies)))  # in one piece: every write wakes the reader


def receive(wire: socket.socket, deadline: float | None = None, limit: int = REQUEST_BYTES) -> Message:
    """Read one message.

    `deadline` is on time.monotonic's clock, `limit` the most bytes a part may have.
    Raises TimeoutError past the deadline, ConnectionLost when the stream ends or makes no sense.
    """
    text_length, body_length = HEADER.unpack(_exactly(wire, HEADER.size, deadline))
    if text_length > limit or body_length > limit:
        raise ConnectionLost(f"a message of {text_length} + {body_length} bytes")
    try:
        head = json.loads(_exactly(wire, text_length, deadline))
    except ValueError as error:
        raise ConnectionLost("a message that is no JSON") from error
    if not isinstance(head, dict):
        raise ConnectionLost("a message that is no object")
    return Message(head, bytes(_exactly(wire, body_length, deadline)))


def parsed(written: bytes) -> Any:
    """The text layer as MuPDF writes it in JSON; its strings may hold lone surrogates and controls."""
    try:
        text = written.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        text = written.decode("utf-8", "replace")
    return _LAYER.decode(text)


def _exactly(wire: socket.socket, size: int, deadline: float | None) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        if deadline is not None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            wire.settimeout(remaining)
        try:
            count = wire.recv_into(view)
        except ConnectionError as error:
            raise ConnectionLost("the connection broke") from error
        if count == 0:
            raise ConnectionLost("the stream ended")
        view = view[count:]
    return data
