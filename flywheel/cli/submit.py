"""submit: files, folders and ZIPs into a corpus, and on request until every page has settled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli.connection import AsJson, DataDir, connect
from flywheel.states import PageState

if TYPE_CHECKING:
    from flywheel.client import Client
    from flywheel.wire import Summary

SUFFIXES = {".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".zip"}
AT_ONCE = 4  # uploads in flight
SHOWN = 25  # rows of what simply went in
INPUT_AT_FAULT = (413, 415, 422)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one document. `status`: submitted, duplicate or refused; `detail`: why."""

    file: str
    status: str
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
    wait: Annotated[bool, typer.Option("--wait", help="Stay until no page is pending, then sum up.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Submit documents to a corpus."""
    from flywheel.cli import show

    files = list(_files(paths))
    if not files:
        raise typer.BadParameter(f"no {', '.join(sorted(SUFFIXES))} under {', '.join(map(str, paths))}")
    with connect(data_dir) as client:
        rows = _send(client, files, corpus, language, hidden=as_json)
        if not as_json:
            _show_rows(rows)
        summary = _wait(client, corpus, hidden=as_json) if wait else None
    if as_json:
        show.print_json({"corpus": corpus, "files": [asdict(row) for row in rows], "summary": summary})
    elif summary is not None:
        show_summary(summary)
    if any(row.status == "refused" for row in rows):
        raise typer.Exit(1)


def _files(paths: list[Path]) -> Iterator[Path]:
    """Named files as they are; of a folder, everything with a known suffix, hidden files left out."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for found in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in found.relative_to(path).parts)
            if found.suffix.lower() in SUFFIXES and found.is_file() and not hidden:
                yield found


def _send(client: Client, files: list[Path], corpus: str, language: str | None, *, hidden: bool) -> list[Outcome]:
    """A few at once. What is refused is a row; when the server itself fails, the rest is not tried."""
    from concurrent.futures import ThreadPoolExecutor

    from flywheel.cli import show

    total = sum(file.stat().st_size for file in files)
    with (
        show.progress("files", hidden=hidden or total < 1 << 20, by_bytes=True) as bar,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        task = bar.add_task(f"sending {len(files)} files" if len(files) > 1 else "sending", total=total)

        def advance(sent: int) -> None:
            bar.advance(task, sent)

        waiting = [pool.submit(_send_one, client, file, corpus, language, advance) for file in files]
        try:
            return [row for future in waiting for row in future.result()]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _send_one(
    client: Client, file: Path, corpus: str, language: str | None, advance: Callable[[int], None]
) -> list[Outcome]:
    from flywheel.errors import ApiError

    try:
        upload = client.submit(corpus, file, language=language, on_bytes=advance)
    except ApiError as error:
        if error.status not in INPUT_AT_FAULT or error.code == "invalid_request":
            raise
        return [Outcome(str(file), "refused", reason=error.code, detail=error.detail)]
    except OSError as error:
        return [Outcome(str(file), "refused", reason="unreadable", detail=str(error))]
    inside = f"{file}: " if len(upload.documents) + len(upload.refused) > 1 else ""
    rows = [
        Outcome(
            f"{inside}{item.name}" if inside else str(file),
            "duplicate" if item.duplicate else "submitted",
            item.document_id,
        )
        for item in upload.documents
    ]
    refused = [Outcome(f"{file}: {r.name}", "refused", reason=r.reason, detail=r.detail) for r in upload.refused]
    return rows + refused


def _show_rows(rows: list[Outcome]) -> None:
    from flywheel.cli import show

    made = show.table("file", "", ">document", "*why")
    hidden = 0
    for number, row in enumerate(sorted(rows, key=lambda row: row.status == "submitted")):
        if row.status == "submitted" and number >= SHOWN:
            hidden += 1
            continue
        why = "the corpus holds these bytes already" if row.status == "duplicate" else ""
        if row.reason:
            said = row.detail or show.explanation(row.reason)
            why = f"{row.reason}: {show.plainly(said)}"
        made.add_row(
            show.plainly(row.file), show.coloured(row.status), show.count(row.document_id), f"[dim]{why}[/]"
        )
    show.say(made)
    if hidden:
        show.say(f"[dim]and {hidden} more, submitted[/]")
    tally = {status: sum(row.status == status for row in rows) for status in ("submitted", "duplicate", "refused")}
    show.say("  ".join(f"{number} {show.coloured(status)}" for status, number in tally.items() if number))


def _wait(client: Client, corpus: str, *, hidden: bool) -> Summary:
    """Follow the corpus until it has settled."""
    from flywheel.cli import show

    with show.progress("pages", hidden=hidden) as bar:
        task = bar.add_task("labelling", total=None)
        for summary in client.follow_corpus(corpus):
            settled = summary.pages.submitted - summary.pages.pending
            opening = summary.documents.pending
            what = f"labelling ({opening} to open)" if opening else "labelling"
            bar.update(task, description=what, completed=settled, total=summary.pages.submitted or None)
    return summary


def show_summary(summary: Summary) -> None:
    """Pages by state, verdict and reason, with what the reasons mean."""
    from flywheel.cli import show

    pages, documents = summary.pages, summary.documents
    by_state = (PageState.LABELLED, PageState.WAITING, PageState.QUARANTINED, PageState.PENDING)
    states = [f"{show.count(getattr(pages, state))} {show.coloured(state)}" for state in by_state]
    verdicts = [f"{show.count(number)} {show.coloured(verdict)}" for verdict, number in pages.by_verdict.items()]
    rows: list[tuple[str, object]] = [
        ("documents", f"{show.count(documents.submitted)}  ({show.count(documents.quarantined)} quarantined)"),
        ("pages", f"{show.count(pages.submitted)}: " + ", ".join(states)),
    ]
    if verdicts:
        rows.append(("labels", ", ".join(verdicts)))
    show.say(show.facts_table(rows, title=f"Corpus {show.plainly(summary.corpus)}"))
    if pages.by_reason:
        show.say(show.reasons_table(pages.by_reason, "Pages by reason"))
    if documents.by_reason:
        show.say(show.reasons_table(documents.by_reason, "Documents in quarantine"))
    if pages.waiting:
        show.say("[dim]what waits has no reader yet: `flywheel round start --language TAG` trains one[/]")
