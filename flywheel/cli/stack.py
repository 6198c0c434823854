"""up, down, status: the embedded stack."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import show
from flywheel.cli.connection import connect, data_directory
from flywheel.cli.options import AsJson, DataDir
from flywheel.errors import SetupError
from flywheel.states import StackState

if TYPE_CHECKING:
    from flywheel.local import Stack, StackStatus
    from flywheel.wire import Worker


def up(
    data_dir: DataDir = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when it is ready, and leave it running.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start PostgreSQL, Redis, the API and the workers in one directory."""
    from flywheel import local

    directory = data_directory(data_dir)
    stack = _start(directory, detach, as_json)
    ready = (
        f"{show.coloured(stack.status.state)}  {stack.api_url}  [dim]key in {stack.status.key_file}[/]",
        f"        [dim]API text at {stack.api_url}/docs, logs in {directory / 'logs'}[/]",
    )
    show.answer(_public(stack.status), lambda: show.echo(*ready), as_json=as_json)
    if detach:
        return
    show.note("Ctrl-C ends it")
    try:
        ended = stack.wait()
    except KeyboardInterrupt:
        show.note("stopping")
        local.stop(directory)
        return
    if ended.state is not StackState.STOPPED:
        raise SetupError(f"the stack ended: {ended.message}")


def _start(directory: Path, detach: bool, quiet: bool) -> Stack:
    from rich.console import Console

    from flywheel import local

    console = Console(stderr=True, quiet=quiet)
    with console.status("starting") as status:
        return local.start(directory, attached=not detach, on_progress=status.update)


def down(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Stop the embedded stack, and whatever a killed one left behind."""
    from flywheel import local

    directory = data_directory(data_dir)
    stopped = local.stop(directory)
    said = f"stopped the stack in {directory}" if stopped else f"nothing ran in {directory}"
    data = {"stopped": stopped, "data_dir": str(directory)}
    show.answer(data, lambda: show.echo(said), as_json=as_json)


def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the stack's programs with their logs, and what the workers do. Exit code 1 when nothing runs."""
    if os.environ.get("FLYWHEEL_API_URL") and data_dir is None:
        _cluster_status(as_json)
        return
    from flywheel import local

    found = local.status(data_directory(data_dir))
    workers = _workers(found)
    data = {**_public(found), "workers": workers}
    show.answer(data, lambda: _show_status(found, workers), as_json=as_json)
    if found.state is not StackState.READY:
        raise typer.Exit(1)


def _workers(found: StackStatus) -> list[Worker]:
    from flywheel import local
    from flywheel.client import Client

    stack = local.find(Path(found.data_dir)) if found.state is StackState.READY else None
    return [] if stack is None else Client(stack.api_url, stack.api_key).workers()


def _cluster_status(as_json: bool) -> None:
    """Show a cluster's workers; its other programs are its operator's to watch."""
    with connect(None) as client:
        workers = client.workers()
    api_url = os.environ["FLYWHEEL_API_URL"]

    def render() -> None:
        show.echo(f"{show.coloured(StackState.READY)}  {api_url}")
        _show_workers(workers)

    show.answer({"api_url": api_url, "workers": workers}, render, as_json=as_json)


def _show_workers(workers: list[Worker]) -> None:
    if not workers:
        return
    made = show.table("worker", "device", ">memory", ">in use", "*doing", title="Workers")
    for worker in workers:
        doing = show.escaped(worker.doing or "nothing")
        if worker.waiting_for:
            doing = f"[yellow]waits: {show.escaped(worker.waiting_for)}[/]"
        total = f" of {show.size(worker.memory_total)}" if worker.memory_total else ""
        memory = show.size(worker.memory_used) + total if worker.memory_used is not None else "-"
        used = "-" if worker.utilisation is None else f"{worker.utilisation:.0%}".replace("%", " %")
        name = " ".join(part for part in (worker.device, worker.device_name) if part)
        made.add_row(f"{worker.name} [dim]{worker.id.rsplit(':', 1)[-1]}[/]", name, memory, used, doing)
    show.echo(made)


def _show_status(found: StackStatus, workers: list[Worker]) -> None:
    show.echo(f"{show.coloured(found.state)}  {found.message}  [dim]{found.data_dir}[/]")
    if found.state is not StackState.READY:
        show.echo(f"[dim]start it with `flywheel up --data-dir {found.data_dir} --detach`[/]")
        return
    show.echo(f"[dim]key in {found.key_file}[/]")
    made = show.table("program", "state", ">pid", ">restarts", ">for", "log")
    for program in found.programs:
        age = show.duration(time.time() - program.since)
        state = show.coloured(program.state)
        made.add_row(program.name, state, str(program.pid or "-"), str(program.restarts), age, program.log)
    show.echo(made)
    _show_workers(workers)


def _public(found: StackStatus) -> dict[str, object]:
    """Status as a dictionary, without the URLs that hold passwords."""
    fields = asdict(found)
    for secret in ("database_url", "redis_url", "store_url"):
        fields.pop(secret)
    return fields | {"ports": dict(found.ports)}
