"""round start, list, show, cancel: rounds of fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import show
from flywheel.cli.comparison import comparison
from flywheel.cli.connection import connect
from flywheel.cli.options import AsJson, DataDir, Language, RequiredLanguage
from flywheel.cli.plans import plan
from flywheel.cli.plot import curve
from flywheel.recipes import recipe_names
from flywheel.states import RoundStatus, TrainingPhase

if TYPE_CHECKING:
    from flywheel.client import Client
    from flywheel.encoding import JsonValue
    from flywheel.figures import DatasetCounts, SplitCounts, TrainingProgress
    from flywheel.wire import Round, RoundDetail

app = typer.Typer(help="Start, follow and cancel rounds of fine-tuning.", no_args_is_help=True)

SUCCEEDED = (RoundStatus.FINISHED, RoundStatus.REFUSED)  # a refusal is a result: the candidate was worse
PHASES: dict[RoundStatus | TrainingPhase, str] = {
    RoundStatus.PATCHING: "cutting patches",
    RoundStatus.FREEZING: "freezing the dataset",
    RoundStatus.TRAINING: "training",
    TrainingPhase.JUDGING: "judging",
    RoundStatus.PROMOTING: "deciding",
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
    recipe: Annotated[str, typer.Option("--recipe", help=f"How to train: {', '.join(recipe_names())}.")] = "line",
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


def _setting(text: str) -> tuple[str, JsonValue]:
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
            progress = found.progress if found.phase == TrainingPhase.TRAINING else None
            bar.update(
                task,
                description=PHASES.get(found.phase, found.phase),
                completed=progress.share if progress else 0,
                total=1.0 if progress else None,
                said=_rate_and_rest(progress) if progress else "",
            )
    return found


def _rate_and_rest(progress: TrainingProgress) -> str:
    speed, rest, cer = progress.units_per_second, progress.remaining_seconds, progress.cer
    parts = [
        f"{_speed(speed)} {progress.unit.plural}/s" if speed else "",
        f"CER {show.rate(cer)}" if cer is not None else "",
        f"{show.duration(rest)} left" if rest is not None else "",
    ]
    return "  ".join(part for part in parts if part)


def _speed(units: float) -> str:
    """Whole units a second; fewer than ten, as of pages, with two digits."""
    return f"{units:.0f}" if units >= 10 else f"{units:.2g}"


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
        compared = row.comparison
        took = show.duration((row.finished_at - row.created_at).total_seconds()) if row.finished_at else "-"
        made.add_row(
            str(row.id),
            row.language,
            row.recipe,
            show.coloured(row.status),
            show.rate(compared.baseline.cer if compared else None),
            show.rate(compared.candidate.cer if compared else None),
            show.count(row.relabelled),
            took,
        )
    show.echo(made)


@app.command("show")
def show_one(round_id: RoundId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show a round: its status, learning curve, scores and decision."""
    with connect(data_dir) as client:
        found = client.round(round_id)
    show.answer(found, lambda: _show_round(found), as_json=as_json)


def _show_round(found: RoundDetail) -> None:
    show.echo(show.facts_table(_facts(found), title=f"Round {found.id}"))
    if drawn := _curve(found):
        samples = found.progress.unit.plural if found.progress else "samples"
        show.echo(f"\n[bold]CER on the validation {samples}[/]\n", *drawn)
    if found.comparison:
        show.echo(*comparison(found.comparison, found.checkpoint_id or "candidate"))
    for decision in found.decisions:
        show.echo(
            f"{show.coloured(decision.action)}  {show.escaped(decision.detail)}  [dim]by {decision.actor}[/]"
        )


def _facts(found: RoundDetail) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [
        ("status", f"{show.coloured(found.status)}  {show.escaped(found.detail or '')}"),
        ("language, recipe", f"{found.language}, {found.recipe}"),
        ("corpora", ", ".join(found.corpora) or "all"),
        *(_dataset(found.dataset.counts) if found.dataset else ()),
        ("from, to", f"{found.parent_id or 'scratch'} -> {found.checkpoint_id or '-'}"),
        ("training", show.duration(found.trained_seconds)),
    ]
    if found.status == RoundStatus.TRAINING and found.progress is not None:
        judging = f"judging the checkpoint on the held-out {found.progress.unit.plural}"
        training = f"training  {_rate_and_rest(found.progress)}"
        rows.append(("phase", judging if found.phase == TrainingPhase.JUDGING else training))
    if found.relabelled is not None:
        rows.append(("relabelled", f"{show.count(found.relabelled)} pages"))
    return rows


def _dataset(counts: DatasetCounts) -> Iterator[tuple[str, object]]:
    """Rows that tell of the round's dataset."""
    # Where pages are the unit they are told once.
    splits = {counts.unit.plural: counts.units, "pages": counts.pages, "documents": counts.documents}
    if counts.groups is not None and counts.groups != counts.documents:
        splits["different documents"] = counts.groups
    yield "dataset", "\n".join(f"{name} {_splits(split)}" for name, split in splits.items())
    if counts.near_training:
        yield "not examined by", f"{show.count(counts.near_training)} pages near-equal to some learned from"
    if counts.advice:
        yield "exam", counts.advice
    if counts.replay:
        yield "pages of others", _by_name(counts.replay)
    yield f"dropped {counts.unit.plural}", _by_name(counts.dropped)


def _splits(counts: SplitCounts) -> str:
    return _by_name({"train": counts.train, "validation": counts.validation, "heldout": counts.heldout})


def _by_name(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {show.count(number)}" for name, number in counts.items()) or "-"


def _curve(found: RoundDetail) -> list[str]:
    points = [(point.seconds, point.cer) for point in found.curve]
    if len(points) < 2:
        return []
    last = points[-1]
    right = f"{show.rate(last[1])} after {show.duration(last[0])}"
    return curve(points, left=show.duration(points[0][0]), right=right)


@app.command()
def cancel(round_id: RoundId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Cancel a round; its workers stop within seconds."""
    with connect(data_dir) as client:
        found = client.cancel_round(round_id)
    cancelled = f"round {round_id} is {show.coloured(found.status)}"
    show.answer(found, lambda: show.echo(cancelled), as_json=as_json)
