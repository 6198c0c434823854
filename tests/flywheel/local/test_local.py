"""The embedded stack, run for real with small programs in place of the service's own."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
import yaml

import flywheel
from flywheel.errors import Conflict, SetupError
from flywheel.local import (
    PROGRAMS,
    Program,
    RestartPolicy,
    Stack,
    StackStatus,
    find,
    postgres_server,
    start,
    status,
    stop,
)
from flywheel.local.ports import free_port
from flywheel.local.processes import matching
from flywheel.local.programs import from_json, to_json
from flywheel.local.recovery import belongs
from flywheel.local.redis import redis_server
from flywheel.settings import Settings
from flywheel.work.route import QUEUES

API = Program("api", ("{python}", "-m", "http.server", "--bind", "{host}", "{api_port}"), grace=5, serves_api=True)
# Starts a grandchild in a session of its own, notes both ids, and refuses to end when asked.
STUBBORN = Program(
    "stubborn",
    (
        "{python}",
        "-c",
        "import os, pathlib, signal, subprocess, sys, time\n"
        "code = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)'\n"
        "child = subprocess.Popen([sys.executable, '-c', code], start_new_session=True)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path('building').write_text(f'{os.getpid()} {child.pid}')\n"
        "os.replace('building', 'pids')\n"
        "time.sleep(1000)",
    ),
    grace=0.3,
)
SLEEPER = Program("sleeper", ("sleep", "1000"), grace=5)
SHOWS = Program(
    "shows",
    (
        "{python}",
        "-c",
        "import json, os, time\n"
        "json.dump(dict(os.environ), open('building', 'w'))\n"
        "os.replace('building', 'environment')\n"
        "time.sleep(1000)",
    ),
    env={"EXTRA": "1"},
    grace=5,
)
POOL = Program(
    "pool",
    (
        "{python}",
        "-c",
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "open('pool-building', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "os.replace('pool-building', 'pool')\n"
        "time.sleep(1000)",
    ),
    grace=5,
)
DYING = Program("dying", ("{python}", "-c", "raise SystemExit('no hope')"))
QUICK = RestartPolicy(first_pause=0.05, longest_pause=0.2, healthy=60, give_up=4, ready=30)


@pytest.fixture(scope="module")
def seed() -> Iterator[Path]:
    """A stack's directory, stopped: copying it is quicker than making another."""
    with fresh_directory() as directory:
        start(directory, programs=(), policy=QUICK).stop()
        for name in ("stack.json", "lock"):
            (directory / name).unlink()
        yield directory


@contextmanager
def fresh_directory() -> Iterator[Path]:
    """As deep as real ones are; a Unix socket's path would not fit. Nothing may be left running in it."""
    parent = Path(tempfile.mkdtemp(prefix="flywheel-stack-"))
    directory = parent / ("deep-" * 12) / ("down-" * 12)
    try:
        yield directory
        assert remaining(directory) == []
    finally:
        stop(directory)
        shutil.rmtree(parent)


@pytest.fixture
def data_dir(seed: Path) -> Iterator[Path]:
    with fresh_directory() as directory:
        directory.parent.mkdir()
        subprocess.run(["cp", "-a", seed, directory], check=True)  # keeps the owner of Postgres' files
        yield directory


@pytest.fixture(scope="module")
def running(seed: Path) -> Iterator[Stack]:
    """A stack that several tests look at, and whose children they kill."""
    with fresh_directory() as directory:
        directory.parent.mkdir()
        subprocess.run(["cp", "-a", seed, directory], check=True)
        with start(directory, programs=(API, SLEEPER, SHOWS, POOL, DYING), policy=QUICK) as stack:
            yield stack


def remaining(directory: Path) -> list[psutil.Process]:
    """Processes that the stack started, that work inside its directory, or that name it."""

    def of_stack(process: psutil.Process) -> bool:
        inside = process.cwd().startswith(str(directory)) or str(directory) in " ".join(process.cmdline())
        return inside or belongs(process, directory)

    return matching(of_stack)


def eventually(what: str, probe: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.02)


def program(found: StackStatus, name: str) -> tuple[str, int | None, int]:
    entry = next(entry for entry in found.programs if entry.name == name)
    return entry.state, entry.pid, entry.restarts


def test_up_gives_real_servers_and_down_leaves_nothing(data_dir: Path) -> None:
    said: list[str] = []
    stack = start(data_dir, programs=(API, SLEEPER), policy=QUICK, on_progress=said.append)
    variables = stack.environment()
    with psycopg.connect(variables["FLYWHEEL_DATABASE_URL"]) as connection:
        assert connection.info.server_version >= 180000
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
    with redis.Redis.from_url(variables["FLYWHEEL_REDIS_URL"]) as client:
        settings = client.config_get("*")
        assert (settings["appendfsync"], settings["maxmemory-policy"]) == ("everysec", "noeviction")
        assert settings["maxmemory"] == str(256 << 20)
    with urllib.request.urlopen(variables["FLYWHEEL_API_URL"]) as answer:
        assert answer.status == 200
    assert variables["FLYWHEEL_API_KEY"].startswith("fw_")
    assert variables["FLYWHEEL_STORE_URL"] == (data_dir / "store").as_uri()
    assert said[-1] == f"the API answers at {variables['FLYWHEEL_API_URL']}"
    found = status(data_dir)
    assert found.state == "ready"
    assert {entry.name for entry in found.programs} == {"postgres", "redis", "guard", "api", "sleeper"}
    assert all(Path(entry.log).is_file() and psutil.pid_exists(entry.pid or 0) for entry in found.programs)
    assert stop(data_dir)
    assert remaining(data_dir) == []
    assert status(data_dir).state == "stopped"
    assert not stop(data_dir)


def test_the_programs_get_the_stacks_variables(running: Stack) -> None:
    written = running.data_dir / "work" / "environment"
    eventually("the program wrote", written.exists)
    seen = json.loads(written.read_text())
    expected = running.environment()
    for name in ("DATABASE_URL", "REDIS_URL", "STORE_URL", "WORK_DIR"):
        assert seen[f"FLYWHEEL_{name}"] == expected[f"FLYWHEEL_{name}"]
    assert seen["EXTRA"] == "1"


def test_secrets_are_for_their_owner_alone(running: Stack) -> None:
    for name in ("stack.json", "api_key", "redis.conf", "postgres.password"):
        assert stat.S_IMODE((running.data_dir / name).stat().st_mode) == 0o600
    for name in ("store", "work", "logs", "postgres", "redis"):
        assert stat.S_IMODE((running.data_dir / name).stat().st_mode) == 0o700


def test_a_second_up_says_so_and_does_no_harm(running: Stack) -> None:
    with pytest.raises(Conflict, match=r"ready in .* already"):
        start(running.data_dir, programs=(SLEEPER,), policy=QUICK)
    command = [sys.executable, "-m", "flywheel.local", str(running.data_dir)]
    direct = subprocess.run(command, capture_output=True, text=True, check=False)
    assert direct.returncode == 75
    assert "already" in direct.stderr
    assert status(running.data_dir).pid == running.status.pid
    assert status(running.data_dir).state == "ready"


def test_data_key_and_api_address_survive_down_and_up(data_dir: Path) -> None:
    with start(data_dir, programs=(API,), policy=QUICK) as stack:
        before = stack.environment()
        with psycopg.connect(before["FLYWHEEL_DATABASE_URL"]) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with start(data_dir, programs=(API,), policy=QUICK) as stack:
        after = stack.environment()
        with psycopg.connect(after["FLYWHEEL_DATABASE_URL"]) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert after["FLYWHEEL_API_KEY"] == before["FLYWHEEL_API_KEY"]


@pytest.mark.parametrize("name", ["sleeper", "postgres", "redis", "guard"])
def test_a_child_that_is_killed_is_started_again(running: Stack, name: str) -> None:
    _, pid, _ = program(running.status, name)
    assert pid
    psutil.Process(pid).kill()
    eventually("a restart", lambda: program(status(running.data_dir), name)[::2] == ("running", 1))
    assert program(status(running.data_dir), name)[1] != pid
    variables = running.environment()

    def servers_answer() -> bool:
        try:
            psycopg.connect(variables["FLYWHEEL_DATABASE_URL"]).close()
            with redis.Redis.from_url(variables["FLYWHEEL_REDIS_URL"]) as client:
                return bool(client.ping())
        except (psycopg.OperationalError, redis.RedisError):
            return False

    eventually("the servers at their old addresses", servers_answer)


def test_the_pool_of_a_worker_that_is_killed_does_not_outlive_it(running: Stack) -> None:
    written = running.data_dir / "work" / "pool"
    eventually("the pool is up", written.exists)
    worker, pool = (int(pid) for pid in written.read_text().split())
    written.unlink()
    psutil.Process(worker).kill()
    eventually("the next pool is up", written.exists)
    assert gone([worker, pool])


def test_a_child_that_keeps_dying_is_given_up_and_the_rest_goes_on(running: Stack) -> None:
    eventually("giving up", lambda: program(status(running.data_dir), "dying")[0] == "failed")
    entry = next(entry for entry in status(running.data_dir).programs if entry.name == "dying")
    assert (entry.restarts, entry.exit_code, entry.pid) == (QUICK.give_up - 1, 1, None)
    assert Path(entry.log).read_text().count("no hope") == QUICK.give_up
    assert program(status(running.data_dir), "api")[0] == "running"
    assert "dying ended 4 times in a row" in (running.data_dir / "logs" / "supervisor.log").read_text()


def test_an_api_that_cannot_start_fails_the_up_and_quotes_its_log(data_dir: Path) -> None:
    broken = Program("api", ("{python}", "-c", "raise SystemExit('no such module')"), serves_api=True)
    with pytest.raises(SetupError, match=r"api's first answer did not come[\s\S]*no such module"):
        start(data_dir, programs=(broken,), policy=QUICK)
    assert status(data_dir).state == "failed"


def test_a_program_that_does_not_exist_is_named(data_dir: Path) -> None:
    broken = Program("api", ("/nowhere/to/be/found",), serves_api=True)
    with pytest.raises(SetupError, match="/nowhere/to/be/found cannot be started"):
        start(data_dir, programs=(broken,), policy=QUICK)


def stubborn_pids(data_dir: Path) -> list[int]:
    written = data_dir / "work" / "pids"
    eventually("the stubborn program is up", written.exists)
    return [int(pid) for pid in written.read_text().split()]


def gone(pids: list[int]) -> bool:
    return all(not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie" for pid in pids)


def test_down_ends_even_a_stubborn_child_and_its_own_children(data_dir: Path) -> None:
    start(data_dir, programs=(STUBBORN,), policy=QUICK)
    pids = stubborn_pids(data_dir)
    assert not gone(pids)
    stop(data_dir)
    assert gone(pids)


def test_nothing_outlives_a_supervisor_that_is_killed(data_dir: Path) -> None:
    stack = start(data_dir, programs=(API, STUBBORN), policy=QUICK)
    pids = stubborn_pids(data_dir)
    psutil.Process(stack.status.pid).kill()
    eventually("all processes are gone", lambda: gone(pids) and remaining(data_dir) == [])
    found = status(data_dir)
    assert found.state == "killed"
    assert find(data_dir) is None


def test_up_recovers_from_a_killed_supervisor_and_guard(data_dir: Path) -> None:
    stack = start(data_dir, programs=(STUBBORN,), policy=QUICK)
    with psycopg.connect(stack.environment()["FLYWHEEL_DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    pids = stubborn_pids(data_dir)
    _, guard, _ = program(stack.status, "guard")
    for pid in (guard, stack.status.pid):
        psutil.Process(pid).kill()
    eventually("the supervisor is gone", lambda: status(data_dir).state == "killed")
    (data_dir / "work" / "pids").unlink()
    with start(data_dir, programs=(STUBBORN,), policy=QUICK) as again:
        assert gone(pids)
        assert not gone(stubborn_pids(data_dir))
        with psycopg.connect(again.environment()["FLYWHEEL_DATABASE_URL"]) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_down_clears_up_after_a_killed_supervisor(data_dir: Path) -> None:
    stack = start(data_dir, programs=(STUBBORN,), policy=QUICK)
    pids = stubborn_pids(data_dir)
    _, guard, _ = program(stack.status, "guard")
    for pid in (guard, stack.status.pid):
        psutil.Process(pid).kill()
    eventually("the supervisor is gone", lambda: status(data_dir).state == "killed")
    assert stop(data_dir)
    assert gone(pids)


def test_a_stale_postmaster_pid_of_some_other_process_is_no_obstacle(data_dir: Path) -> None:
    """After a container's restart the recorded id often belongs to someone else."""
    lines = [str(os.getpid()), str(data_dir / "postgres"), "1700000000", "5432", "", "127.0.0.1", "", "ready"]
    (data_dir / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
    with start(data_dir, programs=(), policy=QUICK):
        assert status(data_dir).state == "ready"


def test_an_initdb_that_was_cut_short_is_done_again() -> None:
    with fresh_directory() as directory:
        (directory / "postgres.new").mkdir(parents=True)
        (directory / "postgres.new" / "PG_VERSION").write_text("18\n")
        with start(directory, programs=(), policy=QUICK):
            assert not (directory / "postgres.new").exists()


def test_postgres_data_without_its_password_is_never_touched(data_dir: Path) -> None:
    (data_dir / "postgres.password").unlink()
    with pytest.raises(SetupError, match=r"postgres\.password is gone"):
        start(data_dir, programs=(), policy=QUICK)
    assert (data_dir / "postgres" / "PG_VERSION").exists()


def test_an_attached_stack_ends_with_whoever_started_it(data_dir: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from flywheel.local import Program, start\n"
        f"start(Path({str(data_dir)!r}), programs=(Program('sleeper', ('sleep', '1000')),), attached=True)\n"
        "time.sleep(1000)"
    )
    with starter_of(code):
        eventually("the stack is up", lambda: find(data_dir) is not None)
        assert remaining(data_dir)
    eventually("the stack is recorded as stopped", lambda: status(data_dir).state == "stopped")
    eventually("its processes are gone", lambda: remaining(data_dir) == [])
    assert find(data_dir) is None


@contextmanager
def starter_of(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another Python that runs `code`; it is killed in the end, if it lives."""
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as starter:
        try:
            yield starter
        finally:
            starter.kill()


@pytest.mark.parametrize("moment", ["starting", "ready"])
def test_ctrl_c_leaves_nothing_behind(data_dir: Path, moment: str) -> None:
    code = (
        "import signal; from pathlib import Path; from flywheel.local import Program, start\n"
        # As in a terminal: whoever is started in the background ignores the signal.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"with start(Path({str(data_dir)!r}), programs=(Program('sleeper', ('sleep', '1000')),), attached=True)"
        " as stack: stack.wait()"
    )
    with starter_of(code) as starter:
        eventually("the moment has come", lambda: status(data_dir).state == moment)
        starter.send_signal(signal.SIGINT)
        assert starter.wait(30) != 0
    assert remaining(data_dir) == []
    assert status(data_dir).state == "stopped"


def test_a_directory_that_cannot_be_used_is_a_setup_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError, match="cannot hold a stack"):
        start(tmp_path / "file" / "stack", programs=(), policy=QUICK)


def test_a_directory_that_never_held_a_stack_is_stopped(tmp_path: Path) -> None:
    assert status(tmp_path / "nothing").state == "stopped"
    assert not stop(tmp_path / "nothing")
    assert find(tmp_path / "nothing") is None


AS_ORDINARY_USER = """
import os, sys
from pathlib import Path
import psutil, psycopg
from flywheel.local import Program, start, status, stop
assert os.geteuid() != 0
with start(Path(sys.argv[1]), programs=(Program("sleeper", ("sleep", "1000")),)) as stack:
    with psycopg.connect(stack.status.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    owners = {psutil.Process(entry.pid).uids().real for entry in stack.status.programs}
assert owners == {os.geteuid()}, owners
assert status(Path(sys.argv[1])).state == "stopped"
print("it works")
"""


@pytest.fixture
def passable_interpreter() -> Iterator[None]:
    """Let others pass root's home for the length of the test, when root's Python lives there."""
    closed = {
        directory: stat.S_IMODE(directory.stat().st_mode)
        for executable in (Path(sys.executable), Path(sys.executable).resolve(), Path(flywheel.__file__))
        for directory in executable.parents
        if not directory.stat().st_mode & stat.S_IXOTH
    }
    for directory, mode in closed.items():
        directory.chmod(mode | stat.S_IXOTH)
    yield
    for directory, mode in closed.items():
        directory.chmod(mode)


@pytest.mark.usefixtures("passable_interpreter")
def test_the_stack_works_as_an_ordinary_user() -> None:
    """Run by root, as `nobody`; else as whoever runs the tests."""
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    parent = Path(tempfile.mkdtemp(prefix="flywheel-user-"))
    os.chown(parent, account.pw_uid, account.pw_gid)
    try:
        done = subprocess.run(
            [sys.executable, "-c", AS_ORDINARY_USER, str(parent / "stack")],
            cwd=parent,
            env={**os.environ, "HOME": str(parent)},
            capture_output=True,
            text=True,
            check=False,
            **(identity if os.geteuid() == 0 else {}),  # type: ignore[call-overload]
        )
        assert done.stdout == "it works\n", done.stderr
        assert remaining(parent / "stack") == []
    finally:
        shutil.rmtree(parent)


def test_the_programs_serve_every_queue_of_the_route_and_survive_the_way_through_json() -> None:
    served = {
        queue
        for entry in PROGRAMS
        if "--queues" in entry.argv
        for queue in entry.argv[entry.argv.index("--queues") + 1].split(",")
    }
    assert served == set(QUEUES)
    assert sum(entry.serves_api for entry in PROGRAMS) == 1
    assert from_json(json.loads(json.dumps(to_json(PROGRAMS, QUICK)))) == (PROGRAMS, QUICK)


def test_the_compose_file_runs_the_same_programs_with_the_same_arguments() -> None:
    services = yaml.safe_load((Path(flywheel.__file__).parents[1] / "docker-compose.yml").read_text())["services"]
    values = {"python": "python", "host": "0.0.0.0", "api_port": "8400"}
    assert {entry.name: entry.command(values) for entry in PROGRAMS} == {
        entry.name: services[entry.name]["command"] for entry in PROGRAMS
    }
    assert set(services) - {entry.name for entry in PROGRAMS} == {"postgres", "redis", "s3", "migrate"}
    needed = {name for name, value in Settings.model_fields.items() if value.is_required()}
    for name in ("migrate", *(entry.name for entry in PROGRAMS)):
        given = {variable.removeprefix("FLYWHEEL_").lower() for variable in services[name]["environment"]}
        assert needed <= given


def test_braces_that_mean_something_else_are_left_alone() -> None:
    odd = Program("odd", ("{python}", "{}", "{other}", "x{api_port}y"))
    assert odd.command({"python": "/p", "api_port": "{python}"}) == ["/p", "{}", "{other}", "x{python}y"]


def test_a_port_in_use_is_not_handed_out() -> None:
    parent = Path(tempfile.mkdtemp(prefix="flywheel-redis-"))
    try:
        with redis_server(parent / "redis") as server:
            assert free_port(server.port) != server.port
        assert free_port(server.port) == server.port
    finally:
        shutil.rmtree(parent)


def test_a_server_that_cannot_start_says_why() -> None:
    parent = Path(tempfile.mkdtemp(prefix="flywheel-broken-"))
    try:
        settings = {"no_such_setting": "1"}
        with pytest.raises(SetupError, match="no_such_setting"), postgres_server(parent / "pg", settings):
            pass
    finally:
        shutil.rmtree(parent)
