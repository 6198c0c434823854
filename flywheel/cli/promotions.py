"""checkpoints, promote, rollback: the readers with their scores, and the champion of each language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import show
from flywheel.cli.connection import connect
from flywheel.cli.options import AsJson, DataDir, Language, RequiredLanguage

if TYPE_CHECKING:
    from flywheel.wire import Checkpoint, PromotionInfo


def checkpoints(language: Language = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the readers with their scores; the one that reads a language now is marked."""
    with connect(data_dir) as client:
        found = client.checkpoints(language=language)
    show.answer(found, lambda: _show_checkpoints(found, language), as_json=as_json)


def _show_checkpoints(found: list[Checkpoint], language: str | None) -> None:
    if not found:
        show.echo("no checkpoint" + (f" for {language}; `flywheel round start` makes one" if language else ""))
        return
    made = show.table("=checkpoint", "=lang", "scripts", ">CER", ">WER", ">round", ">gen", "reads now")
    for item in found:
        made.add_row(
            item.id,
            item.language or "-",
            " ".join(item.scripts),
            show.rate(item.scores.cer if item.scores else None),
            show.rate(item.scores.wer if item.scores else None),
            show.count(item.round_id),
            str(item.generation),
            f"[green]{' '.join(item.champion_of)}[/]",
        )
    show.echo(made)


def promote(
    checkpoint: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    language: Language = None,
    note: Annotated[str, typer.Option("--note", help="Why, for the record.")] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a checkpoint the one that reads its language."""
    with connect(data_dir) as client:
        decision = client.promote(checkpoint, language=language, detail=note)
    show.answer(decision, lambda: _show_decision(decision), as_json=as_json)


def rollback(
    language: RequiredLanguage,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the checkpoint that read a language before."""
    with connect(data_dir) as client:
        decision = client.rollback(language)
    show.answer(decision, lambda: _show_decision(decision), as_json=as_json)


def _show_decision(decision: PromotionInfo) -> None:
    now = decision.checkpoint_id or "the built-in reader, or nobody"
    before = f"  [dim]before: {decision.previous_id}[/]" if decision.previous_id else ""
    show.echo(f"{show.coloured(decision.action)}  {decision.language} is read by [bold]{now}[/] now{before}")
