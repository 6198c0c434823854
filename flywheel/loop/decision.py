"""Decision about a candidate: promoted or not by its comparison with whoever reads the language now.

    decide(comparison, champion, looks) -> Decision

Documents are the unit, near-equal ones counted once. A reader that is no better wins by luck with at most the
chance of the level. An exam that is used again and again would give luck as many chances, so the levels of all
looks at it sum up to 2.5 %. Where nobody reads the language there is nobody to be better than: the bar decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from flywheel.figures import Comparison


@dataclass(frozen=True, slots=True)
class PromotionPolicy:
    """Rule by which a candidate wins.

    `bar`: the highest CER a first champion may have. An exam holds at least so many `documents`: eight are the
    fewest that one of two equal readers leads in, all of them, less often (1 of 256) than the level; and so many
    `characters`, which at a CER of 1 % hold 20 errors. Each of the first `looks` at an exam has `level`, all later
    ones share `rest`.
    """

    bar: float = 0.15
    documents: int = 8
    characters: int = 2000
    looks: int = 5
    level: float = 0.004
    rest: float = 0.005

    def level_of(self, look: int) -> float:
        """The highest p value that the look-th test on an exam (from 1) promotes at. All of them, for ever, sum to
        looks * level + rest: 1/2 + 1/6 + 1/12 + ... is 1."""
        later = look - self.looks
        return self.level if later <= 0 else self.rest / (later * (later + 1))

    def documents_for(self, level: float) -> int:
        """Documents of an exam that can reach a level: in each the candidate might be better, by chance 1/2."""
        return max(self.documents, math.ceil(-math.log2(level)))


@dataclass(frozen=True, slots=True)
class Decision:
    """A candidate promoted or not, and why. `look` and `level` are of the test that decided, None without one."""

    promote: bool
    detail: str
    look: int | None = None
    level: float | None = None


def decide(
    found: Comparison, *, champion: str | None, looks: int = 0, policy: PromotionPolicy | None = None
) -> Decision:
    """Judge a round's comparison; the detail says why, in figures.

    `champion` of the language, None where it has none of its own; `looks` were taken at this exam before.
    """
    policy = policy or PromotionPolicy()
    if not found.candidate.units:
        return Decision(False, f"no held-out {found.unit} to judge by")
    cer = found.candidate.cer
    if champion is None and cer > policy.bar:
        return Decision(False, f"CER {cer:.2%} is over the bar of {policy.bar:.0%} for a first champion")
    if found.reads_now is None:
        return _first(found, policy)
    level = policy.level_of(looks + 1)
    if wanted := missing(found, policy, level):
        return Decision(False, f"{_rates(found)}: {wanted}")
    return _tested(found, looks + 1, level)


def _first(found: Comparison, policy: PromotionPolicy) -> Decision:
    """Of a language that nobody reads: no reader is replaced, so no test is asked for."""
    within = f"CER {found.candidate.cer:.2%} is within the bar of {policy.bar:.0%} for a first champion"
    if found.difference.cer < 0:
        return Decision(True, within)
    return Decision(False, f"{within}, but not below the {found.baseline.cer:.2%} of {found.baseline_reader}")


def missing(found: Comparison, policy: PromotionPolicy, level: float) -> str | None:
    """The reason that an exam is too small to tell readers apart, and what would make it large enough; or None."""
    documents, characters = found.exam_size, sum(one.characters for one in found.by_document)
    needed = policy.documents_for(level)
    wanted = [
        f"{needed - documents} more held-out documents ({documents} of {needed})" if documents < needed else "",
        f"{policy.characters - characters} more characters in them ({characters} of {policy.characters})"
        if characters < policy.characters
        else "",
    ]
    said = " and ".join(filter(None, wanted))
    if not said:
        return None
    return f"the exam is too small to tell them apart: it needs {said}. A person can promote by hand"


def _tested(found: Comparison, look: int, level: float) -> Decision:
    """Surely better over both copies, and on neither surely worse."""
    difference, figures = found.difference, _rates(found)
    sure = f"p {difference.p:.2%} where look {look} at this exam allows {level:.2%}"
    if difference.p > level or not difference.better:
        return Decision(False, f"{figures}: not surely lower ({sure})", look, level)
    for copies, one in (("clean", found.clean), ("degraded", found.degraded)):
        if one is not None and one.worse:
            return Decision(False, f"{figures}: lower in all, but surely higher on {copies} copies", look, level)
    return Decision(True, f"{figures}: surely lower ({sure})", look, level)


def _rates(found: Comparison) -> str:
    """Both readers' CER, in words."""
    figures = (
        f"CER {found.candidate.cer:.2%} against {found.baseline_reader}'s {found.baseline.cer:.2%} "
        f"on the same {found.unit.plural}"
    )
    if found.candidate_degraded is None or found.baseline_degraded is None:
        return figures
    return f"{figures}, {found.candidate_degraded.cer:.2%} against {found.baseline_degraded.cer:.2%} degraded"
