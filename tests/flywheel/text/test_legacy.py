"""Words that an encoding of another kind left in a text: told by what they are in that encoding."""

from __future__ import annotations

import pytest

from flywheel.text.legacy import legacy_words

FRENCH = "considérant les présentes libertés étaient déjà créées à l’époque où l’égalité paraissait très éloignée"
CZECH = "příliš žluťoučký kůň úpěl ďábelské ódy, než pověděl něco o všech těch dnech, které ještě přijdou"
POLISH = "zażółć gęślą jaźń, że każdy może wziąć też ciężki wóz i wyjść nań, nim zdąży nadejść świąteczna noc"
GERMAN = "für fünf große Brücken über die Flüsse müssen später überall Stützen und Dämme gebaut werden"
RUSSIAN = "Вся Святая Обитель сияла, Пётр объяснял Явления, принял Пятнадцать Объятий и Сняв Шляпу Увязал Всё"
# Text, the code page that it is stored in, and the one that it was read in.
CONFUSED = [
    (FRENCH, "mac_roman", "cp1252"),
    (FRENCH, "cp1252", "mac_roman"),
    (FRENCH, "utf-8", "cp1252"),
    (FRENCH, "utf-8", "mac_roman"),
    (GERMAN, "utf-8", "cp1252"),
    (GERMAN, "cp1252", "mac_roman"),
    (GERMAN, "mac_roman", "cp1252"),
    (CZECH, "utf-8", "cp1250"),
    (POLISH, "cp1250", "cp1252"),
    (POLISH, "iso8859_2", "cp1252"),
    (RUSSIAN, "koi8_u", "cp1251"),
    (RUSSIAN, "cp1251", "mac_cyrillic"),
    (RUSSIAN, "mac_cyrillic", "cp1251"),
    (RUSSIAN, "utf-8", "cp1251"),
]


@pytest.mark.parametrize(("text", "true", "read"), CONFUSED, ids=[f"{t[:4]} {c} {r}" for t, c, r in CONFUSED])
def test_words_in_the_wrong_code_page_are_told_by_what_they_are_in_the_right_one(
    text: str, true: str, read: str
) -> None:
    assert legacy_words(text).mistaken == ()
    found = legacy_words(text.encode(true).decode(read, "ignore"))
    words = set(text.replace(",", "").split())
    right = [again.strip(",") in words for _, again in found.mistaken]
    assert len(right) >= 3
    assert sum(right) > 0.7 * len(right), found.mistaken


SOUND = {
    "capitals by a French keyboard": "GéNéRAL PRéSIDENT RéPUBLIQUE FRANçAISE NOëL LIBERTé LÉGALITé",
    "Irish": "muintir na hÉireann, an tÓglach, na hÁite, na hÍomhánna, na hÓige, i nÉirinn, na hÚdaráis",
    "Catalan": "col·legi paral·lel l’Àngel d’Índia al·lot l’Últim d’Òpera",
    "mathematics": "sin²θ±cos²θ a±b≤c×d A∩B∪C σ²±μ xy²z±w mn³pq±rs π≈t",
    "chemistry": "Na⁺Cl⁻ Ca²⁺SO₄²⁻ Fe³⁺O²⁻ poly(α-olefin) Cu²⁺Cl⁻ ¹³C-NMR µmol·L⁻¹",
    "units": "kΩ MΩ mΩ µgN/L Wm²K kWh/m²a mm×mm °C/min gros½sel",
    "phonetics": "[ˈtʃɛɪndʒ] ˌɪntəˈnæʃənəl ʔaːˈbʕd ˈfʌndəˌmɛntəl ɡʷaɾəˈni tʰæ̃ŋk",
    "footnotes": "the policy²the states¹said and³they wrote¹word text²more ibid.³See",
    "compounds": "НацБанк УкрЗалізниця ПриватБанк КиївСтар МинФин РосКосмос ГосДума НафтоГаз",
    "Kabardian": "цІыху зэхащІэ къэкІуэн лІыхъужь щІалэ фІыуэ гуащІэ кӀо фашӀырэ",
    "Vietnamese": "Đường Nguyễn Thị Minh Khai ĐHQG-HCM ĐăkLăk ĐắkNông Trần Đức ở Đồng Tháp",
    "Icelandic": "þjóðminjasafnið í Reykjavík, Þórður Ögmundsson, Öræfajökull, það er ljóð",
    "transliteration": "al-Qurʾān ʿAbd al-Raḥmān Muʿāwiya Baʿth Kṛṣṇa RāmaKṛṣṇa ŚrīŚrī",
    "Hawaiian": "Hawaiʻi Oʻahu Kauaʻi Molokaʻi ʻŌlelo puʻuwai heʻÉ",
}


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_signs_and_capitals_inside_sound_words_are_no_mistake(text: str) -> None:
    assert legacy_words(text).mistaken == ()
