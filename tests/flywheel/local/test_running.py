"""A running stack: its servers, variables and secrets, and children that are killed or keep dying."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from flywheel.errors import Conflict
from flywheel.local import (
    Stack,
    start,
    status,
)
from tests.flywheel.local.stacks import QUICK, SLEEPER, eventually, gone, program


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
