"""up, down, status: the embedded stack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli.connection import AsJson, DataDir, connect, data_directory
from flywheel.errors import SetupError

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
    from flywheel.cli import show

    directory = data_directory(data_dir)
    stack = _start(directory, detach, as_json)
    if as_json:
        show.print_json(_public(stack.status))
    else:
        show.say(f"[green]ready[/]  {stack.api_url}  [dim]key in {stack.status.key_file}[/]")
        show.say(f"        [dim]API text at {stack.api_url}/docs, logs in {directory / 'logs'}[/]")
    if detach:
        return
    show.note("Ctrl-C ends it")
    try:
        ended = stack.wait()
    except KeyboardInterrupt:
        show.note("stopping")
        local.stop(directory)
        return
    if ended.state != "stopped":
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
    from flywheel.cli import show

    directory = data_directory(data_dir)
    stopped = local.stop(directory)
    if as_json:
        show.print_json({"stopped": stopped, "data_dir": str(directory)})
    else:
        show.say(f"stopped the stack in {directory}" if stopped else f"nothing ran in {directory}")


def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """What runs, since when, where its logs are, and what the workers do. Exit code 1 when nothing runs."""
    if os.environ.get("FLYWHEEL_API_URL") and data_dir is None:
        _cluster_status(as_json)
        return
    from flywheel import local
    from flywheel.cli import show

    found = local.status(data_directory(data_dir))
    workers = _workers(found)
    if as_json:
        show.print_json({**_public(found), "workers": workers})
    else:
        _show_status(found)
        _show_workers(workers)
    if found.state != "ready":
        raise typer.Exit(1)


def _workers(found: StackStatus) -> list[Worker]:
    from flywheel import local
    from flywheel.client import Client

    stack = local.find(Path(found.data_dir)) if found.state == "ready" else None
    return [] if stack is None else Client(stack.api_url, stack.api_key).workers()


def _cluster_status(as_json: bool) -> None:
    """A cluster's programs are its operator's; its workers say of themselves."""
    from flywheel.cli import show

    with connect(None) as client:
        workers = client.workers()
    if as_json:
        show.print_json({"api_url": os.environ["FLYWHEEL_API_URL"], "workers": workers})
    else:
        show.say(f"{show.coloured('ready')}  {os.environ['FLYWHEEL_API_URL']}")
        _show_workers(workers)


def _show_workers(workers: list[Worker]) -> None:
    from flywheel.cli import show

    if not workers:
        return
    made = show.table("worker", "device", ">memory", ">in use", "*doing", title="Workers")
    for worker in workers:
        doing = show.plainly(worker.doing or "nothing")
        if worker.waiting_for:
            doing = f"[yellow]waits: {show.plainly(worker.waiting_for)}[/]"
        total = f" of {show.size(worker.memory_total)}" if worker.memory_total else ""
        memory = show.size(worker.memory_used) + total if worker.memory_used is not None else "-"
        used = "-" if worker.utilisation is None else f"{worker.utilisation:.0%}".replace("%", " %")
        name = " ".join(part for part in (worker.device, worker.device_name) if part)
        made.add_row(f"{worker.name} [dim]{worker.id.rsplit(':', 1)[-1]}[/]", name, memory, used, doing)
    show.say(made)


def _show_status(found: StackStatus) -> None:
    import time

    from flywheel.cli import show

    show.say(f"{show.coloured(found.state)}  {found.message}  [dim]{found.data_dir}[/]")
    if found.state != "ready":
        show.say(f"[dim]start it with `flywheel up --data-dir {found.data_dir} --detach`[/]")
        return
    show.say(f"[dim]key in {found.key_file}[/]")
    made = show.table("program", "state", ">pid", ">restarts", ">for", "log")
    for program in found.programs:
        age = show.duration(time.time() - program.since)
        state = show.coloured(program.state)
        made.add_row(program.name, state, str(program.pid or "-"), str(program.restarts), age, program.log)
    show.say(made)


def _public(found: StackStatus) -> dict[str, object]:
    """The status without the URLs that hold passwords."""
    from dataclasses import asdict

    fields = asdict(found)
    for secret in ("database_url", "redis_url", "store_url"):
        fields.pop(secret)
    return fields | {"ports": dict(found.ports)}
