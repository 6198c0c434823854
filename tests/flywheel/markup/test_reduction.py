"""A reading with notation and a true text without say the same when they say the same, and only then."""

from __future__ import annotations

import time

import pytest

from flywheel.markup import Formula, Grid, Prose, comparable, parts, symbols, tokens

TABLE = (
    "<table><thead><tr><th>Year</th><th>Rain</th></tr></thead><tbody><tr><td>1999</td><td>12 mm</td></tr>"
    '<tr><td>2000</td><td style="x">7 &lt; 8 mm</td></tr></tbody></table>'
)
PIPES = "| Year | Rain |\n|:--|---:|\n| 1999 | 12 mm |\n| 2000 | 7 < 8 mm |"
TABULAR = (
    r"\begin{tabular}{|l|c|} \hline Year & Rain \\ \hline 1999 & 12 mm \\ 2000 & \multicolumn{1}{c}{7 < 8 mm} \\ "
    r"\hline \end{tabular}"
)
BY_ROWS = "Year Rain\n1999 12 mm\n2000 7 < 8 mm"
BY_COLUMNS = "Year\n1999\n2000\nRain\n12 mm\n7 < 8 mm"


def same(truth: str, reading: str) -> bool:
    one, other = (" ".join(text.split()) for text in comparable(truth, reading))
    return one == other


@pytest.mark.parametrize("order", [BY_ROWS, BY_COLUMNS], ids=["by rows", "by columns"])
@pytest.mark.parametrize("table", [TABLE, PIPES, TABULAR], ids=["html", "markdown", "latex"])
def test_a_table_is_its_cells_in_any_usual_order_whoever_has_the_notation(table: str, order: str) -> None:
    plain, written = f"before\n{order}\nafter", f"before\n\n{table}\n\nafter"
    assert same(plain, written)
    assert same(written, plain)
    assert same(written, written)


def test_a_misread_cell_stays_misread_in_either_order() -> None:
    for order in (BY_ROWS, BY_COLUMNS):
        assert not same(order, TABLE.replace("1999", "1998"))
        assert not same(order, TABLE.replace("<td>12 mm</td>", "<td></td>"))


def test_every_table_of_a_page_is_taken_in_its_own_order() -> None:
    other = TABLE.replace("1999", "1901").replace("Year", "Jahr")
    assert same(f"{BY_COLUMNS}\nand\nJahr Rain 1901 12 mm 2000 7 < 8 mm", f"{TABLE}\nand\n{other}")


def test_a_cell_that_begins_as_an_item_of_a_list_would_is_no_item() -> None:
    table = "<table><tr><td>- 5 %</td><td>-</td></tr><tr><td>* see below</td><td>+ 3</td></tr></table>"
    for plain in ("- 5 %\n-\n* see below\n+ 3", "- 5 % -\n* see below + 3", "- 5 % * see below\n-\n+ 3"):
        assert same(f"Rain\n{plain}\nend", f"# Rain\n\n{table}\n\nend")


def test_cells_that_cover_several_columns_and_rows_keep_their_columns() -> None:
    table = (
        '<table><tr><td colspan="2">a</td><td>b</td></tr><tr><td rowspan="2">c</td><td>d</td><td>e</td></tr>'
        "<tr><td>f</td><td>g</td></tr></table>"
    )
    assert same("a b c d e f g", table)
    assert same("a c d f b e g", table)


@pytest.mark.parametrize(
    ("plain", "written"),
    [
        ("Rain in May\nIt rained.", "# Rain in May\n\nIt rained."),
        ("Rain in May", "###### **Rain** in *May*"),
        ("• wheat\n• rye\n1. oats", "- wheat\n* rye\n1. oats"),
        ("He said so.", "> He said __so__."),
        ("a\nb", "a\n\n---\n\nb"),
        ("see the site", "see [the site](https://example.org/a_b)"),
        ("Figure 1", "![](images/1.png)\n<center>Figure 1</center>"),
        ("H2O and x", "H<sub>2</sub>O and <b>x</b>"),
        ("a_b * c # d [e]", r"a\_b \* c \# d \[e\]".replace(r"\[e\]", "[e]")),
        ("A & B < C", "A &amp; B &lt; C"),
        ("Rain\nIt rained.", "<|ref|>title<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\n# Rain\n\n"
         "<|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\nIt rained.<｜end▁of▁sentence｜>"),
    ],
)  # fmt: skip
def test_marks_of_headings_lists_emphasis_and_grounding_are_no_text(plain: str, written: str) -> None:
    assert same(plain, written)
    assert same(written, plain)


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5, or $6 for two.",
        "a_b and c_d, 2*3*4, x < y > z",
        "#hashtag and C# and no. #5",
        "– Dialogue, said he.",
        "-5 degrees and -x",
        "<unknown> words, a|b",
        "༄༅། །བཀྲ་ཤིས་བདེ་ལེགས།",
        "C:\\new\\table",
    ],
)
def test_what_only_looks_like_notation_is_text(text: str) -> None:
    assert comparable(text, "x **y**")[0] == text


@pytest.mark.parametrize(
    ("plain", "tex"),
    [
        ("so E = mc 2 holds", r"so \(E = mc^{2}\) holds"),
        ("so E=mc2 holds", r"so $E = mc^2$ holds"),
        ("with x2i and n", r"with $x_i^2$ and $n$"),
        ("a − b ≤ α · 3", r"\[a - b \leq \alpha \cdot 3\]"),
        ("a b = √ 2, sin x", r"\begin{equation} \frac{a}{b} = \sqrt{2}, \sin x \end{equation}"),
        ("𝑥 + 𝑦 (1)", r"\[ \mathbf{x} + y \tag{1} \]"),
        ("f (x) if x > 0", r"\( f\left(x\right) \text{ if } x > 0 \)"),
    ],
)
def test_a_formula_is_its_symbols_whatever_blanks_and_order_the_text_layer_has(plain: str, tex: str) -> None:
    assert same(plain, tex)
    assert same(tex, plain)


def test_a_misread_formula_stays_misread() -> None:
    assert not same("so E = mc2 holds", r"so \(E = mc^3\) holds")
    assert not same("a ≤ b", r"\(a \geq b\)")


def test_the_truth_has_one_length_whatever_is_read() -> None:
    truth = f"# A\n\n{TABLE}\n\n\\(x_i^2 + y\\)"
    readings = [truth, BY_COLUMNS, BY_ROWS, "nothing", r"\(x^2_i+y\) and " + PIPES]
    assert len({len("".join(comparable(truth, reading)[0].split())) for reading in readings}) == 1


def test_parts_come_in_the_texts_order() -> None:
    found = parts(f"one $x^2$ two {TABLE} three")
    assert [type(part) for part in found] == [Prose, Formula, Prose, Grid, Prose]


def test_two_writings_of_a_formula_have_the_same_tokens() -> None:
    assert tokens(r"x_i^2 \le \left( \dfrac12 \right) \, \mathrm{d}α") == tokens(
        r"{x}^{2}_{i} \leq (\frac{1}{2}) d \alpha"
    )
    assert tokens(r"x^{2y}") != tokens(r"x^2 y")
    assert symbols(r"\sum_{i=1}^{n} x_i \neq \{0\}") == "∑i=1nxi≠{0}"


@pytest.mark.parametrize(
    "noise",
    [
        "<table>",
        "<td>",
        "[",
        "**",
        "\\(",
        "\\[",
        "$$",
        "$x_",
        "`",
        "<|ref|>",
        "| a ",
        "\\begin{tabular}",
        "{",
        "^_",
        "<",
    ],
)
def test_a_reader_gone_mad_costs_no_time(noise: str) -> None:
    began = time.process_time()
    comparable("some words", noise * (24_000 // len(noise)))
    comparable("some words", (noise + "\n") * (24_000 // len(noise)))
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("truth", "reading"),
    [
        ("an area of 10 m² each", r"an area of 10 \(m^{2}\) each"),
        ("E = mc²", "$E = mc^2$"),
        ("H₂O, 10⁻³", "$H_2O$, $10^{-3}$"),
    ],
)
def test_digits_that_are_raised_by_their_own_character_are_read_as_exponents(truth: str, reading: str) -> None:
    one, other = comparable(truth, reading)
    assert "".join(one.split()) == "".join(other.split()) == "".join(truth.split())
    wrong = comparable(truth, reading.replace("2", "3"))
    assert wrong[0] == truth
    assert wrong[1] != truth or "2" not in reading


def test_wide_and_narrow_accents_of_a_formula_are_one() -> None:
    assert tokens(r"\overline{x} + \widehat{y}") == tokens(r"\bar{x} + \hat y")
