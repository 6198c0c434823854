"""Output of the commands: JSON, or tables, counts, shares and progress bars.

Rich and pydantic are imported where they are used, so that any command module can import this
one at its top and `flywheel --help` still answers at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from flywheel.document import Outcome
from flywheel.reasons import explanation
from flywheel.states import (
    PageState,
    ProgramState,
    PromotionAction,
    RequestStatus,
    RoundStatus,
    StackState,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress
    from rich.table import Table


class SubmissionStatus(StrEnum):
    """Status of one file of a submission."""

    SUBMITTED = "submitted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


COLOURS: dict[str, str] = {
    Outcome.ACCEPTED: "green",
    PageState.LABELLED: "green",
    StackState.READY: "green",
    SubmissionStatus.SUBMITTED: "green",
    RequestStatus.FINISHED: "green",
    PromotionAction.PROMOTE: "green",
    ProgramState.RUNNING: "green",
    Outcome.REJECTED: "red",
    SubmissionStatus.REFUSED: "red",
    RoundStatus.REFUSED: "red",
    RequestStatus.FAILED: "red",
    PageState.QUARANTINED: "red",
    Outcome.REVIEW: "yellow",
    PageState.WAITING: "yellow",
    SubmissionStatus.DUPLICATE: "yellow",
    PromotionAction.ROLLBACK: "yellow",
    PageState.PENDING: "cyan",
}


def answer(data: Any, render: Callable[[], object], *, as_json: bool) -> None:
    """Print a command's result: `data` as JSON, or else what `render` prints."""
    if as_json:
        json.dump(to_json(data), sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    else:
        render()


def to_json(value: Any) -> Any:
    """The JSON form of models, and of mappings and lists of them, at any depth."""
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value


def console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def echo(*parts: RenderableType) -> None:
    """Print to standard output, each part on lines of its own."""
    console().print(*parts, sep="\n")


def note(text: str) -> None:
    """Print to standard error, for all that is not the result."""
    from rich.console import Console

    Console(stderr=True, highlight=False).print(text, style="dim", markup=False)


def table(*columns: str, title: str | None = None) -> Table:
    """Make an empty table. A column that begins with > holds numbers, with = ids to be copied, with * may wrap."""
    from rich import box
    from rich.table import Table

    made = Table(
        box=box.SIMPLE_HEAD,
        title=f"\n{title}" if title else None,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
    )
    for column in columns:
        made.add_column(
            column.lstrip(">=*"),
            justify="right" if column.startswith(">") else "left",
            no_wrap=column.startswith((">", "=")),
            overflow="fold",
            ratio=1 if column.startswith("*") else None,
        )
    return made


def coloured(word: str | None) -> str:
    """Markup of a state, verdict or status in its colour."""
    if not word:
        return "[dim]-[/]"
    colour = COLOURS.get(word)
    return f"[{colour}]{word}[/]" if colour else word


def escaped(text: object) -> str:
    """Escape text from outside, so that nothing in it is taken for markup."""
    from rich.markup import escape

    return escape(str(text))


def count(number: int | None) -> str:
    """A whole number with its thousands apart: 12500 -> "12 500"."""
    return "-" if number is None else f"{number:,}".replace(",", " ")


def rate(fraction: float | None) -> str:
    """An error rate: 0.0213 -> "2.13 %"."""
    return "-" if fraction is None else f"{fraction:.2%}".replace("%", " %")


def bar(share: float | None, width: int = 12) -> str:
    """Bar of eighths of a character for a share of 1."""
    if share is None:
        return ""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def size(number: float) -> str:
    """Bytes for people: 1500 -> "1.5 kB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def duration(seconds: float | None) -> str:
    """Seconds for people: 75 -> "1:15"."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def reasons_table(counts: Mapping[str, int], counted: str, *, title: str) -> Table:
    """Counts by reason, each reason with its explanation; `counted` heads the column of numbers."""
    made = table(f">{counted}", "reason", "*what it means", title=title)
    for reason, number in counts.items():
        made.add_row(count(number), reason, f"[dim]{explanation(reason)}[/]")
    return made


def facts_table(rows: Iterable[tuple[str, object]], title: str | None = None) -> Table:
    """Table of names and values, without a heading."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    if title:
        made.title, made.title_justify, made.title_style = f"\n{title}\n", "left", "bold"
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, "-" if value is None or value == "" else str(value))
    return made


def progress(unit: str, *, hidden: bool, by_bytes: bool = False) -> Progress:
    """Progress bar on standard error with rate and time left; `hidden` for --json."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    amount: Sequence[Any] = (
        (DownloadColumn(), TransferSpeedColumn()) if by_bytes else (MofNCompleteColumn(), _rate_column(unit))
    )
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        *amount,
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        disable=hidden,
    )


def _rate_column(unit: str) -> Any:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Column of work a second, by the bar's own recent speed."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.1f} {unit}/s", style="cyan")

    return RateColumn()
