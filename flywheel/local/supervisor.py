"""The supervisor of one embedded stack: one process, one thread, everything else its children.

It takes the directory's lock, clears away what an earlier run left, starts Postgres and
Redis, brings the tables up to date, starts the programs, and then sleeps until a
child ends, a signal arrives or, when attached, the process that started it is gone.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from flywheel.errors import FlywheelError, SetupError
from flywheel.local.ports import HOST, answers, free_port
from flywheel.local.postgres import prepare_postgres
from flywheel.local.processes import spawn
from flywheel.local.programs import Program, RestartPolicy, argv_values
from flywheel.local.record import MARK, StackStatus, locked, mark_of, read_record, write_record
from flywheel.local.recovery import clear_away
from flywheel.local.redis import prepare_redis
from flywheel.local.servers import Server
from flywheel.local.supervised import SupervisedProcess
from flywheel.states import ProgramState, StackState

log = logging.getLogger(__name__)


class _StopRequested(Exception):
    """A signal came, or the process that started this one ended, during a wait."""


class Supervisor:
    """Run one stack in `data_dir`. `lifeline`: a descriptor whose end of file ends the stack."""

    def __init__(
        self,
        data_dir: Path,
        programs: tuple[Program, ...],
        policy: RestartPolicy,
        run: str | None = None,
        lifeline: int | None = None,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.logs = self.data_dir / "logs"
        self.work_dir = self.data_dir / "work"
        self._programs = programs
        self._policy = policy
        self._run = run or uuid.uuid4().hex
        self._lifeline = lifeline
        self._stop_requests = 0
        self._servers: list[SupervisedProcess] = []
        self._children: list[SupervisedProcess] = []
        self._status = StackStatus(
            StackState.STARTING,
            "starting",
            str(self.data_dir),
            self._run,
            os.getpid(),
            psutil.Process().create_time(),
            store_url=(self.data_dir / "store").as_uri(),
            work_dir=str(self.work_dir),
            key_file=str(self.data_dir / "api_key"),
        )

    def run(self) -> int:
        """Start, watch and end the stack; returns the exit status. Raises Conflict for a directory in use."""
        self._install_signal_handlers()
        with locked(self.data_dir):
            before = read_record(self.data_dir)
            self._report(StackState.STARTING, "clearing away what an earlier run left")
            clear_away(self.data_dir)
            state, message = self._start_and_watch(before)
            self._shut_down(state, message)
        return 0 if state is StackState.STOPPED else 1

    def _start_and_watch(self, before: StackStatus | None) -> tuple[StackState, str]:
        """Start the stack and watch it; returns the state and the message that it ends with."""
        try:
            self._start(before)
            self._report(StackState.READY, f"the API answers at {self._status.api_url}")
            while not self._stop_requests:
                self._wait_and_update()
                self._check_servers()
        except _StopRequested:
            pass
        except FlywheelError as error:
            log.error("%s", error)  # noqa: TRY400  # it explains itself
            return StackState.FAILED, str(error)
        except Exception as error:
            log.exception("the supervisor itself failed")
            return StackState.FAILED, f"{type(error).__name__}: {error}"
        return StackState.STOPPED, "stopped"

    def _start(self, before: StackStatus | None) -> None:
        for directory in (self.logs, self.work_dir, self.data_dir / "store"):
            directory.mkdir(exist_ok=True, mode=0o700)
        self._start_guard()
        self._report(StackState.STARTING, "starting PostgreSQL and Redis")
        ports = before.port if before else lambda _name: None
        database = prepare_postgres(self.data_dir / "postgres", self.logs / "postgres.log", ports("postgres"))
        broker = prepare_redis(self.data_dir / "redis", self.logs / "redis.log", ports("redis"))
        self._servers = [self._start_server("postgres", database), self._start_server("redis", broker)]
        servers: tuple[Server, ...] = (database, broker)
        for server, child in zip(servers, self._servers, strict=True):
            self._wait_until(f"{server.name}'s first answer", server.ready, child)
        api_port = free_port(ports("api"))
        self._status = replace(
            self._status,
            database_url=database.url(),
            redis_url=broker.url(),
            api_url=f"http://{HOST}:{api_port}",
            ports=(("postgres", database.port), ("redis", broker.port), ("api", api_port)),
        )
        self._report(StackState.STARTING, "bringing the tables up to date")
        prepare_database(database.url(), Path(self._status.key_file))
        self._start_programs(api_port)

    def _start_programs(self, api_port: int) -> None:
        self._report(StackState.STARTING, "starting the programs")
        values = argv_values(str(self.data_dir), str(self.work_dir), HOST, api_port)
        environment = self._environment(api_port)
        for program in self._programs:
            if self._stop_requests:
                raise _StopRequested
            self._children.append(self._start_program(program, values, environment))
        for program, child in zip(self._programs, self._children[-len(self._programs) :], strict=False):
            if program.serves_api:
                self._wait_until(f"{program.name}'s first answer", lambda: answers(api_port), child)

    def _start_program(
        self, program: Program, values: dict[str, str], environment: dict[str, str]
    ) -> SupervisedProcess:
        log_file = self.logs / f"{program.name}.log"
        env = {**environment, **program.env}

        def start() -> subprocess.Popen[bytes]:
            return spawn(program.command(values), log=log_file, cwd=self.work_dir, env=env)

        child = SupervisedProcess(program.name, start, log_file, self._policy, program.grace, signal.SIGTERM)
        child.start()
        return child

    def _start_server(self, name: str, server: Server) -> SupervisedProcess:
        child = SupervisedProcess(name, server.spawn, server.log, self._policy, 30.0, server.stop_signal)
        child.start()
        return child

    def _start_guard(self) -> None:
        """Start the process that clears up after this one, should it be killed."""
        reading, self._guard_line = os.pipe()
        command = [sys.executable, "-m", "flywheel.local.guard", str(self.data_dir), self._run]
        log_file = self.logs / "guard.log"

        def start() -> subprocess.Popen[bytes]:
            return spawn(command, log=log_file, cwd=self.logs, stdin=reading, death_signal=0)

        guard = SupervisedProcess("guard", start, log_file, self._policy, 5.0, signal.SIGTERM)
        guard.start()
        self._children.append(guard)

    def _environment(self, api_port: int) -> dict[str, str]:
        return {
            **os.environ,
            "FLYWHEEL_DATABASE_URL": self._status.database_url,
            "FLYWHEEL_REDIS_URL": self._status.redis_url,
            "FLYWHEEL_STORE_URL": self._status.store_url,
            "FLYWHEEL_WORK_DIR": self._status.work_dir,
            "FLYWHEEL_API_HOST": HOST,
            "FLYWHEEL_API_PORT": str(api_port),
            "PYTHONUNBUFFERED": "1",
            MARK: mark_of(self._run, self.data_dir),
        }

    def _install_signal_handlers(self) -> None:
        """Turn signals, SIGCHLD among them, into bytes on a socket that `_wait_and_update` sleeps on."""
        self._wake, writing = socket.socketpair()
        self._wake.setblocking(False)
        writing.setblocking(False)
        self._writing = writing
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request_stop)

    def _request_stop(self, *_: object) -> None:
        self._stop_requests += 1

    def _wait_and_update(self, longest: float = 5.0) -> None:
        """Sleep until something happens, at most `longest` seconds, then update the children."""
        everyone = (*self._servers, *self._children)
        pauses = [
            child.restart_at - time.monotonic() for child in everyone if child.state is ProgramState.RESTARTING
        ]
        watched = [self._wake.fileno()] + ([] if self._lifeline is None else [self._lifeline])
        readable, _, _ = select.select(watched, [], [], max(0.0, min([longest, *pauses])))
        self._drain_wake_socket()
        if self._lifeline in readable and not os.read(self._lifeline, 4096):
            self._lifeline = None
            self._stop_requests += 1
        if not self._stop_requests:
            changed = [child for child in everyone if child.update()]
            if changed:
                self._write_record()

    def _wait_until(self, what: str, probe: Callable[[], bool], child: SupervisedProcess) -> None:
        """Update the children until `probe` holds; raises SetupError, quoting the log, after `ready` seconds."""
        deadline = time.monotonic() + self._policy.ready
        while not (child.state is ProgramState.RUNNING and probe()):
            if self._stop_requests:
                raise _StopRequested
            if child.state is ProgramState.FAILED or time.monotonic() > deadline:
                raise SetupError(f"{what} did not come: {child.failure}")
            self._wait_and_update(0.05)

    def _check_servers(self) -> None:
        for server in self._servers:
            if server.state is ProgramState.FAILED:
                raise SetupError(server.failure)

    def _shut_down(self, state: StackState, message: str) -> None:
        """End the programs, then the servers they need, then whatever is left, then the guard."""
        self._report(StackState.STOPPING, "stopping")
        self._stop_requests = 0  # from here on, a further request means at once
        self._end_children(self._children[1:])
        self._end_children(self._servers)
        clear_away(self.data_dir, seconds=1.0)
        self._end_children(self._children[:1])
        self._report(state, message)

    def _end_children(self, children: list[SupervisedProcess]) -> None:
        """Ask all at once to end; kill each when its grace is over, or all at a second request."""
        started = time.monotonic()
        for child in children:
            child.request_stop()
        while any(not child.has_ended() for child in children):
            for child in children:
                if self._stop_requests or time.monotonic() - started > child.grace:
                    child.kill()
            select.select([self._wake.fileno()], [], [], 0.1)
            self._drain_wake_socket()
        for child in children:
            child.mark_stopped()
        self._write_record()

    def _drain_wake_socket(self) -> None:
        with suppress(BlockingIOError):
            while self._wake.recv(4096):
                pass

    def _report(self, state: StackState, message: str) -> None:
        log.info("%s: %s", state, message)
        self._status = replace(self._status, state=state, message=message)
        self._write_record()

    def _write_record(self) -> None:
        programs = tuple(child.status() for child in (*self._servers, *self._children))
        self._status = replace(self._status, programs=programs)
        write_record(self._status)


def prepare_database(url: str, key_file: Path) -> None:
    """Bring the tables up to date and make the owner's API key when there is none."""
    from flywheel import database, keys

    try:
        database.upgrade(url)
        if not key_file.exists():
            building = key_file.with_name(f".{key_file.name}")
            building.unlink(missing_ok=True)
            building.touch(mode=0o600)
            building.write_text(keys.create_embedded_key(url) + "\n")
            building.replace(key_file)
    finally:
        database.engine(url).dispose()
