"""Demo: one pass of the whole loop on a corpus drawn on the spot.

    draw -> submit -> label -> round (patches, dataset, training, decision) -> relabel -> export

Everything goes through the API, as a user would; nothing here knows how a stop works.
The figures it ends with are measured against what was drawn. Run again on the same
data directory it makes another pass: new text, and the champion as the parent.
"""

from __future__ import annotations

import io
import json
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rapidfuzz.distance import Levenshtein
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from flywheel import local, pictures, sample
from flywheel.client import Client
from flywheel.document import Label, Outcome, Verdict
from flywheel.errors import FlywheelError
from flywheel.pictures import SheetItem
from flywheel.reasons import Reason, explanation
from flywheel.states import PageState, RoundStatus, TrainingPhase
from flywheel.wire import Page, RoundDetail, Summary

LANGUAGE = "bo"
RECIPE = {"seconds": 110}  # of training; the recipe's own end would come after about six minutes
SHEET_DPI = 80
SHEET_PAGES = 12
FORMAT = "parquet"


@dataclass
class DemoResults:
    """Results of one pass, gathered step by step; `as_report` makes the report of them."""

    directory: Path
    corpus: str
    seconds: dict[str, float] = field(default_factory=dict)
    documents: sample.SampleCorpus | None = None
    first: Summary | None = None
    last: Summary | None = None
    round: RoundDetail | None = None
    read: list[ScannedPage] = field(default_factory=list)
    export_rows: int = 0
    export_path: Path | None = None
    contact_sheet: Path | None = None

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Record the seconds that the block takes."""
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)


@dataclass(frozen=True, slots=True)
class ScannedPage:
    """A scanned page as it was read in the end, against what was drawn. Counts are in code points."""

    page: Page
    label: Label
    edits: int
    characters: int

    @property
    def cer(self) -> float:
        return self.edits / max(1, self.characters)


def run(
    data_dir: Path, report: Path | None = None, *, seed: int | None = None, scale: float = 1.0
) -> dict[str, Any]:
    """Run the loop once in `data_dir` and return the report, which is also written to `report`.

    Starts the embedded stack unless one runs there. Tells of its progress on standard error.
    Raises FlywheelError when the loop did not close: a round that failed, a champion not promoted.
    """
    console = Console(stderr=True)
    started = time.monotonic()
    stack = local.find(data_dir)
    mine = stack is None
    if stack is None:
        with console.status("starting Postgres, Redis, API and workers") as status:
            stack = local.start(data_dir, attached=True, on_progress=status.update)
    console.print(f"[bold]stack[/] ready at {stack.api_url} after {time.monotonic() - started:.1f} s")
    try:
        with Client(stack.api_url, stack.api_key) as client:
            results = _run_loop(client, data_dir, console, seed, scale, started)
        values, path = as_report(results), report or data_dir / results.corpus / "report.json"
        _write(path, values)
        show(results, values, console, path)
        return values
    finally:
        if mine:
            stack.stop()


def _run_loop(
    client: Client, data_dir: Path, console: Console, seed: int | None, scale: float, started: float
) -> DemoResults:
    number = 1 + sum(corpus.name.startswith("demo-") for corpus in client.corpora())
    results = DemoResults(data_dir / f"demo-{number}", f"demo-{number}")
    results.seconds["start"] = round(time.monotonic() - started, 1)
    results.directory.mkdir(parents=True, exist_ok=True)
    with console.status("drawing a sample corpus"), results.timed("draw"):
        results.documents = sample.draw(results.directory / "sample", seed=seed or number, scale=scale)
    console.print(f"[bold]drawn[/] {len(results.documents.documents)} files in {results.directory / 'sample'}")
    with results.timed("label"):
        submit(client, results, console)
        results.first = wait_for_labels(client, results.corpus, console)
    console.print(verdicts(results.first, "after the coarse stop"))
    with results.timed("round"):
        results.round = train(client, results, console)
    results.last = wait_for_labels(client, results.corpus, console)
    results.read = scanned_pages(client, results)
    with console.status("exporting a training set"), results.timed("export"):
        export(client, results)
    with console.status("drawing the contact sheet"), results.timed("contact_sheet"):
        contact_sheet(client, results)
    results.seconds["total"] = round(time.monotonic() - started, 1)
    return results


def bar(console: Console) -> Progress:
    """Progress bar with the time spent, the time left, and a note (the rate, mostly)."""
    done = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    return Progress(*done, *times, console=console, transient=True)


def submit(client: Client, results: DemoResults, console: Console) -> None:
    """Submit every drawn file with its language, and print what is refused."""
    assert results.documents is not None
    with bar(console) as progress:
        task = progress.add_task("submit", total=len(results.documents.documents), note="")
        for document in results.documents.documents:
            try:
                upload = client.submit(results.corpus, document.path, language=document.language)
                if upload.duplicate:
                    console.print(f"  {document.path.name}: the same bytes are in the corpus already", style="dim")
            except FlywheelError as error:
                console.print(f"  {document.path.name}: {error}", style="yellow")
            progress.advance(task)


def wait_for_labels(client: Client, corpus: str, console: Console) -> Summary:
    """Follow the corpus until no page of it is worked on; one that waits for a reader counts as settled."""
    began = time.monotonic()
    with bar(console) as progress:
        task = progress.add_task("label", total=None, note="")
        for summary in client.follow_corpus(corpus):
            pages = summary.pages
            done = pages.submitted - pages.pending
            rate = f"{done / max(0.1, time.monotonic() - began):.1f} pages/s"
            progress.update(task, completed=done, total=pages.submitted or None, note=rate)
            if summary.settled:
                return summary
    raise FlywheelError("the corpus did not settle")


def train(client: Client, results: DemoResults, console: Console) -> RoundDetail:
    """Start a round for the language and follow it to its end.

    Raises FlywheelError when it failed, or was refused while the language has no champion.
    """
    have_champion = {champion.language for champion in client.champions()}
    started = client.start_round(LANGUAGE, [results.corpus], overrides=RECIPE)
    last, since = "", time.monotonic()
    with bar(console) as progress:
        task = progress.add_task("round", total=100, note="")
        for found in client.follow_round(started.id):
            if found.phase != last:
                if last:
                    results.seconds[f"round_{last}"] = round(time.monotonic() - since, 1)
                last, since = found.phase, time.monotonic()
                console.print(f"[bold]round {found.id}[/] {last}")
            progress.update(task, description=f"round: {last}", **_training_note(found))
    if found.status != RoundStatus.FINISHED and not (
        found.status == RoundStatus.REFUSED and LANGUAGE in have_champion
    ):
        raise FlywheelError(f"round {found.id} is {found.status}: {found.detail}")
    return found


def _training_note(found: RoundDetail) -> dict[str, Any]:
    progress = found.progress
    if progress is None:
        return {"note": ""}
    parts = [f"step {progress.step}", f"loss {progress.loss:.3f}"]
    parts += [f"CER {progress.cer:.1%}"] if progress.cer is not None else []
    if found.phase == TrainingPhase.TRAINING and progress.remaining_seconds is not None:
        parts.append(f"{progress.remaining_seconds:.0f} s left")
    return {"completed": 100 * progress.share, "note": "  ".join(parts)}


def scanned_pages(client: Client, results: DemoResults) -> list[ScannedPage]:
    """The scanned pages as they are labelled now, each measured against its drawn truth."""
    assert results.documents is not None
    truth = {d.path.name: d.truth for d in results.documents.of("scan") if d.truth is not None}
    pages = [page for page in client.pages(results.corpus) if page.document in truth]
    found = []
    for page in sorted(pages, key=lambda page: (page.document, page.number)):
        label = client.page_label(page.id)
        drawn = normal(truth[page.document][page.number])
        read = normal(line.text for line in label.lines)
        found.append(ScannedPage(page, label, Levenshtein.distance(drawn, read), len(drawn)))
    return found


def normal(lines: Iterable[str]) -> str:
    """Join lines in NFC, every run of white space one space."""
    return " ".join(unicodedata.normalize("NFC", " ".join(lines)).split())


def export(client: Client, results: DemoResults) -> None:
    """Fetch the accepted pages as a training set."""
    started = client.start_export(results.corpus, FORMAT)
    *_, finished = client.follow_export(started.id)
    results.export_path = results.directory / FORMAT
    results.export_path.mkdir(parents=True, exist_ok=True)
    for file in finished.files:
        target = results.export_path / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        client.download_export_file(finished.id, file, target, lambda _: None)
    results.export_rows = finished.rows or 0


def contact_sheet(client: Client, results: DemoResults) -> None:
    """Draw one picture of pages of every kind with their labels on them."""
    cer = {read.page.id: f"CER {read.cer:.1%}" for read in results.read}
    pages = [page for page in client.pages(results.corpus) if page.state == PageState.LABELLED]
    items = [_sheet_item(client, page, cer.get(page.id, "")) for page in choose_pages(pages, SHEET_PAGES)]
    results.contact_sheet = results.directory / "contact-sheet.png"
    pictures.contact_sheet(items, title=f"{results.corpus}: labels as they stand").save(results.contact_sheet)


def choose_pages(pages: list[Page], count: int) -> list[Page]:
    """Choose `count` pages: one of each document first, scans before others, then second pages."""
    order = sorted(pages, key=lambda p: (not p.document.startswith(("scan", "garbled")), p.document, p.number))
    taken: dict[str, int] = {}
    ranked = []
    for page in order:
        taken[page.document] = taken.get(page.document, 0) + 1
        ranked.append((taken[page.document], page))
    ranked.sort(key=lambda pair: pair[0])
    return [page for _, page in ranked[:count]]


def _sheet_item(client: Client, page: Page, note: str) -> SheetItem:
    data = client.page_image(page.id, dpi=SHEET_DPI, annotated=False, format="png")
    image = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    label = client.page_label(page.id)
    verdict = Verdict(page.verdict or Outcome.REVIEW, Reason.of(page.reason or Reason.ACCEPTED), page.detail or "")
    dpi = image.shape[1] / label.width * 72
    return SheetItem(image, dpi, label, verdict, f"{page.document} p{page.number + 1}", note)


def as_report(results: DemoResults) -> dict[str, Any]:
    """Report as JSON: error rates as shares, times in seconds."""
    assert results.last is not None
    assert results.round is not None
    compared, relabelled = results.round.comparison, results.read
    assert compared is not None  # of a round that finished or was refused
    documents = results.last.documents
    unread = documents.quarantined  # files of which no page is known count as one page each
    reasons = dict(results.last.pages.by_reason)
    for reason, count in documents.by_reason.items():
        reasons[reason] = reasons.get(reason, 0) + count
    dataset = results.round.dataset
    return {
        "corpus": results.corpus,
        "pages": {
            "submitted": results.last.pages.submitted + unread,
            "labelled": results.last.pages.labelled,
            "quarantined": results.last.pages.quarantined + unread,
            "waiting": results.last.pages.waiting,
            "by_verdict": dict(results.last.pages.by_verdict),
            "by_reason": reasons,
        },
        "round": {
            "id": results.round.id,
            "status": results.round.status,
            "train_lines": dataset.counts.units.train if dataset else 0,
            "heldout_lines": compared.candidate.units,
            "cer_before": compared.baseline.cer,
            "before_reader": compared.baseline_reader,
            "cer_after": compared.candidate.cer,
            "cer_after_interval": [compared.candidate.cer_low, compared.candidate.cer_high],
            "wer_after": compared.candidate.wer,
            "seconds": results.round.trained_seconds,
            "promoted": results.round.status == RoundStatus.FINISHED,
            "checkpoint": results.round.checkpoint_id,
        },
        "relabel": {
            "pages": results.round.relabelled,
            "scanned_pages": len(relabelled),
            "cer": sum(r.edits for r in relabelled) / max(1, sum(r.characters for r in relabelled)),
            "by_page": {f"{r.page.document} p{r.page.number + 1}": round(r.cer, 4) for r in relabelled},
        },
        "export": {"path": str(results.export_path), "rows": results.export_rows, "format": FORMAT},
        "seconds": results.seconds,
        "contact_sheet": str(results.contact_sheet),
    }


def _write(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def verdicts(summary: Summary, title: str) -> Table:
    """Table of pages and unreadable files by reason."""
    table = Table(title=f"{summary.corpus}, {title}", title_justify="left")
    for name in ("reason", "pages", "what it means"):
        table.add_column(name, justify="right" if name == "pages" else "left")
    rows = {**summary.pages.by_reason}
    for reason, count in summary.documents.by_reason.items():
        rows[reason] = rows.get(reason, 0) + count
    for reason, count in sorted(rows.items(), key=lambda pair: -pair[1]):
        table.add_row(reason, str(count), explanation(reason))
    return table


def show(results: DemoResults, values: dict[str, Any], console: Console, report: Path) -> None:
    """Print the report with the places of its files, and commands to go on with."""
    assert results.last is not None
    assert results.round is not None
    console.print(verdicts(results.last, "after the round"))
    table = Table(title="one turn of the flywheel", title_justify="left", show_header=False)
    of_round, relabel = values["round"], values["relabel"]
    rows = [
        ("trained on", f"{of_round['train_lines']} lines, {of_round['seconds']:.0f} s"),
        ("CER before", f"{of_round['cer_before']:.1%} ({of_round['before_reader']}, held-out lines)"),
        ("CER after", f"{of_round['cer_after']:.2%} on {of_round['heldout_lines']} held-out lines"),
        ("promoted" if of_round["promoted"] else "refused", f"{of_round['checkpoint']}: {results.round.detail}"),
        ("relabelled", f"{relabel['pages'] or 0} pages"),
        ("CER on scans", f"{relabel['cer']:.2%} over {relabel['scanned_pages']} pages, against the drawn truth"),
        ("exported", f"{values['export']['rows']} pages to {values['export']['path']}"),
        ("pictures", values["contact_sheet"]),
        ("report", str(report)),
        ("time", f"{values['seconds']['total']:.0f} s"),
    ]
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)
    place = f"--data-dir {results.directory.parent}"
    console.print(
        "Look around:\n"
        f"  flywheel up {place} --detach\n"
        f"  flywheel pages {results.corpus} --verdict review {place}\n"
        f"  flywheel page {results.read[0].page.id if results.read else 1} --image page.png {place}\n"
        f"  flywheel round show {values['round']['id']} {place}\n"
        f"  flywheel audit {results.corpus} {place}\n"
        f"  flywheel down {place}",
        highlight=False,
    )
