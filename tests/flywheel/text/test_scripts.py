"""Characters to scripts, texts to their script, languages to the scripts they are written in."""

from __future__ import annotations

import unicodedata

import pytest

from flywheel.text.scripts import dominant, expected, histogram, is_script, parse_tag, script_of


@pytest.mark.parametrize(
    ("character", "script"),
    [
        ("a", "Latn"),
        ("é", "Latn"),
        ("ß", "Latn"),
        ("Ω", "Grek"),
        ("ж", "Cyrl"),
        ("ཀ", "Tibt"),
        ("\u0f0b", "Tibt"),
        ("文", "Hani"),
        ("𠀀", "Hani"),
        ("の", "Hira"),
        ("ア", "Kana"),
        ("한", "Hang"),
        ("ह", "Deva"),
        ("ع", "Arab"),
        ("\u0301", "Zinh"),
        ("7", "Zyyy"),
        ("。", "Zyyy"),
        ("×", "Zyyy"),
        ("\uf0b7", "Qaaa"),
        ("\ufffd", "Zzzz"),
        ("\x07", "Zzzz"),
        (chr(0xD800), "Zzzz"),
        ("\u0f48", "Zzzz"),
    ],
)
def test_a_character_belongs_to_its_script(character: str, script: str) -> None:
    assert script_of(character) == script


def test_every_letter_that_names_its_script_is_filed_under_it() -> None:
    """Unicode's own names are the witness, over every letter of the scripts of the table."""
    words = {"LATIN": "Latn", "GREEK": "Grek", "CYRILLIC": "Cyrl", "TIBETAN": "Tibt", "DEVANAGARI": "Deva"}
    words |= {"BENGALI": "Beng", "THAI": "Thai", "KHMER": "Khmr", "MYANMAR": "Mymr", "ARABIC": "Arab"}
    words |= {"HEBREW": "Hebr", "HIRAGANA": "Hira", "KATAKANA": "Kana", "HANGUL": "Hang", "ETHIOPIC": "Ethi"}
    words |= {"ARMENIAN": "Armn", "GEORGIAN": "Geor", "SINHALA": "Sinh", "TAMIL": "Taml", "MONGOLIAN": "Mong"}
    wrong = []
    for code in range(0x20, 0x10000):
        character = chr(code)
        word = unicodedata.name(character, "").split(" ")[0]
        is_letter = unicodedata.category(character) in ("Lu", "Ll", "Lo")
        if is_letter and word in words and script_of(character) != words[word]:
            wrong.append(unicodedata.name(character))
    assert len(wrong) <= 3, wrong[:10]


def test_blanks_are_not_counted_and_the_largest_script_comes_first() -> None:
    assert list(histogram("བོད ཡིག a1").items()) == [("Tibt", 6), ("Latn", 1), ("Zyyy", 1)]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("བོད་ཡིག་", "Tibt"),
        ("12. 3 %", "Zyyy"),
        ("日本語のテキストです", "Jpan"),
        ("中文文本", "Hani"),
        ("한국어 文", "Kore"),
        ("\ufffd\ufffda", "Latn"),
    ],
)
def test_the_dominant_script_of_a_text(text: str, script: str) -> None:
    assert dominant(histogram(text)) == script


@pytest.mark.parametrize(
    ("tag", "scripts"),
    [
        ("bo", {"Tibt"}),
        ("dz", {"Tibt"}),
        ("bo-CN", {"Tibt"}),
        ("zh", {"Hani", "Bopo"}),
        ("zh-Hant-TW", {"Hani", "Bopo"}),
        ("ja", {"Hira", "Kana", "Hani"}),
        ("ko", {"Hang", "Hani"}),
        ("en", {"Latn"}),
        ("sa", {"Deva"}),
        ("sa-Tibt", {"Tibt"}),
        ("sr-Latn", {"Latn"}),
        ("sr", {"Cyrl", "Latn"}),
        ("ru", {"Cyrl"}),
        ("ar", {"Arab"}),
        ("tlh", set()),
        (None, set()),
    ],
)
def test_a_language_is_written_in_its_scripts(tag: str | None, scripts: set[str]) -> None:
    assert expected(tag) == scripts


def test_what_is_no_language_tag_is_refused() -> None:
    assert parse_tag("zh_Hant") == ("zh", "Hant")
    with pytest.raises(ValueError, match="not a language tag"):
        parse_tag("1 of 2")


def test_common_and_unknown_are_no_scripts() -> None:
    assert is_script("Latn")
    assert not any(map(is_script, ("Zyyy", "Zinh", "Zzzz", "Qaaa")))
