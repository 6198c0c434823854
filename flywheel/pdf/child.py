"""The child: take requests from the parent, ask MuPDF, and answer page by page.

Run as `python -m flywheel.pdf.child FD PARENT LIMITS` by flywheel.pdf.process, never by hand.
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
from typing import TYPE_CHECKING

from flywheel.pdf.limits import Limits
from flywheel.pdf.messages import ConnectionLost, Message, receive, send

if TYPE_CHECKING:
    from flywheel.pdf.documents import DocumentReader

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


def main() -> None:
    """Serve until the parent goes away."""
    wire_number, parent, limits = int(sys.argv[1]), int(sys.argv[2]), Limits(**json.loads(sys.argv[3]))
    _die_with_parent(parent)
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the worker, which decides about its child
        signal.signal(number, signal.SIG_IGN)
    from flywheel.pdf.documents import DocumentReader

    reader = DocumentReader(limits)
    confine(limits)
    with socket.socket(fileno=wire_number) as wire, contextlib.suppress(ConnectionLost, OSError):
        send(wire, {"is": "ready"})
        while True:
            serve(wire, reader, receive(wire), limits)


def serve(wire: socket.socket, reader: DocumentReader, request: Message, limits: Limits) -> None:
    """Answer one request: a message about the document, then one a page. A refused document ends it."""
    head = request.head
    numbers = head.get("numbers", [])
    limit_cpu(limits.document_seconds)
    answer = reader.open(head["path"], head["media"], inspect=head["do"] == "inspect")
    send(wire, answer)
    if answer["is"] != "document":
        return
    for number in numbers:
        limit_cpu(limits.page_seconds)
        send(wire, *reader.page(number, head))
    gc.collect(0)


def confine(limits: Limits) -> None:
    """Limit what a hostile file can make this process do. Called after the imports, which need more."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.open_files, limits.open_files))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_cpu(seconds: float) -> None:
    """Limit CPU time from now on: a backstop for a child whose parent is stopped and cannot kill it."""
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
