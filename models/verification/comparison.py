"""Comparison of what a text layer says with what a reader reads there.

    tally_of(said, read, alphabet) -> Tally        one piece; tallies add up
    tally.finding() -> Finding                     agrees, disagrees, or unsure

Both texts are folded to what any reader can be held to: letters and digits, without case, width and the
accents of Latin, Greek and Cyrillic; forms that look alike (l, I, 1) are one. A letter that the reader cannot
write says nothing about the layer. Two things condemn: too large a share of letters read otherwise, and a letter
that is nearly always read as one and the same other, which a reader's own slips never are.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum

from rapidfuzz.distance import Levenshtein

from flywheel.text.scripts import INHERITED, script_of
from models.recognition.protocol import Transcription

LIMIT = 0.08  # of the letters read otherwise
CERTAIN = 2.33  # standard deviations of a one-sided 99 %
ENOUGH = 12  # letters that say something of a font
SLIPS = 4  # read otherwise: fewer are a logo's, or a reader's own, in however few letters
OFTEN = 4  # times a letter must have been read as the same other one,
NEARLY_ALWAYS = 0.7  # of the times that the layer says it
SURE = 0.6  # of a piece's reading: below, the reader does not know what it sees
UNKNOWN = "\ufffc"  # a letter that the reader cannot write
_ALIKE = str.maketrans("I1iı0OđĐðÐłŁøØħĦ", "llllooddddlloohh")  # a stroke is soon overlooked
# Latin letters beyond ASCII that are read as themselves, or at least as the letter under their accent: those of
# European languages but ŋ, þ and ŧ. All others a reader may well write, and yet reads ɔ as o, ŋ as n, ɖ as d.
_LEGIBLE = frozenset(map(chr, range(0xC0, 0x180))) - frozenset("ŊŋÞþŦŧ")


class Finding(StrEnum):
    """Finding about what a layer says of a font's letters."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Tally:
    """Letters of a layer that were looked at: how many a reader is held to, and how it read them.

    `said` counts the layer's letters with their accents, `read_as` pairs of what the layer says and what was read
    instead, without.
    `unsure` pieces were read without confidence, out of `pieces`. `example` is the worst piece: said, read.
    """

    letters: int = 0
    wrong: int = 0
    pieces: int = 0
    unsure: int = 0
    said: Counter[str] = field(default_factory=Counter)
    read_as: Counter[tuple[str, str]] = field(default_factory=Counter)
    example: tuple[str, str] = ("", "")
    worst: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        worse = max(self, other, key=lambda tally: tally.worst)
        return Tally(
            self.letters + other.letters,
            self.wrong + other.wrong,
            self.pieces + other.pieces,
            self.unsure + other.unsure,
            self.said + other.said,
            self.read_as + other.read_as,
            worse.example,
            worse.worst,
        )

    @property
    def share(self) -> float:
        """Share of the letters that were read otherwise."""
        return self.wrong / self.letters if self.letters else 0.0

    @property
    def exchanged(self) -> tuple[str, str] | None:
        """A letter that is nearly always read as another one, and that other; None when there is none."""
        for (letter, other), times in self.read_as.most_common():
            if other != UNKNOWN and times >= OFTEN and times >= NEARLY_ALWAYS * self.said[letter]:
                return letter, other
        return None

    @property
    def accented_otherwise(self) -> int:
        """Times that letters beyond ASCII were read as another letter, each always as the same one."""
        pairs = ((letter, times) for (letter, _), times in self.read_as.items() if not letter.isascii())
        return sum(times for letter, times in pairs if times == self.said[letter])

    @property
    def only_exchanged(self) -> bool:
        """True when letters are nearly always read as the same other ones, and all else is read as it is said."""
        constant = sum(
            times
            for (letter, _), times in self.read_as.items()
            if times >= OFTEN and times >= NEARLY_ALWAYS * self.said[letter]
        )
        return constant > 0 and self.wrong - constant <= LIMIT / 2 * self.letters

    def finding(self, *, final: bool = False) -> Finding:
        """The finding of the tally; unless `final`, unsure also of a share that more letters might put right."""
        if self.letters < ENOUGH or self.unsure > self.pieces / 2:
            return Finding.UNSURE
        if self.exchanged:
            return Finding.DISAGREES
        low, high = wilson(self.wrong, self.letters)
        if low > LIMIT or (final and self.share > LIMIT and self.wrong >= SLIPS):
            return Finding.DISAGREES
        if self.accented_otherwise and not final:
            return Finding.UNSURE
        return Finding.AGREES if final or high < LIMIT or self.share < LIMIT / 4 else Finding.UNSURE


def tally_of(said: str, read: Transcription, alphabet: AbstractSet[str], scripts: AbstractSet[str]) -> Tally:
    """One piece. `alphabet`: the characters that the reader can write; `scripts`: those it reads (ISO 15924)."""
    if read.confidence < SURE:
        return Tally(pieces=1, unsure=1)
    letters = _letters(said, alphabet, scripts)
    claimed, seen = "".join(bare for _, bare in letters), folded(read.text, alphabet | set(read.text), scripts)
    known = sum(letter != UNKNOWN for letter in claimed)
    if not known:
        return Tally(pieces=1)
    pairs: Counter[tuple[str, str]] = Counter()
    wrong = 0
    for edit in Levenshtein.editops(claimed, seen):
        letter = claimed[edit.src_pos] if edit.tag != "insert" else ""
        if letter == UNKNOWN or (edit.tag == "insert" and _is_excused(edit.src_pos, claimed)):
            continue
        wrong += 1
        if edit.tag == "replace":
            pairs[letters[edit.src_pos][0], seen[edit.dest_pos]] += 1
    wrong = min(wrong, known)
    said_letters = Counter(letter for letter, bare in letters if bare != UNKNOWN)
    return Tally(known, wrong, 1, 0, said_letters, pairs, (said, read.text), wrong * wrong / known)


def folded(text: str, alphabet: AbstractSet[str], scripts: AbstractSet[str]) -> str:
    """The letters of a text by which it is compared; UNKNOWN for each that the reader cannot write."""
    return "".join(bare for _, bare in _letters(text, alphabet, scripts))


def _letters(text: str, alphabet: AbstractSet[str], scripts: AbstractSet[str]) -> list[tuple[str, str]]:
    """Each of these letters as it is written, without case, and as it is compared."""
    out: list[tuple[str, str]] = []
    for character in unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text)):
        if unicodedata.category(character)[0] not in "LNM":
            continue
        if script_of(character) == INHERITED:  # an accent that no letter has in itself
            if out:
                out[-1] = (UNKNOWN, UNKNOWN)
        elif character not in alphabet or not _is_of(character, scripts):
            out.append((UNKNOWN, UNKNOWN))
        else:
            out += [(character.casefold(), bare) for bare in _bare(character)]
    return out


def legible(alphabet: AbstractSet[str]) -> frozenset[str]:
    """The characters of the built-in reader's alphabet that it can be held to."""
    return frozenset(c for c in alphabet if c.isascii() or c in _LEGIBLE or script_of(c) != "Latn")


def wilson(wrong: int, letters: int) -> tuple[float, float]:
    """Interval of a share (Wilson 1927), one-sided 99 % either way."""
    share, z = wrong / letters, CERTAIN
    middle = share + z * z / (2 * letters)
    reach = z * math.sqrt(share * (1 - share) / letters + z * z / (4 * letters * letters))
    scale = 1 + z * z / letters
    return (middle - reach) / scale, (middle + reach) / scale


def _is_of(character: str, scripts: AbstractSet[str]) -> bool:
    return not character.isalpha() or script_of(character) in scripts


def _bare(character: str) -> str:
    """A character without case and accents; marks that belong to a script stay."""
    parts = unicodedata.normalize("NFKD", character.translate(_ALIKE)).casefold()
    kept = [p for p in parts if unicodedata.category(p)[0] in "LNM" and script_of(p) != INHERITED]
    return "".join(kept).translate(_ALIKE)


def _is_excused(position: int, claimed: str) -> bool:
    """True for an insertion at either end, where a neighbour's ink reaches in, or beside an unknown letter."""
    beside = claimed[max(0, position - 1) : position + 1]
    return position in (0, len(claimed)) or UNKNOWN in beside
