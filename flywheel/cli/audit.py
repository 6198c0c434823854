"""audit: which text layers lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli.connection import AsJson, DataDir, connect

if TYPE_CHECKING:
    from flywheel.wire import AuditRow

SHOWN = 20


def audit(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", show_default=False)],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show which documents' and fonts' text layers lie, and by how much."""
    from flywheel.cli import show

    with connect(data_dir) as client:
        found = client.audit(corpus)
    if as_json:
        show.print_json(found)
        return
    if not found.with_text:
        show.say(f"none of the {found.pages} pages has a text layer")
        return
    show.say(
        f"{show.count(found.pages)} pages, {show.count(found.with_text)} with a text layer; "
        f"[red]{show.count(found.lying)}[/] of those lie ({found.lying / found.with_text:.0%})"
    )
    _show_rows("Documents", found.documents)
    _show_rows("Fonts", found.fonts)


def _show_rows(title: str, rows: list[AuditRow]) -> None:
    from flywheel.cli import show

    with_text = [row for row in rows if row.with_text]
    made = show.table(title.lower()[:-1], ">with text", ">lie", ">share", "", "*because", title=title)
    for row in with_text[:SHOWN]:
        because = ", ".join(f"{reason} {number}" for reason, number in row.reasons.items() if reason != "accepted")
        made.add_row(
            show.plainly(row.name),
            show.count(row.with_text),
            show.count(row.lying),
            f"{row.share or 0:.0%}",
            f"[red]{show.bar(row.share, 8)}[/]",
            f"[dim]{because}[/]",
        )
    show.say(made)
    if len(with_text) > SHOWN:
        show.say(f"[dim]and {len(with_text) - SHOWN} more, --json has them[/]")
