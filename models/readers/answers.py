"""A page reader's answer as a PageReading: one string in, regions with confidences out.

    page_reading(answer, page, pieces=..., truncated=..., checkpoint=..., producer=...) -> PageReading
    pieces_of(tokens, log_probabilities, decode) -> the answer's pieces, with their probabilities

A grounded answer (flywheel/markup) gives its regions; any other text becomes one region over the page.
Pieces are the decoded tokens with their probabilities; through them lines and characters have confidences.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate

from flywheel.document import Box, Kind, Label, Line, PageReading, Region
from flywheel.markup import Flaw, MarkupError, ParsedMarkup, Span, parse
from flywheel.text.scripts import script_of_text
from models.readers.protocol import PageInput

Pieces = Sequence[tuple[str, float]]
MARK = "<|ref|>"  # without one, an answer is plain text
PARTIAL = "\ufffd"  # what a decoder writes for the bytes of a character that is not complete
LONGEST_RUN = 64  # tokens that are held for a character to be complete; four are enough but for garbage
FAINTEST = 1e-6  # probabilities are taken as at least this, so that one token cannot make a mean zero
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Letters that are not the page's: HTML tags of tables, and commands of formulas.
NOTATION = re.compile(r"</?[A-Za-z][^<>]*>|\\[A-Za-z]+")


def page_reading(
    answer: str,
    page: PageInput,
    *,
    pieces: Pieces | None = None,
    truncated: bool = False,
    checkpoint: str,
    producer: str,
    vision_tokens: int | None = None,
    text_tokens: int | None = None,
) -> PageReading:
    """The reading that `answer` makes of `page`.

    `pieces` are (text, probability) of the answer's tokens in their order; where they cannot be laid over the
    answer, or are None, confidences are None. Markup that is not sound is left out and named in `flaws`.
    Raises MarkupError when the page has no size.
    """
    answer = _encodable(answer)
    read, flaws = _grounded(answer, page) if MARK in answer else (_plain(answer, page), ())
    regions = read.regions
    probabilities = _laid_over(answer, pieces) if pieces is not None else None
    if probabilities is not None:
        regions = tuple(map(partial(_confident, answer, probabilities), read.regions, read.spans))
    prose = NOTATION.sub("", "\n".join(region.text for region in regions))
    label = Label(
        kind=Kind.FINE,
        producer=producer,
        width=page.width,
        height=page.height,
        regions=tuple(replace(region, lines=tuple(map(_normal, region.lines))) for region in regions),
        script=script_of_text(prose, page.language),
        language=page.language,
        checkpoint=checkpoint,
    )
    names = tuple(flaw.fault.value for flaw in flaws)
    return PageReading(label, truncated, names, vision_tokens=vision_tokens, text_tokens=text_tokens)


def pieces_of(
    tokens: Sequence[int], log_probabilities: Sequence[float], decode: Callable[[list[int]], str]
) -> list[tuple[str, float]]:
    """(text, probability) of tokens, those that share a character as one piece: its probability is their product,
    shared by its characters where no boundary lies between them. Joined, the texts are the whole answer's."""
    pieces: list[tuple[str, float]] = []
    held: list[int] = []
    weight = 0.0
    for place, (token, value) in enumerate(zip(tokens, log_probabilities, strict=True), 1):
        held.append(token)
        weight += min(0.0, value)
        text = decode(held)
        if text.endswith(PARTIAL) and len(held) < LONGEST_RUN and place < len(tokens):
            continue
        pieces.append((text, math.exp(weight / max(1, len(text)) if len(held) > 1 else weight)))
        held, weight = [], 0.0
    return pieces


def _grounded(answer: str, page: PageInput) -> tuple[ParsedMarkup, tuple[Flaw, ...]]:
    """Regions of a grounded answer. Where none of them is sound, there are none."""
    try:
        read = parse(answer, page.width, page.height)
    except MarkupError as error:
        if not error.flaws:  # the page is at fault
            raise
        return ParsedMarkup(()), error.flaws
    return read, read.flaws


def _plain(answer: str, page: PageInput) -> ParsedMarkup:
    """The whole answer as one region over the page; none when nothing is written."""
    if not answer.strip():
        return ParsedMarkup(())
    start, lines = len(answer) - len(answer.lstrip("\n")), answer.strip("\n").split("\n")
    starts = accumulate((len(line) + 1 for line in lines[:-1]), initial=start)
    box = Box(0.0, 0.0, page.width, page.height)
    region = Region("text", box, tuple(Line(line, box) for line in lines))
    return ParsedMarkup(
        (region,), (), (tuple((at, at + len(line)) for at, line in zip(starts, lines, strict=True)),)
    )


def _confident(answer: str, probabilities: Sequence[float], region: Region, spans: Sequence[Span]) -> Region:
    """The region with the confidences of the characters that say its lines."""
    lines = zip(region.lines, spans, strict=True)
    return replace(region, lines=tuple(_line(line, answer[a:b], probabilities[a:b]) for line, (a, b) in lines))


def _line(line: Line, written: str, probabilities: Sequence[float]) -> Line:
    if not line.text or not written:
        return line
    own = _fitted(probabilities, written.rfind(line.text), len(line.text))
    mean = math.exp(sum(math.log(max(FAINTEST, p)) for p in own) / len(own))
    return replace(line, confidence=min(1.0, mean), character_confidences=own)


def _normal(line: Line) -> Line:
    text = unicodedata.normalize("NFC", line.text)
    own = line.character_confidences
    return replace(line, text=text, character_confidences=_fitted(own, -1, len(text)) if own else ())


def _fitted(values: Sequence[float], start: int, count: int) -> tuple[float, ...]:
    """`count` of the values from `start`; where characters moved (-1), each keeps its place in the line:
    neighbours were read from the same ink."""
    if start >= 0:
        return tuple(values[start : start + count])
    return tuple(values[place * len(values) // count] for place in range(count))


def _laid_over(answer: str, pieces: Pieces) -> list[float] | None:
    """One probability a code point of the answer, or None when the pieces do not make it up.

    Servers decode token by token, and write U+FFFD for parts of a character: what stands in the answer
    between the pieces around them is theirs. Pieces behind the end (the end token) are passed over.
    """
    out: list[float] = []
    held: list[float] = []  # of pieces that are parts of characters, not yet seen in the answer
    for piece, probability in pieces:
        p = min(1.0, max(0.0, probability))
        text = _encodable(piece)
        if not held and answer.startswith(text, len(out)):
            out += [p] * len(text)
            continue
        whole = text.strip(PARTIAL)
        reach = len(out) + len(whole) + (len(held) + 1 if held or whole != text else 0)
        at = answer.find(whole, len(out), reach) if whole else -1
        if at < 0:
            held.append(p)
            continue
        gap = at - len(out)
        out += [math.prod(held) if held else p] * gap + [p] * len(whole)
        held = []
    missing = len(answer) - len(out)
    if missing > len(held):
        return None
    return out + [math.prod(held)] * missing


def _encodable(text: str) -> str:
    """The text, as long as it was, without lone surrogates, which JSON can carry and UTF-8 cannot, and without
    controls, which a terminal would obey."""
    return CONTROL.sub("\ufffd", text.replace("\r", " ")).encode("utf-8", "replace").decode("utf-8")
