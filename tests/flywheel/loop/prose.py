"""Made-up prose in several scripts, the same for the same name, and appearances of pages."""

from __future__ import annotations

import random

LETTERS = {
    "bo": "ཀཁགངཅཆཇཉཏཐདནཔཕབམཙཚཛཝཞཟའཡརལཤསཧཨིེོུ",
    "zh": "".join(chr(0x4E00 + n) for n in range(2500)),
    "en": "etaoinshrdlucmfwypvbgkjqxz",
    "ar": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
}
JOINED = {"bo": "་", "zh": "", "en": " ", "ar": " "}
APPEARANCE = 128  # bytes of packed bits


def prose(name: str, language: str = "bo", words: int = 250) -> str:
    """Words out of a vocabulary of the script, as often repeated as in a language."""
    tongue, rng = random.Random(language), random.Random(f"{language} {name}")
    known = ["".join(tongue.choices(LETTERS[language], k=tongue.randint(1, 5))) for _ in range(3000)]
    weights = [1 / (place + 10) for place in range(len(known))]
    return JOINED[language].join(rng.choices(known, weights, k=words))


def misread(text: str, rate: float, seed: int = 0) -> str:
    """The text with this share of its letters exchanged, dropped or added."""
    rng, letters = random.Random(seed), sorted(set(text) - {" "})
    said = []
    for letter in text:
        draw = rng.random() / rate
        if draw >= 1:
            said.append(letter)
        elif draw < 0.6:
            said.append(rng.choice(letters))
        elif draw > 0.8:
            said += [letter, rng.choice(letters)]
    return "".join(said)


def blank() -> tuple[bytes, bytes]:
    """The appearance of a page that says nothing."""
    return bytes(APPEARANCE), bytes(APPEARANCE)


def look(name: str, noise: float = 0.0, seed: int = 0) -> tuple[bytes, bytes]:
    """The appearance of a full page, with this share of its bits turned."""
    bits = int.from_bytes(random.Random(f"look {name}").randbytes(APPEARANCE))
    rng = random.Random(f"{name} {seed}")
    for place in rng.sample(range(8 * APPEARANCE), round(8 * APPEARANCE * noise)):
        bits ^= 1 << place
    return bits.to_bytes(APPEARANCE), b"\xff" * APPEARANCE
