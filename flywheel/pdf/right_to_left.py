"""Characters of pages that run from right to left, as MuPDF gives them -> as they are drawn.

    as_drawn(characters) -> the same page, its characters what their ink shows
    parts(line) -> the line cut at gutters; with_own_lines(characters) -> the page with lines cut so

Of a bracket one writer says which it is in the text, another which shape is drawn; the page's own brackets
tell, for they come in pairs. Letters under an ActualText (as browsers write it for a base with marks) come out
of MuPDF back to front, and a line goes on across a gutter. Presentation forms of old fonts become the letters
they are forms of.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from flywheel.document import Box, Character
from flywheel.text.bidi import is_mark, is_right_to_left_letter, mirror, right_to_left_places, to_logical
from flywheel.text.cleaning import fold_presentation_forms
from flywheel.text.ink_order import NO_WIDTH, SAME_PLACE, shown_text

SAME_BASELINE = 1.0  # points
GUTTER = 1.8  # heights of a line's ink
LAMS = "\u0644\u06b5\u06b6\u06b7\u06b8\u076a"
ALEFS = "\u0622\u0623\u0625\u0627\u0671\u0672\u0673\u0675\u0773\u0774"
_OPENING, _CLOSING = ("Ps", "Pi"), ("Pe", "Pf")


def as_drawn(characters: Sequence[Character]) -> list[Character]:
    """The characters line by line, each line in an order in which marks follow their base and the letters of a
    ligature each other; brackets have the shape drawn."""
    lines = [list(line) for _, line in groupby(characters, key=lambda character: character.line)]
    lines = _with_first_marks(lines)
    marks_lead = _marks_lead(lines)
    if not marks_lead:
        lines = [_with_stray_marks(line) for line in lines]
    found = [_folded(character) for line in lines for character in _turned_groups(line, marks_lead)]
    return _mirrored(found) if _are_of_the_text(found) else found


def with_own_lines(characters: Sequence[Character]) -> list[Character]:
    """The characters with their lines counted anew, parts on either side of a gutter as lines of their own."""
    lines = (list(line) for _, line in groupby(characters, key=lambda character: character.line))
    cut = (part for line in lines for part in parts(line))
    return [dataclasses.replace(character, line=n) for n, part in enumerate(cut) for character in part]


def parts(line: Sequence[Character]) -> list[list[Character]]:
    """The line's characters from left to right, cut where a gap is wide for the height of its ink; those of a part
    in the order given. A line without letters that run from right to left is one part: MuPDF cuts those itself."""
    if not any(is_right_to_left_letter(character.text) for character in line):
        return [list(line)]
    inked = sorted((c.box.x0, c.box.x1) for c in line if not c.text.isspace())
    height = max(c.box.y1 for c in line) - min(c.box.y0 for c in line)
    gutters: list[float] = []
    end = inked[0][1] if inked else 0.0
    for x0, x1 in inked:
        if x0 - end > GUTTER * height:
            gutters.append((end + x0) / 2)
        end = max(end, x1)
    found: list[list[Character]] = [[] for _ in range(len(gutters) + 1)]
    for character in line:
        found[bisect(gutters, character.box.x0)].append(character)
    return found


def _with_first_marks(lines: list[list[Character]]) -> list[list[Character]]:
    """Marks with which a line's ink begins on the left given back to it: MuPDF adds them to the line before."""
    for line, below in pairwise(lines):
        while len(line) > 1 and is_mark(line[-1].text) and not _touches(line[-1], line[-2]):
            letters = [i for i, character in enumerate(below) if _is_letter(character)]
            first = min(letters, key=lambda i: below[i].box.x0, default=None)
            if first is None or not is_right_to_left_letter(below[first].text):
                break
            below.insert(first + 1, _at(line.pop(), below[first]))
    return lines


def _with_stray_marks(line: list[Character]) -> list[Character]:
    """The line with marks that follow no letter put behind the one they stand at: in the stream they come first of
    their run, and MuPDF adds them to the run before."""
    stray = [m for before, m in pairwise(line) if is_mark(m.text) and not _can_carry(before)]
    for mark in stray:
        at = (i for i, c in enumerate(line) if abs(c.x - mark.x) < SAME_PLACE and is_right_to_left_letter(c.text))
        base = next(at, None)
        if base is not None:
            letter = line[base]
            line = [character for character in line if character is not mark]
            line.insert(next(i for i, c in enumerate(line) if c is letter) + 1, mark)
    return line


def _can_carry(character: Character) -> bool:
    return is_mark(character.text) or _is_letter(character)


def _touches(mark: Character, before: Character) -> bool:
    edges = (before.x, before.box.x0, before.box.x1)
    return abs(mark.y - before.y) < SAME_PLACE and any(abs(mark.x - edge) < SAME_PLACE for edge in edges)


def _at(mark: Character, letter: Character) -> Character:
    place = Box(letter.x, letter.y, letter.x, letter.y)
    return dataclasses.replace(mark, x=letter.x, y=letter.y, box=place, line=letter.line)


def _is_letter(character: Character) -> bool:
    return character.text[:1].isalpha()


def _marks_lead(lines: Sequence[Sequence[Character]]) -> bool:
    """True when the page's marks stand before their base: where a word begins or a letter without width follows,
    rather than where a word ends."""
    leading = trailing = 0
    for line in lines:
        for before, mark, after in zip((None, *line), line, (*line[1:], None), strict=False):
            if not is_mark(mark.text):
                continue
            bare = after is not None and _is_letter(after) and after.box.width < NO_WIDTH
            apart = before is None or not _touches(mark, before)
            leading += _is_blank(before) or (bare and apart)
            trailing += _is_blank(after)
    return leading >= max(1, trailing)


def _is_blank(character: Character | None) -> bool:
    return character is None or character.text.isspace()


def _turned_groups(line: Sequence[Character], marks_lead: bool) -> Iterator[Character]:
    """The line's characters, those that were given one place back to front turned about."""
    group: list[Character] = []
    for character in (*line, None):
        if group and (character is None or not _goes_on(group, character, marks_lead)):
            yield from reversed(group) if _is_back_to_front(group) else group
            group = []
        if character is not None:
            group.append(character)


def _goes_on(group: Sequence[Character], character: Character, marks_lead: bool) -> bool:
    """True when a character may have come out of MuPDF back to front with those before it, which have no width."""
    last = group[-1]
    if last.text.isspace() or character.text.isspace() or last.box.width >= NO_WIDTH:
        # The alef of many a lam-alef has no width, and belongs to the lam before it, not to the letter after it.
        return last.text in LAMS and character.text in ALEFS and character.box.width < NO_WIDTH
    if group[0].text in LAMS and last.text in ALEFS:
        return False
    if is_mark(group[0].text) and not marks_lead:
        return is_mark(character.text)
    if character.box.width < NO_WIDTH:
        return abs(last.x - character.x) < SAME_PLACE
    return abs(last.x - character.box.x1) < SAME_PLACE


def _is_back_to_front(group: Sequence[Character]) -> bool:
    letters = [character for character in group if is_right_to_left_letter(character.text)]
    if not letters or len(group) < 2 or group[0].text in LAMS:
        return False
    return is_mark(group[0].text) or (len(letters) > 1 and group[-1].box.width >= NO_WIDTH)


def _folded(character: Character) -> Character:
    text = fold_presentation_forms(character.text)
    return character if text == character.text else dataclasses.replace(character, text=text)


def _are_of_the_text(characters: Sequence[Character]) -> bool:
    """True when brackets are named as in the text: they then pair up only once they are turned about."""
    drawn = turned = 0
    for row in _rows(characters):
        shown = shown_text(row, float("inf"))
        if shown != mirror(shown):
            drawn += _pairs(to_logical(shown))
            turned += _pairs(to_logical(_turned(shown)))
    return turned > drawn


def _turned(shown: str) -> str:
    places = right_to_left_places(shown)
    return "".join(mirror(symbol) if place in places else symbol for place, symbol in enumerate(shown))


def _pairs(text: str) -> int:
    """Brackets that another one opens before them."""
    open_brackets: list[str] = []
    pairs = 0
    for symbol in text:
        kind = unicodedata.category(symbol)
        if kind in _OPENING:
            open_brackets.append(symbol)
        elif kind in _CLOSING and open_brackets and mirror(symbol) == open_brackets[-1]:
            open_brackets.pop()
            pairs += 1
    return pairs


def _mirrored(characters: Sequence[Character]) -> list[Character]:
    """The characters with the brackets inside text from right to left turned about."""
    out: list[Character] = []
    for row in _rows(characters):
        ordered = sorted(range(len(row)), key=lambda i: row[i].box.x0 + row[i].box.x1)
        places = right_to_left_places("".join(row[i].text[:1] or " " for i in ordered))
        turned = {i for place, i in enumerate(ordered) if place in places and mirror(row[i].text) != row[i].text}
        out += [dataclasses.replace(c, text=mirror(c.text)) if i in turned else c for i, c in enumerate(row)]
    return out


def _rows(characters: Sequence[Character]) -> Iterator[list[Character]]:
    """The characters by line; MuPDF's lines on one baseline, which it parts where the direction changes,
    together."""
    row: list[Character] = []
    for character in characters:
        if row and character.line != row[-1].line and abs(character.y - row[-1].y) > SAME_BASELINE:
            yield row
            row = []
        row.append(character)
    if row:
        yield row
