"""Grounded markdown: how a page's label is written for, and read back from, a vision-language reader.

    <|ref|>category<|/ref|><|det|>[[x1, y1, x2, y2]]<|/det|>
    text

One such block a region, in reading order, a blank line between them; coordinates are
0-999 bins of the page (DeepSeek-OCR, section 3.4). A title's text starts with "# ", a table is HTML, a
formula stays as it is. The plain form is the text alone.

    fine(label), coarse(label)             the grounded and the plain form
    parse(markup, width, height)           a Reading: the regions that are sound, and the flaws
    comparable(truth, reading)             both without notation, as they are compared; parts(text): taken apart
    table_rows(text), is_sound_table(text) the cells of HTML tables, and whether they are well formed
    grounded(label), own_boxes(label)      the grounded form where it holds, and the boxes that are a line's own
"""

from flywheel.markup.form import ALIASES, CATEGORIES, DROPPED, Fault, Flaw, MarkupError, ParsedMarkup, Span
from flywheel.markup.formulas import symbols, tokens
from flywheel.markup.grounding import grounded, own_boxes
from flywheel.markup.notation import Cell, Formula, Grid, Prose, has_notation, parts
from flywheel.markup.parsing import parse
from flywheel.markup.reduction import comparable
from flywheel.markup.tables import is_sound_table, table_rows
from flywheel.markup.writing import coarse, fine

__all__ = (
    "ALIASES",
    "CATEGORIES",
    "DROPPED",
    "Cell",
    "Fault",
    "Flaw",
    "Formula",
    "Grid",
    "MarkupError",
    "ParsedMarkup",
    "Prose",
    "Span",
    "coarse",
    "comparable",
    "fine",
    "grounded",
    "has_notation",
    "is_sound_table",
    "own_boxes",
    "parse",
    "parts",
    "symbols",
    "table_rows",
    "tokens",
)
