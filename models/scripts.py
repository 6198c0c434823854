"""Which script a reading is in (ISO 15924), by the names Unicode gives its letters.

The service has an exact table of blocks; what a reader writes comes from its own charset, a handful
of scripts, and models/ may not import the service.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

UNDECIDED = "Zyyy"
BY_NAME = {
    "TIBETAN": "Tibt",
    "LATIN": "Latn",
    "CJK": "Hani",
    "HIRAGANA": "Hira",
    "KATAKANA": "Kana",
    "HANGUL": "Hang",
    "DEVANAGARI": "Deva",
    "BENGALI": "Beng",
    "CYRILLIC": "Cyrl",
    "GREEK": "Grek",
    "ARABIC": "Arab",
    "HEBREW": "Hebr",
    "ARMENIAN": "Armn",
    "GEORGIAN": "Geor",
    "ETHIOPIC": "Ethi",
    "KHMER": "Khmr",
    "LAO": "Laoo",
    "MONGOLIAN": "Mong",
    "MYANMAR": "Mymr",
    "SINHALA": "Sinh",
    "TAMIL": "Taml",
    "TELUGU": "Telu",
    "THAI": "Thai",
}


def script_of_text(text: str) -> str:
    """The script that most letters and marks are of; "Zyyy" when there is none."""
    counts = Counter(script_of(c) for c in text)
    del counts[UNDECIDED]
    return counts.most_common(1)[0][0] if counts else UNDECIDED


@lru_cache(maxsize=1 << 14)
def script_of(character: str) -> str:
    """The script of one letter or mark; "Zyyy" for everything else."""
    if unicodedata.category(character)[0] not in "LM":
        return UNDECIDED
    return BY_NAME.get(unicodedata.name(character, "").split(" ")[0], UNDECIDED)
