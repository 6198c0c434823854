"""Error rates, their intervals, calibration."""

from __future__ import annotations

import pytest

from models.scores import line_edits, normalise, score, words_of


def test_a_perfect_reading_scores_zero_with_an_empty_interval() -> None:
    texts = ["བོད་ཡིག་", "abc"] * 3
    scores = score(texts, texts, [str(number) for number in range(6)])
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


def test_the_interval_is_over_documents_and_fewer_than_six_have_none() -> None:
    truths, readings = ["aaaaaaaaaa"] * 60, ["aaaaaaaaaa"] * 50 + ["bbbbbbbbbb"] * 10
    scores = score(truths, readings, [str(i // 10) for i in range(60)])  # one document of six is all wrong
    assert scores.documents == 6
    assert scores.cer == pytest.approx(1 / 6)
    assert (scores.cer_low, scores.cer_high) == (0.0, 1.0)
    few = score(truths[10:], readings[10:], [str(i // 10) for i in range(50)])
    assert (few.documents, few.cer_low, few.cer_high) == (5, None, None)
    assert score(truths, readings).cer_low is None  # lines of unknown documents


def test_sure_and_wrong_is_badly_calibrated_and_sure_and_right_is_well_calibrated() -> None:
    wrong = score(["aaaa"] * 10, ["bbbb"] * 10, confidences=[1.0] * 10).calibration_error
    right = score(["aaaa"] * 10, ["aaaa"] * 10, confidences=[1.0] * 10).calibration_error
    assert wrong == pytest.approx(1.0)
    assert right == pytest.approx(0.0)


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
    ours, sizes = line_edits([plain], [flawless])
    theirs, others = line_edits([plain], [wrong])
    assert (ours[0], theirs[0]) == (0, 1)
    assert sizes[0] == others[0]
    assert score([plain], [flawless]).wer == 0


def test_tables_and_formulas_are_scored_beside_the_text_where_the_truth_has_them() -> None:
    truth = "<table><tr><td>a</td><td>b</td></tr></table> and \\(x^2\\)"
    scores = score([truth, "plain"], [truth, "plain"])
    assert (scores.tables, scores.teds, scores.formulas, scores.formula_error, scores.cer) == (1, 1.0, 1, 0.0, 0.0)
    flat = score([truth], ["a b and x2"])
    assert (flat.edits, flat.teds, flat.formula_error) == (0, 0.0, 1.0)
    none = score(["a b"], [truth])
    assert (none.tables, none.teds, none.formulas, none.formula_error) == (0, None, 0, None)


def test_a_line_has_no_notation_so_its_marks_are_text() -> None:
    lost = score(["- first of all", "# 12"], ["first of all", "12"], notation=False)
    assert lost.edits == 4
    assert score(["- first of all"], ["first of all"]).edits == 0
