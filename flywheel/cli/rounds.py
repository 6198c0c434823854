"""round start, list, show, cancel: rounds of fine-tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flywheel.cli import show
from flywheel.cli.connection import connect
from flywheel.cli.options import AsJson, DataDir, Language, RequiredLanguage
from flywheel.cli.plans import plan
from flywheel.cli.plot import curve
from flywheel.loop.recipes import RECIPES
from flywheel.states import RoundStatus

if TYPE_CHECKING:
    from flywheel.client import Client
    from flywheel.wire import Round, RoundDetail

app = typer.Typer(help="Start, follow and cancel rounds of fine-tuning.", no_args_is_help=True)

SUCCEEDED = (RoundStatus.FINISHED, RoundStatus.REFUSED)  # a refusal is a result: the candidate was worse
PHASES = {
    RoundStatus.PATCHING: "cutting lines",
    RoundStatus.FREEZING: "freezing the dataset",
    RoundStatus.TRAINING: "training",
    RoundStatus.PROMOTING: "judging",
    RoundStatus.RELABELLING: "relabelling",
}
RoundId = Annotated[int, typer.Argument(metavar="ID", show_default=False, min=1)]


@app.command(
    epilog="[bold]Examples[/]\n  flywheel round start --language bo --wait\n"
    "  flywheel round start -l bo --recipe deepseek-ocr-lora --dry-run\n"
    "  flywheel round start -l bo -c books -c scans --recipe line --set seconds=600"
)
def start(
    language: RequiredLanguage,
    corpus: Annotated[
        list[str] | None, typer.Option("--corpus", "-c", help="Learn from these only; again for more.")
    ] = None,
    recipe: Annotated[str, typer.Option("--recipe", help=f"How to train: {', '.join(RECIPES)}.")] = "line",
    override: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the recipe.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the round has ended.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Start nothing: show what it would learn from, and how long.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Start a round: train on the accepted labels, compare with the champion, promote, relabel."""
    overrides = dict(_setting(text) for text in override or [])
    if dry_run:
        plan(data_dir, language, corpus or (), recipe, overrides, as_json=as_json)
        return
    with connect(data_dir) as client:
        found = client.start_round(language, corpus or (), recipe=recipe, overrides=overrides)
        if wait:
            if not as_json:
                show.note(f"round {found.id}")
            found = _follow(client, found.id, hidden=as_json)
    begun = f"round {found.id} has begun; `flywheel round show {found.id}` follows it"
    show.answer(found, lambda: _show_round(found) if wait else show.echo(begun), as_json=as_json)
    if wait and found.status not in SUCCEEDED:
        raise typer.Exit(1)


def _setting(text: str) -> tuple[str, Any]:
    """Parse NAME=VALUE, the value as JSON where it is JSON, else as text."""
    import json

    name, given, value = text.partition("=")
    if not given or not name:
        raise typer.BadParameter(f"--set takes NAME=VALUE, not {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _follow(client: Client, round_id: int, *, hidden: bool) -> RoundDetail:
    """Follow a round to its end, with a progress bar for its training."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}", style="cyan"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=hidden,
    ) as bar:
        task = bar.add_task("starting", total=None, said="")
        for found in client.follow_round(round_id):
            share = found.progress.get("share") if found.status == RoundStatus.TRAINING else None
            bar.update(
                task,
                description=PHASES.get(found.status, found.status),
                completed=share or 0,
                total=None if share is None else 1.0,
                said=_rate_and_rest(found.progress) if share is not None else "",
            )
    return found


def _rate_and_rest(progress: dict[str, Any]) -> str:
    speed, rest, cer = (progress.get(name) for name in ("lines_per_second", "remaining_seconds", "cer"))
    parts = [
        f"{speed:.0f} lines/s" if speed else "",
        f"CER {show.rate(cer)}" if cer is not None else "",
        f"{show.duration(rest)} left" if rest is not None else "",
    ]
    return "  ".join(part for part in parts if part)


@app.command("list")
def list_rounds(language: Language = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List rounds, newest first."""
    with connect(data_dir) as client:
        found = client.rounds(language=language)
    show.answer(found, lambda: _show_rounds(found), as_json=as_json)


def _show_rounds(found: list[Round]) -> None:
    if not found:
        show.echo("no round yet; `flywheel round start --language TAG` starts one")
        return
    made = show.table(">round", "language", "recipe", "status", ">CER before", ">after", ">relabelled", ">took")
    for row in found:
        before, after = _cer(row, "before"), _cer(row, "after")
        took = show.duration((row.finished_at - row.created_at).total_seconds()) if row.finished_at else "-"
        made.add_row(
            str(row.id),
            row.language,
            row.recipe,
            show.coloured(row.status),
            show.rate(before),
            show.rate(after),
            show.count(row.relabelled),
            took,
        )
    show.echo(made)


def _cer(row: Round, when: str) -> float | None:
    scores = row.scores.get(when)
    return scores.get("cer") if isinstance(scores, dict) else None


@app.command("show")
def show_one(round_id: RoundId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show a round: its status, learning curve, scores and decision."""
    with connect(data_dir) as client:
        found = client.round(round_id)
    show.answer(found, lambda: _show_round(found), as_json=as_json)


def _show_round(found: RoundDetail) -> None:
    show.echo(show.facts_table(_facts(found), title=f"Round {found.id}"))
    if drawn := _curve(found):
        show.echo("\n[bold]CER on the validation lines[/]\n", *drawn)
    if scores := _scores(found):
        show.echo(scores)
    for decision in found.decisions:
        show.echo(
            f"{show.coloured(decision.action)}  {show.escaped(decision.detail)}  [dim]by {decision.actor}[/]"
        )


def _facts(found: RoundDetail) -> list[tuple[str, object]]:
    counts = found.dataset.counts if found.dataset else {}
    parts = [f"{name} {_number(value)}" for name, value in counts.items() if name != "dropped"]
    rows: list[tuple[str, object]] = [
        ("status", f"{show.coloured(found.status)}  {show.escaped(found.detail or '')}"),
        ("language, recipe", f"{found.language}, {found.recipe}"),
        ("corpora", ", ".join(found.corpora) or "all"),
        ("dataset", "; ".join(parts)),
        ("dropped lines", _number(counts.get("dropped", "-"))),
        ("from, to", f"{found.parent_id or 'scratch'} -> {found.checkpoint_id or '-'}"),
        ("training", show.duration(found.trained_seconds)),
    ]
    if found.status == RoundStatus.TRAINING:
        rows.append(("progress", _rate_and_rest(found.progress)))
    if found.relabelled is not None:
        rows.append(("relabelled", f"{show.count(found.relabelled)} pages"))
    return rows


def _number(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_number(item)}" for key, item in value.items()) or "-"
    return show.count(value) if isinstance(value, int) else str(value)


def _curve(found: RoundDetail) -> list[str]:
    points = [
        (float(point["seconds"]), float(point["cer"]))
        for point in found.curve
        if point.get("seconds") is not None and point.get("cer") is not None
    ]
    if len(points) < 2:
        return []
    last = points[-1]
    right = f"{show.rate(last[1])} after {show.duration(last[0])}"
    return curve(points, left=show.duration(points[0][0]), right=right)


def _scores(found: RoundDetail) -> Any:
    """Table of the scores before and after, on the same held-out lines."""
    made = show.table("reader", ">CER", "95 % interval", ">WER", ">lines", ">characters", title="Held-out lines")
    readers = {"before": found.scores.get("before_reader", "before"), "after": found.checkpoint_id or "after"}
    for when, reader in readers.items():
        scores = found.scores.get(when)
        if not isinstance(scores, dict):
            continue
        low, high = scores.get("cer_low"), scores.get("cer_high")
        between = f"{show.rate(low)} .. {show.rate(high)}" if low is not None and high is not None else "-"
        cer = f"[bold]{show.rate(scores.get('cer'))}[/]"
        lines, characters = show.count(scores.get("lines")), show.count(scores.get("characters"))
        made.add_row(str(reader), cer, between, show.rate(scores.get("wer")), lines, characters)
    return made if made.row_count else None


@app.command()
def cancel(round_id: RoundId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Cancel a round; its workers stop within seconds."""
    with connect(data_dir) as client:
        found = client.cancel_round(round_id)
    cancelled = f"round {round_id} is {show.coloured(found.status)}"
    show.answer(found, lambda: show.echo(cancelled), as_json=as_json)
