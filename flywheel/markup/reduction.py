"""A true text and a reading of it, brought to the same form before they are compared.

    comparable(truth, reading) -> (truth, reading)

Notation is taken off both (flywheel/markup/notation.py): cells of tables are words, formulas their symbols. Two
things are free, for a page does not say them: the order in which a table's cells are read, by rows or by columns,
and in a formula the blanks and whether an index or an exponent comes first. There the reading follows the truth,
and where only the truth has the table its cells follow the reading. The truth has the same length for every
reading, so that readers can be compared by their edits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rapidfuzz.distance import Levenshtein

from flywheel.markup.formulas import shown_forms, symbols
from flywheel.markup.notation import Formula, Grid, LineMarks, Part, Prose, has_notation, parts

MOST_ARRANGED = 24  # tables of a page whose order is tried out
LONGEST_FORMULA = 400  # symbols of a formula that is looked for in a plain text
# Symbols that text layers, TeX and readers write in several ways.
_ALIKE = (
    ("-", "−", "–", "‐", "⁻", "₋"),
    ("+", "⁺", "₊"),
    *zip("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉", strict=True),
    ("*", "∗", "·", "⋅"),
    ("'", "′", "’"),
    ("|", "∣"),
    ("…", "...", "⋯"),
    (":", "∶"),
    ("∆", "Δ"),
)
_ALTERNATIVES = {one: "(?:" + "|".join(map(re.escape, alike)) + ")" for alike in _ALIKE for one in alike}


def comparable(truth: str, reading: str) -> tuple[str, str]:
    """Both texts without notation, the reading in the truth's order where order is free."""
    if not (has_notation(truth) or has_notation(reading)):
        return truth, reading
    wanted, said = parts(truth), parts(reading)
    if any(isinstance(part, Grid) and part.has_marked_cells for part in (*wanted, *said)):
        # A cell's "- 5" may stand at the begin of a line where the other side has no table.
        wanted, said = parts(truth, LineMarks.HEADINGS), parts(reading, LineMarks.HEADINGS)
    true_text, read_text = _joined(wanted), _joined(said)
    if any(isinstance(part, Grid) for part in said):
        read_text = _arranged(said, true_text)
    elif any(isinstance(part, Grid) for part in wanted):
        true_text = _arranged(wanted, read_text)
    return true_text, _spelled_alike(read_text, said, true_text, wanted)


def _joined(found: Sequence[Part], by_columns: frozenset[int] = frozenset()) -> str:
    """The parts' words; tables at the places `by_columns` column after column."""
    return "".join(_text(part, by_columns=place in by_columns) for place, part in enumerate(found))


def _text(part: Part, *, by_columns: bool) -> str:
    if isinstance(part, Prose):
        return part.text
    if isinstance(part, Formula):
        return symbols(part.tex)
    return f"\n{part.by_columns() if by_columns else part.by_rows()}\n"


def _arranged(found: Sequence[Part], other: str) -> str:
    """The words of `found`, each table in the order that is nearer to the other text."""
    tables = [place for place, part in enumerate(found) if isinstance(part, Grid) and _has_orders(part)]
    turned: frozenset[int] = frozenset()
    best = _joined(found)
    wanted = other.split()
    edits = Levenshtein.distance(best.split(), wanted)
    for place in tables[:MOST_ARRANGED]:
        text = _joined(found, turned | {place})
        if (fewer := Levenshtein.distance(text.split(), wanted)) < edits:
            turned, best, edits = turned | {place}, text, fewer
    return best


def _has_orders(grid: Grid) -> bool:
    return grid.by_rows() != grid.by_columns()


def _spelled_alike(reading: str, said: Sequence[Part], truth: str, wanted: Sequence[Part]) -> str:
    """The reading with the truth's blanks and order inside of formulas that either writes as TeX."""
    place = there = 0
    for tex in _formulas(said):
        forms = shown_forms(tex)
        at = reading.find(forms[0], place)
        match = _found(forms, truth, there) or _found(forms, truth, 0)
        if at >= 0 and match is not None:
            reading = reading[:at] + match[0] + reading[at + len(forms[0]) :]
            place, there = at + len(match[0]), match.end()
    place = 0
    for tex in _formulas(wanted):
        forms = shown_forms(tex)
        match = _found(forms, reading, place) if len(forms[0]) > 2 else None
        if match is not None:
            reading = reading[: match.start()] + forms[0] + reading[match.end() :]
            place = match.start() + len(forms[0])
    return reading


def _formulas(found: Sequence[Part]) -> Iterator[str]:
    """All formulas in order, those in cells too."""
    for part in found:
        if isinstance(part, Formula):
            yield part.tex
        elif isinstance(part, Grid):
            yield from part.formulas


def _found(forms: Sequence[str], text: str, start: int) -> re.Match[str] | None:
    """The first place from `start` on where one of the forms stands, with whatever blanks between its symbols."""
    matches = (
        re.compile(r"\s*".join(_ALTERNATIVES.get(one, re.escape(one)) for one in form)).search(text, start)
        for form in forms
        if 0 < len(form) <= LONGEST_FORMULA
    )
    return min((match for match in matches if match is not None), key=lambda match: match.start(), default=None)
