"""submit: files, folders and ZIPs into a corpus, and on request until every page has settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import show
from flywheel.cli.connection import connect
from flywheel.cli.options import AsJson, DataDir
from flywheel.cli.parallel import in_parallel
from flywheel.cli.show import SubmissionStatus
from flywheel.cli.summary import show_summary
from flywheel.errors import ApiError
from flywheel.intake import SUFFIXES
from flywheel.reasons import explanation

if TYPE_CHECKING:
    from flywheel.client import Client
    from flywheel.wire import Summary, Upload

AT_ONCE = 4  # uploads in flight
SHOWN = 25  # rows of what simply went in
INPUT_AT_FAULT = (413, 415, 422)


@dataclass(frozen=True, slots=True)
class Submission:
    """Result for one file. `reason` and `detail` say why it was refused."""

    file: str
    status: SubmissionStatus
    document_id: int | None = None
    reason: str | None = None
    detail: str = ""


def submit(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", exists=True, help="PDF, PNG, JPEG, TIFF, ZIP, or folders.")
    ],
    corpus: Annotated[str, typer.Option("--corpus", "-c", help="Where to; made when it is new.")],
    language: Annotated[
        str | None,
        typer.Option("--language", "-l", metavar="TAG", help="The text's language, BCP-47: bo, zh, en ..."),
    ] = None,
    rights: Annotated[
        str | None,
        typer.Option(
            "--rights", metavar="TEXT", help="The documents' licence or owner; every row of an export carries it."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until no page is pending, then sum up.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Submit documents to a corpus."""
    files = list(_files(paths))
    if not files:
        raise typer.BadParameter(f"no {', '.join(sorted(SUFFIXES))} under {', '.join(map(str, paths))}")
    with connect(data_dir) as client:
        send = partial(client.submit, corpus, language=language, rights=rights)
        rows = _send(send, files, hidden=as_json)
        if not as_json:
            _show_rows(rows)  # at once, before the waiting
        summary = _wait(client, corpus, hidden=as_json) if wait else None
    data = {"corpus": corpus, "files": [asdict(row) for row in rows], "summary": summary}
    show.answer(data, lambda: show_summary(summary) if summary else None, as_json=as_json)
    if any(row.status is SubmissionStatus.REFUSED for row in rows):
        raise typer.Exit(1)


def _files(paths: list[Path]) -> Iterator[Path]:
    """Yield named files as they are, and of a folder all with a known suffix but for hidden ones."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for found in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in found.relative_to(path).parts)
            if found.suffix.lower() in SUFFIXES and found.is_file() and not hidden:
                yield found


def _send(send: Callable[..., Upload], files: list[Path], *, hidden: bool) -> list[Submission]:
    """Send the files a few at once. A refused one is a row; when the server fails, the rest is not tried."""
    total = sum(file.stat().st_size for file in files)
    with show.progress("files", hidden=hidden or total < 1 << 20, by_bytes=True) as bar:
        task = bar.add_task(f"sending {len(files)} files" if len(files) > 1 else "sending", total=total)

        def send_one(file: Path) -> list[Submission]:
            return _send_one(send, file, lambda sent: bar.advance(task, sent))

        return [row for rows in in_parallel(send_one, files, at_once=AT_ONCE) for row in rows]


def _send_one(send: Callable[..., Upload], file: Path, advance: Callable[[int], None]) -> list[Submission]:
    try:
        upload = send(file, on_bytes=advance)
    except ApiError as error:
        if error.status not in INPUT_AT_FAULT or error.code == "invalid_request":
            raise
        return [Submission(str(file), SubmissionStatus.REFUSED, reason=error.code, detail=error.detail)]
    except OSError as error:
        return [Submission(str(file), SubmissionStatus.REFUSED, reason="unreadable", detail=str(error))]
    several = len(upload.documents) + len(upload.refused) > 1
    taken = [
        Submission(
            f"{file}: {item.name}" if several else str(file),
            SubmissionStatus.DUPLICATE if item.duplicate else SubmissionStatus.SUBMITTED,
            item.document_id,
        )
        for item in upload.documents
    ]
    refused = [
        Submission(f"{file}: {item.name}", SubmissionStatus.REFUSED, reason=item.reason, detail=item.detail)
        for item in upload.refused
    ]
    return taken + refused


def _show_rows(rows: list[Submission]) -> None:
    """Print every duplicate and refusal, the first of those that went in, and the sums."""
    taken = [row for row in rows if row.status is SubmissionStatus.SUBMITTED]
    others = [row for row in rows if row.status is not SubmissionStatus.SUBMITTED]
    listed = others + taken[: max(0, SHOWN - len(others))]
    made = show.table("file", "", ">document", "*why")
    for row in listed:
        made.add_row(
            show.escaped(row.file), show.coloured(row.status), show.count(row.document_id), f"[dim]{_why(row)}[/]"
        )
    show.echo(made)
    if hidden := len(rows) - len(listed):
        show.echo(f"[dim]and {hidden} more, submitted[/]")
    tally = Counter(row.status for row in rows)
    show.echo(
        "  ".join(f"{tally[status]} {show.coloured(status)}" for status in SubmissionStatus if tally[status])
    )


def _why(row: Submission) -> str:
    if row.status is SubmissionStatus.DUPLICATE:
        return "the corpus holds these bytes already"
    return f"{row.reason}: {show.escaped(row.detail or explanation(row.reason))}" if row.reason else ""


def _wait(client: Client, corpus: str, *, hidden: bool) -> Summary:
    """Follow the corpus until it has settled."""
    with show.progress("pages", hidden=hidden) as bar:
        task = bar.add_task("labelling", total=None)
        for summary in client.follow_corpus(corpus):
            settled = summary.pages.submitted - summary.pages.pending
            opening = summary.documents.pending
            what = f"labelling ({opening} to open)" if opening else "labelling"
            bar.update(task, description=what, completed=settled, total=summary.pages.submitted or None)
    return summary
