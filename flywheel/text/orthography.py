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
        return _marks_need_letters(*DEPENDENT_SIGNS[script])
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


def _marks_need_letters(first: int, last: int) -> OrthographyRules:
    """Wrong: a vowel sign or other mark with no letter before it."""
    block = [chr(code) for code in range(first, last + 1)]
    letters = "".join(c for c in block if unicodedata.category(c).startswith("L"))
    marks = "".join(c for c in block if unicodedata.category(c).startswith("M"))
    unit = re.compile(f"[{letters}{_SHOWN_ALONE}][{marks}]+|[{letters}]|[{marks}]+")
    lone = frozenset(marks)
    return OrthographyRules(unit, lambda found: found[0] in lone)
