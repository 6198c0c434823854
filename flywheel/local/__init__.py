"""The embedded stack: real PostgreSQL and Redis from wheels, and every program of the service, in one directory.

    stack = start(Path(".flywheel"))        # returns when the API answers; survives this process
    stack.environment()                     # the variables a client or a worker needs
    status(Path(".flywheel"))               # each process: id, state, restarts, log
    stop(Path(".flywheel"))

    DIR/postgres  DIR/redis  DIR/store      data
    DIR/logs/NAME.log                       one a process
    DIR/stack.json  DIR/lock                who runs where; who may
    DIR/api_key                             the owner's key
    DIR/work                                scratch

A cluster is the same programs with three URLs set, and without this package.
"""

from flywheel.local.postgres import UNSAFE_SETTINGS, PostgresServer, postgres_server
from flywheel.local.programs import PROGRAMS, Program, RestartPolicy
from flywheel.local.record import ProgramStatus, StackStatus
from flywheel.local.redis import RedisServer, redis_server
from flywheel.local.stack import Stack, find, start, status, stop

__all__ = [
    "PROGRAMS",
    "UNSAFE_SETTINGS",
    "PostgresServer",
    "Program",
    "ProgramStatus",
    "RedisServer",
    "RestartPolicy",
    "Stack",
    "StackStatus",
    "find",
    "postgres_server",
    "redis_server",
    "start",
    "status",
    "stop",
]
