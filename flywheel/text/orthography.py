"""Letter combinations that a script does not allow, counted: a lying text layer's signature.

A script's rules cut a text into units (a letter with what hangs on it) and say which
units no writer produces. Real text has the odd misprint, and Tibetan has thousands of
legitimate Sanskrit stacks, so callers judge the rate over a page and not one hit. What
the rules let through may still be misspelt: they know what cannot be written, not
what is a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

EXAMPLES = 5
CACHED_UNITS = 1 << 16
JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class OrthographyRules:
    """`unit` cuts the script's text into units; `impossible` judges one."""

    unit: re.Pattern[str]
    impossible: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class OrthographyFindings:
    """Units of one script in a text, how many are impossible, and the most frequent of those."""

    script: str
    units: int
    wrong: int
    examples: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        return self.wrong / self.units if self.units else 0.0


def check(text: str, script: str) -> OrthographyFindings:
    """Judge the letters of `script` (ISO 15924) in `text`; no units where no rules are known."""
    rules = rules_of(script)
    if rules is None:
        return OrthographyFindings(script, 0, 0)
    text = unicodedata.normalize("NFC", text)
    for joiner in JOINERS:
        text = text.replace(joiner, "")
    counts = Counter(rules.unit.findall(text))
    wrong = Counter({unit: count for unit, count in counts.items() if rules.impossible(unit)})
    examples = tuple(unit for unit, _ in wrong.most_common(EXAMPLES))
    return OrthographyFindings(script, counts.total(), wrong.total(), examples)


@lru_cache(maxsize=64)
def rules_of(script: str) -> OrthographyRules | None:
    """The script's rules; None when nothing can be said about texts in it."""
    if script == "Tibt":
        return OrthographyRules(_TIBETAN_UNIT, _impossible_stack)
    if script in DEPENDENT_SIGNS:
        return _marks_need_letters(script)
    return None


# Tibetan: a letter (U+0F40-0F6C), letters below it (U+0F8D-0FBC), then length and vowel signs.

_LETTERS = "\u0f40-\u0f6c\u0f88-\u0f8c"
_BELOW = "\u0f8d-\u0fbc"
_SIGNS = "\u0f18\u0f19\u0f35\u0f37\u0f39\u0f71-\u0f84\u0f86\u0f87\u0fc6"
_VOWELS = frozenset("\u0f72\u0f74\u0f7a\u0f7b\u0f7c\u0f7d\u0f80")
_TIBETAN_UNIT = re.compile(f"[{_LETTERS}]?[{_BELOW}{_SIGNS}]+|[{_LETTERS}]")
_STACK = re.compile(f"([{_LETTERS}])([{_BELOW}]*)([{_SIGNS}]*)")

# Names by position: the letter n at U+0F40 + k stands below as U+0F90 + k.
_NAMES = (
    "k kh g gh ng c ch j - ny tt tth dd ddh nn t th d dh n p ph b bh m"
    " ts tsh dz dzh w zh z ' y r l sh ss s h a kss"
).split()
# The letters of Sanskrit, which may stand in any cluster, and the nine that only Tibetan has.
_TIBETAN_ONLY = frozenset("c ch j zh z '".split())
_SANSKRIT = frozenset(name for name in _NAMES if name not in _TIBETAN_ONLY and name not in ("-", "a"))
_CARRIES = {"c": "w", "ch": "w", "j": "w", "zh": "w", "z": "l w", "'": "w", "a": "w y"}
_CARRIED_BY = {"c": "l", "j": "r l"}
_FIXED_FORMS = {"\u0f6a": "\u0f62", "\u0fba": "\u0fad", "\u0fbb": "\u0fb1", "\u0fbc": "\u0fb2"}
# Below a letter, ya, ra and wa come last: only these may follow them.
_AFTER = {"y": "w", "r": "y w", "w": "y r"}


def _name(letter: str) -> str:
    """The letter's name, alike for its full, its lower and its fixed form; "?" for rare letters."""
    code = ord(
        {"\u0f6a": "\u0f62", "\u0fba": "\u0fad", "\u0fbb": "\u0fb1", "\u0fbc": "\u0fb2"}.get(letter, letter)
    )
    offset = code - (0x0F90 if code >= 0x0F90 else 0x0F40)
    return _NAMES[offset] if 0 <= offset < len(_NAMES) else "?"


def _can_carry(upper: str, lower: str) -> bool:
    """True when a stack may begin with `upper` over `lower` (names)."""
    if "?" in (upper, lower) or (upper in _SANSKRIT and lower in _SANSKRIT):
        return True
    return lower in _CARRIES.get(upper, "").split() or upper in _CARRIED_BY.get(lower, "").split()


def _can_follow(above: str, lower: str) -> bool:
    """True when `lower` may stand below `above`, which is itself below another letter (names)."""
    if above in _AFTER:
        return lower in _AFTER[above].split()
    return "?" in (above, lower) or lower in _SANSKRIT


@lru_cache(maxsize=CACHED_UNITS)
def _impossible_stack(unit: str) -> bool:
    """A lower letter or sign with nothing above it, a letter under one that cannot carry it, a lower
    letter after a sign, two vowels on one stack."""
    match = _STACK.fullmatch(unit)
    if match is None:
        return True
    letter, below, signs = match.groups()
    if sum(sign in _VOWELS for sign in signs) > 1:
        return True
    names = [_name(symbol) for symbol in below]
    if names and not _can_carry(_name(letter), names[0]):
        return True
    return not all(_can_follow(above, lower) for above, lower in pairwise(names))


# Scripts whose vowel signs and other marks hang on letters: first and last code point of the block.
DEPENDENT_SIGNS = {
    "Deva": (0x0900, 0x097F),
    "Beng": (0x0980, 0x09FF),
    "Guru": (0x0A00, 0x0A7F),
    "Gujr": (0x0A80, 0x0AFF),
    "Orya": (0x0B00, 0x0B7F),
    "Taml": (0x0B80, 0x0BFF),
    "Telu": (0x0C00, 0x0C7F),
    "Knda": (0x0C80, 0x0CFF),
    "Mlym": (0x0D00, 0x0D7F),
    "Sinh": (0x0D80, 0x0DFF),
    "Thai": (0x0E00, 0x0E7F),
    "Laoo": (0x0E80, 0x0EFF),
    "Mymr": (0x1000, 0x109F),
    "Khmr": (0x1780, 0x17FF),
}
_SHOWN_ALONE = "\u00a0\u25cc-"  # a mark that is talked about stands on one of these

# Kinds of marks, by words of their Unicode names; the first that fits.
_MARK_KINDS = {
    "h": re.compile("VIRAMA|COENG|AL-LAKUNA"),
    "n": re.compile("NUKTA"),
    "v": re.compile("VOWEL|LENGTH MARK|CHARACTER (?:SARA (?!AM)|MAI HAN-AKAT|MAITAIKHU)"),
    "f": re.compile("ANUSVARA|CANDRABINDU|VISARGA|BINDI|TIPPI|ADDAK|REAHMUK|NIKAHIT|CANDRA"),
    "t": re.compile("TONE MAI|CHARACTER MAI (?:EK|THO|TRI|CHATTAWA)"),
}
# Orders of marks on one letter that are not written: two vowel signs, any sign behind a virama, a vowel sign
# behind a final one, a nukta behind either, a vowel behind its tone. The sample texts of 60 languages in these
# scripts have four such places (gflanguages, 2026-11-24).
_INDIC = re.compile("vn?v|h[vfn]|f[vn]|nn|vn")
_ORDERS = {
    **dict.fromkeys("Deva Beng Guru Gujr Orya Taml Telu Knda Mlym Sinh".split(), _INDIC),
    "Thai": re.compile("vv|tv|tt"),
    "Laoo": re.compile("tv|tt"),
    "Khmr": re.compile("vv|h.|fv"),
    "Mymr": re.compile("h[vf]"),
}


def _marks_need_letters(script: str) -> OrthographyRules:
    """Wrong: a vowel sign or other mark with no letter before it, or marks in an order that is not written."""
    first, last = DEPENDENT_SIGNS[script]
    block = [chr(code) for code in range(first, last + 1)]
    letters = "".join(c for c in block if unicodedata.category(c).startswith("L"))
    marks = "".join(c for c in block if unicodedata.category(c).startswith("M"))
    unit = re.compile(f"[{letters}{_SHOWN_ALONE}][{marks}]+|[{letters}]|[{marks}]+")
    kinds = {ord(mark): _mark_kind(mark) for mark in marks}
    lone, order = frozenset(marks), _ORDERS[script]

    @lru_cache(maxsize=CACHED_UNITS)
    def impossible(found: str) -> bool:
        return found[0] in lone or (len(found) > 2 and order.search(found[1:].translate(kinds)) is not None)

    return OrthographyRules(unit, impossible)


def _mark_kind(mark: str) -> str:
    name = unicodedata.name(mark, "")
    return next((kind for kind, words in _MARK_KINDS.items() if words.search(name)), "x")


# Signs without which no page of a script is written: of each script all vowel signs together, then some by
# themselves (hexadecimal code points), each with half of the least share to a letter that sample texts have
# (gflanguages, 2026-11-24: 3 languages in Tibetan letters, 32 in Devanagari, 9 in Bengali, 5 in Odia and Burmese).
_FREQUENT_SIGNS = """
Tibt  0f72+0f74+0f7a+0f7b+0f7c+0f7d+0f80 .15  0f72 .06  0f7c .028  0f7a .02  0f74 .018
Deva  093e+093f+0940+0941+0942+0947+0948+094b+094c .12  093e .036
Beng  09be+09bf+09c0+09c1+09c7+09cb .14  09be .056  09bf .015
Guru  0a3e+0a3f+0a40+0a41+0a47+0a4b .2  0a3e .06  0a3f .04  0a40 .04  0a47 .03
Gujr  0abe+0abf+0ac0+0ac1+0ac7+0acb .2  0abe .09  0ac7 .04  0ac0 .015  0abf .015
Orya  0b3e+0b3f+0b40+0b41+0b47+0b4b .15  0b3e .05  0b3f .015  0b47 .02
Taml  0bbe+0bbf+0bc1+0bc6+0bc7+0bc8 .15  0bc1 .06  0bbf .03  0bbe .02  0bcd .1
Telu  0c3e+0c3f+0c41+0c46+0c47 .15  0c41 .06  0c3f .05  0c3e .03  0c4d .06
Knda  0cbe+0cbf+0cc1+0cc6+0cc7 .15  0cbf .05  0cbe .05  0cc1 .03  0ccd .06
Mlym  0d3e+0d3f+0d41+0d46+0d47 .15  0d3e .05  0d3f .05  0d41 .05  0d4d .1
Sinh  0dcf+0dd2+0dd4+0dd9 .12  0dd2 .05  0dcf .035  0dca .06
Thai  0e31+0e34+0e35+0e36+0e37+0e38+0e39 .06  0e34 .02  0e31 .015  0e35 .013  0e48 .02
Laoo  0eb1+0eb4+0eb5+0eb6+0eb7+0eb8+0eb9 .08  0eb1 .02  0ec8 .02  0ec9 .02
Khmr  17b6+17b7+17bb+17c1+17c2 .15  17b6 .07  17b7 .03  17d2 .06
Mymr  102b+102c+102d+102e+102f+1030+1031 .2  102d .012
"""


def _frequent(line: str) -> tuple[str, dict[str, float]]:
    script, *entries = line.split()
    signs = ("".join(chr(int(code, 16)) for code in codes.split("+")) for codes in entries[::2])
    return script, dict(zip(signs, map(float, entries[1::2]), strict=True))


_FREQUENT = dict(map(_frequent, _FREQUENT_SIGNS.strip().splitlines()))
_EXPECTED = 6.0  # signs that a text of so many letters must have, before their absence says anything
_LEFT = 0.15  # of these, as many as a text may have that has lost them


@dataclass(frozen=True, slots=True)
class MissingSigns:
    """Signs that a text in this script should have, and the number it has of them."""

    signs: str
    count: int
    letters: int


def missing_signs(text: str, script: str) -> MissingSigns | None:
    """Frequent vowel signs that a text of many letters all but lacks: a text layer has lost them."""
    frequent = _FREQUENT.get(script)
    if frequent is None:
        return None
    letters = len(_letters_of(script).findall(text))
    for signs, share in frequent.items():
        expected = share * letters
        if expected >= _EXPECTED and (count := sum(map(text.count, signs))) <= _LEFT * expected:
            return MissingSigns(signs, count, letters)
    return None


@lru_cache(maxsize=64)
def _letters_of(script: str) -> re.Pattern[str]:
    if script == "Tibt":
        return re.compile(f"[{_LETTERS}]")
    first, last = DEPENDENT_SIGNS[script]
    return re.compile(
        "[" + "".join(c for c in map(chr, range(first, last + 1)) if unicodedata.category(c)[0] == "L") + "]"
    )
