"""Error rates, their intervals, calibration, and candidate against champion."""

from __future__ import annotations

import pytest

from models.scores import compare, normalise, score, words_of


def test_a_perfect_reading_scores_zero_with_an_empty_interval() -> None:
    scores = score(["བོད་ཡིག་", "abc"], ["བོད་ཡིག་", "abc"])
    assert (scores.cer, scores.wer, scores.cer_low, scores.cer_high, scores.edits) == (0, 0, 0, 0, 0)


def test_cer_counts_code_points_and_wer_counts_tibetan_syllables() -> None:
    scores = score(["ཀ་ཁ་ག་ང་"], ["ཀ་ཁ་ག་ད་"])
    assert scores.edits == 1
    assert scores.cer == pytest.approx(1 / 8)
    assert scores.wer == pytest.approx(1 / 4)


def test_syllables_are_split_at_tsheg_and_shad_and_spaces() -> None:
    assert words_of("བོད་ཡིག། །two words༎") == ["བོད", "ཡིག", "two", "words"]


def test_composed_and_decomposed_forms_are_the_same_text() -> None:
    assert score(["é"], ["e\u0301"]).edits == 0


def test_runs_of_white_space_are_one_space_and_ends_do_not_count() -> None:
    assert normalise("  a \n\t b ") == "a b"


def test_the_two_tshegs_that_are_drawn_alike_are_one_but_a_missing_one_is_an_error() -> None:
    assert score(["ཀ༌ཁ་"], ["ཀ་ཁ་"]).edits == 0
    assert score(["ཀ་ཁ་"], ["ཀཁ་"]).edits == 1


def test_the_interval_is_over_documents_when_there_are_five() -> None:
    truths, readings = ["aaaaaaaaaa"] * 50, ["aaaaaaaaaa"] * 40 + ["bbbbbbbbbb"] * 10
    documents = [str(i // 10) for i in range(50)]  # one document of five is all wrong
    by_document, by_line = score(truths, readings, documents), score(truths, readings)
    assert by_document.documents == 5
    assert by_document.cer == by_line.cer == pytest.approx(0.2)
    assert by_document.cer_high - by_document.cer_low > by_line.cer_high - by_line.cer_low


def test_sure_and_wrong_is_badly_calibrated_and_sure_and_right_is_well_calibrated() -> None:
    wrong = score(["aaaa"] * 10, ["bbbb"] * 10, confidences=[1.0] * 10).calibration_error
    right = score(["aaaa"] * 10, ["aaaa"] * 10, confidences=[1.0] * 10).calibration_error
    assert wrong == pytest.approx(1.0)
    assert right == pytest.approx(0.0)


def test_a_candidate_that_is_always_better_is_better_beyond_doubt() -> None:
    truths = ["abcdefghij"] * 30
    difference = compare(["abcdefghiX"] * 30, ["abcdefgXXX"] * 30, truths)
    assert difference.cer == pytest.approx(-0.2)
    assert difference.better
    assert not difference.worse


def test_two_equal_readers_differ_by_nothing() -> None:
    difference = compare(["ab"] * 9, ["ab"] * 9, ["abc"] * 9)
    assert (difference.cer, difference.low, difference.high) == (0, 0, 0)
    assert not difference.better


def test_truths_and_readings_of_unequal_number_are_refused() -> None:
    with pytest.raises(ValueError, match="1 truths for 2 readings"):
        score(["a"], ["a", "b"])


def test_no_lines_score_zero_with_no_characters() -> None:
    scores = score([], [])
    assert (scores.cer, scores.characters, scores.units) == (0, 0, 0)


def test_a_flawless_reader_that_writes_tables_beats_one_with_errors_that_writes_none() -> None:
    cells = [[f"cell {row}.{column}" for column in range(4)] for row in range(6)]
    inside = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells)
    flawless = f"# Title\n\n<table>{inside}</table>\n\nSo \\(E = mc^2\\)."
    plain = "Title\n" + "\n".join(" ".join(row) for row in cells) + "\nSo E = mc2."
    wrong = plain.replace("cell 3.1", "cell 3.7")
    assert score([plain] * 9, [flawless] * 9).edits == 0
    difference = compare([wrong] * 9, [flawless] * 9, [plain] * 9)
    assert difference.worse
    assert difference.cer > 0


def test_tables_and_formulas_are_scored_beside_the_text_where_the_truth_has_them() -> None:
    truth = "<table><tr><td>a</td><td>b</td></tr></table> and \\(x^2\\)"
    scores = score([truth, "plain"], [truth, "plain"])
    assert (scores.tables, scores.teds, scores.formulas, scores.formula_error, scores.cer) == (1, 1.0, 1, 0.0, 0.0)
    flat = score([truth], ["a b and x2"])
    assert (flat.edits, flat.teds, flat.formula_error) == (0, 0.0, 1.0)
    none = score(["a b"], [truth])
    assert (none.tables, none.teds, none.formulas, none.formula_error) == (0, None, 0, None)
