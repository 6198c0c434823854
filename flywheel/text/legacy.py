"""Words as fonts with an encoding of their own leave them in a text layer: Latin letters for another script.

Before Unicode, fonts for Tamil, Hindi, Thai or Russian kept their letters in the places of Latin ones. Taken at
its word, such a text is `«À¢Ã¡Á¢`, `PÀ£ÀßqÀ` or `saqarTvelo`; so is one that was read in the wrong code page.
None of 420 languages in Latin letters has a word of four letters without any of a to z, more than one word in
twenty with a sign like ¢ or † between two letters, or more than one in fourteen with a capital after a small
letter (sample texts of gflanguages, 2026-11-24).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from flywheel.text.scripts import COMMON, script_of

_SHORT = 4  # letters; a shorter word may well have none of a to z
_OUTSIDE = ".,;:!?…()[]\"'“”„‘’«»‹›-–—"
_MARKED = re.compile(r"\S*[^\x00-\x7f]\S*")  # words with anything but ASCII
_CAPITAL_INSIDE = re.compile(r"\S*[a-z][A-Z]\S*")
_SIGNS_INSIDE = re.compile(r"(?<=[^\W\d_])(?:[^\w\s]|[²³¹¼½¾])+(?=[^\W\d_])")
_KEYS = str.maketrans("", "", "[]{};|'\\/+=")  # keys that such fonts keep letters on
# Signs that writers do set between letters: apostrophes, hyphens, dots, slashes, joiners, raised numbers.
_INSIDE = frozenset("’‘ʼ`´¨·•‧…–—‐‑“”„«»‹›⁄/&@\u00ad\u200b\u200c\u200d\u2060\ufeff")


@dataclass(frozen=True, slots=True)
class LegacyFindings:
    """Words of a text that no language writes: by their letters and signs, and by a capital inside."""

    words: int
    strange: tuple[str, ...]
    capitals: tuple[str, ...]


def legacy_words(text: str) -> LegacyFindings:
    """The words of a text in Latin letters that a font's own encoding may have left."""
    strange = () if text.isascii() else tuple(word for word in _MARKED.findall(text) if _is_strange(word))
    inside = (word.strip(_OUTSIDE) for word in _CAPITAL_INSIDE.findall(text))
    capitals = tuple(word for word in inside if word.translate(_KEYS).isalpha())
    return LegacyFindings(len(text.split()), strange, capitals)


def _is_strange(word: str) -> bool:
    """Four or more letters, all of them Latin and none of a to z; or signs between two letters, which
    stand between Latin ones: a run of Chinese or Japanese without blanks may hold words and signs of all kinds."""
    letters = [symbol for symbol in word if symbol.isalpha()]
    scripts = {script_of(symbol) for symbol in letters}
    if "Latn" not in scripts:
        return False
    if len(letters) >= _SHORT and scripts <= {"Latn", COMMON} and not any(symbol.isascii() for symbol in letters):
        return True
    return any(
        any(map(_is_sign, found.group()))
        for found in _SIGNS_INSIDE.finditer(word)
        if {script_of(word[found.start() - 1]), script_of(word[found.end()])} <= {"Latn", COMMON}
    )


@lru_cache(maxsize=1 << 12)
def _is_sign(symbol: str) -> bool:
    return symbol > "\x7f" and symbol not in _INSIDE and unicodedata.category(symbol)[0] in "SPN"
