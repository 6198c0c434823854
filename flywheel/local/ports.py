"""Loopback ports: find a free one, and see if something listens."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


def free_port(preferred: int | None = None) -> int:
    """`preferred` when nobody listens there, else one the kernel picks; another process may still be faster."""
    if preferred:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, preferred))
            except OSError:
                pass
            else:
                return preferred
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """True when a connection to the loopback port is accepted."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
