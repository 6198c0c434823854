"""Scripts by their ISO 15924 codes: of a character, of a text, and of the languages that are written in them.

    script_of_text(text, language) -> code      the one rule by which a text has a script
    script_of_counts(histogram(text), language) the same, where the characters are counted already
    expected(language) -> codes of characters   parts(code) of each script the language is written in

A character's script comes from the Unicode Character Database (Scripts.txt and ScriptExtensions.txt, UAX #24, as
fontTools carries them). Beside the scripts that people write there are "Zyyy" for what belongs to none
(punctuation, digits, symbols), "Zinh" for marks that take the script of what they stand on, "Qaaa" for private
use, and "Zzzz" for what is no character at all (unassigned, controls, lone surrogates, the replacement character).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from fontTools import unicodedata as database

COMMON, INHERITED, UNKNOWN, PRIVATE = "Zyyy", "Zinh", "Zzzz", "Qaaa"
_BLANK = ""
CACHED = 1 << 16  # characters; lookups are many, and different characters few
TELLING_SHARE = 0.05  # of kana or hangul among the ideographs, from which a text is Japanese or Korean

# What a text of these characters is in, even where most of it are ideographs.
_MIXED_WITH_HAN = {"Jpan": ("Hira", "Kana"), "Kore": ("Hang",)}
_HAN_BY_LANGUAGE = ("Hans", "Hant", "Hanb")

# Characters that texts in a combined or a variant script are of.
_PARTS = {
    "Jpan": frozenset(("Hira", "Kana", "Hani")),
    "Kore": frozenset(("Hang", "Hani")),
    "Hans": frozenset(("Hani", "Bopo")),
    "Hant": frozenset(("Hani", "Bopo")),
    "Hanb": frozenset(("Hani", "Bopo")),
    "Hrkt": frozenset(("Hira", "Kana")),
    "Jamo": frozenset(("Hang",)),
    "Aran": frozenset(("Arab",)),
    "Cyrs": frozenset(("Cyrl",)),
    "Geok": frozenset(("Geor",)),
    "Latf": frozenset(("Latn",)),
    "Latg": frozenset(("Latn",)),
    "Syre": frozenset(("Syrc",)),
    "Syrj": frozenset(("Syrc",)),
    "Syrn": frozenset(("Syrc",)),
}

_LANGUAGES: dict[str, tuple[str, ...]] = {
    language: tuple(scripts.split("|"))
    for scripts, languages in {
        "Tibt": "bo dz lbj adx kbg otb sip xct",
        "Hans": "zh yue wuu cmn lzh nan hak",
        "Jpan": "ja",
        "Kore": "ko",
        "Deva": "hi mr ne sa bho mai new doi kok brx",
        "Beng": "bn as mni",
        "Guru": "pa",
        "Gujr": "gu",
        "Orya": "or",
        "Taml": "ta",
        "Telu": "te",
        "Knda": "kn tcy",
        "Mlym": "ml",
        "Sinh": "si pi",
        "Thai": "th",
        "Laoo": "lo",
        "Mymr": "my shn mnw ksw",
        "Khmr": "km",
        "Mong|Cyrl": "mn",
        "Arab": "ar fa ur ps ug sd ckb arz ary prs",
        "Hebr": "he yi",
        "Syrc": "syc aii",
        "Thaa": "dv",
        "Nkoo": "nqo",
        "Ethi": "am ti gez",
        "Geor": "ka",
        "Armn": "hy",
        "Grek": "el grc",
        "Cyrl": "ru uk be bg mk ky tg ab ba cv tt os sah kv",
        "Cyrl|Latn": "sr kk uz bs az",
        "Cher": "chr",
        "Yiii": "ii",
        "Olck": "sat",
        "Latn": "en fr de es pt it nl sv da no nb nn fi is et lv lt pl cs sk sl hr hu ro sq ga gd cy br eu ca gl"
        " oc mt tr tk id ms tl fil vi jv su ceb haw mi sm sw so ha yo ig zu xh st tn rw ln lg om ht la eo af lb fy"
        " fo ku qu ay gn nah",
    }.items()
    for language in languages.split()
}


def script_of_text(text: str, language: str | None = None) -> str:
    """The script that most of a text's letters and marks are of; "Zyyy" when there are none.

    Ideographs with kana are "Jpan", hangul is "Kore"; ideographs alone are "Hani", or "Hans" and "Hant" where the
    tag of the declared language names them. Raises ValueError for what is no language tag.
    """
    return script_of_counts(histogram(text), language)


def script_of_counts(counts: Mapping[str, int], language: str | None = None) -> str:
    """The same by a text's `histogram`."""
    written = {code: count for code, count in counts.items() if is_script(code)}
    if not written:
        return COMMON
    most = max(written, key=lambda code: written[code])
    for combined, own in _MIXED_WITH_HAN.items():
        if written.keys().isdisjoint(own):
            continue
        telling = sum(written.get(code, 0) for code in own)
        both = telling + written.get("Hani", 0)
        if telling >= TELLING_SHARE * both and both >= written[most]:
            return combined
    named = parse_tag(language)[1] if language and most == "Hani" else None
    return named if named in _HAN_BY_LANGUAGE else most


def histogram(text: str) -> dict[str, int]:
    """Characters by script, most first; blanks are not counted.

    Letters and marks that several scripts share (the long vowel of both kana, Arabic vowel signs) count for the
    one of these that the rest of the text uses most.
    """
    found: Counter[str | _Shared] = Counter()
    for character, count in _symbols(text):
        found[_filed(character)] += count
    del found[_BLANK]
    counts = Counter({key: count for key, count in found.items() if isinstance(key, str)})
    if len(counts) < len(found):
        own = dict(counts)
        for key, count in found.items():
            if isinstance(key, _Shared):
                counts[key.script_among(own)] += count
    return dict(counts.most_common())


@lru_cache(maxsize=CACHED)
def script_of(character: str) -> str:
    """The script of one character. One that Unicode gives to none, but only a single script uses, is of that."""
    category = unicodedata.category(character)
    if category == "Co":
        return PRIVATE
    if category in ("Cs", "Cc") or character == "\ufffd":
        return UNKNOWN
    script = str(database.script(character))
    if script in (COMMON, INHERITED):
        users = database.script_extension(character)
        return str(next(iter(users))) if len(users) == 1 else script
    return script


def is_script(code: str) -> bool:
    """True for a script that people write, rather than common, inherited, unknown or private use."""
    return code not in (COMMON, INHERITED, UNKNOWN, PRIVATE)


def parts(code: str) -> frozenset[str]:
    """The scripts of the characters of a text in this script, as `script_of` gives them."""
    return _PARTS.get(code, frozenset((code,)))


def expected(tag: str | None) -> frozenset[str]:
    """The scripts, as `script_of` gives them, of a language's characters; empty when unknown."""
    if not tag:
        return frozenset()
    language, script = parse_tag(tag)
    codes = (script,) if script else _LANGUAGES.get(language, ())
    return frozenset().union(*map(parts, codes))


def parse_tag(tag: str) -> tuple[str, str | None]:
    """Language and explicit script of a BCP-47 tag: "sa-Tibt" -> ("sa", "Tibt"), "en-GB" -> ("en", None).

    Raises ValueError when the tag has no language in front.
    """
    first, *rest = tag.replace("_", "-").split("-")
    if not (first.isascii() and first.isalpha() and 2 <= len(first) <= 8):
        raise ValueError(f"not a language tag: {tag!r}")
    script = next((part for part in rest[:2] if len(part) == 4 and part.isalpha()), None)
    return first.lower(), script.title() if script else None


def _symbols(text: str) -> Iterable[tuple[str, int]]:
    """Each character that occurs and how often; a page of ASCII is counted as bytes, ten times sooner."""
    if not text.isascii():
        return Counter(text).items()
    counts = np.bincount(np.frombuffer(text.encode("ascii"), dtype=np.uint8), minlength=128).tolist()
    return [(chr(code), count) for code, count in enumerate(counts) if count]


@dataclass(frozen=True, slots=True)
class _Shared:
    """Letters or marks of several scripts, `users`; `script` is "Zyyy" or "Zinh", for a text in none of these."""

    script: str
    users: frozenset[str]

    def script_among(self, counts: Mapping[str, int]) -> str:
        used = sorted(self.users & counts.keys())
        return max(used, key=lambda code: counts[code]) if used else self.script


@lru_cache(maxsize=CACHED)
def _filed(character: str) -> str | _Shared:
    """The key that `histogram` counts a character under."""
    if character.isspace():
        return _BLANK
    script = script_of(character)
    if script in (COMMON, INHERITED) and unicodedata.category(character)[0] in "LM":
        users = frozenset(database.script_extension(character)) - {COMMON, INHERITED}
        return _Shared(script, users) if users else script
    return script
