"""export: a corpus as a training set on this machine, every file checked against its hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import show
from flywheel.cli.connection import connect
from flywheel.cli.options import AsJson, CorpusArgument, DataDir
from flywheel.errors import BlobCorrupt, Conflict, FlywheelError
from flywheel.export import MANIFEST, ExportFormat
from flywheel.states import RequestStatus

if TYPE_CHECKING:
    from flywheel.client import Client
    from flywheel.wire import Export


class ExportFailed(FlywheelError):
    """The worker could not write the export."""


def export(
    corpus: CorpusArgument,
    to: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="Where the files go; empty, or an older export.")
    ],
    format: Annotated[
        ExportFormat, typer.Option("--format", "-f", metavar="NAME", help=f"{', '.join(ExportFormat)}.")
    ] = ExportFormat.PARQUET,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write a corpus's accepted pages out as a training set, with images and lineage."""
    _check_target(to)
    with connect(data_dir) as client:
        found = _follow(client, client.start_export(corpus, format.value).id, hidden=as_json)
        if found.status != RequestStatus.FINISHED:
            raise ExportFailed(f"export {found.id} of {corpus} failed: {found.detail or 'the log has the cause'}")
        _download(client, found, to, hidden=as_json)
    check_manifest(to)
    total = sum(file.size for file in found.files)
    data = {"export": found.id, "format": format.value, "rows": found.rows, "path": str(to), "bytes": total}
    show.answer({**data, "files": found.files}, lambda: _show_files(found, format, to, total), as_json=as_json)


def _show_files(found: Export, format: ExportFormat, to: Path, total: int) -> None:
    made = show.table("file", ">size", "sha256")
    for file in found.files:
        made.add_row(file.path, show.size(file.size), f"[dim]{file.sha256[:16]}[/]")
    show.echo(made)
    show.echo(f"[green]{show.count(found.rows)} rows[/], {show.size(total)} in {to}, every file checked")
    if format.loads:
        show.echo(f"[dim]{show.escaped(format.loads.format(directory=to))}[/]")


def _check_target(to: Path) -> None:
    """Raise BadParameter or Conflict where writing would mix an export with other files."""
    if to.exists() and not to.is_dir():
        raise typer.BadParameter(f"--to {to} is a file")
    if to.is_dir() and any(to.iterdir()) and not (to / MANIFEST).exists():
        raise Conflict(f"{to} holds files that are not an export's; name an empty directory")


def _follow(client: Client, export_id: int, *, hidden: bool) -> Export:
    with show.progress("rows", hidden=hidden) as bar:
        task = bar.add_task("writing", total=None)
        for found in client.follow_export(export_id):
            if found.progress is not None:
                bar.update(task, completed=found.progress.rows, total=found.progress.of)
    return found


def _download(client: Client, found: Export, to: Path, *, hidden: bool) -> None:
    """Fetch every file into place; the manifest last, so that a directory with one is whole."""
    to.mkdir(parents=True, exist_ok=True)
    (to / MANIFEST).unlink(missing_ok=True)
    root = to.resolve()
    with show.progress("bytes", hidden=hidden, by_bytes=True) as bar:
        task = bar.add_task("fetching", total=sum(file.size for file in found.files))
        for file in sorted(found.files, key=lambda file: file.path == MANIFEST):
            target = root / file.path
            if not target.resolve().is_relative_to(root):
                raise BlobCorrupt(f"the export names a file outside its directory: {file.path!r}")
            target.parent.mkdir(parents=True, exist_ok=True)
            client.download_export_file(found.id, file, target, lambda sent: bar.advance(task, sent))


def check_manifest(directory: Path) -> None:
    """Check every file against the manifest's sha256. Raises BlobCorrupt that names the first that differs."""
    try:
        entries = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["files"]
        named = [(str(entry["name"]), str(entry["sha256"])) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BlobCorrupt(f"{directory} has no readable {MANIFEST}: {error}") from error
    for name, expected in named:
        path = directory / name
        if not path.is_file():
            raise BlobCorrupt(f"{path} is named by the manifest and missing")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise BlobCorrupt(f"{path} does not match the manifest's sha256")
