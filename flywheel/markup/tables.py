"""HTML tables as readers write them: rows of cells out of a text, and whether the table is well formed.

    table_rows(text) -> rows of cells' texts
    is_sound_table(text) -> every row in a table, every cell in a row, every text in a cell, all closed
    closed_table(text) -> a table that was cut off, up to its last whole row

None of them raises, and all take time in proportion to the text: html.parser meets only tags of
the list below, stripped of their attributes, and takes any other "<" for text. Cells are not
spread over the columns and rows that they span.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

_NAMES = (
    "table thead tbody tfoot tr td th caption colgroup col br p div span center b i u s em strong sup sub small a"
)
# html.parser needs quadratic time for tags that are not closed, and asserts on "<![" (Python 3.11).
_TAG = re.compile(rf"<(/?)({'|'.join(_NAMES.split())})(?=[\s/>])[^<>]*>", re.IGNORECASE)
_OTHER = re.compile(rf"<(?!/?(?:{'|'.join(_NAMES.split())})>)")
_ROW_END, _TABLE_END = "</tr>", "</table>"


def table_rows(text: str) -> list[list[str]]:
    """The rows of all tables in `text`, each a list of its cells' texts; blanks in a row become one."""
    return _read(text).rows


def is_sound_table(text: str) -> bool:
    """True when `text` is one or more tables that are closed, in order, and have a cell."""
    read = _read(text)
    return not (read.unsound or read.depth) and any(read.rows)


def closed_table(text: str) -> str:
    """`text` up to its last whole row, with the table closed there; empty without a whole row."""
    end = text.lower().rfind(_ROW_END)
    return text[: end + len(_ROW_END)] + _TABLE_END if end >= 0 else ""


def _read(text: str) -> _Tables:
    reader = _Tables()
    bare = _TAG.sub(lambda tag: f"<{tag[1]}{tag[2].lower()}>", text)
    reader.feed(_OTHER.sub("&lt;", bare))
    reader.close()
    reader.end_cell()
    return reader


class _Tables(HTMLParser):
    """`unsound` once anything stands where it may not; `depth` is the number of tables left open."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self.unsound = False
        self.depth = 0
        self._in_row = self._in_caption = False
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "table":
            self.unsound |= self.depth > 0
            self.depth += 1
        elif tag == "caption":
            self._in_caption = True
        elif tag == "tr":
            self._start_row()
        elif tag in ("td", "th"):
            self._start_cell()
        elif tag == "br":
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "caption":
            self._in_caption = False
        elif tag in ("td", "th"):
            self.unsound |= self._cell is None
            self.end_cell()
        elif tag in ("tr", "table"):
            self.end_cell()
            self.unsound |= not (self._in_row if tag == "tr" else self.depth)
            self._in_row = False
            self.depth = max(0, self.depth - (tag == "table"))

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)
        elif data.strip() and not self._in_caption:
            self.unsound = True

    def end_cell(self) -> None:
        if self._cell is not None:
            self.rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None

    def _start_row(self) -> None:
        self.end_cell()
        self.unsound |= not self.depth
        self._in_row = True
        self.rows.append([])

    def _start_cell(self) -> None:
        self.end_cell()
        if not self._in_row:
            self._start_row()
            self.unsound = True
        self._cell = []
