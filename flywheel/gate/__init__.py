"""The gate: a label and what is known of its page -> a verdict with a reason.

    Gate().judge_coarse(label, facts, raw_counts, language)    a text layer's label
    Gate().judge_reading(reading, facts, language)             what a reader made of a page's image
    find_loop(text, characters, times)                         where a text runs in a circle

Checks run in order of certainty and the first that fires decides. The detail says what
was seen, in numbers. Thresholds are rates over a page; the counts beside them keep a
single odd character on a short page from deciding anything.
"""

from flywheel.gate.judge import Gate
from flywheel.gate.loops import find_loop
from flywheel.gate.thresholds import Thresholds

__all__ = ("Gate", "Thresholds", "find_loop")
