"""The one place where text from outside is made fit to store: for JSON, for Postgres, for training.

Removed is what neither can be stored nor leaves ink: NUL and other controls, lone
surrogates, noncharacters, bidi and zero-width formatting. What signals a broken text
layer but can be stored (private use, U+FFFD) stays, so that people see it.
"""

from __future__ import annotations

import re
import unicodedata

# The joiners U+200C and U+200D stay: they change the shape of Indic and Arabic letters.
_REMOVED = re.compile(
    "["
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
    "\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
_HYPHEN_AT_END = re.compile("\u00ad\\s*$")
# Forms of Arabic and Hebrew letters by their place in a word, and ligatures, as old fonts and encodings name them.
# Left alone are four that people write as signs of their own: U+FDFA to U+FDFD.
_PRESENTATION_FORMS = re.compile("[\ufb1d-\ufdcf\ufdf0-\ufdf9\ufe70-\ufefc]")
_NO_CHARACTER = frozenset(("Cc", "Cn", "Co", "Cs"))
_BLANKS = re.compile(r"\s+")


def clean(text: str) -> str:
    """One line of text in NFC, without what cannot be stored, its blanks single and trimmed."""
    if not text.isprintable() or "  " in text:  # what is removed is unprintable, and so are all other blanks
        text = _HYPHEN_AT_END.sub("-", text)  # a soft hyphen is drawn where a line ends
        text = _REMOVED.sub("", text)
        text = _BLANKS.sub(" ", text)
    text = text.strip()
    return text if text.isascii() else unicodedata.normalize("NFC", fold_presentation_forms(text))


def fold_presentation_forms(text: str) -> str:
    """The text with the letters themselves (NFKC) in place of their presentation forms; other characters stay."""
    return _PRESENTATION_FORMS.sub(_letters, text) if _PRESENTATION_FORMS.search(text) else text


def _letters(form: re.Match[str]) -> str:
    """NFKC; of a vowel sign drawn alone the sign, without the blank that carries it there."""
    return unicodedata.normalize("NFKC", form.group()).lstrip()


def is_readable(text: str) -> bool:
    """True when every code point is a character that ink can be read as: no U+FFFD, and none that is private, a
    control, a surrogate or unassigned."""
    return not any(c == "\ufffd" or unicodedata.category(c) in _NO_CHARACTER for c in text)
