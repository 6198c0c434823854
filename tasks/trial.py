"""Trial: label one file now, outside any corpus; against a true text when one was given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from sqlalchemy import func, update

from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow, TrialRow
from flywheel.document import Outcome, decode_label, encode
from flywheel.encoding import JsonValue, to_json
from flywheel.errors import BlobCorrupt, BlobMissing, Rejected
from flywheel.figures import TrialPage, TrialResult, TrialScores
from flywheel.gate import Gate
from flywheel.loop import promotion
from flywheel.pdf import PageFailure, PageImage, PageText
from flywheel.pdf.coarse import label as coarse_label
from flywheel.reasons import Reason
from flywheel.states import RequestStatus
from flywheel.work import ledger
from tasks.worker.attempt import Attempt, stop_task
from tasks.worker.process import sandbox, store
from tasks.worker.readers import LoadedReader, count_tokens, open_reader

GATE = Gate()


@stop_task("trial")
def trial(attempt: Attempt) -> None:
    with transaction() as session:
        row = session.get_one(TrialRow, attempt.claim.trial_id)
        checkpoint = row.checkpoint_id or promotion.reader_for(session, row.language)
    try:
        pages = read_pages(attempt, row, checkpoint)
        result = TrialResult(tuple(pages), scores(row, pages, checkpoint), checkpoint)
    except BlobMissing as error:
        raise Rejected(Reason.BLOB_MISSING, str(error)) from error
    except BlobCorrupt as error:
        raise Rejected(Reason.BLOB_CORRUPT, str(error)) from error
    key = store().put(json.dumps(to_json(result), ensure_ascii=False).encode())
    with transaction() as session:
        ledger.guard(session, attempt.claim)
        session.execute(
            update(TrialRow)
            .where(TrialRow.id == row.id)
            .values(status=RequestStatus.FINISHED, result_key=key, finished_at=func.now())
        )
        ledger.finish(session, attempt.claim)


def read_pages(attempt: Attempt, row: TrialRow, checkpoint: str | None) -> list[TrialPage]:
    """Every page. Without a named checkpoint a sound text layer is taken as it is."""
    with store().open_local(row.blob_key) as path:
        numbers = range(sandbox().inspect(path).pages)
        out = {number: label_text_layer(path, number, row, checkpoint) for number in attempt.each(numbers)}
        unread = {number: text for number, text in out.items() if isinstance(text, PageText)}
        if not unread or checkpoint is None:
            return [page for page in out.values() if isinstance(page, TrialPage)]
        with transaction() as session:
            found = session.get(CheckpointRow, checkpoint)
            scripts = found.scripts if found else []
        with open_reader(attempt, checkpoint, row.mode) as loaded:
            for start in range(0, len(unread), loaded.batch):
                attempt.check()
                part = dict(islice(unread.items(), start, start + loaded.batch))
                out |= read_images(loaded, row.language, path, part, scripts)
    return [page for page in out.values() if isinstance(page, TrialPage)]


def label_text_layer(path: Path, number: int, row: TrialRow, checkpoint: str | None) -> PageText | TrialPage:
    """The page where its text layer is its label or nothing can be done; else its text, for a reader."""
    [text] = sandbox().text(path, [number], layout=True)
    if isinstance(text, PageFailure):
        return failure(text)
    coarse, counts = coarse_label(text, row.language)
    verdict = GATE.judge_coarse(coarse, text.facts, counts, row.language)
    if row.checkpoint_id is None and verdict.accepted:
        return TrialPage(number, encode(coarse), Outcome.ACCEPTED)
    if checkpoint is None:
        detail = f"{verdict.reason.value}; {Reason.NO_READER.explanation}"
        return TrialPage(number, reason=Reason.NO_READER.value, detail=detail)
    return text


def read_images(
    loaded: LoadedReader,
    language: str | None,
    path: Path,
    unread: Mapping[int, PageText],
    scripts: Sequence[str],
) -> dict[int, TrialPage]:
    """Some pages, by number, rendered and read."""
    from models.readers.ink import with_ink
    from models.readers.protocol import PageInput

    images = list(sandbox().render(path, list(unread), loaded.dpi))
    out = {image.number: failure(image) for image in images if isinstance(image, PageFailure)}
    sound = [image for image in images if isinstance(image, PageImage)]
    inputs = [PageInput(image.image, image.dpi, image.width, image.height, language) for image in sound]
    for image, reading in zip(sound, map(with_ink, inputs, loaded.reader.read_many(inputs)), strict=True):
        verdict = GATE.judge_reading(reading, unread[image.number].facts, language, scripts)
        out[image.number] = TrialPage(
            image.number,
            encode(reading.label),
            verdict.outcome,
            reason=verdict.reason.value,
            detail=verdict.detail,
            vision_tokens=reading.vision_tokens,
            text_tokens=reading.text_tokens,
        )
    return out


def failure(page: PageFailure) -> TrialPage:
    """A page that cannot be rendered."""
    return TrialPage(page.number, reason=page.reason.value, detail=page.detail)


def scores(row: TrialRow, pages: list[TrialPage], checkpoint: str | None) -> TrialScores | None:
    """Edits against the truth over the whole file, line breaks as spaces. For a reader with a tokenizer also
    the truth's length in tokens, which its vision tokens stand for."""
    if row.truth_key is None:
        return None
    from models.scores import score

    truth = store().get(row.truth_key).decode("utf-8", "replace")
    said = "\n".join(text_of(page.label) for page in pages if page.label is not None)
    found = score([truth], [said])
    return TrialScores(
        cer=found.cer,
        wer=found.wer,
        edits=found.edits,
        characters=found.characters,
        word_edits=found.word_edits,
        words=found.words,
        truth_tokens=count_tokens(checkpoint, truth),
        tables=found.tables,
        teds=found.teds,
        formulas=found.formulas,
        formula_error=found.formula_error,
    )


def text_of(label: dict[str, JsonValue]) -> str:
    """The text of an encoded label."""
    return "\n".join(line.text for line in decode_label(label).lines)
