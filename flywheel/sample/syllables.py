"""Tibetan text made up from the rules of the script, never copied from anywhere.

A syllable is (prefix) (superscript) root (subscript) (vowel) (suffix) (second suffix);
the tables below hold the combinations that classical orthography allows. A `Tibetan`
owns a lexicon of such syllables and of words made of them, drawn once from a seed and
used with Zipf-like frequency, so that common ones recur as in real text and a few
percent are new. Sentences end in a shad, with the spacing that scribes use: a tsheg
between nga and shad, no shad after a final ga. Everything is NFC.
"""

from __future__ import annotations

import random
import re
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate

TSHEG, SHAD, HEAD_MARK = "་", "།", "༄༅། །"
DIGITS = "༠༡༢༣༤༥༦༧༨༩"
VOWELS = "ིེོུ"
SUFFIXES = "གངདནབམའརལས"
SECOND_SUFFIX_AFTER = "གངབམ"

ROOTS = tuple("ཀཁགངཅཆཇཉཏཐདནཔཕབམཙཚཛཝཞཟའཡརལཤསཧཨ")
SUPERSCRIPTS = {
    "ར": tuple("ཀགངཇཉཏདནབམཙཛ"),
    "ལ": tuple("ཀགངཅཇཏདཔབཧ"),
    "ས": tuple("ཀགངཉཏདནཔབམཙ"),
}
SUBSCRIPTS = {
    "ྱ": tuple("ཀཁགཔཕབམ"),
    "ྲ": tuple("ཀཁགཏཐདཔཕབམསཧ"),
    "ླ": tuple("ཀགབཟརས"),
    "ྭ": tuple("ཀཁགཅཉདཚཞཟརལཤཧ"),
}
# Stacks of three: superscript, root, subscript.
TALL_STACKS = tuple("རྐྱ རྒྱ རྨྱ རྩྭ སྐྱ སྒྱ སྤྱ སྦྱ སྨྱ སྐྲ སྒྲ སྤྲ སྦྲ སྨྲ".split())
# What may follow each prefix: single letters and stacks.
PREFIXES = {
    "ག": tuple("ཅཉཏདནཙཞཟཡཤས"),
    "ད": (*"ཀགངཔབམ", *"ཀྱ གྱ པྱ བྱ མྱ ཀྲ གྲ པྲ བྲ".split()),
    "བ": (
        *"ཀགཅཏདཙཞཟཤས",
        *"ཀྱ གྱ ཀྲ གྲ སྲ ཟླ རླ ཀླ སླ རྐ རྒ རྔ རྗ རྙ རྟ རྡ རྣ རྩ རྫ ལྟ ལྡ".split(),
        *"སྐ སྒ སྔ སྙ སྟ སྡ སྣ སྩ རྐྱ རྒྱ སྐྱ སྒྱ སྐྲ སྒྲ".split(),
    ),
    "མ": (*"ཁགངཆཇཉཐདནཚཛ", *"ཁྱ གྱ ཁྲ གྲ".split()),
    "འ": (*"ཁགཆཇཐདཕབཚཛ", *"ཁྱ གྱ ཕྱ བྱ ཁྲ གྲ དྲ ཕྲ བྲ".split()),
}
PARTICLES = tuple("ནི དང ལ ནས གི གྱི ཀྱི གིས ཀྱིས སུ ཏུ དུ ཡང ཀྱང ལས པའི བའི མའི ནོ སོ ཅིང ཞིང ཤིང".split())
ENDINGS = tuple("ནོ འོ སོ ངོ དོ མོ རོ ལོ ཏེ སྟེ ཡིན ཡོད མེད བྱུང འདུག".split())


def subjoined(letter: str) -> str:
    """The form a consonant takes under another: U+0F40.. -> U+0F90.."""
    return chr(ord(letter) + 0x50)


def _stacks() -> tuple[str, ...]:
    over = [top + subjoined(root) for top, roots in SUPERSCRIPTS.items() for root in roots]
    under = [root + low for low, roots in SUBSCRIPTS.items() for root in roots]
    return (*over, *under, *TALL_STACKS)


STACKS = _stacks()


def is_well_formed(syllable: str) -> bool:
    """True when classical orthography allows the syllable (without tsheg; 'i and 'o may be attached)."""
    return _PATTERN.fullmatch(syllable) is not None


def _pattern() -> re.Pattern[str]:
    def any_of(parts: tuple[str, ...]) -> str:
        return "(?:" + "|".join(sorted(parts, key=len, reverse=True)) + ")"

    heads = [any_of((*STACKS, *ROOTS))]
    heads += [prefix + any_of(allowed) for prefix, allowed in PREFIXES.items()]
    coda = f"(?:[{SECOND_SUFFIX_AFTER}]ས|[{SUFFIXES}])?"
    return re.compile(f"(?:{'|'.join(heads)})[{VOWELS}]?{coda}(?:འ[ིོུ])?")


_PATTERN = _pattern()


def draw_syllable(rng: random.Random) -> str:
    """One well-formed syllable, simple ones more often, as in the language."""
    shape = rng.random()
    if shape < 0.42:
        head, bare = rng.choice(ROOTS), False
    elif shape < 0.72:
        head, bare = rng.choice(STACKS), False
    else:
        prefix = rng.choice(tuple(PREFIXES))
        root = rng.choice(PREFIXES[prefix])
        head, bare = prefix + root, len(root) == 1
    vowel = rng.choice(VOWELS) if rng.random() < 0.58 and "ྭ" not in head else ""
    return head + vowel + _coda(rng, needed=bare and not vowel)


def _coda(rng: random.Random, *, needed: bool) -> str:
    """Suffix and second suffix. Two bare letters would read as root and suffix, so those need a plain one."""
    if needed:
        return rng.choice("ངདནམའརལ") if rng.random() < 0.8 else "བ"
    if rng.random() < 0.35:
        return ""
    suffix = rng.choice(SUFFIXES.replace("འ", ""))
    return suffix + "ས" if suffix in SECOND_SUFFIX_AFTER and rng.random() < 0.22 else suffix


@dataclass(frozen=True, slots=True)
class Zipf:
    """Random draws: item k with weight 1 / (k + shift)."""

    items: tuple[str, ...]
    weights: tuple[float, ...]

    @classmethod
    def over(cls, items: list[str], shift: float = 8.0) -> Zipf:
        return cls(tuple(items), tuple(accumulate(1.0 / (k + shift) for k in range(len(items)))))

    def draw(self, rng: random.Random) -> str:
        return self.items[bisect(self.weights, rng.random() * self.weights[-1])]


class Tibetan:
    """Writer of Tibetan. `lexicon` fixes the words, `stream` the text made with them.

    Two writers with one lexicon and different streams share their vocabulary but no sentence.
    """

    def __init__(self, lexicon: int, stream: str) -> None:
        words = random.Random(f"tibetan words {lexicon}")
        syllables = list(dict.fromkeys(draw_syllable(words) for _ in range(1600)))
        # Every stack and prefixed root once, so that a small corpus still shows the whole script.
        syllables += [s + "ང" for s in (*STACKS, *(p + r for p, rs in PREFIXES.items() for r in rs))]
        words.shuffle(syllables)
        common = Zipf.over(syllables)
        made = [TSHEG.join(common.draw(words) for _ in range(words.choice((1, 2, 2, 2, 3)))) for _ in range(2500)]
        self._words = Zipf.over(syllables + made, shift=60.0)
        self._rng = random.Random(f"tibetan text {lexicon} {stream}")

    def word(self) -> str:
        """One to three syllables without a closing tsheg; sometimes new, sometimes a number."""
        kind = self._rng.random()
        if kind < 0.05:
            return draw_syllable(self._rng)
        if kind < 0.075:
            return self.number(self._rng.randint(1, 2400))
        return self._words.draw(self._rng)

    def number(self, value: int) -> str:
        return "".join(DIGITS[int(digit)] for digit in str(value))

    def phrase(self, words: int) -> str:
        """Words and particles joined by tshegs, none at the end."""
        parts: list[str] = []
        for _ in range(words):
            parts.append(self.word())
            if self._rng.random() < 0.45:
                parts.append(self._rng.choice(PARTICLES))
        return TSHEG.join(parts)

    def sentence(self) -> str:
        """A phrase with its ending and shad: what a reader sees between two spaces."""
        text = self.phrase(self._rng.randint(3, 8))
        if self._rng.random() < 0.7:
            text += TSHEG + self._rng.choice(ENDINGS)
        return close(text)

    def paragraph(self, sentences: int) -> str:
        """Sentences in a row; now and then the doubled shad of verse, and a double shad at the end."""
        text = ""
        for _ in range(sentences):
            part = self.sentence()
            verse = part.endswith(SHAD) and self._rng.random() < 0.3
            text += part + (" " + SHAD if verse else " ")
        return text.rstrip(f" {SHAD}") + (SHAD + SHAD if self._rng.random() < 0.5 else SHAD)

    def title(self) -> str:
        return HEAD_MARK + close(self.phrase(self._rng.randint(2, 3)))


def close(text: str) -> str:
    """End a sentence: tsheg before the shad after nga, the letter ga standing for its own shad."""
    if text.endswith("ང"):
        return text + TSHEG + SHAD
    return text if text.endswith("ག") else text + SHAD


def pieces(text: str) -> list[str]:
    """Cut a text where Tibetan lines may break: after a tsheg, or after the space that follows a shad."""
    return re.findall(r"[^་\s]+(?:་།*|(?=\s)|$)(?:\s།?)?|་|\s", text)
