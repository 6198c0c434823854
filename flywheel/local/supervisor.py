"""The supervisor of one embedded stack: one process, one thread, everything else its children.

It takes the directory's lock, clears away what an earlier run left, starts Postgres and
Redis, brings the tables up to date, starts the programs, and then sleeps until a
child ends, a signal arrives or, when attached, whoever started it is gone.
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
from flywheel.local.child import SupervisedProcess
from flywheel.local.ports import HOST, answers, free_port
from flywheel.local.postgres import PostgresServer, prepare_postgres
from flywheel.local.processes import spawn
from flywheel.local.programs import Program, RestartPolicy, argv_values
from flywheel.local.record import MARK, StackStatus, State, locked, mark_of, read_record, write_record
from flywheel.local.recovery import clear_away
from flywheel.local.redis import RedisServer, prepare_redis

log = logging.getLogger(__name__)


class _AskedToEnd(Exception):
    """A signal, or the end of whoever started us, while something was waited for."""


class Supervisor:
    """Runs one stack in `data_dir`. `lifeline`: a descriptor whose end of file ends the stack."""

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
        self._asked = 0  # how often someone asked for the end
        self._servers: list[SupervisedProcess] = []
        self._children: list[SupervisedProcess] = []
        self._status = StackStatus(
            "starting",
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
        """The stack's whole life; returns the exit status. Raises Conflict when the directory is in use."""
        self._listen()
        with locked(self.data_dir):
            before = read_record(self.data_dir)
            self._say("starting", "clearing away what an earlier run left")
            clear_away(self.data_dir)
            state, message = self._live(before)
            self._end(state, message)
        return 0 if state == "stopped" else 1

    def _live(self, before: StackStatus | None) -> tuple[State, str]:
        try:
            self._start(before)
            self._say("ready", f"the API answers at {self._status.api_url}")
            while not self._asked:
                self._turn()
                self._check_servers()
        except _AskedToEnd:
            pass
        except FlywheelError as error:
            log.error("%s", error)  # noqa: TRY400  # it explains itself
            return "failed", str(error)
        except Exception as error:
            log.exception("the supervisor itself failed")
            return "failed", f"{type(error).__name__}: {error}"
        return "stopped", "stopped"

    def _start(self, before: StackStatus | None) -> None:
        for directory in (self.logs, self.work_dir, self.data_dir / "store"):
            directory.mkdir(exist_ok=True, mode=0o700)
        self._start_guard()
        self._say("starting", "starting PostgreSQL and Redis")
        ports = before.port if before else lambda _name: None
        database = prepare_postgres(self.data_dir / "postgres", self.logs / "postgres.log", ports("postgres"))
        broker = prepare_redis(self.data_dir / "redis", self.logs / "redis.log", ports("redis"))
        self._servers = [self._serve("postgres", database), self._serve("redis", broker)]
        self._until("PostgreSQL's first answer", database.ready, self._servers[0])
        self._until("Redis's first answer", broker.ready, self._servers[1])
        api_port = free_port(ports("api"))
        self._status = replace(
            self._status,
            database_url=database.url(),
            redis_url=broker.url(),
            api_url=f"http://{HOST}:{api_port}",
            ports=(("postgres", database.port), ("redis", broker.port), ("api", api_port)),
        )
        self._say("starting", "bringing the tables up to date")
        prepare_database(database.url(), Path(self._status.key_file))
        self._start_programs(api_port)

    def _start_programs(self, api_port: int) -> None:
        self._say("starting", "starting the programs")
        values = argv_values(str(self.data_dir), str(self.work_dir), HOST, api_port)
        environment = self._environment(api_port)
        for program in self._programs:
            if self._asked:
                raise _AskedToEnd
            self._children.append(self._supervise(program, values, environment))
        for program, child in zip(self._programs, self._children[-len(self._programs) :], strict=False):
            if program.serves_api:
                self._until(f"{program.name}'s first answer", lambda: answers(api_port), child)

    def _supervise(
        self, program: Program, values: dict[str, str], environment: dict[str, str]
    ) -> SupervisedProcess:
        log_file = self.logs / f"{program.name}.log"
        env = {**environment, **program.env}

        def start() -> subprocess.Popen[bytes]:
            return spawn(program.command(values), log=log_file, cwd=self.work_dir, env=env)

        child = SupervisedProcess(program.name, start, log_file, self._policy, program.grace, signal.SIGTERM)
        child.start()
        return child

    def _serve(self, name: str, server: PostgresServer | RedisServer) -> SupervisedProcess:
        child = SupervisedProcess(name, server.spawn, server.log, self._policy, 30.0, server.stop_signal)
        child.start()
        return child

    def _start_guard(self) -> None:
        """A process that outlives us just long enough to clear up, should we be killed."""
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

    def _listen(self) -> None:
        """Signals, a child's death among them, become bytes on a socket that `_turn` sleeps on."""
        self._wake, writing = socket.socketpair()
        self._wake.setblocking(False)
        writing.setblocking(False)
        self._writing = writing
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self._asked += 1

    def _turn(self, longest: float = 5.0) -> None:
        """Sleeps until something happens, at most `longest` seconds, then tends the children."""
        everyone = (*self._servers, *self._children)
        pauses = [child.due - time.monotonic() for child in everyone if child.state == "restarting"]
        watched = [self._wake.fileno()] + ([] if self._lifeline is None else [self._lifeline])
        readable, _, _ = select.select(watched, [], [], max(0.0, min([longest, *pauses])))
        with suppress(BlockingIOError):
            while self._wake.recv(4096):
                pass
        if self._lifeline in readable and not os.read(self._lifeline, 4096):
            self._lifeline = None
            self._asked += 1
        if not self._asked:
            changed = [child for child in everyone if child.tend()]
            if changed:
                self._write()

    def _until(self, what: str, probe: Callable[[], bool], child: SupervisedProcess) -> None:
        """Turns until `probe` holds; raises SetupError, quoting the child's log, when it will not."""
        deadline = time.monotonic() + self._policy.ready
        while not (child.state == "running" and probe()):
            if self._asked:
                raise _AskedToEnd
            if child.state == "failed" or time.monotonic() > deadline:
                raise SetupError(f"{what} did not come: {child.obituary()}")
            self._turn(0.05)

    def _check_servers(self) -> None:
        for server in self._servers:
            if server.state == "failed":
                raise SetupError(server.obituary())

    def _end(self, state: State, message: str) -> None:
        """Programs first, then the servers they need, then whatever is left, then the guard."""
        self._say("stopping", "stopping")
        self._asked = 0  # from here on, asking again means at once
        self._end_children(self._children[1:])
        self._end_children(self._servers)
        clear_away(self.data_dir, seconds=1.0)
        self._end_children(self._children[:1])
        self._say(state, message)

    def _end_children(self, children: list[SupervisedProcess]) -> None:
        """Asks all at once; kills each when its grace is over, or all when asked a second time."""
        started = time.monotonic()
        for child in children:
            child.ask_to_end()
        while any(not child.has_ended() for child in children):
            for child in children:
                if self._asked or time.monotonic() - started > child.grace:
                    child.kill()
            self._turn_quietly()
        for child in children:
            child.buried()
        self._write()

    def _turn_quietly(self) -> None:
        select.select([self._wake.fileno()], [], [], 0.1)
        with suppress(BlockingIOError):
            while self._wake.recv(4096):
                pass

    def _say(self, state: State, message: str) -> None:
        log.info("%s: %s", state, message)
        self._status = replace(self._status, state=state, message=message)
        self._write()

    def _write(self) -> None:
        programs = tuple(child.status() for child in (*self._servers, *self._children))
        self._status = replace(self._status, programs=programs)
        write_record(self._status)


def prepare_database(url: str, key_file: Path) -> None:
    """Brings the tables up to date and makes the owner's API key when there is none."""
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
