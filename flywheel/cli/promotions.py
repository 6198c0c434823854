"""checkpoints, promote, rollback: the readers there are, and which of them reads what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli.connection import AsJson, DataDir, connect

if TYPE_CHECKING:
    from flywheel.wire import PromotionInfo

Language = Annotated[str | None, typer.Option("--language", "-l", metavar="TAG", help="BCP-47 tag, e.g. bo.")]


def checkpoints(language: Language = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the readers with their scores; the one that reads a language now is marked."""
    from flywheel.cli import show

    with connect(data_dir) as client:
        found = client.checkpoints(language=language)
    if as_json:
        show.print_json(found)
        return
    if not found:
        show.say("no checkpoint" + (f" for {language}; `flywheel round start` makes one" if language else ""))
        return
    made = show.table("checkpoint", "language", "scripts", ">CER", ">WER", ">round", ">generation", "reads now")
    for item in found:
        made.add_row(
            item.id,
            item.language or "-",
            " ".join(item.scripts),
            show.rate(item.scores.get("cer")),
            show.rate(item.scores.get("wer")),
            show.count(item.round_id),
            str(item.generation),
            f"[green]{' '.join(item.champion_of)}[/]",
        )
    show.say(made)


def promote(
    checkpoint: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    language: Language = None,
    note: Annotated[str, typer.Option("--note", help="Why, for the record.")] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a checkpoint the one that reads its language."""
    with connect(data_dir) as client:
        _show_decision(client.promote(checkpoint, language=language, detail=note), as_json)


def rollback(
    language: Annotated[str, typer.Option("--language", "-l", metavar="TAG", help="BCP-47 tag, e.g. bo.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the checkpoint that read a language before."""
    with connect(data_dir) as client:
        _show_decision(client.rollback(language), as_json)


def _show_decision(decision: PromotionInfo, as_json: bool) -> None:
    from flywheel.cli import show

    if as_json:
        show.print_json(decision)
        return
    now = decision.checkpoint_id or "the built-in reader, or nobody"
    before = f"  [dim]before: {decision.previous_id}[/]" if decision.previous_id else ""
    show.say(f"{show.coloured(decision.action)}  {decision.language} is read by [bold]{now}[/] now{before}")
