"""Parts of a text that is written with notation: prose, tables, formulas.

    parts(text) -> [Prose | Grid | Formula]      in the text's order

Page readers write tables as HTML, as Markdown or as LaTeX tabulars, formulas as TeX, and mark headings, lists and
emphasis; a text layer has the same words and none of the notation. Taken apart like this, both say the same.
None of it raises, and all takes time in proportion to the text.

Removed from prose: grounded heads and marks of tokenizers, HTML tags of the list below, entities, marks of
headings, quotes and list items at a line's begin, emphasis, fences, rules, pictures, the addresses of links,
backslashes before punctuation. Numbers of list items are on the page, and stay. Italic and bold letters of
mathematics (U+1D400..U+1D7FF) become the letters that they are.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from flywheel.markup.form import ALIASES, CATEGORIES
from flywheel.markup.formulas import symbols

MOST_SPANNED = 100  # columns or rows of one cell; more is made up


@dataclass(frozen=True, slots=True)
class Prose:
    """Words as the page shows them."""

    text: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell: its words, and how many columns and rows it covers."""

    text: str
    columns: int = 1
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: rows of cells. `caption` stands above it; `formulas` are those in its cells, in TeX."""

    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    formulas: tuple[str, ...] = ()

    @property
    def has_marked_cells(self) -> bool:
        """True when a cell begins as a quote or an item of a list would."""
        return any(_LINE_MARK.match(cell.text) for row in self.rows for cell in row)

    def by_rows(self) -> str:
        """All words, row after row."""
        cells = [cell.text for row in self.rows for cell in row]
        return " ".join(filter(None, [self.caption, *cells]))

    def by_columns(self) -> str:
        """All words, column after column."""
        placed = sorted(_places(self.rows), key=lambda place: (place[1], place[0]))
        return " ".join(filter(None, [self.caption, *(text for _, _, text in placed)]))


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula in TeX, without what delimits it."""

    tex: str


_LINE_MARK = re.compile(r"[-+*•●▪◦‣·∙>]\s")

Part: TypeAlias = Prose | Grid | Formula

_TABLE = r"<table\b[^<>]*>.*?(?:</table\s*>|\Z)"
_TABULAR = r"\\begin\{(?P<array>tabular[x*]?|longtable)\}.*?\\end\{(?P=array)\}"
_PIPES = r"^[ \t]*\|?[^\n|]*\|[^\n]*\n[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-*:?[ \t]*)+(?:\n[^\n]*\|[^\n]*)*"
_ENVIRONMENT = (
    r"\\begin\{(?P<math>(?:equation|align|gather|multline|eqnarray|displaymath|math)\*?)\}.*?\\end\{(?P=math)\}"
)
_DOLLARS = r"(?<!\\)\$\$(?:(?!\$\$).)+\$\$"
# One dollar opens a formula as pandoc has it: nothing blank inside, no digit behind, and something of TeX in it.
_DOLLAR = r"(?<![\\$\w])\$(?=[^\s$])(?=[^$\n]*[\\^_{}=])[^$\n]*?(?<=[^\s\\])\$(?![\d$])"
_VARIABLE = r"(?<![\\$\w])\$[A-Za-z]{1,2}\$(?![\w$])"
# "\\[2pt]" opens nothing, and a start without an end is prose.
_BRACKETS = r"(?<!\\)\\\((?:(?!(?<!\\)\\[()\[\]]).)+\\\)|(?<!\\)\\\[(?:(?!(?<!\\)\\[()\[\]]).)+\\\]"
_SPECIAL = re.compile(
    rf"(?P<html>{_TABLE})|(?P<tabular>{_TABULAR})|(?P<pipes>{_PIPES})"
    rf"|(?P<formula>{_ENVIRONMENT}|{_BRACKETS}|{_DOLLARS}|{_DOLLAR}|{_VARIABLE})",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_HINT = re.compile(
    r"[<\\$#*_|`!&\[\]~>]|^[ \t]*[-+•●▪◦‣·∙][ \t]|^[ \t]*[-=]{3,}[ \t]*$|[\U0001D400-\U0001D7FF]", re.MULTILINE
)


def has_notation(text: str) -> bool:
    """True when there may be something to take apart: most texts have nothing."""
    return _HINT.search(text) is not None


class LineMarks(Enum):
    """Marks at a line's begin that are taken for notation."""

    ALL = "all"
    HEADINGS = "headings"  # but not those of lists and quotes
    NONE = "none"  # in cells, where a line is any text


def parts(text: str, marks: LineMarks = LineMarks.ALL) -> list[Part]:
    """The text's parts in its order; a plain text is one part."""
    if not has_notation(text):
        return [Prose(text)]
    text = _ungrounded(_LETTER.sub(lambda letter: unicodedata.normalize("NFKC", letter[0]), text))
    specials: list[Part] = []

    def taken(match: re.Match[str]) -> str:
        specials.append(_special(match))
        return _PLACE

    # Tables and formulas are taken out first: emphasis may reach over them.
    between = _prose(_SPECIAL.sub(taken, text.replace(_PLACE, " ")), marks).split(_PLACE)
    found: list[Part] = [Prose(between[0])]
    for special, after in zip(specials, between[1:], strict=True):
        found += [special, Prose(after)]
    return [part for part in found if not isinstance(part, Prose) or part.text]


def _special(match: re.Match[str]) -> Part:
    said = match[0]
    if match["html"]:
        return _html_grid(said)
    if match["tabular"]:
        return _tabular_grid(said)
    if match["pipes"]:
        return _pipe_grid(said)
    return Formula(_undelimited(said))


_PLACE = "\x1d"  # stands for a table or a formula while prose is cleaned
_LETTER = re.compile(r"[\U0001D400-\U0001D7FF]+")
_HEAD = re.compile(r"<\|ref\|>((?:[^<]|<(?!\|))*)<\|/ref\|>(?:\s*<\|det\|>[^<]*<\|/det\|>)?")
_MARK = re.compile(r"<[|｜][^<>|｜\n]{1,40}[|｜]>")


def _ungrounded(text: str) -> str:
    """The text without heads of regions and marks; where a head says a line's words, these stay."""
    if "<|" not in text and "<｜" not in text:
        return text

    def words(head: re.Match[str]) -> str:
        name = head[1].strip().lower()
        return "" if name in CATEGORIES or name in ALIASES else head[1]

    return _MARK.sub("", _HEAD.sub(words, text))


_NAMES = (
    "table thead tbody tfoot tr td th caption colgroup col p div span center b i u s em strong sup sub small a "
    "h1 h2 h3 h4 h5 h6 ul ol li img figure figcaption"
)
_BREAK = re.compile(r"<(?:br|hr)\s*/?>", re.IGNORECASE)
_TAG = re.compile(rf"</?(?:{'|'.join(_NAMES.split())})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_HEADINGS = (  # in this order
    (re.compile(r"^[ \t]*(?:```[^\n]*|[-*_=](?:[ \t]*[-*_=]){2,}[ \t]*)$", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*#{1,6}(?:[ \t]+|$)", re.MULTILINE), ""),
)
_LISTS = (
    (re.compile(r"^[ \t]*(?:>[ \t]?)+(?=[^\s>])", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*#{1,6}(?:[ \t]+|$)", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*[-+*•●▪◦‣·∙][ \t]+", re.MULTILINE), ""),
)
_OF_LINES = {LineMarks.ALL: _HEADINGS + _LISTS, LineMarks.HEADINGS: _HEADINGS, LineMarks.NONE: ()}
_RULES = (
    (re.compile(r"!\[[^\[\]\n]*\]\([^()\n]*\)"), ""),
    (re.compile(r"\[([^\[\]\n]+)\]\((?:https?:|mailto:|#|/)[^()\n]*\)"), r"\1"),
    (re.compile(r"(?<![\\*])\*\*(?=\S)([^\n]*?\S)\*\*"), r"\1"),
    (re.compile(r"(?<![\\\w_])__(?=\S)([^\n_]*?\S)__(?!\w)"), r"\1"),
    (re.compile(r"(?<![\\\w*])\*(?=[^\s*])([^\n*]*?[^\s*])\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\\\w_])_(?=[^\s_])([^\n_]*?[^\s_])_(?!\w)"), r"\1"),
    (re.compile(r"~~(?=\S)([^\n~]*?\S)~~"), r"\1"),
    (re.compile(r"`([^`\n]+)`"), r"\1"),
    (re.compile(r"\\([\\`*_{}\[\]()#+\-.!$%&|<>~])"), r"\1"),
)


def _prose(text: str, marks: LineMarks) -> str:
    text = _TAG.sub("", _BREAK.sub("\n", text)) if "<" in text else text
    for pattern, kept in (*_OF_LINES[marks], *_RULES):
        text = pattern.sub(kept, text)
    return _unescaped(text)


_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,6}|#x[0-9a-f]{1,5});", re.IGNORECASE)


def _unescaped(text: str) -> str:
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)


_ROW = re.compile(r"<tr\b[^<>]*>", re.IGNORECASE)
_CELL = re.compile(
    r"<t[dh]\b([^<>]*)>(.*?)(?=</?t[dhr]\b|</?(?:table|thead|tbody|tfoot)\b|\Z)", re.IGNORECASE | re.DOTALL
)
_CAPTION = re.compile(r"<caption\b[^<>]*>(.*?)</caption", re.IGNORECASE | re.DOTALL)
_SPANNED = re.compile(r"\b(col|row)span\s*=\s*[\"']?(\d{1,3})", re.IGNORECASE)


def _html_grid(text: str) -> Grid:
    formulas: list[str] = []
    caption = _CAPTION.search(text)
    heading = _words(caption[1], formulas) if caption else ""
    rows = [_CELL.findall(row) for row in _ROW.split(text)]
    cells = [tuple(_html_cell(said, inside, formulas) for said, inside in row) for row in rows if row]
    return Grid(tuple(cells), heading, tuple(formulas))


def _html_cell(attributes: str, inside: str, formulas: list[str]) -> Cell:
    spans = {name.lower(): int(number) for name, number in _SPANNED.findall(attributes)}
    return Cell(_words(inside, formulas), _span(spans.get("col", 1)), _span(spans.get("row", 1)))


def _pipe_grid(text: str) -> Grid:
    formulas: list[str] = []
    lines = [line.strip() for line in text.split("\n")]
    rows = [line for place, line in enumerate(lines) if place != 1 and line]
    cells = [tuple(Cell(_words(cell, formulas)) for cell in _piped(row)) for row in rows]
    return Grid(tuple(cells), formulas=tuple(formulas))


def _piped(row: str) -> list[str]:
    inside = row.removeprefix("|")
    inside = inside[:-1] if inside.endswith("|") and not inside.endswith("\\|") else inside
    return re.split(r"(?<!\\)\|", inside)


_BEGIN = re.compile(r"\A\\begin\{[^}]*\}(?:\[[^\]]*\])?(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}){0,2}")
_END = re.compile(r"\\end\{[a-z*]*\}\s*\Z", re.IGNORECASE)
_RULE = re.compile(r"\\(?:hline|toprule|midrule|bottomrule|(?:cline|cmidrule)(?:\([^)]*\))?\{[^}]*\})")
_MULTI = re.compile(r"\\multi(column|row)\{(\d{1,3})\}(?:\[[^\]]*\])?\{[^{}]*\}\{((?:[^{}]|\{[^{}]*\})*)\}")


def _tabular_grid(text: str) -> Grid:
    formulas: list[str] = []
    body = _RULE.sub("", _END.sub("", _BEGIN.sub("", text)))
    rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", body) if row.strip()]
    cells = [tuple(_tabular_cell(cell, formulas) for cell in re.split(r"(?<!\\)&", row)) for row in rows]
    return Grid(tuple(cells), formulas=tuple(formulas))


def _tabular_cell(said: str, formulas: list[str]) -> Cell:
    spans = {"column": 1, "row": 1}
    while (multi := _MULTI.search(said)) is not None:
        spans[multi[1].lower()] = int(multi[2])
        said = said[: multi.start()] + multi[3] + said[multi.end() :]
    return Cell(_words(said, formulas), _span(spans["column"]), _span(spans["row"]))


def _span(given: int) -> int:
    return min(MOST_SPANNED, max(1, given))


def _words(inside: str, formulas: list[str]) -> str:
    """A cell's words; its formulas as their symbols, and added to `formulas`."""
    said = []
    for part in parts(_TAG.sub(" ", _BREAK.sub(" ", inside)), LineMarks.NONE):
        if isinstance(part, Formula):
            formulas.append(part.tex)
        said.append(
            part.text
            if isinstance(part, Prose)
            else part.by_rows()
            if isinstance(part, Grid)
            else symbols(part.tex)
        )
    return " ".join("".join(said).split())


def _places(rows: tuple[tuple[Cell, ...], ...]) -> list[tuple[int, int, str]]:
    """(row, column, words) of every cell, spans of those before taken into account."""
    taken: dict[int, int] = {}  # column -> first row in which it is free again
    placed = []
    for number, row in enumerate(rows):
        column = 0
        for cell in row:
            while taken.get(column, 0) > number:
                column += 1
            placed.append((number, column, cell.text))
            taken |= dict.fromkeys(range(column, column + cell.columns), number + cell.rows)
            column += cell.columns
    return placed


_DELIMITERS = re.compile(
    r"\A(?:\\begin\{[a-z*]+\}|\\[(\[]|\$\$?)|(?:\\end\{[a-z*]+\}|\\[)\]]|\$\$?)\Z", re.IGNORECASE
)


def _undelimited(said: str) -> str:
    return _DELIMITERS.sub("", said).strip()
