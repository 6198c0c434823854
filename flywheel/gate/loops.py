"""Loops: a text that says the same over and over, as readers do when they lose their place.

find_loop(text, characters, times)    a loop of letters anywhere in a text
tail_loop(text, characters, times)    what the end of a text repeats
longest_run(lines)                    the line that comes most often in a row
most_frequent(lines)                  the line that comes most often anywhere
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

LONGEST_UNIT = 200  # characters; what repeats at greater length is a chorus, not a loop
LONGEST_TAIL_UNIT = 2000  # no chorus comes three times right before a reader's token limit


def find_loop(text: str, characters: int, times: int) -> tuple[str, int] | None:
    """The repeating unit and how many characters it fills, where a text with letters runs in a circle.

    A loop fills at least `characters` characters with at least `times` repeats of its unit.
    """
    if not (periods := _periods(text, characters, times)):
        return None
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    for period in periods:
        same = np.flatnonzero(codes[period:] != codes[:-period])
        edges = np.concatenate(([-1], same, [len(text) - period]))
        gaps = np.diff(edges) - 1  # lengths of the runs in which text[i] == text[i + period]
        longest = int(gaps.argmax())
        filled = int(gaps[longest]) + period
        if filled >= max(characters, times * period):
            start = int(edges[longest]) + 1
            unit = text[start : start + period]
            if any(symbol.isalpha() for symbol in unit):
                return unit, filled
    return None


def tail_loop(text: str, characters: int, times: int) -> tuple[str, int] | None:
    """The unit that the end of a text repeats `times` times or more over `characters` or more, and how many
    characters it fills; of several units the one that fills most.

    By the prefix function of the text from behind (Knuth, Morris, Pratt 1977), whose values give the shortest
    period of every ending.
    """
    end = text.rstrip()[: -times * LONGEST_TAIL_UNIT - 1 : -1]
    found = None
    border = [0] * len(end)  # of each prefix: the longest that it begins and ends with, but itself
    for place in range(1, len(end)):
        size = border[place - 1]
        while size and end[place] != end[size]:
            size = border[size - 1]
        border[place] = size + (end[place] == end[size])
        period = place + 1 - border[place]
        if place + 1 >= max(characters, times * period) and period <= LONGEST_TAIL_UNIT:
            found = (end[:period][::-1], place + 1)
    return found


def _periods(text: str, characters: int, times: int) -> list[int]:
    """The only periods a loop in `text` can have, found in a thirtieth of the time that trying all takes.

    In a loop of period p, text[i] == text[i + p] for a run of at least max(characters, times * p) - p
    places i. Any run of 2g - 1 places holds a multiple of g from which g places on are in the run, so
    the g characters there come again p characters later.
    """
    every = range(1, min(len(text) // times, LONGEST_UNIT) + 1)
    run = min((max(characters, times * period) - period for period in every), default=0)
    size = (run + 1) // 2
    if size < 4:
        return list(every)
    found = set()
    for place in range(0, len(text) - size, size):
        piece = text[place : place + size]
        end = place + every[-1] + size
        again = text.find(piece, place + 1, end)
        while again >= 0:
            found.add(again - place)
            again = text.find(piece, again + 1, end)
    return sorted(found)


def longest_run(lines: Sequence[str]) -> tuple[str, int]:
    """The line, and how often it stands in a row; ("", 0) without lines."""
    best, times, run = "", 0, 0
    for k, line in enumerate(lines):
        run = run + 1 if k and line == lines[k - 1] else 1
        if run > times:
            best, times = line, run
    return best, times


def most_frequent(lines: Iterable[str]) -> tuple[str, int]:
    """The line, and how often it comes; ("", 0) without lines."""
    return max(Counter(lines).items(), key=lambda counted: counted[1], default=("", 0))
