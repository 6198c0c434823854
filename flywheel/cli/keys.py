"""keys create, list, revoke: API keys and their scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import show
from flywheel.cli.connection import connect
from flywheel.cli.options import AsJson, DataDir
from flywheel.scopes import Scope

if TYPE_CHECKING:
    from flywheel.wire import KeyInfo, NewKey

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@app.command(epilog="[bold]Example[/]\n  flywheel keys create --scope read --scope submit --name scanner")
def create(
    scope: Annotated[
        list[Scope], typer.Option("--scope", "-s", metavar="S", help=f"{', '.join(Scope)}; again for more.")
    ],
    name: Annotated[str, typer.Option("--name", help="Its holder, for people.")] = "made with the command line",
    days: Annotated[
        int | None, typer.Option("--days", metavar="N", min=1, max=36500, help="Good for so long; else for ever.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown once."""
    from datetime import UTC, datetime, timedelta

    expires = datetime.now(UTC) + timedelta(days=days) if days else None
    with connect(data_dir) as client:
        made = client.create_key(name, scope, expires)
    show.answer(made, lambda: _show_new(made), as_json=as_json)


def _show_new(made: NewKey) -> None:
    show.echo(made.key)
    show.note("keep it: it is not stored and cannot be shown again")


@app.command("list")
def list_keys(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the keys, without their secrets."""
    with connect(data_dir) as client:
        found = client.keys()
    show.answer(found, lambda: _show_keys(found), as_json=as_json)


def _show_keys(found: list[KeyInfo]) -> None:
    made = show.table("id", "name", "scopes", "made", "ends")
    for key in found:
        ends = f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "never"
        ends = f"[red]revoked {key.revoked_at:%Y-%m-%d}[/]" if key.revoked_at else ends
        made.add_row(key.id, show.escaped(key.name), " ".join(key.scopes), f"{key.created_at:%Y-%m-%d}", ends)
    show.echo(made)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """End a key, for good, within seconds."""
    with connect(data_dir) as client:
        client.revoke_key(key_id)
    show.answer({"id": key_id, "revoked": True}, lambda: show.echo(f"revoked {key_id}"), as_json=as_json)
