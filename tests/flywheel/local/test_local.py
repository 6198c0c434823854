"""The embedded stack from start to stop: ups that fail, supervisors that are killed, Ctrl-C, ordinary users."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

import flywheel
from flywheel.errors import SetupError
from flywheel.local import (
    Program,
    find,
    start,
    status,
    stop,
)
from tests.flywheel.local.stacks import (
    API,
    QUICK,
    SLEEPER,
    STUBBORN,
    eventually,
    fresh_directory,
    gone,
    program,
    remaining,
    starter_of,
    stubborn_pids,
)


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


def test_an_api_that_cannot_start_fails_the_up_and_quotes_its_log(data_dir: Path) -> None:
    broken = Program("api", ("{python}", "-c", "raise SystemExit('no such module')"), serves_api=True)
    with pytest.raises(SetupError, match=r"api's first answer did not come[\s\S]*no such module"):
        start(data_dir, programs=(broken,), policy=QUICK)
    assert status(data_dir).state == "failed"


def test_a_program_that_does_not_exist_is_named(data_dir: Path) -> None:
    broken = Program("api", ("/nowhere/to/be/found",), serves_api=True)
    with pytest.raises(SetupError, match="/nowhere/to/be/found cannot be started"):
        start(data_dir, programs=(broken,), policy=QUICK)


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
