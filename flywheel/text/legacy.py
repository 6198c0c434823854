"""Words as fonts with an encoding of their own leave them in a text layer: Latin letters for another script.

Before Unicode, fonts for Tamil, Hindi, Thai or Russian kept their letters in the places of Latin ones. Taken at
its word, such a text is `«À¢Ã¡Á¢`, `PÀ£ÀßqÀ` or `saqarTvelo`; so is one that was read in the wrong code page.
None of 420 languages in Latin letters has a word of four letters without any of a to z, more than one word in
twenty with a sign like ¢ or † between two letters, or more than one in fourteen with a capital after a small
letter (sample texts of gflanguages, 2026-11-24).

Where only the letters beyond ASCII are in the wrong code page (`prÈsident`, `prÃ©sident`) such words are few among
sound ones. They tell themselves: read the other way round they are words, and the sound ones are not spoilt.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from string import punctuation

from flywheel.text.scripts import COMMON, script_of

_SHORT = 4  # letters; a shorter word may well have none of a to z
_OUTSIDE = ".,;:!?…()[]\"'“”„‘’«»‹›-–—"
_MARKED = re.compile(r"\S*[^\x00-\x7f\s]\S*")  # words with anything but ASCII
_CAPITAL_INSIDE = re.compile(r"\S*[a-z][A-Z]\S*")
_SIGNS_INSIDE = re.compile(r"(?<=[^\W\d_])(?:[^\w\s]|[²³¹¼½¾])+(?=[^\W\d_])")
_KEYS = str.maketrans("", "", "[]{};|'\\/+=")  # keys that such fonts keep letters on
# Signs that writers do set between letters: apostrophes, hyphens, dots, slashes, joiners, raised numbers.
_INSIDE = frozenset("’‘ʼ`´¨·•‧…–—‐‑“”„«»‹›⁄/&@\u00ad\u200b\u200c\u200d\u2060\ufeff")
_MAY_JOIN = _INSIDE | frozenset("¹²³")
_IN_WORDS = frozenset("’ʼ·‐‑")  # the least of these, in a word that was put right

_CASED = [chr(code) for code in range(0x80, 0x530)]  # Latin, Greek and Cyrillic
_SMALL, _CAPITALS = ("".join(filter(of_case, _CASED)) for of_case in (str.islower, str.isupper))
_MISTAKE = re.compile(rf"[a-z{_SMALL}][{_CAPITALS}]|(?<=[^\W\d_])(?:[^\w\s\x00-\x7f’]|[¼½¾ˆ])+(?=[^\W\d_])")
_MISTAKEN = 3  # different words that another code page puts right,
_MOST = 0.5  # of the odd ones, for cleaning takes bytes out of some;
_SPOILT = 0.2  # and as many sound ones, for one put right, may it spoil
# Code pages by alphabet: such as a text is read in by mistake, and such as it is stored in besides.
_CODE_PAGES = (
    ("cp1252 mac_roman cp1250", "cp850 cp852 iso8859_2 mac_latin2 mac_turkish"),
    ("cp1251 koi8_u cp866 mac_cyrillic iso8859_5", ""),
)
_UTF_8 = "utf-8"
_ALPHABETS = {"Latn", "Cyrl", "Grek"}
_PALOCHKAS = "\u04c0\u0406"  # capitals among small letters in the Caucasus


@dataclass(frozen=True, slots=True)
class LegacyFindings:
    """Words of a text that no language writes: by their letters and signs, by a capital inside, and such as
    another code page puts right, each with what it is there."""

    words: int
    strange: tuple[str, ...]
    capitals: tuple[str, ...]
    mistaken: tuple[tuple[str, str], ...] = ()


def legacy_words(text: str) -> LegacyFindings:
    """The words of a text in Latin or Cyrillic letters that an encoding of another kind may have left."""
    marked = () if text.isascii() else tuple(_MARKED.findall(text))
    strange = tuple(word for word in marked if _is_strange(word))
    inside = (word.strip(_OUTSIDE) for word in _CAPITAL_INSIDE.findall(text))
    capitals = tuple(word for word in inside if word.translate(_KEYS).isalpha())
    mistaken = mistaken_words(marked) if len(_MISTAKE.findall(text)) >= _MISTAKEN else ()
    return LegacyFindings(len(text.split()), strange, capitals, mistaken)


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


def mistaken_words(marked: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Of words that are not all ASCII, those that are none in the code page they were read in and are in another,
    with what they are there. None unless there are several, and the other code page spoils no sound ones."""
    words = {word.strip(punctuation) for word in marked}
    odd = {word for word in words if len(word) >= _SHORT and _is_odd(word, _MAY_JOIN)}
    if len(odd) < _MISTAKEN:
        return ()
    sound = {word for word in words - odd if not word.isascii()}
    best: dict[str, str] = {}
    for table, true in _readings():
        right = {word: again for word in odd if (again := _read_again(word, table, true)) is not None}
        if len(right) < max(_MISTAKEN, _MOST * len(odd), len(best) + 1):
            continue
        spoilt = sum(_read_again(word, table, true) is None for word in sound)
        if spoilt <= _SPOILT * len(right):
            best = right
    return tuple(sorted(best.items()))


def _read_again(word: str, table: dict[int, int], true: str) -> str | None:
    """The word in another code page, by a table to its bytes; None when it is no word there."""
    try:
        again = word.translate(table).encode("latin-1").decode(true)
    except UnicodeError:
        return None
    signs = any(symbol > "\x7f" and symbol not in _OUTSIDE and _is_no_letter(symbol) for symbol in again)
    return None if signs or _is_odd(again, _IN_WORDS) else again


def _is_odd(word: str, joining: Collection[str]) -> bool:
    """True for letters of two alphabets, a capital beyond ASCII behind a small letter, a sign between letters that
    is none of `joining`. In Latin one small letter may lead a capital: Irish writes hÉireann."""
    scripts = {script_of(symbol) for symbol in word if symbol.isalpha()}
    if len(scripts & _ALPHABETS) > 1:
        return True
    first = 1 if "Latn" in scripts else 0
    if any(_is_capital(two) and one.islower() for one, two in zip(word[first:], word[first + 1 :], strict=False)):
        return True
    letters = [place for place, symbol in enumerate(word) if not _is_no_letter(symbol)]
    inner = word[letters[0] : letters[-1]] if letters else ""
    return any(symbol > "\x7f" and symbol not in joining and _is_no_letter(symbol) for symbol in inner)


@lru_cache(maxsize=1 << 12)
def _is_capital(symbol: str) -> bool:
    return symbol > "\x7f" and symbol.isupper() and symbol not in _PALOCHKAS


@lru_cache(maxsize=1 << 12)
def _is_no_letter(symbol: str) -> bool:
    return unicodedata.category(symbol)[0] not in "LM" or (symbol > "\x7f" and script_of(symbol) == COMMON)


@lru_cache(maxsize=1)
def _readings() -> list[tuple[dict[int, int], str]]:
    """Every pair of a code page that a text was read in, as a table to its bytes, and one that it may be in."""
    return [
        (_to_bytes(read), true)
        for mistaken, others in _CODE_PAGES
        for read in mistaken.split()
        for true in (*mistaken.split(), *others.split(), _UTF_8)
        if true != read
    ]


def _to_bytes(code_page: str) -> dict[int, int]:
    """Characters to bytes. Bytes that the page leaves open are controls; other code points are no byte at all."""
    high = range(0x80, 0x100)
    table = dict.fromkeys(high, 0xFFFD)
    return table | {ord(bytes([byte]).decode(code_page, "ignore") or chr(byte)): byte for byte in high}
