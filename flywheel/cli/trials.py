"""read, evaluate: files read at once, outside any corpus, and scored where their text is known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flywheel.cli import show, study
from flywheel.cli.connection import connect
from flywheel.cli.options import AsJson, DataDir, Language
from flywheel.cli.parallel import in_parallel
from flywheel.document import Outcome, decode_label
from flywheel.intake import READABLE_SUFFIXES
from flywheel.loop.readers import AUTO, BUILTIN_READERS, MODES
from flywheel.reasons import explanation
from flywheel.states import RequestStatus

if TYPE_CHECKING:
    from flywheel.client import Client
    from flywheel.wire import Trial

IN_FLIGHT = 4
STRUCTURE = (("tables", "teds"), ("formulas", "formula_error"))  # scored beside the text, where the truth has some

Checkpoint = Annotated[
    str | None,
    typer.Option("--checkpoint", metavar="ID", help="Read with this one; default: the language's champion."),
]
ReaderName = Annotated[
    str | None,
    typer.Option("--reader", metavar="NAME", help=f"Read with one that came along: {', '.join(BUILTIN_READERS)}."),
]
Mode = Annotated[
    str | None,
    typer.Option("--mode", metavar="MODE", help=f"How a page reader looks: {', '.join((AUTO, *MODES))}."),
]


def read(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, show_default=False)],
    checkpoint: Checkpoint = None,
    reader: ReaderName = None,
    mode: Mode = None,
    language: Language = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Read one PDF or image now, outside any corpus. Prints its text, or its labels with --json."""
    if reader is not None and checkpoint is not None:
        raise typer.BadParameter("--reader and --checkpoint say the same: give one of them")
    if reader is not None and reader not in BUILTIN_READERS:
        raise typer.BadParameter(f"no reader {reader!r}; there are {', '.join(BUILTIN_READERS)}")
    with connect(data_dir) as client:
        started = client.start_trial(file, language=language, checkpoint=checkpoint or reader, mode=mode)
        with show.progress("files", hidden=as_json) as bar:
            task = bar.add_task(f"reading {file.name}", total=1)
            *_, found = client.follow_trial(started.id)
            bar.update(task, completed=1)
    show.answer(found, lambda: _print_text(found), as_json=as_json)
    if found.status != RequestStatus.FINISHED or any(page.label is None for page in found.pages):
        raise typer.Exit(1)


def _print_text(found: Trial) -> None:
    """Print text to standard output, pages parted by form feeds, and faults to standard error."""
    if found.status == RequestStatus.FAILED:
        show.note(f"{found.name}: {found.reason}: {found.detail or explanation(found.reason)}")
    for number, page in enumerate(found.pages):
        if number:
            sys.stdout.write("\f")
        if page.label is not None:
            sys.stdout.write(decode_label(page.label).text + "\n")
            if page.verdict not in (None, Outcome.ACCEPTED):
                show.note(f"page {page.number + 1}: {page.verdict}: {page.reason}: {page.detail or ''}")
        else:
            show.note(f"page {page.number + 1}: {page.reason}: {page.detail or ''}")


def evaluate(
    truth_dir: Annotated[
        Path, typer.Argument(metavar="TRUTH_DIR", exists=True, file_okay=False, show_default=False)
    ],
    checkpoint: Annotated[str, typer.Option("--checkpoint", metavar="ID", help="Which reader.")],
    language: Language = None,
    modes: Annotated[
        str | None,
        typer.Option(
            "--modes", metavar="M,M", help="Compression study: precision against vision tokens, by mode."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="With --modes: the study as a picture (SVG).")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure a checkpoint on pages whose text is known: CER and WER a file, and in all."""
    pairs = list(_pairs(truth_dir))
    if not pairs:
        raise typer.BadParameter(f"{truth_dir} holds no pair of a page and its text, like a.png and a.txt")
    chosen = [mode.strip() for mode in modes.split(",")] if modes is not None else []
    if plot is not None and not chosen:
        raise typer.BadParameter("--plot draws the study of --modes: name some, e.g. --modes tiny,small,base")
    if unknown := [mode for mode in chosen if mode not in MODES]:
        raise typer.BadParameter(f"no mode {unknown[0]!r}; there are {', '.join(MODES)}")
    with connect(data_dir) as client:
        if chosen:
            runs = {m: _read_all(client, pairs, checkpoint, language, mode=m, hidden=as_json) for m in chosen}
            study.report(checkpoint, runs, plot, as_json=as_json)
            return
        found = _read_all(client, pairs, checkpoint, language, hidden=as_json)
    rows = [_row(page, trial) for (page, _), trial in zip(pairs, found, strict=True)]
    total = _total(rows)
    data = {"checkpoint": checkpoint, "files": rows, "total": total}
    show.answer(data, lambda: _show_scores(rows, total, checkpoint), as_json=as_json)
    if any(row["cer"] is None for row in rows):
        raise typer.Exit(1)


def _pairs(directory: Path) -> Iterator[tuple[Path, Path]]:
    """Yield (page, text) for every page file with a .txt of the same name beside it."""
    for page in sorted(directory.rglob("*")):
        text = page.with_suffix(".txt")
        if page.suffix.lower() in READABLE_SUFFIXES and text.is_file():
            yield page, text


def _read_all(
    client: Client,
    pairs: list[tuple[Path, Path]],
    checkpoint: str,
    language: str | None,
    *,
    mode: str | None = None,
    hidden: bool,
) -> list[Trial]:
    """Read the pages a few at once, so that no reader waits for an upload."""

    def one(pair: tuple[Path, Path]) -> Trial:
        truth = pair[1].read_text(encoding="utf-8-sig")
        started = client.start_trial(pair[0], language=language, checkpoint=checkpoint, mode=mode, truth=truth)
        *_, found = client.follow_trial(started.id)
        return found

    with show.progress("files", hidden=hidden) as bar:
        task = bar.add_task(f"reading in {mode} mode" if mode else "reading", total=len(pairs))
        found = []
        for trial in in_parallel(one, pairs, at_once=IN_FLIGHT):
            found.append(trial)
            bar.advance(task)
    return found


def _row(page: Path, trial: Trial) -> dict[str, Any]:
    names = ("cer", "wer", "edits", "characters", "word_edits", "words", *chain(*STRUCTURE))
    failed = next((part for part in trial.pages if part.label is None), None)
    reason = trial.reason or (failed.reason if failed else None)
    return {"file": page.name, **{name: getattr(trial.scores, name, None) for name in names}, "reason": reason}


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Error rates over all files: sums of edits by sums of characters, so that long files weigh more.

    A server that counts no words leaves WER the mean of the files', weighted by characters.
    """
    scored = [row for row in rows if row["cer"] is not None]
    edits, characters = (sum(row[name] for row in scored) for name in ("edits", "characters"))
    total = {"files": len(rows), "cer": edits / characters if characters else None, "wer": None}
    if scored and all(row["words"] for row in scored):
        total["wer"] = sum(row["word_edits"] for row in scored) / sum(row["words"] for row in scored)
    elif characters:
        total["wer"] = sum(row["wer"] * row["characters"] for row in scored) / characters
    total |= {"edits": edits, "characters": characters}
    for count, rate in STRUCTURE:
        total |= {count: sum(row[count] or 0 for row in scored), rate: _mean(scored, rate, count)}
    return total


def _mean(rows: list[dict[str, Any]], rate: str, count: str) -> float | None:
    """Mean over the files that have some, weighted by how many."""
    known = [(row[rate], row[count]) for row in rows if row[rate] is not None]
    weight = sum(number for _, number in known)
    return sum(value * number for value, number in known) / weight if weight else None


def _show_scores(rows: list[dict[str, Any]], total: dict[str, Any], checkpoint: str) -> None:
    shown = [pair for pair in STRUCTURE if total[pair[0]]]
    named = {"teds": ">TEDS", "formula_error": ">formula error"}
    columns = [column for count, rate in shown for column in (f">{count}", named[rate])]
    made = show.table(
        "file", ">CER", ">WER", ">edits", ">characters", *columns, "*", title=f"Read with {checkpoint}"
    )
    for row in rows:
        made.add_row(
            show.escaped(row["file"]),
            *_figures(row, shown),
            f"[red]{row['reason']}[/]" if row["reason"] else "",
        )
    made.add_section()
    name, cer, *others = (f"[bold]in all {total['files']}[/]", *_figures(total, shown))
    made.add_row(name, f"[bold]{cer}[/]", *others)
    show.echo(made)


def _figures(row: dict[str, Any], shown: list[tuple[str, str]]) -> list[str]:
    text = [show.rate(row["cer"]), show.rate(row["wer"]), show.count(row["edits"]), show.count(row["characters"])]
    return text + [cell for count, rate in shown for cell in (show.count(row[count]), show.rate(row[rate]))]
