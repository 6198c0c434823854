"""The demo: the whole loop turned once, for real, on a corpus drawn on the spot.

    draw -> submit -> label -> round (patches, dataset, training, decision) -> relabel -> export

Everything goes through the API, as a user would; nothing here knows how a stop works.
The figures it ends with are measured against what was drawn. Run again on the same
data directory it turns the wheel once more: new text, and the champion as the parent.
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
from flywheel.reasons import Reason
from flywheel.states import PageState, RoundStatus
from flywheel.wire import Page, RoundDetail, Summary

LANGUAGE = "bo"
RECIPE = {"seconds": 110}  # of training; the recipe's own end would come after about six minutes
SHEET_DPI = 80
SHEET_PAGES = 12
FORMAT = "parquet"


@dataclass
class DemoResults:
    """What one turn found out; becomes the report."""

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


def run(data_dir: Path, report: Path | None = None, *, seed: int | None = None, scale: float = 1.0) -> None:
    """Turn the wheel once in `data_dir`; starts the embedded stack unless one runs there.

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
            turn = _turn(client, data_dir, console, seed, scale, started)
        _write(report or data_dir / turn.corpus / "report.json", as_report(turn))
        show(turn, console, report or data_dir / turn.corpus / "report.json")
    finally:
        if mine:
            stack.stop()


def _turn(
    client: Client, data_dir: Path, console: Console, seed: int | None, scale: float, started: float
) -> DemoResults:
    number = 1 + sum(corpus.name.startswith("demo-") for corpus in client.corpora())
    turn = DemoResults(data_dir / f"demo-{number}", f"demo-{number}")
    turn.seconds["start"] = round(time.monotonic() - started, 1)
    turn.directory.mkdir(parents=True, exist_ok=True)
    with console.status("drawing a sample corpus"), turn.timed("draw"):
        turn.documents = sample.draw(turn.directory / "sample", seed=seed or number, scale=scale)
    console.print(f"[bold]drawn[/] {len(turn.documents.documents)} files in {turn.directory / 'sample'}")
    with turn.timed("label"):
        submit(client, turn, console)
        turn.first = wait_for_labels(client, turn.corpus, console)
    console.print(verdicts(turn.first, "after the coarse stop"))
    with turn.timed("round"):
        turn.round = train(client, turn, console)
    turn.last = wait_for_labels(client, turn.corpus, console)
    turn.read = scanned_pages(client, turn)
    with console.status("exporting a training set"), turn.timed("export"):
        export(client, turn)
    with console.status("drawing the contact sheet"), turn.timed("contact_sheet"):
        contact_sheet(client, turn)
    turn.seconds["total"] = round(time.monotonic() - started, 1)
    return turn


def bar(console: Console) -> Progress:
    """Progress with the time spent, the time left, and a note (the rate, mostly)."""
    done = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    return Progress(*done, *times, console=console, transient=True)


def submit(client: Client, turn: DemoResults, console: Console) -> None:
    """Every drawn file, with its language; what is refused at the door is said."""
    assert turn.documents is not None
    with bar(console) as progress:
        task = progress.add_task("submit", total=len(turn.documents.documents), note="")
        for document in turn.documents.documents:
            try:
                upload = client.submit(turn.corpus, document.path, language=document.language)
                if upload.duplicate:
                    console.print(f"  {document.path.name}: the same bytes are in the corpus already", style="dim")
            except FlywheelError as error:
                console.print(f"  {document.path.name}: {error}", style="yellow")
            progress.advance(task)


def wait_for_labels(client: Client, corpus: str, console: Console) -> Summary:
    """Until no page of the corpus is worked on; pages that wait for a reader count as settled."""
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


def train(client: Client, turn: DemoResults, console: Console) -> RoundDetail:
    """A round for the language, followed to its end. Raises FlywheelError when it failed, or was refused
    where nobody reads the language yet."""
    reigning = {champion.language for champion in client.champions()}
    started = client.start_round(LANGUAGE, [turn.corpus], overrides=RECIPE)
    last, since = "", time.monotonic()
    with bar(console) as progress:
        task = progress.add_task("round", total=100, note="")
        for found in client.follow_round(started.id):
            if found.status != last:
                if last:
                    turn.seconds[f"round_{last}"] = round(time.monotonic() - since, 1)
                last, since = found.status, time.monotonic()
                console.print(f"[bold]round {found.id}[/] {last}")
            progress.update(task, description=f"round: {last}", **_training_note(found.progress))
    if found.status != RoundStatus.FINISHED and not (found.status == RoundStatus.REFUSED and LANGUAGE in reigning):
        raise FlywheelError(f"round {found.id} is {found.status}: {found.detail}")
    return found


def _training_note(values: dict[str, Any]) -> dict[str, Any]:
    if not values:
        return {"note": ""}
    cer = values.get("cer")
    left = values.get("remaining_seconds")
    parts = [f"step {values['step']}", f"loss {values['loss']:.3f}"]
    parts += [f"CER {cer:.1%}"] if cer is not None else []
    parts += [f"{left:.0f} s left"] if left is not None else []
    return {"completed": 100 * values["share"], "note": "  ".join(parts)}


def scanned_pages(client: Client, turn: DemoResults) -> list[ScannedPage]:
    """The scanned pages as they stand, each against its drawn truth."""
    assert turn.documents is not None
    truth = {d.path.name: d.truth for d in turn.documents.of("scan") if d.truth is not None}
    pages = [page for page in client.pages(turn.corpus) if page.document in truth]
    found = []
    for page in sorted(pages, key=lambda page: (page.document, page.number)):
        label = client.page_label(page.id)
        drawn = normal(truth[page.document][page.number])
        said = normal(line.text for line in label.lines)
        found.append(ScannedPage(page, label, Levenshtein.distance(drawn, said), len(drawn)))
    return found


def normal(lines: Iterable[str]) -> str:
    """NFC, every run of white space one space."""
    return " ".join(unicodedata.normalize("NFC", " ".join(lines)).split())


def export(client: Client, turn: DemoResults) -> None:
    """The accepted pages as a training set, on this side of the API."""
    started = client.start_export(turn.corpus, FORMAT)
    *_, finished = client.follow_export(started.id)
    turn.export_path = turn.directory / FORMAT
    turn.export_path.mkdir(parents=True, exist_ok=True)
    for file in finished.files:
        target = turn.export_path / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        client.download_export_file(finished.id, file, target, lambda _: None)
    turn.export_rows = finished.rows or 0


def contact_sheet(client: Client, turn: DemoResults) -> None:
    """Pages of every kind with their labels drawn on them, as one picture."""
    cer = {read.page.id: f"CER {read.cer:.1%}" for read in turn.read}
    pages = [page for page in client.pages(turn.corpus) if page.state == PageState.LABELLED]
    items = [_sheet_item(client, page, cer.get(page.id, "")) for page in pick(pages, SHEET_PAGES)]
    turn.contact_sheet = turn.directory / "contact-sheet.png"
    pictures.contact_sheet(items, title=f"{turn.corpus}: labels as they stand").save(turn.contact_sheet)


def pick(pages: list[Page], count: int) -> list[Page]:
    """A few pages that show much: one a document first, scans before others, then second pages."""
    order = sorted(pages, key=lambda p: (not p.document.startswith(("scan", "garbled")), p.document, p.number))
    turns: dict[str, int] = {}
    ranked = []
    for page in order:
        turns[page.document] = turns.get(page.document, 0) + 1
        ranked.append((turns[page.document], page))
    ranked.sort(key=lambda pair: pair[0])
    return [page for _, page in ranked[:count]]


def _sheet_item(client: Client, page: Page, note: str) -> SheetItem:
    data = client.page_image(page.id, dpi=SHEET_DPI, annotated=False, format="png")
    image = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    label = client.page_label(page.id)
    verdict = Verdict(page.verdict or Outcome.REVIEW, Reason.of(page.reason or "accepted"), page.detail or "")
    dpi = image.shape[1] / label.width * 72
    return SheetItem(image, dpi, label, verdict, f"{page.document} p{page.number + 1}", note)


def as_report(turn: DemoResults) -> dict[str, Any]:
    """The report's JSON: error rates as shares, times in seconds."""
    assert turn.last is not None
    assert turn.round is not None
    scores, relabelled = turn.round.scores, turn.read
    documents = turn.last.documents
    unread = documents.quarantined  # files of which no page is known count as one page each
    reasons = dict(turn.last.pages.by_reason)
    for reason, count in documents.by_reason.items():
        reasons[reason] = reasons.get(reason, 0) + count
    dataset = turn.round.dataset
    return {
        "corpus": turn.corpus,
        "pages": {
            "submitted": turn.last.pages.submitted + unread,
            "labelled": turn.last.pages.labelled,
            "quarantined": turn.last.pages.quarantined + unread,
            "waiting": turn.last.pages.waiting,
            "by_verdict": dict(turn.last.pages.by_verdict),
            "by_reason": reasons,
        },
        "round": {
            "id": turn.round.id,
            "status": turn.round.status,
            "train_lines": dataset.counts["lines"]["train"] if dataset else 0,
            "heldout_lines": scores["after"]["lines"],
            "cer_before": scores["before"]["cer"],
            "before_reader": scores["before_reader"],
            "cer_after": scores["after"]["cer"],
            "cer_after_interval": [scores["after"]["cer_low"], scores["after"]["cer_high"]],
            "wer_after": scores["after"]["wer"],
            "seconds": turn.round.trained_seconds,
            "promoted": turn.round.status == RoundStatus.FINISHED,
            "checkpoint": turn.round.checkpoint_id,
        },
        "relabel": {
            "pages": turn.round.relabelled,
            "scanned_pages": len(relabelled),
            "cer": sum(r.edits for r in relabelled) / max(1, sum(r.characters for r in relabelled)),
            "by_page": {f"{r.page.document} p{r.page.number + 1}": round(r.cer, 4) for r in relabelled},
        },
        "export": {"path": str(turn.export_path), "rows": turn.export_rows, "format": FORMAT},
        "seconds": turn.seconds,
        "contact_sheet": str(turn.contact_sheet),
    }


def _write(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def verdicts(summary: Summary, title: str) -> Table:
    """Pages and unreadable files by reason."""
    table = Table(title=f"{summary.corpus}, {title}", title_justify="left")
    for name in ("reason", "pages", "what it means"):
        table.add_column(name, justify="right" if name == "pages" else "left")
    rows = {**summary.pages.by_reason}
    for reason, count in summary.documents.by_reason.items():
        rows[reason] = rows.get(reason, 0) + count
    for reason, count in sorted(rows.items(), key=lambda pair: -pair[1]):
        table.add_row(reason, str(count), Reason.of(reason).explanation)
    return table


def show(turn: DemoResults, console: Console, report: Path) -> None:
    """The ending: what changed, where things are, how to go on."""
    assert turn.last is not None
    assert turn.round is not None
    values = as_report(turn)
    console.print(verdicts(turn.last, "after the round"))
    table = Table(title="one turn of the flywheel", title_justify="left", show_header=False)
    of_round, relabel = values["round"], values["relabel"]
    rows = [
        ("trained on", f"{of_round['train_lines']} lines, {of_round['seconds']:.0f} s"),
        ("CER before", f"{of_round['cer_before']:.1%} ({of_round['before_reader']}, held-out lines)"),
        ("CER after", f"{of_round['cer_after']:.2%} on {of_round['heldout_lines']} held-out lines"),
        ("promoted" if of_round["promoted"] else "refused", f"{of_round['checkpoint']}: {turn.round.detail}"),
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
    place = f"--data-dir {turn.directory.parent}"
    console.print(
        "Look around:\n"
        f"  flywheel up {place} --detach\n"
        f"  flywheel pages {turn.corpus} --verdict review {place}\n"
        f"  flywheel page {turn.read[0].page.id if turn.read else 1} --image page.png {place}\n"
        f"  flywheel round show {values['round']['id']} {place}\n"
        f"  flywheel audit {turn.corpus} {place}\n"
        f"  flywheel down {place}",
        highlight=False,
    )
