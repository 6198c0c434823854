"""The gate: a label and what is known of its page -> a verdict with a reason.

Checks run in order of certainty and the first that fires decides. The detail says what
was seen, in numbers. Thresholds are rates over a page; the counts beside them keep a
single odd character on a short page from deciding anything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flywheel.coarse import RawCounts
from flywheel.document import Label, Outcome, PageFacts, PageReading, Verdict
from flywheel.orthography import check
from flywheel.pdf.results import InkEvidence
from flywheel.reasons import Reason
from flywheel.scripts import expected, histogram, is_script, script_of

Check = Callable[[], Verdict | None]
LONGEST_UNIT = 200  # characters; what repeats at greater length is a chorus, not a loop


@dataclass(frozen=True, slots=True)
class _Page:
    """What every check looks at, gathered once."""

    label: Label
    facts: PageFacts
    text: str
    scripts: dict[str, int]  # of the text, written scripts only
    characters: int  # blanks left out

    @property
    def ink_area(self) -> float:
        """In square points."""
        return self.facts.ink * self.facts.width * self.facts.height


def _seen(label: Label, facts: PageFacts) -> _Page:
    text = label.text
    counts = histogram(text)
    scripts = {code: n for code, n in counts.items() if is_script(code)}
    return _Page(label, facts, text, scripts, sum(counts.values()))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Shares are 0..1. Areas are in square points."""

    blank_ink: float = 0.0002  # a page with less ink shows nothing
    speck_per_character: float = 2.0  # unless each character of its text has this much
    garbage_share: float = 0.01
    garbage_count: int = 3
    bare_share: float = 0.1  # characters on lines without any ink
    bare_count: int = 8
    ink_per_character: float = 0.35  # a 3-point letter covers about one
    expected_share: float = 0.5  # letters in a script of the declared language
    foreign_share: float = 0.01  # words that mix scripts
    foreign_count: int = 3
    wrong_share: float = 0.005  # impossible letter combinations
    wrong_count: int = 3
    image_cover: float = 0.7  # from here on a page is its image
    text_ink: float = 0.3  # least share of ink inside text lines on such a page
    drawn_ink: float = 0.85  # ink outside text and images: text drawn as curves, or a drawing
    drawn_area: float = 0.02  # and that much of the page
    low_confidence: float = 0.5  # a reading below is rejected
    fair_confidence: float = 0.75  # and below this a person should look
    loop_characters: int = 48  # a text that repeats itself for so long is a loop
    loop_times: int = 5
    same_lines: int = 6  # one line this often in a row


class Gate:
    """Judges labels. Holds nothing but its thresholds."""

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self._t = thresholds or Thresholds()

    def judge_coarse(
        self, label: Label, facts: PageFacts, raw_counts: RawCounts, language: str | None = None
    ) -> Verdict:
        """A text layer's label. `language` is the declared one (BCP-47), or None to skip that check."""
        page = _seen(label, facts)
        ink = raw_counts.ink
        return _first(
            lambda: self._blank(page),
            lambda: self._no_text(page),
            lambda: self._image_with_text(page, raw_counts),
            lambda: self._garbled(raw_counts),
            lambda: self._text_without_ink(page, raw_counts),
            lambda: self._too_much_text(page),
            lambda: self._uncovered_image(ink),
            lambda: self._wrong_script(page, language),
            lambda: self._foreign_letters(page),
            lambda: self._bad_orthography(page),
            lambda: self._drawn(page, ink),
        )

    def judge_reading(self, reading: PageReading, facts: PageFacts, language: str | None = None) -> Verdict:
        """What a reader made of a page's image."""
        label = reading.label
        page = _seen(label, facts)
        return _first(
            lambda: self._blank(page),
            lambda: self._read_nothing(page),
            lambda: self._read_from_nothing(page),
            lambda: self._too_much_text(page),
            lambda: self._repetition(page),
            lambda: self._wrong_script(page, language),
            lambda: self._foreign_letters(page),
            lambda: self._bad_orthography(page),
            lambda: self._confidence(label),
        )

    def _blank(self, page: _Page) -> Verdict | None:
        if not page.label.lines and not page.facts.has_text and page.facts.ink < self._t.blank_ink:
            return Verdict(Outcome.ACCEPTED, Reason.BLANK, f"{page.facts.ink:.3%} of the page is ink")
        return None

    def _no_text(self, page: _Page) -> Verdict | None:
        if page.facts.has_text and page.label.lines:
            return None
        if page.facts.has_text:
            return _reject(Reason.GARBLED_CHARACTERS, "nothing is left of the text layer once it is cleaned")
        return _reject(Reason.NO_TEXT_LAYER, f"{page.facts.ink:.1%} of the page is ink, no text")

    def _image_with_text(self, page: _Page, counts: RawCounts) -> Verdict | None:
        if not page.facts.image_only:
            return None
        return _reject(
            Reason.IMAGE_WITH_TEXT, f"{counts.characters} characters, none of them drawn, over an image"
        )

    def _garbled(self, counts: RawCounts) -> Verdict | None:
        share = counts.garbage / counts.characters if counts.characters else 0.0
        if counts.garbage < self._t.garbage_count or share < self._t.garbage_share:
            return None
        kinds = ("private_use", "control", "replacement", "surrogate", "unassigned")
        seen = ", ".join(f"{getattr(counts, k)} {k.replace('_', '-')}" for k in kinds if getattr(counts, k))
        return _reject(Reason.GARBLED_CHARACTERS, f"{seen} of {counts.characters} characters ({share:.1%})")

    def _text_without_ink(self, page: _Page, counts: RawCounts) -> Verdict | None:
        if (from_nothing := self._read_from_nothing(page)) is not None:
            return from_nothing
        bare = counts.ink.bare_characters if counts.ink else 0
        if bare >= self._t.bare_count and bare > self._t.bare_share * counts.characters:
            detail = f"{bare} of {counts.characters} characters stand where there is no ink"
            return _reject(Reason.TEXT_WITHOUT_INK, detail)
        return None

    def _too_much_text(self, page: _Page) -> Verdict | None:
        characters, area = page.characters, page.ink_area
        if characters == 0 or area / characters >= self._t.ink_per_character:
            return None
        detail = f"{characters} characters on {area:.0f} square points of ink, {area / characters:.2f} each"
        return _reject(Reason.TOO_MUCH_TEXT, detail)

    def _uncovered_image(self, ink: InkEvidence | None) -> Verdict | None:
        """A scan with a stamp of text on it: the stamp is no label of the page."""
        if ink is None or ink.image_cover < self._t.image_cover or ink.in_text >= self._t.text_ink:
            return None
        if ink.in_images < 1 - self._t.text_ink:
            return None
        detail = f"an image covers {ink.image_cover:.0%} of the page, the text only {ink.in_text:.0%} of the ink"
        return _reject(Reason.INK_WITHOUT_TEXT, detail)

    def _drawn(self, page: _Page, ink: InkEvidence | None) -> Verdict | None:
        """Most of the ink is neither text nor image: a drawing, or text drawn as curves."""
        if ink is None:
            return None
        drawn = 1 - ink.in_text - ink.in_images
        if drawn < self._t.drawn_ink or drawn * page.facts.ink < self._t.drawn_area:
            return None
        detail = f"{drawn:.0%} of the ink is neither text nor image"
        return Verdict(Outcome.REVIEW, Reason.INK_WITHOUT_TEXT, detail)

    def _wrong_script(self, page: _Page, language: str | None) -> Verdict | None:
        wanted = expected(language)
        counts = page.scripts
        total = sum(counts.values())
        if not wanted or not total:
            return None
        right = sum(n for code, n in counts.items() if code in wanted)
        if right >= self._t.expected_share * total:
            return None
        most = max(counts, key=lambda code: counts[code])
        detail = f"{right} of {total} letters are {'/'.join(sorted(wanted))}, {counts[most]} are {most}"
        return _reject(Reason.WRONG_SCRIPT, detail)

    def _foreign_letters(self, page: _Page) -> Verdict | None:
        if len(page.scripts.keys() - _TOGETHER - _SYMBOLS) < 2:
            return None
        words = [match.group() for match in _WORD.finditer(page.text)]
        mixed = [word for word in words if _is_mixed(word)]
        if len(mixed) < self._t.foreign_count or len(mixed) < self._t.foreign_share * len(words):
            return None
        detail = f"{len(mixed)} of {len(words)} words mix scripts: {' '.join(mixed[:3])}"
        return _reject(Reason.FOREIGN_LETTERS, detail)

    def _bad_orthography(self, page: _Page) -> Verdict | None:
        for script in page.scripts:
            found = check(page.text, script)
            if found.wrong >= self._t.wrong_count and found.rate >= self._t.wrong_share:
                detail = f"{found.wrong} of {found.units} letter groups: {' '.join(found.examples)}"
                return _reject(Reason.BAD_ORTHOGRAPHY, detail)
        return None

    def _read_nothing(self, page: _Page) -> Verdict | None:
        if page.label.lines:
            return None
        return _reject(Reason.NO_LINES, f"{page.facts.ink:.1%} of the page is ink, no line was found")

    def _read_from_nothing(self, page: _Page) -> Verdict | None:
        """Text on a page without ink; a lone page number has little ink, but enough for itself."""
        enough = self._t.speck_per_character * page.characters
        if page.facts.ink >= self._t.blank_ink or page.ink_area > enough:
            return None
        detail = f"{page.characters} characters, {page.facts.ink:.3%} of the page is ink"
        return _reject(Reason.TEXT_WITHOUT_INK, detail)

    def _repetition(self, page: _Page) -> Verdict | None:
        lines = [line.text for line in page.label.lines]
        repeated, times = _longest_run(lines)
        if times >= self._t.same_lines and any(c.isalpha() for c in repeated):
            return _reject(Reason.REPETITION, f"{times} lines in a row read {repeated[:40]!r}")
        loop = find_loop("\n".join(lines), self._t.loop_characters, self._t.loop_times)
        if loop is None:
            return None
        unit, length = loop
        return _reject(Reason.REPETITION, f"{unit[:40]!r} repeats over {length} characters")

    def _confidence(self, label: Label) -> Verdict | None:
        confidence = label.confidence
        if confidence is None or confidence >= self._t.fair_confidence:
            return None
        low = confidence < self._t.low_confidence
        outcome = Outcome.REJECTED if low else Outcome.REVIEW
        return Verdict(outcome, Reason.LOW_CONFIDENCE, f"mean confidence {confidence:.2f}")


def find_loop(text: str, characters: int, times: int) -> tuple[str, int] | None:
    """The repeating unit and how many characters it fills, where a text with letters runs in a circle.

    A loop fills at least `characters` characters with at least `times` repeats of its unit.
    """
    if not (periods := _periods(text, characters, times)):
        return None
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    for period in periods:
        same = np.flatnonzero(codes[period:] != codes[:-period])
        edges = np.concatenate(([-1], same, [len(text) - period]))
        gaps = np.diff(edges) - 1  # lengths of the runs in which text[i] == text[i + period]
        longest = int(gaps.argmax())
        filled = int(gaps[longest]) + period
        if filled >= max(characters, times * period):
            start = int(edges[longest]) + 1
            unit = text[start : start + period]
            if any(symbol.isalpha() for symbol in unit):
                return unit, filled
    return None


def _periods(text: str, characters: int, times: int) -> list[int]:
    """The only periods a loop in `text` can have, found in a thirtieth of the time that trying all takes.

    In a loop of period p, text[i] == text[i + p] for a run of at least max(characters, times * p) - p
    places i. Any run of 2g - 1 places holds a multiple of g from which g places on are in the run, so
    the g characters there come again p characters later.
    """
    every = range(1, min(len(text) // times, LONGEST_UNIT) + 1)
    run = min((max(characters, times * period) - period for period in every), default=0)
    size = (run + 1) // 2
    if size < 4:
        return list(every)
    found = set()
    for place in range(0, len(text) - size, size):
        piece = text[place : place + size]
        end = place + every[-1] + size
        again = text.find(piece, place + 1, end)
        while again >= 0:
            found.add(again - place)
            again = text.find(piece, again + 1, end)
    return sorted(found)


def _longest_run(lines: list[str]) -> tuple[str, int]:
    best, times, run = "", 0, 0
    for k, line in enumerate(lines):
        run = run + 1 if k and line == lines[k - 1] else 1
        if run > times:
            best, times = line, run
    return best, times


# Scripts written side by side without blanks, so that a run of letters may hold several.
_TOGETHER = frozenset(("Hani", "Hira", "Kana", "Hang", "Bopo", "Yiii", "Thai", "Laoo", "Khmr", "Mymr"))
_SYMBOLS = frozenset(("Grek",))  # single Greek letters stand inside Latin words as symbols
_WORD = re.compile(r"[^\W\d_]+(?:[^\W\d_]|[\u0300-\u036f\u0f71-\u0f84\u0f90-\u0fbc])*")


def _is_mixed(word: str) -> bool:
    found = Counter(script_of(symbol) for symbol in word)
    scripts = {code for code in found if is_script(code) and code not in _TOGETHER}
    if scripts & _SYMBOLS and len(scripts) > 1:
        scripts -= _SYMBOLS
    return len(scripts) > 1


def _first(*checks: Check) -> Verdict:
    for run in checks:
        if (verdict := run()) is not None:
            return verdict
    return Verdict(Outcome.ACCEPTED, Reason.ACCEPTED)


def _reject(reason: Reason, detail: str) -> Verdict:
    return Verdict(Outcome.REJECTED, reason, detail)
