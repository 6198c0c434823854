"""The gate's checks of the text alone: samples of 755 languages pass, and what old fonts make of them does not."""

from __future__ import annotations

import re
from functools import lru_cache

import gflanguages
import pytest

from flywheel.document import Box, Line, PageFacts, Region, Verdict
from flywheel.gate import Gate
from flywheel.pdf import InkEvidence, PageText, coarse
from flywheel.reasons import Reason
from flywheel.text.scripts import histogram

GATE = Gate()
BOX = Box(50, 50, 500, 70)
INK = InkEvidence(in_text=1, in_images=0, image_cover=0, bare_characters=0, per_character=20)
# Samples that mix scripts inside words: single letters by mistake (a Cyrillic one in Idu, a Latin one in
# Balinese and for the Old Russian iota), and a transcription of Common Slavic with Cyrillic yers.
MIXED = {"idu_Latn", "ban_Bali", "orv_Cyrl", "sla_Latn"}


@lru_cache(maxsize=1)
def samples() -> dict[str, str]:
    """Language and script -> its sample text, a line a sentence."""
    found = {}
    for key, language in gflanguages.LoadLanguages().items():
        if language.HasField("sample_text"):
            text = language.sample_text
            parts = (text.styles, text.specimen_48, text.specimen_36, text.specimen_32, text.specimen_16)
            found[key] = "\n".join(dict.fromkeys(part for part in parts if part))
    return found


def judged(text: str) -> Verdict:
    """The verdict on a page of this text, of which all but the text is in order."""
    lines = tuple(Line(line, BOX) for line in text.splitlines() if line.strip())
    characters = sum(not symbol.isspace() for symbol in text)
    facts = PageFacts(0, 595, 842, 0, 0.08, True, False, characters, (), histogram(text))
    page = PageText(facts, (Region("text", BOX, lines),), INK, layout=False)
    label, counts = coarse.label(page)
    return GATE.judge_coarse(label, facts, counts)


def test_sound_texts_of_all_languages_pass() -> None:
    verdicts = {key: judged(text) for key, text in samples().items()}
    assert len(verdicts) > 700
    assert {key for key, verdict in verdicts.items() if not verdict.accepted} == MIXED


CODE_PAGES = {
    "Russian": ("ru_Cyrl", "cp1251"),
    "Bulgarian in KOI8": ("bg_Cyrl", "koi8-r"),
    "Greek": ("el_Grek", "cp1253"),
    "Hebrew": ("he_Hebr", "cp1255"),
    "Arabic": ("ar_Arab", "cp1256"),
    "Persian": ("fa_Arab", "cp1256"),
    "Thai": ("th_Thai", "cp874"),
    "Chinese": ("zh_Hans", "gbk"),
    "Korean": ("ko_Kore", "euc-kr"),
    "Hindi": ("hi_Deva", "utf-8"),
    "Tibetan": ("bo_Tibt", "utf-8"),
    "Vietnamese": ("vi_Latn", "utf-8"),
    "French": ("fr_Latn", "utf-8"),
}


@pytest.mark.parametrize("shown_as", ["latin-1", "cp1252"])
@pytest.mark.parametrize(("language", "code_page"), CODE_PAGES.values(), ids=CODE_PAGES)
def test_a_text_in_another_code_page_is_told_from_the_text(language: str, code_page: str, shown_as: str) -> None:
    text = samples()[language].encode(code_page, "ignore").decode(shown_as, "ignore")
    assert judged(text).reason in (Reason.LEGACY_ENCODING, Reason.GARBLED_CHARACTERS)


FONTS = {
    "Tamil": "«À¢Ã¡Á¢",
    "Tamil, longer": "¾Á¢ú ¦Á¡Æ¢ ¸ÕòÐ À¼¢òÐ ÅÕõ Å¢¨Ç¡ðÎ ¿¡û ´Õ Å£Î ¯Ä¸õ ±ýÚ ¦º¡øÄ¢",
    "Hindi": "vkt ds fnu gekjs ns'k esa cgqr lh leL;k,¡ gSaA ;g ,d egRoiw.kZ fo\"k; gS ftl ij ge lHkh dks fopkj"
    ' djuk pkfg,A lHkh euq";ksa dks xkSjo vkSj vf/kdkjksa ds ekeys esa tUetkr Lora=rk vkSj lekurk izkIr gSA',
    "Bengali": "Avgvi †mvbvi evsjv Avwg †Zvgvq fv‡jvevwm wPiw`b †Zvgvi AvKvk †Zvgvi evZvm Avgvi cÖv‡Y evRvq evuwk"
    " I gv dv¸‡b †Zvi Av‡gi e‡b NÖv‡Y cvMj K‡i",
    "Kannada": "PÀ£ÀßqÀ ¨sÁµÉ ºÁUÀÆ ¸ÁzsÀ£É J¯Áè ªÀiÁ£ÀªÀgÀÆ ¸ÀévÀAvÀægÁVAiÉÄÃ d¤¹zÁÝgÉ ºÁUÀÆ WÀ£ÀvÉ",
    "Georgian": "yvela adamiani ibadeba Tavisufali da Tanaswori Tavisi RirsebiTa da uflebebiT maT miniWebuli aqvT"
    " goneba da sindisi da erTmaneTis mimarT unda iqceodnen ZmobiT",
    "Nepali": ";a} JolQmx? hGd}b]lv :jtGq x'g\\ / clwsf/ tyf dof{bfdf ;dfg x'G5g\\ tL ;a}df ljrf/zlQm / cGt{s/0f"
    " k|fKt x'G5 / ltgLx¿n] Ps csf{sf] k|lt efO{rf/fsf] ljrf/af6 sfd ug{' k5{",
}


@pytest.mark.parametrize("text", FONTS.values(), ids=FONTS)
def test_the_encoding_of_an_old_font_is_told_from_the_text(text: str) -> None:
    assert judged(text).reason is Reason.LEGACY_ENCODING


@pytest.mark.parametrize(
    "text",
    [
        "The pH of 3 mL tRNA was measured by McDonald on an iPhone; see eBay, YouTube and LaTeX."
        " Before the next round begins, lines of text and boxes are counted twice with margins and notes.",
        "int getLength() { return fileName.toString().length(); } // from the manual of the library",
        "¿Qué? «Oui», l’œuvre… naïve† at 20 °C ± 1, 5 µm × 3, §4, ©2020, ½ cup, 1ª vez, col·legi, x² + y²",
        "ŽIŽEK ÉTÉ ÆØÅ öö ÀÉ",
    ],
)
def test_capitals_and_signs_that_people_write_are_no_old_font(text: str) -> None:
    assert judged(text).accepted


VOWELS = {
    "Tibetan i": ("bo_Tibt", "\u0f72"),
    "Tibetan e": ("dz_Tibt", "\u0f7a"),
    "Hindi aa": ("hi_Deva", "\u093e"),
    "Marathi, all": ("mr_Deva", "\u093e\u093f\u0940\u0941\u0942\u0947\u0948\u094b\u094c"),
    "Bengali i": ("bn_Beng", "\u09bf"),
    "Tamil u": ("ta_Taml", "\u0bc1"),
    "Malayalam virama": ("ml_Mlym", "\u0d4d"),
    "Thai tone": ("th_Thai", "\u0e48"),
    "Lao a": ("lo_Laoo", "\u0eb1"),
    "Khmer coeng": ("km_Khmr", "\u17d2"),
    "Burmese i": ("my_Mymr", "\u102d"),
}


@pytest.mark.parametrize(("language", "signs"), VOWELS.values(), ids=VOWELS)
def test_a_layer_that_has_lost_a_vowel_sign_is_bad_orthography(language: str, signs: str) -> None:
    verdict = judged(re.sub(f"[{signs}]", "", samples()[language]))
    assert verdict.reason is Reason.BAD_ORTHOGRAPHY, verdict


FIRST = {
    "hi_Deva": "\u093f",
    "ne_Deva": "\u093f",
    "bn_Beng": "\u09bf\u09c7\u09c8",
    "gu_Gujr": "\u0abf",
    "or_Orya": "\u0b47",
    "ta_Taml": "\u0bc6\u0bc7\u0bc8",
    "ml_Mlym": "\u0d46\u0d47",
    "si_Sinh": "\u0dd9\u0dda",
    "km_Khmr": "\u17c1\u17c2",
}


@pytest.mark.parametrize(("language", "signs"), FIRST.items(), ids=FIRST)
def test_signs_in_the_order_of_the_eye_are_bad_orthography(language: str, signs: str) -> None:
    """A sign that is drawn before its letter, and stands before it in the layer, too."""
    seen = re.sub(rf"(\w)([{signs}])", r"\2\1", samples()[language])
    assert judged(seen).reason is Reason.BAD_ORTHOGRAPHY


def test_signs_and_tones_that_change_places_are_bad_orthography() -> None:
    thai = re.sub("([\u0e34-\u0e37\u0e31])([\u0e48-\u0e4b])", r"\2\1", samples()["th_Thai"])
    hindi = re.sub("([\u093e-\u094c])([\u0901\u0902])", r"\2\1", samples()["hi_Deva"])
    assert judged(thai).reason is judged(hindi).reason is Reason.BAD_ORTHOGRAPHY


@pytest.mark.parametrize(
    "text",
    [
        "この設定は、Unicodeの文字を「PDF」へ書き、LaTeXの命令（begin）を使う。"
        " 次に、fontの名前（例：Noto）を選び、→keyで送る。"
        " 表示は、browserの窓（window）に出る。",
        "文档类（documentclass）有三种：article、report、book。 正文字号，"
        "缺省10pt，纸张尺寸，缺省是letter。"
        " 用《TeX》写书，用“make”排版。",
    ],
    ids=["Japanese", "Chinese"],
)
def test_latin_words_within_chinese_and_japanese_are_no_old_encoding(text: str) -> None:
    assert judged(text).accepted
