"""What the documents name exists: faults, tests, states, queues, files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "docs" / "faults.md"
ROOMS = ("flywheel", "models", "tasks", "tests", "benchmarks", "migrations")
TEST = re.compile(r"^(?:async )?def (test_\w+)\(", re.M)
NUMBERS = r"(\d+(?:(?:, | and |_and_|_)\d+)*)"
CITED = re.compile(rf"\b(?:test_)?faults?[ _]{NUMBERS}\b|\btest_faults?_{NUMBERS}_", re.I)


def sources() -> Iterator[Path]:
    for room in ROOMS:
        yield from (ROOT / room).rglob("*.py")


def cited_faults(text: str) -> set[int]:
    """Numbers in "fault 23", "faults 3 and 4", "test_faults_7_and_27_...": of faults, and of nothing else."""
    found = [first or second for first, second in CITED.findall(text)]
    return {int(number) for numbers in found for number in re.findall(r"\d+", numbers)}


def test_every_fault_that_is_cited_is_described() -> None:
    described = {int(number) for number in re.findall(r"^\| (\d+) \|", FAULTS.read_text(), re.M)}
    cited = {number for path in sources() if path != Path(__file__) for number in cited_faults(path.read_text())}
    assert described == set(range(1, 29))
    assert {1, 3, 4, 23, 27} <= cited <= described


def test_every_test_that_the_list_of_faults_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", FAULTS.read_text()))
    known = {name for path in (ROOT / "tests").rglob("test_*.py") for name in TEST.findall(path.read_text())}
    assert len(named) > 50
    assert named - known == set()


def test_every_test_of_a_numbered_fault_stands_in_the_list() -> None:
    tests = {name for path in (ROOT / "tests").rglob("test_*.py") for name in TEST.findall(path.read_text())}
    numbered = {name for name in tests if re.match(r"test_faults?_\d", name)}
    assert numbered
    assert {name for name in numbered if f"`{name}`" not in FAULTS.read_text()} == set()
