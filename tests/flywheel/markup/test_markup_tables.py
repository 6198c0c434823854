"""HTML tables of readers: their rows, whether they are well formed, and what of them a cut leaves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.markup import Fault, is_sound_table, parse, table_rows
from flywheel.markup.tables import closed_table
from tests.flywheel.markup.written import HEIGHT, WIDTH, block, faults, html, rows, steady


@pytest.mark.parametrize(
    "table",
    [
        "<table><tr><td>a</td></tr>",
        "<tr><td>a</td></tr>",
        "<table><td>a</td></table>",
        "<table>a<tr><td>b</td></tr></table>",
        "<table><tr></tr></table>",
        "<table><tr><td><table><tr><td>a</td></tr></table></td></tr></table>",
        "<table><tr><td>a</td></tr></table></table>",
        "<table></td><tr><td>a</td></tr></table>",
    ],
)
def test_html_that_is_no_table_is_recorded_and_kept(table: str) -> None:
    reading = parse(block(table, "table") + block("after"), WIDTH, HEIGHT)
    assert [region.text for region in reading.regions] == [table, "after"]
    assert faults(reading) == [Fault.BAD_TABLE]
    assert not is_sound_table(table)
    table_rows(table)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>1 < 2</td></tr></tbody></table>",
            [["a"], ["1 < 2"]],
        ),
        ("<TABLE border=1>\n<TR>\n<TD>a<TD>b\n</TR></TABLE>", [["a", "b"]]),
        ("<table><caption>c</caption><tr><td>x<sup>2</sup> &amp; y</td><td></td></tr></table>", [["x2 & y", ""]]),
        (r"<table><tr><td>\(a_{1}\)</td></tr></table>", [[r"\(a_{1}\)"]]),
    ],
)
def test_a_sound_table_gives_its_rows(table: str, expected: list[list[str]]) -> None:
    assert is_sound_table(table)
    assert table_rows(table) == expected


def test_a_table_that_the_end_cuts_off_keeps_its_whole_rows() -> None:
    table = html([["a", "b"], ["c", "d"], ["e", "f"]])
    for cut, count in ((len(table) - 3, 3), (table.index("<td>f"), 2), (table.index("<td>b"), 0)):
        reading = parse(block("before") + block(table[:cut], "table").rstrip(), WIDTH, HEIGHT)
        text = reading.regions[1].text
        assert table_rows(text) == [["a", "b"], ["c", "d"], ["e", "f"]][:count]
        assert is_sound_table(text) == bool(count)
        assert faults(reading) == [Fault.TRUNCATED]
    assert closed_table("<table>") == ""


def test_lines_of_plain_text_in_a_table_are_no_fault() -> None:
    reading = parse(block("a 1\nb 2", "table"), WIDTH, HEIGHT)
    assert [x.text for x in reading.regions[0].lines] == ["a 1", "b 2"]
    assert reading.flaws == ()


@steady
@given(st.text(st.sampled_from("<>/tablerd &;=\"'![-\n"), max_size=60) | st.text(max_size=20), rows)
def test_reading_a_table_never_raises(noise: str, table: list[list[str]]) -> None:
    assert table_rows(html(table)) == [[" ".join(cell.split()) for cell in row] for row in table]
    for text in (noise, f"<table><tr><td>{noise}", html(table) + noise):
        assert all(isinstance(cell, str) for row in table_rows(text) for cell in row)
        assert closed_table(text) == "" or closed_table(text).endswith("</tr></table>") or "</TR>" in text.upper()
