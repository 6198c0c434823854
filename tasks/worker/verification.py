"""Verification of a shard's text layers: a sample of the pages that the gate accepts, held against their images.

    verified(document, labelled, path) -> page number -> verdict of each that changes

Some pages are looked at, spread over the shard and over its fonts, for a font is what lies: its table from glyphs
to characters. All pages that use a font found lying are rejected. The language's champion reads the sample when it
reads lines, else the built-in reader what is in its scripts; for all else the letters are compared with drawn
ones (models/verification/).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from flywheel.database import transaction
from flywheel.database.tables import DocumentRow
from flywheel.document import Outcome, Verdict
from flywheel.errors import NotFound, Rejected, SetupError
from flywheel.labels.recording import LabelledPage
from flywheel.loop import promotion
from flywheel.pdf import PageFailure
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.text.scripts import script_of_text
from tasks.worker.checkpoints import find_checkpoint
from tasks.worker.faces import typeface
from tasks.worker.process import sandbox

if TYPE_CHECKING:
    from models.verification.findings import FontFinding, FontSample, LineReader
    from models.verification.sampling import LayerPage

log = structlog.get_logger()

LOOKED_AT = 4  # pages of a shard
LINE_NETWORK = "line-conv-ctc"  # the architecture that rounds train for reading lines
CHAMPIONS = 2  # kept in memory at once

ReaderOf = Callable[[str | None, str], "LineReader | None"]


def verified(document: DocumentRow, labelled: Mapping[int, LabelledPage], path: Path) -> dict[int, Verdict]:
    """Verdicts on those of the accepted pages whose fonts say something else than they show, or could not be held
    against what they show."""
    return judge_layers(document, labelled, path, line_reader)


def judge_layers(
    document: DocumentRow, labelled: Mapping[int, LabelledPage], path: Path, reader_of: ReaderOf
) -> dict[int, Verdict]:
    """The same with a reader by language and script of the caller's."""
    fonts = {
        number: page.facts.fonts
        for number, page in labelled.items()
        if page.verdict.accepted and page.facts is not None and page.label.lines
    }
    if not settings().verify_layers or not fonts:
        return {}
    pages = layer_pages(path, pages_to_look_at(fonts))
    findings = {finding.font: finding for finding in silent_findings(pages)}
    for sample in font_samples(pages):
        if sample.font not in findings:
            findings[sample.font] = examined(document, sample, reader_of)
    verdicts = {number: judged(labelled[number].verdict, ("", *used), findings) for number, used in fonts.items()}
    return {number: verdict for number, verdict in verdicts.items() if verdict != labelled[number].verdict}


def judged(verdict: Verdict, fonts: Sequence[str], findings: Mapping[str, FontFinding]) -> Verdict:
    """The verdict on a page of these fonts: rejected when one lies; else as it was, with a word on those that
    nothing could be held against."""
    from models.verification.comparison import Finding

    own = [findings[font] for font in fonts if font in findings]
    lie = next((finding for finding in own if finding.finding is Finding.DISAGREES), None)
    if lie is not None:
        return Verdict(Outcome.REJECTED, Reason.LAYER_DISAGREES, lie.detail[:500])
    unread = [finding.detail for finding in own if not finding.looked]
    return replace(verdict, detail=verdict.detail or "; ".join(unread)[:500])


def pages_to_look_at(fonts: Mapping[int, Sequence[str]]) -> list[int]:
    """Some of the pages: such as show a font that no other chosen one shows, and else far from each other."""
    chosen: list[int] = []
    seen: set[str] = set()
    numbers = sorted(fonts)
    spread = (
        [numbers[k * len(numbers) // LOOKED_AT] for k in (1, 3, 0, 2)] if len(numbers) > LOOKED_AT else numbers
    )
    by_new = sorted(numbers, key=lambda number: -len(fonts[number]))
    for number in dict.fromkeys((spread[0], *by_new)):
        if len(chosen) < LOOKED_AT and (not chosen or set(fonts[number]) - seen):
            chosen.append(number)
            seen.update(fonts[number])
    chosen += [number for number in dict.fromkeys(spread) if number not in chosen][: LOOKED_AT - len(chosen)]
    return sorted(chosen)


def layer_pages(path: Path, numbers: Sequence[int]) -> list[LayerPage]:
    """Characters and images of pages; none of one that cannot be had. A page that could be labelled is not charged
    with it."""
    from models.verification.sampling import LayerPage

    pages = []
    try:
        images = list(sandbox().render(path, numbers, settings().render_dpi))
    except Rejected as error:
        log.warning("a document is not verified", reason=error.reason, detail=error.detail)
        return []
    for image in images:
        if isinstance(image, PageFailure):
            continue
        try:
            characters = sandbox().characters(path, image.number)
        except Rejected as error:
            log.warning("a page is not verified", page=image.number, reason=error.reason, detail=error.detail)
            continue
        pages.append(LayerPage(image.number, characters, image.image, image.dpi))
    return pages


def silent_findings(pages: Sequence[LayerPage]) -> list[FontFinding]:
    """Findings on the fonts that tell letters as nothing: no reader is needed to see that."""
    from models.verification.findings import silence
    from models.verification.silence import silent_fonts

    return [silence(font, *counts) for font, counts in silent_fonts(pages).items()]


def font_samples(pages: Sequence[LayerPage]) -> list[FontSample]:
    """Samples by font and script, of fonts with a real share of the text."""
    from models.verification.findings import FontSample
    from models.verification.sampling import letters_by_font, pieces

    found = pieces(pages)
    letters = letters_by_font(pages)
    samples = []
    for font, count in letters.items():
        by_script = defaultdict(list)
        for piece in found.get(font, ()):
            by_script[script_of_text(piece.text)].append(piece)
        if by_script:
            script = max(by_script, key=lambda code: len(by_script[code]))
            samples.append(FontSample(font, script, by_script[script], count / sum(letters.values())))
    return samples


def examined(document: DocumentRow, sample: FontSample, reader_of: ReaderOf) -> FontFinding:
    """The finding on a font; one that nothing could be held against is logged."""
    from models.verification.comparison import Finding
    from models.verification.findings import FontFinding, examine

    reader = reader_of(document.language, sample.script)  # a database that is away has the shard tried again
    try:
        finding = examine(sample, reader, typeface(sample.script))
    except Exception:  # a fault of ours costs the look, never the label
        log.exception("a text layer could not be verified", document=document.id, font=sample.font)
        return FontFinding(sample.font, Finding.UNSURE, "not verified: an error of the service", looked=False)
    if not finding.looked:
        log.info("a text layer is not verified", document=document.id, font=sample.font, script=sample.script)
    return finding


def line_reader(language: str | None, script: str) -> LineReader | None:
    """The champion of the language, or of the script, when it reads lines; else the built-in reader."""
    with transaction() as session:
        checkpoint = promotion.reader_for(session, language, script)
    if checkpoint is not None and checkpoint != promotion.BUILTIN:
        try:
            found = find_checkpoint(checkpoint)
            if found.architecture == LINE_NETWORK:
                return _champion(found.directory())
        except (NotFound, SetupError, Rejected) as error:
            log.warning("a champion cannot verify text layers", checkpoint=checkpoint, error=str(error))
    return builtin_reader()


@lru_cache(maxsize=CHAMPIONS)
def _champion(directory: Path) -> LineReader:
    """A champion on the CPU: a worker of this queue holds no device."""
    from models.recognition.line import LineRecogniser
    from models.verification.findings import LineReader

    network = LineRecogniser.load(directory, "cpu")
    return LineReader(network, frozenset("".join(network.charset)), trusted=False)


@lru_cache(maxsize=1)
def builtin_reader() -> LineReader:
    """The reader that comes with the service."""
    from models.recognition.ppocr import PpocrRecogniser
    from models.verification.comparison import legible
    from models.verification.findings import LineReader

    network = PpocrRecogniser()
    return LineReader(network, legible(frozenset("".join(network.charset))), trusted=True)
