"""Characters to scripts, texts to their script, languages to the scripts they are written in."""

from __future__ import annotations

import pytest

from flywheel.document import Box, Line, PageFacts, Region
from flywheel.pdf import InkEvidence, PageText, coarse
from flywheel.text.scripts import (
    expected,
    histogram,
    is_script,
    parse_tag,
    parts,
    script_of,
    script_of_counts,
    script_of_text,
)
from tests.flywheel.text.words import WORDS, text_script


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
        ("ಕ", "Knda"),
        ("ક", "Gujr"),
        ("ー", "Zyyy"),
        ("\u1cf7", "Beng"),
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


def test_unicode_has_more_scripts_than_the_block_tables_of_old_and_all_have_a_word() -> None:
    assert len(WORDS) > 160
    assert {"Knda", "Gujr", "Hani", "Kits", "Kawi", "Gara"} <= WORDS.keys()


@pytest.mark.parametrize("code", WORDS)
def test_a_text_of_one_script_is_in_that_script(code: str) -> None:
    text = f"{WORDS[code]}, 12. {WORDS[code]}!"
    assert script_of_text(text) == text_script(code)
    assert code in parts(script_of_text(text))


@pytest.mark.parametrize("code", WORDS)
def test_a_text_layers_label_names_the_script_that_its_text_is_in(code: str) -> None:
    box, word = Box(10, 10, 90, 20), WORDS[code]
    facts = PageFacts(0, 100, 100, 0, 0.1, True, False, len(word), (), histogram(word))
    ink = InkEvidence(in_text=1, in_images=0, image_cover=0, bare_characters=0, per_character=20)
    page = PageText(facts, (Region("text", box, (Line(word, box),)),), ink, layout=False)
    label, counts = coarse.label(page)
    assert label.script == text_script(code)
    assert counts.garbage == 0


def test_blanks_are_not_counted_and_the_largest_script_comes_first() -> None:
    assert list(histogram("བོད ཡིག a1").items()) == [("Tibt", 6), ("Latn", 1), ("Zyyy", 1)]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("ラーメン", {"Kana": 4}),
        ("らーめん", {"Hira": 4}),
        ("ラララらーん", {"Kana": 4, "Hira": 2}),
        ("عَربـي", {"Arab": 6}),
        ("ܫܠܳـ", {"Syrc": 4}),
        ("q\u0301", {"Latn": 2}),
        ("я\u0301", {"Cyrl": 2}),
        ("ー", {"Zyyy": 1}),
        ("\u0301", {"Zinh": 1}),
    ],
)
def test_letters_and_marks_of_several_scripts_count_for_the_one_they_stand_among(
    text: str, counts: dict[str, int]
) -> None:
    assert histogram(text) == counts


@pytest.mark.parametrize(
    ("text", "language", "script"),
    [
        ("བོད་ཡིག་", None, "Tibt"),
        ("བོད་ཡིག 12", "bo", "Tibt"),
        ("abc", None, "Latn"),
        ("12. 3 %", None, "Zyyy"),
        ("", None, "Zyyy"),
        ("日本語のテキストです", None, "Jpan"),
        ("日本語のテキストです", "zh-Hans", "Jpan"),
        ("中文文本", None, "Hani"),
        ("中文文本", "zh", "Hani"),
        ("中文文本", "zh-Hans-CN", "Hans"),
        ("中文文本", "zh-Hant", "Hant"),
        ("中文文本", "sa-Tibt", "Hani"),
        ("中文a", None, "Hani"),
        ("한국어 文", None, "Kore"),
        ("大韓民國의 憲法", None, "Kore"),
        ("한국 English words", None, "Latn"),
        ("ああ ーーーー english", None, "Latn"),
        ("\ufffd\ufffda", None, "Latn"),
        ("ーーーーーーーー、、 ラ", None, "Jpan"),
        ("\u064b\u064c\u064d\u064e\u064f\u0650 ع", None, "Arab"),
        ("।।।।।। ह", None, "Deva"),
    ],
)
def test_a_text_is_in_the_script_of_most_of_its_letters(text: str, language: str | None, script: str) -> None:
    assert script_of_text(text, language) == script
    assert script_of_counts(histogram(text), language) == script


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
