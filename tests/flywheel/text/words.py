"""A word in every script that Unicode has letters of, and the code that a text of it goes by."""

from __future__ import annotations

from fontTools.unicodedata import Scripts

LENGTH = 8
NO_SCRIPTS = frozenset(("Zyyy", "Zinh", "Zzzz"))
COMBINED = {"Hira": "Jpan", "Kana": "Jpan", "Hang": "Kore"}


def words_by_script() -> dict[str, str]:
    """ISO 15924 code -> characters that Unicode (Scripts.txt) files under it, from the first range on."""
    words: dict[str, str] = {}
    ends = [*Scripts.RANGES[1:], 0x110000]
    for first, end, code in zip(Scripts.RANGES, ends, Scripts.VALUES, strict=True):
        if code not in NO_SCRIPTS:
            letters = "".join(map(chr, range(first, min(end, first + LENGTH))))
            words[code] = (words.get(code, "") + letters)[:LENGTH]
    return words


WORDS = words_by_script()


def text_script(code: str) -> str:
    """The script of a text whose characters are all of `code`."""
    return COMBINED.get(code, code)
