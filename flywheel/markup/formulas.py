"""Formulas in TeX: as the symbols that the page shows, and as normalised tokens.

    symbols(tex) -> str          "E=mc2" of "E = mc^{2}": what a text layer has, without blanks
    shown_forms(tex)             the same in the orders in which text layers have indices and exponents
    tokens(tex) -> list          what two writings of one formula have in common

Normalised, for the same formula has many writings: blanks, spacing commands, sizes and styles (\\left, \\big,
\\displaystyle, \\mathrm, \\text ...), labels and numbers are left out, braces stand around every argument of ^, _
and of commands but around nothing else, and synonyms (\\le, \\leq; \\to, \\rightarrow; \\dfrac, \\frac) are one.
Symbols that are written as themselves ("α", "≤") are the commands that name them.
"""

from __future__ import annotations

import re
from functools import lru_cache

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|\S", re.DOTALL)
_SPACING = frozenset(("\\,", "\\;", "\\:", "\\!", "\\ ", "\\\\", "~", "&", "\\quad", "\\qquad", "\\thinspace"))
_STYLE = frozenset(
    "\\" + name
    for name in (
        "left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle textstyle "
        "scriptstyle limits nolimits mathrm mathbf mathit mathsf mathtt mathnormal mathcal mathbb mathfrak "
        "boldsymbol bm bf rm it text textbf textit textrm mbox hbox operatorname operatorname* nonumber notag "
        "mathop mathbin mathrel mathord mathopen mathclose"
    ).split()
)
_SYNONYMS = {
    "\\le": "\\leq", "\\ge": "\\geq", "\\ne": "\\neq", "\\to": "\\rightarrow", "\\gets": "\\leftarrow",
    "\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\cfrac": "\\frac", "\\land": "\\wedge", "\\lor": "\\vee",
    "\\lbrace": "\\{", "\\rbrace": "\\}", "\\lbrack": "[", "\\rbrack": "]", "\\vert": "|", "\\lvert": "|",
    "\\rvert": "|", "\\mid": "|", "\\Vert": "\\|", "\\lVert": "\\|", "\\rVert": "\\|", "\\cdots": "\\ldots",
    "\\dots": "\\ldots", "\\lt": "<", "\\gt": ">", "\\ast": "*", "\\prime": "'", "\\colon": ":", "\\%": "%",
    "\\$": "$", "\\#": "#", "\\_": "\\_", "\\&": "\\&", "\\overline": "\\bar", "\\widehat": "\\hat",
    "\\widetilde": "\\tilde", "\\overrightarrow": "\\vec",
}  # fmt: skip
_LABEL = re.compile(r"\\(?:label|ref|eqref)\{[^{}]*\}|\\(?:begin|end)\{[A-Za-z*]+\}(?:\{[lcr|]*\})?")
_TAG = re.compile(r"\\tag\*?\{([^{}]*)\}")
_SHOWN = {
    "\\{": "{", "\\}": "}", "\\%": "%", "\\$": "$", "\\#": "#", "\\&": "&", "\\_": "_", "\\|": "‖", "\\neq": "≠",
    "\\sqrt": "√", "\\degree": "°", "\\ldots": "…", "\\leq": "≤", "\\geq": "≥", "\\hbar": "ħ",
}  # fmt: skip


def symbols(tex: str) -> str:
    """The symbols of a formula in the order in which they are written, without blanks."""
    return shown_forms(tex)[0]


def shown_forms(tex: str) -> list[str]:
    """The symbols of a formula, in the order of its TeX, then with index before exponent, and the other way."""
    said = _tokens(_TAG.sub(r"(\1)", tex))
    orders = (said, _ordered(said, "_^"), _ordered(said, "^_"))
    return list(dict.fromkeys("".join(map(_shown, order)) for order in orders))


def tokens(tex: str) -> list[str]:
    """The normalised tokens of a formula (see above); indices come before exponents."""
    return [_command_of(token) for token in _braced(_ordered(_tokens(_TAG.sub("", tex)), "_^"))]


def _tokens(tex: str) -> list[str]:
    """Tokens without blanks and what is only looks; synonyms are one."""
    found = (_SYNONYMS.get(token, token) for token in _TOKEN.findall(_LABEL.sub(" ", tex)))
    return [token for token in found if token not in _SPACING and token not in _STYLE]


def _argument(said: list[str], place: int) -> int:
    """The place behind the argument that begins at `place`: a group in braces, or one token."""
    if place >= len(said) or said[place] != "{":
        return min(place + 1, len(said))
    depth = 0
    for end in range(place, len(said)):
        depth += (said[end] == "{") - (said[end] == "}")
        if not depth:
            return end + 1
    return len(said)


def _ordered(said: list[str], order: str) -> list[str]:
    """The tokens with an index and an exponent of one symbol in this order."""
    out: list[str] = []
    place = 0
    while place < len(said):
        if said[place] in "^_" and place + 1 < len(said):
            middle = _argument(said, place + 1)
            if middle < len(said) and said[middle] in "^_" and said[middle] != said[place]:
                end = _argument(said, middle + 1)
                pair = [said[place:middle], said[middle:end]]
                for script in sorted(pair, key=lambda one: order.index(one[0])):
                    out += [script[0], *_ordered(script[1:], order)]
                place = end
                continue
        out.append(said[place])
        place += 1
    return out


_TAKES_ARGUMENTS = frozenset(r"^ _ \frac \sqrt \binom \hat \bar \vec \tilde \dot \ddot \underline".split())


def _braced(said: list[str]) -> list[str]:
    """Braces around every argument, and around nothing else."""
    out: list[str] = []
    place = 0
    while place < len(said):
        token = said[place]
        place += 1
        if token in "{}":
            continue
        out.append(token)
        for _ in range((token in _TAKES_ARGUMENTS) + (token in ("\\frac", "\\binom"))):
            if place < len(said) and said[place] != "}":
                end = _argument(said, place)
                out += ["{", *_braced(said[place:end]), "}"]
                place = end
    return out


def _shown(token: str) -> str:
    """Symbol that a token puts on the page; empty for what only arranges."""
    if token in ("{", "}", "^", "_", "$"):
        return ""
    if token in _SHOWN:
        return _SHOWN[token]
    return _named_symbols().get(token, "") if token.startswith("\\") else token


def _command_of(token: str) -> str:
    """The command that names a symbol, so that both are one token."""
    return _commands().get(token, token) if len(token) == 1 and ord(token) > 127 else token


@lru_cache(maxsize=1)
def _named_symbols() -> dict[str, str]:
    """Symbol or function name of a command, as pylatexenc has them."""
    from pylatexenc.latex2text import get_default_latex_context_db

    table = get_default_latex_context_db()
    found = {}
    for category in table.categories():
        for name, macro in table.d[category]["macros"].items():
            shown = macro.simplify_repl
            if isinstance(shown, str) and "%" not in shown and name.isalpha():
                found[f"\\{name}"] = shown.strip()
    return found


@lru_cache(maxsize=1)
def _commands() -> dict[str, str]:
    """Inverse of `_named_symbols`, for symbols; the shortest name that is not a synonym of another."""
    named = {**_named_symbols(), **{name: shown for name, shown in _SHOWN.items() if name[1:].isalpha()}}
    out: dict[str, str] = {}
    for name in sorted(named, key=lambda one: (one in _SYNONYMS, len(one), one)):
        out.setdefault(named[name], _SYNONYMS.get(name, name))
    return out
