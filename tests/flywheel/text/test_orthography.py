"""Letter combinations that a script does not allow are found, and those it does allow are not."""

from __future__ import annotations

import pytest

from flywheel.text.orthography import check

NATIVE = "བསྒྲུབས་ རྒྱལ་ སྤྱོད་ ཟླ་བ་ གཟུགས་ ལྕགས་ ལྗོངས་ རྗེ་ བརྗེད་ ཅྭ་ ཞྭ་མོ་ ཕྱྭ་ གྲྭ་ དཔའ་ འཕྲུལ་ ལྷ་ས་ སྙིང་ རྙིང་ ཧྥ་ ཀླུ་ མེའོ་ བའི་ ཉིའུ་"
SANSKRIT = "པདྨ་ སཏྟྭ་ ཧཱུྃ་ བཛྲ་ དྷརྨ་ ཨོཾ་ ཤྲཱི་ རཏྣ་ སྭཱ་ཧཱ་ བུདྡྷ་ ཀྵ་ ཀྵི་ མཎྜལ་ ཙཀྲ་ ཛྙཱ་ན་ ཏཀྵ་ པཉྩ་ ཏྲྱ་ སྥོ་ཊ་ ཀྲྀ་ ལྀ་"
IMPOSSIBLE = ["འྱི", "ཅྱི", "ཞྲེ", "ཀྱྱི", "ཆྲེ", "ཅྒ", "མིྱ", "སིེ", "ཟྱ", "གྲྲ", "འླ"]


@pytest.mark.parametrize("text", [NATIVE, SANSKRIT], ids=["native", "Sanskrit"])
def test_tibetan_that_people_write_is_possible(text: str) -> None:
    found = check(text, "Tibt")
    assert found.units > 25
    assert (found.wrong, found.examples) == (0, ())


@pytest.mark.parametrize("stack", IMPOSSIBLE)
def test_a_stack_that_nobody_can_write_is_found(stack: str) -> None:
    found = check(f"བོད་{stack}་ཡིག", "Tibt")
    assert found.wrong == 1
    assert found.examples[0] in stack


def test_a_vowel_with_no_letter_above_it_is_found() -> None:
    assert check("བོད་ ིཡིག", "Tibt").wrong == 1


def test_a_vowel_extracted_with_a_subjoined_letter_before_it_stands_out() -> None:
    true = "དེའི་ཚེ་བཅོམ་ལྡན་འདས་ཀྱིས་ཞིང་གི་མི་རྣམས་ལ་འདི་སྐད་ཅིག་བཀའ་སྩལ་ཏོ། " * 5
    lying = true.replace("\u0f72", "\u0fb1\u0f72")
    assert check(true, "Tibt").rate == 0
    assert check(lying, "Tibt").rate > 0.03


def test_the_rate_is_per_letter_group() -> None:
    found = check("བོད་འྱི་ཡིག", "Tibt")
    assert (found.units, found.wrong) == (5, 1)
    assert found.rate == 0.2


@pytest.mark.parametrize(
    ("script", "good", "bad"),
    [
        ("Deva", "हिन्दी में लिखा हुआ पाठ", "ि हन्दी"),
        ("Beng", "বাংলা ভাষা", "া বংলা"),
        ("Thai", "ภาษาไทยที่ดี", "ภาษา ีไทย"),
        ("Khmr", "ភាសាខ្មែរ", "្ខ ភាសា"),
    ],
)
def test_a_vowel_sign_needs_a_letter_in_every_script_that_hangs_them(script: str, good: str, bad: str) -> None:
    assert check(good, script).wrong == 0
    assert check(good, script).units >= 4
    assert check(bad, script).wrong == 1


def test_joiners_do_not_part_a_sign_from_its_letter() -> None:
    assert check("क्\u200dषि", "Deva").wrong == 0


def test_nothing_is_said_about_a_script_without_rules() -> None:
    assert check("any text at all", "Latn").units == 0
