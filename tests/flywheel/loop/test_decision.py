"""Claims about decisions: surely better than whoever reads now, on an exam that can tell, and luck is paid for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flywheel.figures import Comparison, Difference, Unit
from flywheel.loop.decision import PromotionPolicy, decide
from tests.flywheel.rows import make_comparison, make_scores

READER = "ppocr-v6-small"
POLICY = PromotionPolicy()


def won(candidate: float = 0.04, baseline: float = 0.05, *, p: float = 1 / 256, documents: int = 8) -> Comparison:
    """A candidate that is better than the reader of the language in every document."""
    return make_comparison(candidate, baseline, high=-0.002, p=p, documents=documents, reads_now=READER)


def test_where_nobody_reads_a_first_champion_is_within_the_bar_and_better_than_the_built_in_reader() -> None:
    assert decide(make_comparison(0.14), champion=None).promote
    refused = decide(make_comparison(0.16), champion=None)
    assert not refused.promote
    assert "16.00% is over the bar of 15%" in refused.detail
    worse = decide(make_comparison(0.14, 0.13), champion=None)
    assert not worse.promote
    assert "not below the 13.00% of ppocr-v6-small" in worse.detail
    assert decide(make_comparison(0.14, documents=1, units=1), champion=None).promote


def test_where_the_built_in_reader_reads_a_first_champion_is_within_the_bar_and_surely_better_than_it() -> None:
    assert decide(won(), champion=None).promote
    unsure = decide(make_comparison(0.04, 0.05, p=0.01, reads_now=READER), champion=None)
    assert not unsure.promote
    assert "not surely lower (p 1.00% where look 1 at this exam allows 0.40%)" in unsure.detail
    assert not decide(won(0.16, 0.5), champion=None).promote
    assert decide(won(0.16, 0.5), champion=READER).promote  # a champion of its own is not held to a bar


def test_a_candidate_must_surely_beat_the_champion_on_the_same_lines() -> None:
    found = decide(won(), champion=READER)
    assert found.promote
    assert (found.look, found.level) == (1, 0.004)
    assert "4.00% against ppocr-v6-small's 5.00% on the same lines: surely lower" in found.detail
    assert not decide(won(p=0.0041), champion=READER).promote
    likely = replace(won(), difference=Difference(-0.01, -0.02, 0.001, 1 / 256))
    assert not decide(likely, champion=READER).promote
    assert not decide(replace(won(), difference=Difference(-0.01, None, None, 1 / 256)), champion=READER).promote


@pytest.mark.parametrize(
    ("documents", "characters", "wanted"),
    [
        (1, 90_000, "7 more held-out documents (1 of 8)"),
        (7, 90_000, "1 more held-out documents (7 of 8)"),
        (8, 249, "8 more characters in them (1992 of 2000)"),
        (3, 100, "5 more held-out documents (3 of 8) and 1700 more characters in them (300 of 2000)"),
    ],
)
def test_an_exam_that_cannot_tell_promotes_nobody_and_says_what_would_make_it_large_enough(
    documents: int, characters: int, wanted: str
) -> None:
    small = make_comparison(
        0.0, 0.5, high=-0.4, p=0.0, documents=documents, characters=characters, reads_now=READER
    )
    found = decide(small, champion=READER)
    assert not found.promote
    assert f"the exam is too small to tell them apart: it needs {wanted}. A person can promote" in found.detail
    assert found.look is None  # it is not paid for


def test_near_equal_documents_are_one() -> None:
    alike = tuple(replace(one, group="one book") for one in won().by_document[:2])
    found = decide(replace(won(), by_document=alike + won().by_document[2:]), champion=READER)
    assert "(7 of 8)" in found.detail


def test_all_looks_at_an_exam_together_are_wrong_at_most_once_in_forty() -> None:
    levels = [POLICY.level_of(look) for look in range(1, 2000)]
    assert sum(levels) < 0.025
    assert levels == sorted(levels, reverse=True)
    assert [decide(won(), champion=READER, looks=looks).promote for looks in range(5)] == [True] * 5


def test_a_look_that_the_exams_documents_could_not_pass_is_not_taken_and_more_documents_are_asked_for() -> None:
    used = decide(won(), champion=READER, looks=5)
    assert not used.promote
    assert used.look is None
    assert "1 more held-out documents (8 of 9)" in used.detail
    larger = decide(won(p=1 / 512, documents=9), champion=READER, looks=5)
    assert (larger.promote, larger.look, larger.level) == (True, 6, 0.0025)


@pytest.mark.parametrize("copies", ["clean", "degraded"])
def test_a_candidate_that_is_better_in_all_but_surely_worse_on_one_kind_of_copies_is_refused(copies: str) -> None:
    worse = Difference(0.01, 0.002, 0.02)
    found = decide(replace(won(), **{copies: worse}), champion=READER)
    assert not found.promote
    assert f"surely higher on {copies} copies" in found.detail
    unsure = Difference(0.01, -0.001, 0.02)
    assert decide(replace(won(), **{copies: unsure}), champion=READER).promote


def test_nothing_is_promoted_without_a_line_to_judge_by() -> None:
    assert not decide(make_comparison(0.0, units=0), champion=None).promote


def test_what_was_compared_on_pages_is_told_of_pages_and_degraded_copies_beside_them() -> None:
    nothing = make_comparison(0.0, units=0, unit=Unit.PAGE)
    assert decide(nothing, champion=None).detail == "no held-out page to judge by"
    compared = make_comparison(0.04, 0.05, unit=Unit.PAGE, reads_now=READER)
    compared = replace(compared, candidate_degraded=make_scores(0.2), baseline_degraded=make_scores(0.3))
    assert "on the same pages, 20.00% against 30.00% degraded" in decide(compared, champion=READER).detail
