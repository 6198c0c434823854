"""Tables are scored by TEDS, formulas by their tokens, and only where the truth has some."""

from __future__ import annotations

import pytest

from flywheel.markup import Grid, parts
from models import structure
from models.structure import structure_of, teds

TABLE = "<table><tr><th>a</th><th>b</th></tr><tr><td>cc</td><td>dd</td></tr></table>"


def grid(text: str) -> Grid:
    [found] = parts(text)
    assert isinstance(found, Grid)
    return found


def html(rows: list[list[str]]) -> Grid:
    inside = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return grid(f"<table>{inside}</table>")


def test_a_table_read_as_it_is_scores_one_whatever_the_notation() -> None:
    marked = TABLE.replace("<tr><th>", "<thead><tr><th>", 1).replace("th>", "td>")
    for reading in (TABLE, marked, "| a | b |\n|--|--|\n| cc | dd |"):
        assert teds(grid(TABLE), grid(reading)) == 1.0


@pytest.mark.parametrize(
    ("reading", "edits"),
    [
        (TABLE.replace("cc", "cx"), 0.5),  # half of a cell's characters
        (TABLE.replace("<td>dd</td>", ""), 1),  # a cell
        (TABLE.replace("<tr><td>cc</td><td>dd</td></tr>", ""), 3),  # a row with its cells
        (TABLE.replace("<td>dd", '<td colspan="2">dd'), 1),  # another span
        ("<table><tr><td>a</td><td>b</td><td>cc</td><td>dd</td></tr></table>", 3),  # two rows run together
    ],
)
def test_teds_counts_the_published_edits_over_the_larger_tables_nodes(reading: str, edits: float) -> None:
    assert teds(grid(TABLE), grid(reading)) == pytest.approx(1 - edits / 6)


def test_a_table_that_was_not_read_scores_nothing_and_one_the_truth_lacks_is_not_counted() -> None:
    assert structure_of([f"{TABLE} and {TABLE}"], [f"words {TABLE}"]).teds == 0.5
    assert structure_of(["words"], [TABLE]).teds is None
    assert structure_of(["words"], [TABLE]).tables == 0


def test_tables_are_matched_by_their_words() -> None:
    other = TABLE.replace("cc", "something else")
    found = structure_of([f"{TABLE} then {other}"], [f"{other}"])
    assert (found.tables, found.teds) == (2, 0.5)


def test_big_tables_are_compared_row_by_row_and_never_score_better(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[f"{r}.{c}" for c in range(6)] for r in range(9)]
    fewer = [row[:-1] if number % 3 else row for number, row in enumerate(rows[:-1])]
    exact = teds(html(rows), html(fewer))
    monkeypatch.setattr(structure, "MOST_NODES", 0)
    assert teds(html(rows), html(rows)) == 1.0
    assert 0 < teds(html(rows), html(fewer)) <= exact < 1


def test_formulas_are_held_token_by_token_against_those_in_their_place() -> None:
    truth = r"so \(x^2\) and \(a + b\)"
    assert structure_of([truth], [r"so $x^{2}$ and \[ a+b \]"]).formula_error == 0
    assert structure_of([truth], [r"so \(x^3\) and \(a + b\)"]).formula_error == pytest.approx(1 / 8)
    assert structure_of([truth], [r"so and \(a + b\)"]).formula_error == pytest.approx(5 / 8)
    assert structure_of(["x"], [truth]).formula_error is None
