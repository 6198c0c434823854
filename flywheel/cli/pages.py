"""corpora, pages, page: the corpora, the pages of one with their verdicts, and one page in full."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flywheel.cli import show
from flywheel.cli.connection import connect
from flywheel.cli.options import AsJson, CorpusArgument, DataDir
from flywheel.cli.summary import show_summary
from flywheel.document import Outcome, encode
from flywheel.states import PageState

if TYPE_CHECKING:
    from flywheel.document import Label, PageFacts
    from flywheel.wire import Corpus, Page, PageDetail

SHOWN = 40


def corpora(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the corpora."""
    with connect(data_dir) as client:
        found = client.corpora()
    show.answer(found, lambda: _show_corpora(found), as_json=as_json)


def _show_corpora(found: list[Corpus]) -> None:
    if not found:
        show.echo("no corpus yet; `flywheel submit FILE --corpus NAME` makes one")
        return
    made = show.table("corpus", ">documents", ">pages", "since")
    for corpus in found:
        since = corpus.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        made.add_row(show.escaped(corpus.name), show.count(corpus.documents), show.count(corpus.pages), since)
    show.echo(made)


def pages(
    corpus: CorpusArgument,
    verdict: Annotated[
        Outcome | None, typer.Option("--verdict", metavar="V", help=f"{', '.join(Outcome)}.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="R", help="A code, e.g. no_text_layer.")
    ] = None,
    state: Annotated[
        PageState | None, typer.Option("--state", metavar="S", help=f"{', '.join(PageState)}.")
    ] = None,
    document: Annotated[int | None, typer.Option("--document", metavar="ID", help="Of one document only.")] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", metavar="N", min=1, help=f"At most so many [{SHOWN}; with --json all]."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Explain a corpus: its pages by state, verdict and reason, and the pages themselves."""
    most = limit or (None if as_json else SHOWN)
    with connect(data_dir) as client:
        summary = client.summary(corpus)
        filters: dict[str, Any] = {"verdict": verdict, "reason": reason, "state": state, "document": document}
        batch = min(most + 1, 1000) if most else 1000
        found = list(islice(client.pages(corpus, **filters, batch=batch), most + 1 if most else None))
    listed = found[:most]

    def render() -> None:
        if not any(filters.values()):
            show_summary(summary)
        _show_pages(listed, more=len(found) > len(listed))

    show.answer({"corpus": corpus, "summary": summary, "pages": listed}, render, as_json=as_json)


def _show_pages(listed: list[Page], *, more: bool) -> None:
    if not listed:
        show.echo("no page fits")
        return
    made = show.table(">page", "document", ">no.", "state", "verdict", "*reason")
    for page in listed:
        why = f"{page.reason or ''}[dim]{' - ' + show.escaped(page.detail) if page.detail else ''}[/]"
        made.add_row(
            str(page.id),
            show.escaped(page.document),
            str(page.number + 1),
            show.coloured(page.state),
            show.coloured(page.verdict),
            why,
        )
    show.echo(made)
    if more:
        show.echo("[dim]there are more: --limit N, or --verdict, --reason, --state, --document to choose[/]")
    else:
        show.echo("[dim]`flywheel page ID` shows one in full[/]")


def page(
    page_id: Annotated[int, typer.Argument(metavar="ID", show_default=False, min=1)],
    image: Annotated[
        Path | None, typer.Option("--image", metavar="FILE", help="Write the page with its label drawn on it.")
    ] = None,
    dpi: Annotated[float, typer.Option("--dpi", min=20, max=400, help="Of that picture.")] = 110,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one page: facts, labels, the current label's lineage, and its text."""
    with connect(data_dir) as client:
        found = client.page(page_id)
        label = client.page_label(page_id) if found.labels else None
        if image is not None:
            kind = "jpeg" if image.suffix.lower() in (".jpg", ".jpeg") else "png"
            image.write_bytes(client.page_image(page_id, dpi=dpi, annotated=True, format=kind))
    show.answer(
        {**found.model_dump(mode="json"), "label": encode(label) if label else None},
        lambda: _show_page(found, label, image),
        as_json=as_json,
    )


def _show_page(found: PageDetail, label: Label | None, image: Path | None) -> None:
    show.echo(show.facts_table(_facts(found), title=f"Page {found.id}"))
    if found.labels:
        made = show.table(">label", "kind", "by", "verdict", ">lines", ">confidence", "*reason", title="Labels")
        for item in found.labels:
            sure = "-" if item.confidence is None else f"{item.confidence:.3f}"
            mark = f"[bold]{item.id} *[/]" if item.current else str(item.id)
            by = item.checkpoint_id or item.producer
            made.add_row(mark, item.kind, by, show.coloured(item.verdict), str(item.lines), sure, item.reason)
        show.echo(made)
    if len(found.lineage) > 1:
        steps = [(f"{step.kind} {step.id}", step.detail) for step in found.lineage]
        show.echo(show.facts_table(steps, title="Lineage of *"))
    if label is not None:
        show.echo("\n[bold]Text[/]\n", show.escaped(label.text) or "[dim](none)[/]", "")
    if image is not None:
        show.note(f"wrote {image}")


def _facts(found: PageDetail) -> list[tuple[str, object]]:
    facts = found.facts
    size = f"{found.width:.0f} x {found.height:.0f} pt" if found.width and found.height else None
    said = " - ".join(part for part in (found.reason, found.detail or found.explanation) if part)
    return [
        ("document", show.escaped(f"{found.document}, page {found.number + 1} ({found.corpus})")),
        ("state", f"{show.coloured(found.state)}  {show.coloured(found.verdict)}"),
        ("because", show.escaped(said)),
        ("language, script", f"{found.language or '-'}, {found.script or '-'}"),
        ("rights", show.escaped(found.rights or "-")),
        ("size", f"{size or '-'}, rotated {facts.rotation if facts else 0}"),
        ("ink", show.rate(found.ink)),
        *(_text_layer(facts) if facts else ()),
    ]


def _text_layer(facts: PageFacts) -> Iterator[tuple[str, object]]:
    image = ", the page is an image" if facts.image_only else ""
    yield "text layer", f"{facts.characters} characters{image}" if facts.has_text else "none"
    yield "scripts in it", ", ".join(f"{script} {number}" for script, number in facts.scripts.items())
    yield "fonts", show.escaped(", ".join(facts.fonts))
