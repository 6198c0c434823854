"""round start --dry-run: the plan of a round, with its labels, its time and its tokenizer's fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flywheel.cli import show
from flywheel.cli.connection import connect
from flywheel.cli.show import count
from flywheel.figures import Unit
from flywheel.states import RoundStatus

if TYPE_CHECKING:
    from flywheel.encoding import JsonValue
    from flywheel.figures import Plan, TokenReport
    from flywheel.wire import RoundDetail

DEAR = 2.0  # tokens a character from which a script is dear: pages meet the token limit


def plan(
    data_dir: Path | None,
    language: str,
    corpora: Sequence[str],
    recipe: str,
    overrides: Mapping[str, JsonValue],
    *,
    as_json: bool,
) -> None:
    """Have a round planned, and show the plan. Exit code 1 when it could not be planned."""
    from rich.console import Console

    with connect(data_dir) as client, Console(stderr=True, quiet=as_json).status("planning"):
        asked = client.plan_round(language, corpora, recipe=recipe, overrides=overrides)
        *_, found = client.follow_round(asked.id)
    show.answer(found, lambda: _show(found), as_json=as_json)
    if found.status != RoundStatus.PLANNED:
        raise typer.Exit(1)


def _show(found: RoundDetail) -> None:
    plan = found.plan
    if plan is None:
        show.note(f"the plan could not be made: {found.detail}")
        return
    outlook = plan.outlook
    base = plan.parent or ("new weights" if plan.unit is Unit.LINE else "the published weights")
    rows = (
        (
            "learns from",
            f"{count(outlook.lines)} lines on {count(outlook.pages)} pages "
            f"of {count(outlook.documents)} documents",
        ),
        ("begins with", base),
        ("to be held against", outlook.reads_now or "nobody: the bar decides"),
        ("reads anew", f"{count(outlook.pages_to_relabel)} pages"),
    )
    show.echo(show.facts_table(rows, title=f"A round for {found.language} with {found.recipe}"))
    _show_time(plan)
    _show_tokens(plan.tokens)
    show.echo("[dim]nothing was started[/]")


def _show_time(plan: Plan) -> None:
    seconds = plan.seconds
    unknown = "not measured yet"
    training = f"at most {show.duration(seconds.training_at_most)}"
    if seconds.training is not None:
        training = f"{show.duration(seconds.training)}, {training}"
    cutting = f"cutting {count(plan.outlook.pages_to_cut)} pages"
    rows = (
        (cutting, unknown if seconds.cutting is None else show.duration(seconds.cutting)),
        ("training", training),
        ("relabelling", unknown if seconds.relabelling is None else show.duration(seconds.relabelling)),
    )
    show.echo(show.facts_table(rows, title="Time, at the rates of earlier rounds"))


def _show_tokens(tokens: TokenReport) -> None:
    dear = "  [yellow]dear: pages will meet the token limit early[/]" if tokens.tokens_per_character > DEAR else ""
    rows = (
        ("tokens a character", f"{tokens.tokens_per_character:.2f}{dear}"),
        ("tokens a syllable", f"{tokens.tokens_per_syllable:.2f}"),
        ("bytes, not characters", show.rate(tokens.byte_share)),
        ("unknown", show.rate(tokens.unknown_share)),
        ("texts are in", f"{tokens.normal_form}; the tokenizer applies {tokens.normaliser}"),
        ("texts that come back changed", show.rate(tokens.changed_share)),
        ("stacks", f"{count(tokens.stacks)}, {count(tokens.split_stacks)} of them cut in tokens"),
        ("cut most often", _examples(tokens.split_examples)),
        (
            "never seen",
            f"{count(tokens.unseen_stacks)} of the pages to be read  {_examples(tokens.unseen_examples)}",
        ),
    )
    show.echo(show.facts_table(rows, title=f"The tokenizer, on {count(tokens.texts)} texts"))


def _examples(pairs: Sequence[tuple[str, int]]) -> str:
    return show.escaped("  ".join(f"{stack} {times}" for stack, times in pairs))
