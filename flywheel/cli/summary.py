"""Summary of a corpus: pages by state, verdict and reason, with explanations of the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flywheel.cli import show
from flywheel.states import PageState

if TYPE_CHECKING:
    from flywheel.wire import Summary

BY_STATE = (PageState.LABELLED, PageState.WAITING, PageState.QUARANTINED, PageState.PENDING)


def show_summary(summary: Summary) -> None:
    """Print the counts of a corpus."""
    pages, documents = summary.pages, summary.documents
    states = [f"{show.count(getattr(pages, state))} {show.coloured(state)}" for state in BY_STATE]
    verdicts = [f"{show.count(number)} {show.coloured(verdict)}" for verdict, number in pages.by_verdict.items()]
    rows: list[tuple[str, object]] = [
        ("documents", f"{show.count(documents.submitted)}  ({show.count(documents.quarantined)} quarantined)"),
        ("pages", f"{show.count(pages.submitted)}: " + ", ".join(states)),
    ]
    if verdicts:
        rows.append(("labels", ", ".join(verdicts)))
    show.echo(show.facts_table(rows, title=f"Corpus {show.escaped(summary.corpus)}"))
    if pages.by_reason:
        show.echo(show.reasons_table(pages.by_reason, "pages", title="Pages by reason"))
    if documents.by_reason:
        show.echo(show.reasons_table(documents.by_reason, "documents", title="Documents in quarantine"))
    if pages.waiting:
        show.echo("[dim]what waits has no reader yet: `flywheel round start --language TAG` trains one[/]")
