"""The child: takes requests from its parent, asks MuPDF, and answers page by page.

Run as `python -m flywheel.pdf.child FD SETTINGS` by flywheel.pdf.process, never by hand.
It trusts the parent and no file. Nothing it does matters to anyone but its own
answers: it may be killed at any instant.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

from flywheel.pdf.frames import Frame, Lost, receive, send

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """The part of `Limits` that the child applies to itself, and its parent's pid."""

    parent: int
    memory_bytes: int
    open_files: int
    page_seconds: float
    document_seconds: float
    pixel_limit: int
    image_pixels: int
    page_points: float


def main() -> None:
    """Serve until the parent goes away."""
    settings = ChildSettings(**json.loads(sys.argv[2]))
    _die_with_parent(settings.parent)
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the worker, which decides about its child
        signal.signal(number, signal.SIG_IGN)
    from flywheel.pdf.documents import DocumentReader

    reader = DocumentReader(settings)
    confine(settings)
    with socket.socket(fileno=int(sys.argv[1])) as wire, contextlib.suppress(Lost, OSError):
        send(wire, {"is": "ready"})
        while True:
            serve(wire, reader, receive(wire), settings)


def serve(wire: socket.socket, reader: Any, request: Frame, settings: ChildSettings) -> None:
    """One request: a frame about the document, then one a page. A refused document ends it."""
    head = request.head
    numbers = head.get("numbers", [])
    allow_seconds(settings.document_seconds)
    answer = reader.open(head["path"], head["media"], inspect=head["do"] == "inspect")
    send(wire, answer)
    if answer["is"] != "document":
        return
    for number in numbers:
        allow_seconds(settings.page_seconds)
        send(wire, *reader.page(number, head))
    gc.collect(0)


def confine(settings: ChildSettings) -> None:
    """Limits on what a hostile file can make this process do. Set after the imports, which need more."""
    resource.setrlimit(resource.RLIMIT_AS, (settings.memory_bytes, settings.memory_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (settings.open_files, settings.open_files))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def allow_seconds(seconds: float) -> None:
    """CPU time from now on: a backstop for a child whose parent is stopped and cannot kill it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 5, hard))


def _die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux)."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call above
        sys.exit(1)


if __name__ == "__main__":
    main()
