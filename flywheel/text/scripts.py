"""Scripts: which one a character belongs to, which one a text is in, which ones a language uses.

Codes are ISO 15924. The table follows Unicode's blocks, which is exact enough to count
letters; what belongs to no script (punctuation, digits, symbols) is "Zyyy", combining
marks of any script "Zinh", private use "Qaaa", and what is no character at all (unassigned,
controls, lone surrogates, the replacement character) "Zzzz".
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

COMMON, INHERITED, UNKNOWN, PRIVATE = "Zyyy", "Zinh", "Zzzz", "Qaaa"

# start-end script, in hexadecimal; what is not listed is common when assigned.
_BLOCKS = """
0041-005A Latn 0061-007A Latn 00AA-00AA Latn 00BA-00BA Latn 00C0-00D6 Latn 00D8-00F6 Latn 00F8-02B8 Latn
02E0-02E4 Latn 0300-036F Zinh 0370-03E1 Grek 03E2-03EF Copt 03F0-03FF Grek 0400-052F Cyrl 0531-058F Armn
0591-05FF Hebr 0600-06FF Arab 0700-074F Syrc 0750-077F Arab 0780-07BF Thaa 07C0-07FF Nkoo 0800-083F Samr
0840-085F Mand 0860-086F Syrc 0870-08FF Arab 0900-0963 Deva 0966-097F Deva 0980-09FF Beng 0A00-0A7F Guru
0A80-0AFF Gujr 0B00-0B7F Orya 0B80-0BFF Taml 0C00-0C7F Telu 0C80-0CFF Knda 0D00-0D7F Mlym 0D80-0DFF Sinh
0E01-0E3A Thai 0E40-0E5B Thai 0E80-0EFF Laoo 0F00-0FFF Tibt 1000-109F Mymr 10A0-10FF Geor 1100-11FF Hang
1200-139F Ethi 13A0-13FF Cher 1400-167F Cans 1680-169F Ogam 16A0-16FF Runr 1700-171F Tglg 1720-1734 Hano
1740-175F Buhd 1760-177F Tagb 1780-17FF Khmr 1800-18AF Mong 18B0-18FF Cans 1900-194F Limb 1950-197F Tale
1980-19DF Talu 19E0-19FF Khmr 1A00-1A1F Bugi 1A20-1AAF Lana 1AB0-1AFF Zinh 1B00-1B7F Bali 1B80-1BBF Sund
1BC0-1BFF Batk 1C00-1C4F Lepc 1C50-1C7F Olck 1C80-1C8F Cyrl 1C90-1CBF Geor 1CD0-1CFF Zinh 1D00-1D25 Latn
1D26-1D2A Grek 1D2B-1D2B Cyrl 1D2C-1DBF Latn 1DC0-1DFF Zinh 1E00-1EFF Latn 1F00-1FFF Grek 200C-200D Zinh
2071-2071 Latn 207F-207F Latn 2090-209C Latn 20D0-20FF Zinh 212A-212B Latn 2160-2188 Latn 2800-28FF Brai
2C00-2C5F Glag 2C60-2C7F Latn 2C80-2CFF Copt 2D00-2D2F Geor 2D30-2D7F Tfng 2D80-2DDF Ethi 2DE0-2DFF Cyrl
2E80-2FDF Hani 3005-3005 Hani 3007-3007 Hani 3021-3029 Hani 302A-302D Zinh 3038-303B Hani 3041-3096 Hira
3099-309A Zinh 309D-309F Hira 30A1-30FA Kana 30FD-30FF Kana 3105-312F Bopo 3131-318E Hang 31A0-31BF Bopo
31F0-31FF Kana 3400-4DBF Hani 4E00-9FFF Hani A000-A4CF Yiii A4D0-A4FF Lisu A500-A63F Vaii A640-A69F Cyrl
A6A0-A6FF Bamu A722-A7FF Latn A800-A82F Sylo A840-A87F Phag A880-A8DF Saur A8E0-A8FF Deva A900-A92D Kali
A930-A95F Rjng A960-A97F Hang A980-A9DF Java A9E0-A9FE Mymr AA00-AA5F Cham AA60-AA7F Mymr AA80-AADF Tavt
AAE0-AAFF Mtei AB00-AB2F Ethi AB30-AB6F Latn AB70-ABBF Cher ABC0-ABFF Mtei AC00-D7FF Hang E000-F8FF Qaaa
F900-FAFF Hani FB00-FB06 Latn FB13-FB17 Armn FB1D-FB4F Hebr FB50-FDFF Arab FE00-FE0F Zinh FE20-FE2F Zinh
FE70-FEFC Arab FF21-FF3A Latn FF41-FF5A Latn FF66-FF9D Kana FFA0-FFDC Hang 10000-100FF Linb 10280-1029F Lyci
10330-1034F Goth 10380-1039F Ugar 103A0-103DF Xpeo 10400-1044F Dsrt 10450-1047F Shaw 10480-104AF Osma
10800-1083F Cypr 10840-1085F Armi 10900-1091F Phnx 10A00-10A5F Khar 10B00-10B3F Avst 11000-1107F Brah
11080-110CF Kthi 11100-1114F Cakm 11180-111DF Shrd 11200-1124F Khoj 11300-1137F Gran 11400-1147F Newa
11480-114DF Tirh 11580-115FF Sidd 11600-1165F Modi 11680-116CF Takr 11800-1184F Dogr 11A00-11A4F Zanb
11A50-11AAF Soyo 11C00-11C6F Bhks 11C70-11CBF Marc 12000-1254F Xsux 13000-1345F Egyp 16F00-16F9F Plrd
17000-18AFF Tang 1B000-1B0FF Hira 1D400-1D7FF Zyyy 1E900-1E95F Adlm 20000-323AF Hani F0000-10FFFF Qaaa
"""


def _table() -> tuple[list[int], list[tuple[int, str]]]:
    words = _BLOCKS.split()
    starts, ends = [], []
    for span, script in zip(words[::2], words[1::2], strict=True):
        start, end = (int(number, 16) for number in span.split("-"))
        starts.append(start)
        ends.append((end, script))
    return starts, ends


_STARTS, _ENDS = _table()


@lru_cache(maxsize=1 << 16)
def script_of(character: str) -> str:
    """ISO 15924 code of one character."""
    code = ord(character)
    category = unicodedata.category(character)
    if category in ("Cn", "Cs", "Cc") or character == "\ufffd":
        return UNKNOWN
    position = bisect_right(_STARTS, code) - 1
    if position >= 0 and code <= _ENDS[position][0]:
        return _ENDS[position][1]
    return INHERITED if category in ("Mn", "Me") else COMMON


def histogram(text: str) -> dict[str, int]:
    """Characters by script, most first; blanks are not counted."""
    counts: Counter[str] = Counter()
    for character, count in _symbols(text):
        if not character.isspace():
            counts[script_of(character)] += count
    return dict(counts.most_common())


def _symbols(text: str) -> Iterable[tuple[str, int]]:
    """Each character that occurs and how often; a page of ASCII is counted as bytes, ten times sooner."""
    if not text.isascii():
        return Counter(text).items()
    counts = np.bincount(np.frombuffer(text.encode("ascii"), dtype=np.uint8), minlength=128).tolist()
    return [(chr(code), count) for code, count in enumerate(counts) if count]


def is_script(code: str) -> bool:
    """Whether the code names a script that people write, rather than common, unknown or private use."""
    return code not in (COMMON, INHERITED, UNKNOWN, PRIVATE)


def dominant(scripts: dict[str, int]) -> str:
    """The script of most characters, "Zyyy" when none is known; ideographs with kana are Japanese."""
    written = {code: count for code, count in scripts.items() if is_script(code)}
    if not written:
        return COMMON
    kana = written.get("Hira", 0) + written.get("Kana", 0)
    cjk = kana + written.get("Hani", 0)
    if kana and kana >= 0.05 * cjk and cjk >= max(written.values()):
        return "Jpan"
    best = max(written, key=lambda code: written[code])
    return "Kore" if best == "Hang" else best


# What a combined code stands for. A language's text may be in any of the parts.
_PARTS = {
    "Jpan": frozenset(("Hira", "Kana", "Hani")),
    "Kore": frozenset(("Hang", "Hani")),
    "Hans": frozenset(("Hani", "Bopo")),
    "Hant": frozenset(("Hani", "Bopo")),
    "Hrkt": frozenset(("Hira", "Kana")),
    "Aran": frozenset(("Arab",)),
    "Cyrs": frozenset(("Cyrl",)),
    "Latf": frozenset(("Latn",)),
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


def parse_tag(tag: str) -> tuple[str, str | None]:
    """Language and explicit script of a BCP-47 tag: "sa-Tibt" -> ("sa", "Tibt"), "en-GB" -> ("en", None).

    Raises ValueError when the tag has no language in front.
    """
    first, *rest = tag.replace("_", "-").split("-")
    if not (first.isascii() and first.isalpha() and 2 <= len(first) <= 8):
        raise ValueError(f"not a language tag: {tag!r}")
    script = next((part for part in rest[:2] if len(part) == 4 and part.isalpha()), None)
    return first.lower(), script.title() if script else None


def expected(tag: str | None) -> frozenset[str]:
    """Script codes, as `script_of` gives them, that text in this language is written in; empty when unknown."""
    if not tag:
        return frozenset()
    language, script = parse_tag(tag)
    codes = (script,) if script else _LANGUAGES.get(language, ())
    return frozenset(part for code in codes for part in _PARTS.get(code, frozenset((code,))))
