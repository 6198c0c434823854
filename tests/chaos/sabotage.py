"""The service's programs with a fault built in: nothing of them is changed, they are only listened to.

    celery -A tests.chaos.sabotage worker ...            a worker
    python -m tests.chaos.sabotage flywheel.loop.sweep        any program

CHAOS_FAULT is "POINT ACTION TIMES"; TIMES counts over all processes that share CHAOS_DIR.
Points:
    page:N           the PDF child is about to start page N (0-based)
    labels:before    labels are written and about to be committed; their blob is in the store
    labels:after     ... are committed; the task has not returned
    hints:after      the sweep has marked hints as sent, and not sent them yet
    hints:sent       the sweep has sent hints
    ticks:before     the scheduler has its tick and its rounds, and is about to commit them
    documents:before, documents:after     a submission, about its commit
Actions:
    kill             SIGKILL to this process
    stop             SIGSTOP to the whole group
    terminate        SIGTERM to the worker's main process, and wait until the pool has been told
    kill-child, crash-child     SIGKILL, SIGSEGV to the PDF child
    memory           raise MemoryError
    cut              commit, then cut the connection before the answer is seen
    trace            go on
Every page that is started is a line "number pid" in CHAOS_DIR/pages.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Any

from celery import signals
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session

from flywheel.database.tables import DocumentRow, LabelRow, LeaseRow, TickRow
from flywheel.settings import settings

DIRECTORY = Path(os.environ["CHAOS_DIR"])
POINT, ACTION, TIMES = os.environ["CHAOS_FAULT"].split()
SUBJECTS = {LabelRow: "labels", LeaseRow: "hints", TickRow: "ticks", DocumentRow: "documents"}


def due() -> bool:
    """Use up one of the times that the fault strikes; False when none is left."""
    for turn in range(int(TIMES)):
        try:
            (DIRECTORY / f"fault.{turn}").touch(exist_ok=False)
        except FileExistsError:
            continue
        return True
    return False


def strike(point: str, session: Session | None = None, child: int = 0) -> None:
    """Do the fault's action if this is its point."""
    if point != POINT or ACTION == "trace" or not due():
        return
    if ACTION == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif ACTION == "stop":
        os.killpg(0, signal.SIGSTOP)
    elif ACTION == "terminate":
        terminate()
    elif ACTION == "memory":
        raise MemoryError
    elif ACTION == "cut":
        cut(session)
    else:
        os.kill(child, {"kill-child": signal.SIGKILL, "crash-child": signal.SIGSEGV}[ACTION])


def terminate() -> None:
    """As a supervisor stops a worker; returns when the main process has passed it on to its pool."""
    os.kill(os.getppid(), signal.SIGTERM)
    told = settings().work_dir / f"stopping.{os.getppid()}"
    deadline = time.monotonic() + 20
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def cut(session: Session | None) -> None:
    """The server commits; the client's connection is gone before it knows."""
    assert session is not None
    connection: Any = session.connection().connection.dbapi_connection
    connection.commit()
    connection.close()


@event.listens_for(Session, "do_orm_execute")
def _notice(state: ORMExecuteState) -> None:
    mapper = state.bind_mapper
    if (state.is_insert or state.is_update) and mapper is not None:
        state.session.info[SUBJECTS.get(mapper.class_, "")] = True


@event.listens_for(Session, "before_commit")
def _before(session: Session) -> None:
    session.info["ending"] = [name for name in SUBJECTS.values() if session.info.pop(name, False)]
    for name in session.info["ending"]:
        strike(f"{name}:before", session)


@event.listens_for(Session, "after_commit")
def _after(session: Session) -> None:
    for name in session.info.pop("ending", ()):
        strike(f"{name}:after", session)


@signals.after_task_publish.connect
def _sent(**_: object) -> None:
    strike("hints:sent")


def on_page(number: int, child: int) -> None:
    """Called by the sandbox before each page."""
    with (DIRECTORY / "pages").open("a") as trace:
        trace.write(f"{number} {os.getpid()}\n")
    strike(f"page:{number}", child=child)


@signals.worker_process_init.connect
def _observe(**_: object) -> None:
    from tasks.worker.process import sandbox

    sandbox()._on_page = on_page  # the observer that the sandbox has for this


def __getattr__(name: str) -> Any:
    """Celery asks for `app`; other programs need none of it."""
    if name != "app":
        raise AttributeError(name)
    from tasks.app import app

    return app


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
