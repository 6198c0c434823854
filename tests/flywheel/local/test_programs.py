"""Programs and servers of the stack, by themselves."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml

import flywheel
from flywheel.errors import SetupError
from flywheel.local import (
    PROGRAMS,
    Program,
    postgres_server,
)
from flywheel.local.ports import free_port
from flywheel.local.programs import from_json, to_json
from flywheel.local.redis import redis_server
from flywheel.settings import Settings
from flywheel.work.route import QUEUES
from tests.flywheel.local.stacks import QUICK


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
