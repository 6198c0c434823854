"""queues: the open work of every stop, once or live."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import show
from flywheel.cli.connection import connect
from flywheel.cli.options import AsJson, DataDir

if TYPE_CHECKING:
    from rich.console import RenderableType

    from flywheel.client import Client
    from flywheel.wire import QueueInfo

REFRESH_SECONDS = 1.0


def queues(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay, and follow the changes.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the open work of every stop of the loop, in shards of pages."""
    with connect(data_dir) as client:
        if not watch:
            depths = client.queues()
            show.answer(depths, lambda: show.echo(_render(depths)), as_json=as_json)
            return
        with contextlib.suppress(KeyboardInterrupt):
            _watch_json(client) if as_json else _watch(client)


def _watch(client: Client) -> None:
    from rich.live import Live

    with Live(_render(client.queues()), console=show.console(), auto_refresh=False) as live:
        while True:
            time.sleep(REFRESH_SECONDS)
            live.update(_render(client.queues()), refresh=True)


def _watch_json(client: Client) -> None:
    """Print one line of JSON a second, for a program that reads along."""
    while True:
        print(json.dumps(show.to_json(client.queues())), flush=True)
        time.sleep(REFRESH_SECONDS)


def _render(depths: list[QueueInfo]) -> RenderableType:
    if not depths:
        return "[green]idle[/]  nothing is queued and nothing is running"
    made = show.table("queue", "stop", ">ready", ">running", ">put off", ">pages", ">oldest waits")
    for depth in depths:
        made.add_row(
            depth.queue,
            depth.stop,
            show.count(depth.ready),
            f"[green]{show.count(depth.running)}[/]" if depth.running else "0",
            f"[yellow]{show.count(depth.delayed)}[/]" if depth.delayed else "0",
            show.count(depth.pages),
            show.duration(depth.oldest_seconds) if depth.ready else "-",
        )
    return made
