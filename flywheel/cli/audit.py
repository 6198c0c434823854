"""audit: documents and fonts whose text layers lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flywheel.cli import show
from flywheel.cli.connection import connect
from flywheel.cli.options import AsJson, CorpusArgument, DataDir
from flywheel.reasons import Reason

if TYPE_CHECKING:
    from flywheel.wire import Audit, AuditRow

SHOWN = 20


def audit(
    corpus: CorpusArgument,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show which documents' and fonts' text layers lie, and by how much."""
    with connect(data_dir) as client:
        found = client.audit(corpus)
    show.answer(found, lambda: _show_audit(found), as_json=as_json)


def _show_audit(found: Audit) -> None:
    if not found.with_text:
        show.echo(f"none of the {found.pages} pages has a text layer")
        return
    show.echo(
        f"{show.count(found.pages)} pages, {show.count(found.with_text)} with a text layer; "
        f"[red]{show.count(found.lying)}[/] of those lie ({found.lying / found.with_text:.0%})"
    )
    _show_rows("Documents", found.documents)
    _show_rows("Fonts", found.fonts)


def _show_rows(title: str, rows: list[AuditRow]) -> None:
    with_text = [row for row in rows if row.with_text]
    made = show.table(title.lower()[:-1], ">with text", ">lie", ">share", "", "*because", title=title)
    for row in with_text[:SHOWN]:
        because = ", ".join(
            f"{reason} {number}" for reason, number in row.reasons.items() if reason != Reason.ACCEPTED
        )
        made.add_row(
            show.escaped(row.name),
            show.count(row.with_text),
            show.count(row.lying),
            f"{row.share or 0:.0%}",
            f"[red]{show.bar(row.share, 8)}[/]",
            f"[dim]{because}[/]",
        )
    show.echo(made)
    if len(with_text) > SHOWN:
        show.echo(f"[dim]and {len(with_text) - SHOWN} more, --json has them[/]")
