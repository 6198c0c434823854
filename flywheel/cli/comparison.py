"""Comparison of a candidate with the present reader, as a round shows it: scores, documents, the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flywheel.cli import show

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from flywheel.figures import Comparison, DocumentEdits, Scores

EXAMPLES = 3  # documents of a kind
HASH = 12  # digits of a document's


def comparison(compared: Comparison, checkpoint: str) -> Iterator[RenderableType]:
    """Parts to print, one below the other."""
    yield _scores(compared, checkpoint)
    if compared.by_document:
        yield _leads(compared)
    if examples := _examples(compared.by_document):
        yield _documents(examples, compared.baseline_reader, checkpoint)


def _scores(compared: Comparison, checkpoint: str) -> Table:
    """Baseline and candidate on the held-out lines or pages, and on their degraded copies."""
    plural = compared.unit.plural
    columns = ("reader", ">CER", "95 % interval", ">WER", f">{plural}", ">characters")
    made = show.table(*columns, title=f"Held-out {plural}")
    rows = [
        (compared.baseline_reader, compared.baseline),
        (checkpoint, compared.candidate),
        (f"{compared.baseline_reader}, degraded", compared.baseline_degraded),
        (f"{checkpoint}, degraded", compared.candidate_degraded),
    ]
    for reader, scores in rows:
        if scores is not None:
            made.add_row(
                reader,
                f"[bold]{show.rate(scores.cer)}[/]",
                _interval(scores),
                show.rate(scores.wer),
                show.count(scores.units),
                show.count(scores.characters),
            )
    return made


def _interval(scores: Scores) -> str:
    if scores.cer_low is None or scores.cer_high is None:
        return "too few documents"
    return f"{100 * scores.cer_low:.2f} .. {show.rate(scores.cer_high)}"


def _leads(compared: Comparison) -> str:
    """The number of documents where the candidate is better and worse, and the test."""
    leads = [one.lead for one in compared.by_document]
    better, worse = sum(lead > 0 for lead in leads), sum(lead < 0 for lead in leads)
    said = f"better in {better} and worse in {worse} of {show.count(len(leads))} documents"
    if compared.level is None:
        return said
    test = f"p {compared.difference.p:.2%}, look {compared.look} at this exam allows {compared.level:.2%}"
    return f"{said}  [dim]{test}[/]"


def _examples(documents: tuple[DocumentEdits, ...]) -> list[DocumentEdits]:
    """The documents where the candidate is most better, then those where it is most worse."""
    order = sorted(documents, key=lambda one: -one.lead)
    better = [one for one in order[:EXAMPLES] if one.lead > 0]
    return better + [one for one in order[-EXAMPLES:] if one.lead < 0]


def _documents(examples: list[DocumentEdits], reader: str, checkpoint: str) -> Table:
    """Edits of both readers, degraded copies included."""
    made = show.table("=document", ">characters", f">edits of {reader}", f">of {checkpoint}", ">difference")
    for one in examples:
        made.add_row(
            one.document[:HASH],
            show.count(one.characters),
            show.count(one.baseline + one.baseline_degraded),
            show.count(one.candidate + one.candidate_degraded),
            f"[{'green' if one.lead > 0 else 'red'}]{-one.lead:+d}[/]",
        )
    return made
