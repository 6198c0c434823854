"""Words whose letters are of several scripts, as wrong fonts and confused readers leave them in a text.

mixed_words(text) -> (words that mix scripts, number of all words)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flywheel.text.scripts import is_script, script_of

# Scripts written side by side without blanks, so that a run of letters may hold several.
_TOGETHER = frozenset(("Hani", "Hira", "Kana", "Hang", "Bopo", "Yiii", "Thai", "Laoo", "Khmr", "Mymr"))
_SYMBOLS = frozenset(("Grek",))  # single Greek letters stand inside Latin words as symbols
_WORD = re.compile(r"[^\W\d_]+(?:[^\W\d_]|[\u0300-\u036f\u0f71-\u0f84\u0f90-\u0fbc])*")


def can_mix(scripts: Mapping[str, int]) -> bool:
    """True when a text in these scripts can hold such words at all: most pages need no closer look."""
    return len(scripts.keys() - _TOGETHER - _SYMBOLS) >= 2


def mixed_words(text: str) -> tuple[list[str], int]:
    """The words that mix scripts, and the number of all words."""
    words = [match.group() for match in _WORD.finditer(text)]
    return [word for word in words if _is_mixed(word)], len(words)


def _is_mixed(word: str) -> bool:
    found = {script_of(symbol) for symbol in word}
    scripts = {code for code in found if is_script(code) and code not in _TOGETHER}
    if scripts & _SYMBOLS and len(scripts) > 1:
        scripts -= _SYMBOLS
    return len(scripts) > 1
