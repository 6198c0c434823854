"""The gate's checks: each looks at one thing and returns a verdict, or None when it has nothing to say.

There are two lists: `judge_coarse` for text layers, which come from files, and `judge_reading` for what readers
made of images; a check that both need stands in both. Within a list the order is of certainty: the first check
that accepts or rejects decides; one that asks for a person's look is heard when no later one rejects. An
accepted label may teach and be exported; a rejected or doubtful text layer sends its page to a reader, whose
label is judged anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from flywheel.document import Label, Outcome, PageFacts, PageReading, ReadInk, Verdict
from flywheel.gate.letters import can_mix, mixed_words
from flywheel.gate.loops import find_loop, longest_run, most_frequent, tail_loop
from flywheel.gate.page import JudgedPage, of_label, of_reading
from flywheel.gate.thresholds import Thresholds
from flywheel.gate.vertical import letters_down
from flywheel.markup import DROPPED, Fault
from flywheel.pdf.coarse import RawCounts
from flywheel.pdf.results import InkEvidence
from flywheel.reasons import Reason
from flywheel.text.legacy import legacy_words
from flywheel.text.orthography import check, missing_signs
from flywheel.text.scripts import expected

Check = Callable[[], Verdict | None]
# Among a reading's flaws: a server would not read the page, or failed on it alone (models/readers/endpoint/).
UNREAD = {"refused": "the server will not read it", "unanswered": "the server fails on it, while it reads others"}
UNSOUND = (*sorted(DROPPED - {Fault.DUPLICATE}), Fault.BAD_TABLE, Fault.STRAY_MARK)


class Gate:
    """Judge of labels by its thresholds; it holds nothing else."""

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self._t = thresholds or Thresholds()

    def judge_coarse(
        self, label: Label, facts: PageFacts, raw_counts: RawCounts, language: str | None = None
    ) -> Verdict:
        """The verdict on a text layer's label. `language` is the declared one (BCP-47); None skips that check."""
        page = of_label(label, facts)
        ink = raw_counts.ink
        return _first(
            lambda: self._blank(page),
            lambda: self._no_text(page),
            lambda: self._hidden(page, raw_counts),
            lambda: self._turned(page),
            lambda: self._garbled(raw_counts),
            lambda: self._vertical(page),
            lambda: self._sloping(page),
            lambda: self._read_from_nothing(page),
            lambda: self._too_much_text(page),
            lambda: self._uncovered_image(ink),
            lambda: self._wrong_script(page, language),
            lambda: self._foreign_letters(page),
            lambda: self._legacy_encoding(page),
            lambda: self._bad_orthography(page),
            lambda: self._drawn(page, ink),
        )

    def judge_reading(
        self,
        reading: PageReading,
        facts: PageFacts,
        language: str | None = None,
        scripts: Collection[str] = (),
    ) -> Verdict:
        """The verdict on what a reader made of a page's image. `scripts` are those that it was made for, to which
        pages without a declared language are held; none: any."""
        page = of_reading(reading, facts)
        return _first(
            lambda: self._blank(page),
            lambda: self._refused(page),
            lambda: self._read_from_nothing(page),
            lambda: self._recited(reading),
            lambda: self._repetition(page),
            lambda: self._truncated(page, reading),
            lambda: self._broken_markup(page),
            lambda: self._picture(page, reading.ink),
            lambda: self._read_nothing(page),
            lambda: self._too_much_text(page),
            lambda: self._unread(reading.ink),
            lambda: self._outside(page),
            lambda: self._vertical(page),
            lambda: self._wrong_script(page, language, scripts),
            lambda: self._foreign_letters(page),
            lambda: self._bad_orthography(page),
            lambda: self._few_letters(page, reading.ink),
            lambda: self._confidence(page.label),
            lambda: self._unsure_lines(page.label),
        )

    def _blank(self, page: JudgedPage) -> Verdict | None:
        if not page.label.lines and not page.facts.has_text and page.facts.ink < self._t.blank_ink:
            return Verdict(Outcome.ACCEPTED, Reason.BLANK, f"{page.facts.ink:.3%} of the page is ink")
        return None

    def _no_text(self, page: JudgedPage) -> Verdict | None:
        if page.facts.has_text and page.label.lines:
            return None
        if page.facts.has_text:
            return _reject(Reason.GARBLED_CHARACTERS, "nothing is left of the text layer once it is cleaned")
        return _reject(Reason.NO_TEXT_LAYER, f"{page.facts.ink:.1%} of the page is ink, no text")

    def _hidden(self, page: JudgedPage, counts: RawCounts) -> Verdict | None:
        """A layer that is not to be seen, wholly or in part: read off an image by some program, or never shown."""
        share = page.facts.hidden_share
        hidden = share * counts.characters
        if not page.facts.mainly_hidden:
            hidden /= 1 - share  # what is counted is the rest
            if hidden < self._t.bare_count or share < self._t.bare_share:
                return None
        pictured = counts.ink is not None and counts.ink.image_cover >= self._t.picture_cover
        detail = (
            f"{hidden:.0f} characters ({share:.0%}) stand where there is no ink of theirs: not drawn, covered,"
            f" or in the colour of the paper; {page.facts.ink:.3%} of the page is ink"
        )
        return _reject(Reason.IMAGE_WITH_TEXT if pictured else Reason.TEXT_WITHOUT_INK, detail)

    def _turned(self, page: JudgedPage) -> Verdict | None:
        turned, characters = page.facts.turned, page.facts.characters
        if turned < self._t.turned_share * characters or not turned:
            return None
        if turned < self._t.turned_count and 2 * turned < characters:
            return None
        return _reject(Reason.TURNED_TEXT, f"{turned} of {characters} characters are upside down or mirrored")

    def _sloping(self, page: JudgedPage) -> Verdict | None:
        sloping, characters = page.facts.sloping, page.facts.characters
        if sloping < max(self._t.sloping_count, self._t.sloping_share * characters):
            return None
        detail = f"{sloping} of {characters} characters stand off their line, as in Nastaliq"
        return _reject(Reason.UNORDERED_TEXT, detail)

    def _garbled(self, counts: RawCounts) -> Verdict | None:
        share = counts.garbage / counts.characters if counts.characters else 0.0
        if not self._is_garbled(counts.garbage, counts.characters):
            return None
        kinds = ("private_use", "control", "replacement", "surrogate", "unassigned")
        seen = ", ".join(f"{getattr(counts, k)} {k.replace('_', '-')}" for k in kinds if getattr(counts, k))
        return _reject(Reason.GARBLED_CHARACTERS, f"{seen} of {counts.characters} characters ({share:.1%})")

    def _is_garbled(self, garbage: int, characters: int) -> bool:
        """By share; on a page of few characters a single odd one is forgiven, unless it is all there is."""
        if garbage >= self._t.garbage_count and garbage >= self._t.garbage_share * characters:
            return True
        return garbage > 0 and (2 * garbage > characters or garbage - 1 > self._t.odd_share * characters)

    def _vertical(self, page: JudgedPage) -> Verdict | None:
        down, letters = letters_down(page.label)
        if down < self._t.down_count or down < self._t.down_share * letters:
            return None
        return _reject(Reason.VERTICAL_TEXT, f"{down} of {letters} characters stand on lines down the page")

    def _too_much_text(self, page: JudgedPage) -> Verdict | None:
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

    def _drawn(self, page: JudgedPage, ink: InkEvidence | None) -> Verdict | None:
        """Most of the ink is neither text nor image: a drawing, or text drawn as curves."""
        if ink is None:
            return None
        drawn = page.facts.drawn
        if drawn < self._t.drawn_ink or drawn * page.facts.ink < self._t.drawn_area:
            return None
        detail = f"{drawn:.0%} of the ink is neither text nor image"
        return Verdict(Outcome.REVIEW, Reason.INK_WITHOUT_TEXT, detail)

    def _wrong_script(
        self, page: JudgedPage, language: str | None, scripts: Collection[str] = ()
    ) -> Verdict | None:
        wanted = expected(language) or frozenset(scripts)
        counts = page.scripts
        total = sum(counts.values())
        if not wanted or not total:
            return None
        right = sum(n for code, n in counts.items() if code in wanted)
        if right >= self._t.expected_share * total or self._is_speck(page, total):
            return None
        most = max(counts, key=lambda code: counts[code])
        detail = f"{right} of {total} letters are {'/'.join(sorted(wanted))}, {counts[most]} are {most}"
        return _reject(Reason.WRONG_SCRIPT, detail)

    def _is_speck(self, page: JudgedPage, letters: int) -> bool:
        """Too few letters to tell a language by, and nothing else on the page that they stand for."""
        return letters < self._t.few_letters and page.ink_area <= self._t.few_ink * page.characters

    def _legacy_encoding(self, page: JudgedPage) -> Verdict | None:
        """Letters and signs that a font of another script, or the wrong code page, left in the layer."""
        if page.scripts.keys().isdisjoint(("Latn", "Cyrl")):
            return None
        found = legacy_words(page.text)
        if found.mistaken and len(found.mistaken) >= self._t.mistaken_share * found.words:
            said = ", ".join(f"{word[:30]} for {right[:30]}" for word, right in found.mistaken[:3])
            return _reject(Reason.LEGACY_ENCODING, f"letters of another code page: {said}")
        strange = len(found.strange)
        many = strange >= self._t.strange_count and strange >= self._t.strange_share * found.words
        if many or (strange and 2 * strange >= found.words):
            return _legacy(found.words, found.strange)
        capitals = len(found.capitals)
        if capitals >= self._t.capitals_count and capitals >= self._t.capitals_share * found.words:
            return _legacy(found.words, found.capitals)
        return None

    def _foreign_letters(self, page: JudgedPage) -> Verdict | None:
        if not can_mix(page.scripts):
            return None
        mixed, words = mixed_words(page.text)
        if len(mixed) < self._t.foreign_count or len(mixed) < self._t.foreign_share * words:
            return None
        detail = f"{len(mixed)} of {words} words mix scripts: {' '.join(mixed[:3])}"
        return _reject(Reason.FOREIGN_LETTERS, detail)

    def _bad_orthography(self, page: JudgedPage) -> Verdict | None:
        for script in page.scripts:
            found = check(page.text, script)
            if found.wrong >= self._t.wrong_count and found.rate >= self._t.wrong_share:
                detail = f"{found.wrong} of {found.units} letter groups: {' '.join(found.examples)}"
                return _reject(Reason.BAD_ORTHOGRAPHY, detail)
            if lost := missing_signs(page.text, script):
                detail = f"{lost.count} of the signs {' '.join(lost.signs)} on {lost.letters} letters, far too few"
                return _reject(Reason.BAD_ORTHOGRAPHY, detail)
        return None

    def _read_nothing(self, page: JudgedPage) -> Verdict | None:
        if page.label.lines:
            return None
        return _reject(Reason.NO_LINES, f"{page.facts.ink:.1%} of the page is ink, no line was found")

    def _read_from_nothing(self, page: JudgedPage) -> Verdict | None:
        """Text on a page without ink; a lone page number has little ink, but enough for itself."""
        if not page.label.lines:
            return None
        enough = self._t.speck_per_character * page.characters
        if page.facts.ink >= self._t.blank_ink or page.ink_area > enough:
            return None
        detail = f"{page.characters} characters, {page.facts.ink:.3%} of the page is ink"
        return _reject(Reason.TEXT_WITHOUT_INK, detail)

    def _repetition(self, page: JudgedPage) -> Verdict | None:
        again = page.flaws.get(Fault.DUPLICATE, 0)
        if again >= self._t.same_lines:
            return _reject(Reason.REPETITION, f"{again} blocks come again with the same box and text")
        lines = [line for line in page.lines if line.strip()]
        repeated, times = longest_run(lines)
        if times >= self._t.same_lines and any(c.isalpha() for c in repeated):
            return _reject(Reason.REPETITION, f"{times} lines in a row read {repeated[:40]!r}")
        repeated, times = most_frequent(line for line in lines if len(line) >= self._t.long_line)
        if times >= self._t.long_times:
            return _reject(Reason.REPETITION, f"{times} lines read {repeated[:40]!r}")
        loop = find_loop("\n".join(page.lines), self._t.loop_characters, self._t.loop_times)
        return _looped(loop) or self._repeated_notation(page)

    def _repeated_notation(self, page: JudgedPage) -> Verdict | None:
        """Rows, cells and formulas may well be alike, so that more of them make a loop."""
        repeated, times = longest_run(page.rows)
        enough = times >= self._t.same_lines and times * len(repeated) >= self._t.notation_characters
        if enough and any(c.isalpha() for c in repeated):
            return _reject(Reason.REPETITION, f"{times} rows in a row read {repeated[:40]!r}")
        notation = "\n".join((*page.rows, *page.formulas))
        return _looped(find_loop(notation, self._t.notation_characters, self._t.notation_times))

    def _truncated(self, page: JudgedPage, reading: PageReading) -> Verdict | None:
        """Cut off where the reader went round in a circle, or where the page had more to say."""
        if reading.truncated and (found := self._tail_loop(page)):
            return found
        if reading.truncated:
            tokens = f", {reading.text_tokens} tokens" if reading.text_tokens else ""
            return _reject(Reason.TRUNCATED, f"the answer stops after {len(page.label.text)} characters{tokens}")
        if page.flaws.get(Fault.TRUNCATED):
            return _reject(Reason.TRUNCATED, "the answer ends inside a block of markup")
        return None

    def _tail_loop(self, page: JudgedPage) -> Verdict | None:
        loop = tail_loop(page.label.text, self._t.tail_characters, self._t.tail_times)
        if loop is None:
            return None
        unit, length = loop
        return _reject(Reason.REPETITION, f"the answer was cut off after {length} characters of {unit[:40]!r}")

    def _refused(self, page: JudgedPage) -> Verdict | None:
        why = next((why for flaw, why in UNREAD.items() if flaw in page.flaws), None)
        return _reject(Reason.READER_REFUSED, why) if why else None

    def _recited(self, reading: PageReading) -> Verdict | None:
        if not reading.recited:
            return None
        return _reject(Reason.RECITED, "most of the page was painted over, and the reader said the same")

    def _broken_markup(self, page: JudgedPage) -> Verdict | None:
        flaws = {fault: page.flaws[fault] for fault in UNSOUND if fault in page.flaws}
        unsound = sum(flaws.values())
        total = unsound + len(page.label.regions)
        if not unsound or unsound < self._t.flawed_share * total:
            return None
        outcome = Outcome.REJECTED if unsound >= self._t.broken_share * total else Outcome.REVIEW
        seen = ", ".join(f"{n} {fault}" for fault, n in flaws.items())
        return Verdict(outcome, Reason.BROKEN_MARKUP, f"{seen} beside {len(page.label.regions)} regions")

    def _outside(self, page: JudgedPage) -> Verdict | None:
        boxes, regions = page.flaws.get(Fault.OUT_OF_PAGE, 0), len(page.label.regions)
        if not boxes:
            return None
        outcome = Outcome.REJECTED if boxes > self._t.outside_share * regions else Outcome.REVIEW
        return Verdict(outcome, Reason.BOX_OUTSIDE_PAGE, f"{boxes} of {regions} boxes leave the page")

    def _picture(self, page: JudgedPage, ink: ReadInk | None) -> Verdict | None:
        """A drawing or photograph, perhaps with a caption: its label is no text to learn from or to look at, and a
        later reader may still find some."""
        if ink is None or ink.drawn < self._t.picture_share:
            return None
        captioned = page.characters >= self._t.caption_characters
        enough = self._t.captioned_text if captioned else self._t.picture_text
        if ink.text_area >= enough * ink.drawn_area:
            return None
        detail = f"{ink.drawn:.0%} of the ink is larger than letters, {page.characters} characters beside it"
        return _reject(Reason.PICTURE, detail)

    def _unread(self, ink: ReadInk | None) -> Verdict | None:
        """Letters that the reader passed over, or for which it wrote far fewer than there are."""
        if ink is None or ink.unread * ink.area < self._t.unread_ink:
            return None
        share = ink.unread / (ink.unread + ink.text)
        if share < self._t.doubted_share:
            return None
        outcome = Outcome.REJECTED if share >= self._t.unread_share else Outcome.REVIEW
        return Verdict(outcome, Reason.INK_WITHOUT_TEXT, f"{share:.0%} of the letters' ink was not read")

    def _few_letters(self, page: JudgedPage, ink: ReadInk | None) -> Verdict | None:
        """A smiley that was read as "1": a letter or two may be so large, on a title page."""
        if ink is None or not 0 < page.characters < self._t.few_letters:
            return None
        if ink.area <= self._t.few_ink * page.characters:
            return None
        detail = f"{page.characters} characters for {ink.area:.0f} square points of ink"
        return Verdict(Outcome.REVIEW, Reason.PICTURE, detail)

    def _unsure_lines(self, label: Label) -> Verdict | None:
        known = [(line.confidence, len(line.text)) for line in label.lines if line.confidence is not None]
        total = sum(length for _, length in known)
        unsure, doubted = (
            sum(length for confidence, length in known if confidence < floor)
            for floor in (self._t.line_confidence, self._t.fair_confidence)
        )
        if unsure > self._t.unsure_share * total:
            detail = f"{unsure} of {total} characters on lines of a confidence below {self._t.line_confidence}"
        elif 2 * doubted > total:
            detail = f"{doubted} of {total} characters on lines of a confidence below {self._t.fair_confidence}"
        else:
            return None
        return Verdict(Outcome.REVIEW, Reason.LOW_CONFIDENCE, detail)

    def _confidence(self, label: Label) -> Verdict | None:
        confidence = label.confidence
        if confidence is None or confidence >= self._t.fair_confidence:
            return None
        low = confidence < self._t.low_confidence
        outcome = Outcome.REJECTED if low else Outcome.REVIEW
        return Verdict(outcome, Reason.LOW_CONFIDENCE, f"mean confidence {confidence:.2f}")


def _legacy(words: int, strange: Sequence[str]) -> Verdict:
    examples = " ".join(word[:30] for word in strange[:3])
    return _reject(Reason.LEGACY_ENCODING, f"{len(strange)} of {words} words are no language's: {examples}")


def _first(*checks: Check) -> Verdict:
    doubt = None
    for check_page in checks:
        verdict = check_page()
        if verdict is not None and verdict.outcome is not Outcome.REVIEW:
            return verdict
        doubt = doubt or verdict
    return doubt or Verdict(Outcome.ACCEPTED, Reason.ACCEPTED)


def _looped(loop: tuple[str, int] | None) -> Verdict | None:
    if loop is None:
        return None
    unit, length = loop
    return _reject(Reason.REPETITION, f"{unit[:40]!r} repeats over {length} characters")


def _reject(reason: Reason, detail: str) -> Verdict:
    return Verdict(Outcome.REJECTED, reason, detail)
