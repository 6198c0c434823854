"""Claims about exams: clean and degraded copies of the same samples, counted by document, near-equal ones once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flywheel.figures import Comparison, DocumentEdits, Unit
from models.line_training.comparison import compare_lines
from models.line_training.dataset import LineSample, write_patches
from models.recognition.ppocr import PpocrRecogniser
from models.resampling import sign_flip
from models.training.exam import ExamReadings, ExamTexts, ReadTexts, compare, degraded_line, degraded_page
from models.training.manifest import write_manifest
from tests.models.drawing import column, draw_line, draw_page, syllables

TRUTHS = ["abcdefghij"] * 10
DOCUMENTS = [f"d{number // 2}" for number in range(10)]  # five documents of two lines


def read(clean: int, degraded: int) -> ExamReadings:
    """Every line with so many wrong characters, as it is and degraded."""
    texts = [["X" * wrong + "abcdefghij"[wrong:]] * 10 for wrong in (clean, degraded)]
    return ExamReadings(*(ReadTexts(one, [0.9] * 10) for one in texts))


def compared(candidate: ExamReadings, baseline: ExamReadings, **groups: str) -> Comparison:
    return compare(ExamTexts(Unit.LINE, TRUTHS, DOCUMENTS, groups), candidate, baseline, reader="r", reads_now="r")


def test_both_copies_count_in_the_difference_and_each_is_told_by_itself() -> None:
    found = compared(read(1, 2), read(2, 6))
    assert (found.candidate.cer, found.baseline.cer) == pytest.approx((0.1, 0.2))
    assert found.candidate_degraded is not None
    assert found.baseline_degraded is not None
    assert (found.candidate_degraded.cer, found.baseline_degraded.cer) == pytest.approx((0.2, 0.6))
    assert found.clean is not None
    assert found.degraded is not None
    assert (found.clean.cer, found.degraded.cer, found.difference.cer) == pytest.approx((-0.1, -0.4, -0.25))
    assert found.difference.p == 1 / 32
    assert found.by_document[0] == DocumentEdits("d0", 20, 2, 4, 4, 12)
    assert found.by_document[0].lead == 10


def test_a_lead_on_clean_copies_and_a_loss_on_degraded_ones_are_weighed_against_each_other() -> None:
    found = compared(read(1, 5), read(2, 2))
    assert found.difference.cer == pytest.approx(0.1)
    assert found.difference.p == 1.0


def test_near_equal_documents_are_one_unit_of_the_test_and_told_apart_for_people() -> None:
    found = compared(read(1, 1), read(2, 2), d0="one book", d1="one book")
    assert (found.exam_size, len(found.by_document), found.candidate.documents) == (4, 5, 4)
    assert found.difference.p == 1 / 16
    assert [one.group for one in found.by_document] == ["one book", "one book", "", "", ""]


def test_a_sample_is_degraded_alike_in_every_exam_and_differently_from_others() -> None:
    one, other = draw_line(syllables(4, 1)), draw_line(syllables(4, 2))
    again = degraded_line(one.copy())
    assert np.array_equal(degraded_line(one), again)
    assert not np.array_equal(again[:, : one.shape[1]], one[:, : again.shape[1]])
    assert degraded_line(other).shape[0] == other.shape[0]
    page = draw_page(column(100, 100, 3, 4, 1)).image
    assert np.array_equal(degraded_page(page), degraded_page(page.copy()))
    assert degraded_page(page).shape == page.shape
    assert not np.array_equal(degraded_page(page), page)


def test_held_out_lines_are_read_clean_and_degraded_and_clusters_come_from_the_manifest(tmp_path: Path) -> None:
    rows = [
        LineSample(f"d{number}", number, 0, text, draw_line(text, language="en"))
        for number, text in enumerate(["the wheel turns", "an early morning", "nobody was there"])
    ]
    write_patches(tmp_path / "a.parquet", rows)
    splits = dict.fromkeys(("d0", "d1", "d2"), "heldout")
    write_manifest(tmp_path, splits=splits, language="en", groups={"d0": "c", "d1": "c"})  # type: ignore[arg-type]
    reader = PpocrRecogniser()
    found = compare_lines(reader, reader, tmp_path, "heldout", reader="ppocr")
    assert (found.exam_size, len(found.by_document)) == (2, 3)
    assert found.candidate.cer < 0.1
    assert found.candidate_degraded is not None
    assert found.candidate_degraded.units == 3
    assert (found.difference.cer, found.difference.p) == (0, 1)


def test_exams_of_no_samples_decide_nothing() -> None:
    nothing = ExamReadings(ReadTexts([], []), ReadTexts([], []))
    found = compare(ExamTexts(Unit.PAGE, [], []), nothing, nothing, reader="r", reads_now=None)
    assert (found.candidate.units, found.exam_size, found.difference.p) == (0, 0, 1.0)
    assert sign_flip(np.zeros(0), np.zeros(0)) == 1.0
