"""Input of the gate's checks: a label, the facts of its page, and its text as the page shows it.

    of_label(label, facts)        a text layer's label, as it stands
    of_reading(reading, facts)    a reader's: cells without their HTML, formulas apart from the prose

A reader writes tables as HTML and formulas as TeX, whose letters are not the page's: left in, they would
be taken for another script, for more text than the ink can hold, and an empty table for a loop.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flywheel.document import Label, PageFacts, PageReading, Region
from flywheel.markup import table_rows
from flywheel.text.scripts import histogram, is_script


@dataclass(frozen=True, slots=True)
class JudgedPage:
    """A page with its label, gathered once for all checks."""

    label: Label
    facts: PageFacts
    text: str  # without formulas
    scripts: Mapping[str, int]  # characters of the text, written scripts only
    characters: int  # blanks left out; those of formulas are counted in
    lines: Sequence[str] = ()  # of the text, outside tables
    rows: Sequence[str] = ()  # of tables, a tab between cells
    formulas: Sequence[str] = ()
    flaws: Mapping[str, int] = field(default_factory=dict)  # of the reader's markup, how often each

    @property
    def ink_area(self) -> float:
        """In square points."""
        return self.facts.ink * self.facts.width * self.facts.height


def of_label(label: Label, facts: PageFacts) -> JudgedPage:
    counts = histogram(label.text)
    return JudgedPage(label, facts, label.text, _scripts(counts), sum(counts.values()))


def of_reading(reading: PageReading, facts: PageFacts) -> JudgedPage:
    prose: list[str] = []
    rows: list[str] = []
    formulas: list[str] = []
    for region in reading.label.regions:
        if region.category == "formula":
            formulas.append(region.text)
            continue
        said, cells = _apart(region)
        rows += (_without_formulas(row, formulas) for row in cells)
        if said.strip():
            prose.append(_without_formulas(said, formulas))
    text = "\n\n".join([*prose, "\n".join(rows)] if rows else prose)
    counts = histogram(text)
    shown = sum(len(_NOT_SHOWN.sub("", formula)) for formula in formulas)
    return JudgedPage(
        label=reading.label,
        facts=facts,
        text=text,
        scripts=_scripts(counts),
        characters=sum(counts.values()) + shown,
        lines=[line for part in prose for line in part.split("\n")],
        rows=rows,
        formulas=formulas,
        flaws=Counter(reading.flaws),
    )


_TABLE = re.compile(r"<table\b(?:(?!<table\b).)*?</table>", re.DOTALL)
# TeX between \( and \) or \[ and \]; "\\[2pt]" opens nothing, and a start without an end is prose.
_FORMULA = re.compile(r"(?<!\\)\\[(\[](?:(?!(?<!\\)\\[()\[\]]).)*\\[)\]]", re.DOTALL)
_COMMAND = re.compile(r"\\(?:begin|end)\{[A-Za-z*]+\}|\\[A-Za-z]+")
_NOT_SHOWN = re.compile(_COMMAND.pattern + r"|\\[()\[\]]|[\\{}^_&\s]")


def _apart(region: Region) -> tuple[str, list[str]]:
    """A region's text without its tables, and the rows of these. A reader that grounds nothing writes the
    whole page, tables too, into one region."""
    text = region.text
    if region.category == "table" and (rows := _rows(text)):
        return "", rows
    if "<table" not in text:
        return text, []
    return _TABLE.sub("\n", text), [row for table in _TABLE.findall(text) for row in _rows(table)]


def _rows(text: str) -> list[str]:
    return ["\t".join(row) for row in table_rows(text)] if "<" in text else []


def _without_formulas(text: str, formulas: list[str]) -> str:
    """The text without its formulas, which are added to `formulas`, and without commands of TeX outside them."""
    if "\\" not in text:
        return text
    formulas += _FORMULA.findall(text)
    return _COMMAND.sub(" ", _FORMULA.sub(" ", text))


def _scripts(counts: Mapping[str, int]) -> dict[str, int]:
    return {code: n for code, n in counts.items() if is_script(code)}
