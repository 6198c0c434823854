"""Claims of the documents, held to the code: faults, tests, words, states, links, paths."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from flywheel import document, states
from flywheel.work.route import QUEUES, ROUTE

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "docs" / "faults.md"
GLOSSARY = ROOT / "docs" / "glossary.md"
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


def table(text: str, heading: str) -> list[list[str]]:
    """The rows of the table under a heading, each as the words in code marks of every cell."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [[word for cell in row for word in re.findall(r"`(\w+)`", cell)] for row in rows]


def test_the_glossary_names_every_stop_with_its_queue_and_no_other() -> None:
    told = {row[0]: row[1] for row in table(GLOSSARY.read_text(), "Stops")}
    assert told == {stop.name: stop.queue for stop in ROUTE.values()}
    assert set(told.values()) == set(QUEUES)


def test_the_glossary_names_every_state_of_every_enum_and_no_other() -> None:
    enums = {
        name: [member.value for member in kind]
        for module in (states, document)
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, StrEnum) and kind.__module__ == module.__name__
    }
    assert {name: members for name, *members in table(GLOSSARY.read_text(), "States")} == enums


def test_the_glossary_gives_each_term_once() -> None:
    terms = [
        term
        for line in GLOSSARY.read_text().splitlines()
        if line.startswith("- **")
        for term in re.findall(r"\*\*([^*]+)\*\*", line)
    ]
    assert len(terms) >= 30
    assert len(terms) == len(set(terms))


def documents(*, besides: frozenset[str] = frozenset()) -> list[tuple[Path, str]]:
    """Every document of the project with its text."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")]
    return [(path, path.read_text()) for path in found if path.name not in besides]


def test_every_link_between_documents_leads_to_a_file() -> None:
    links = [
        (path.parent / target.partition("#")[0]).resolve()
        for path, text in documents()
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if "://" not in target and not target.startswith("#")
    ]
    assert len(links) > 10
    assert [link for link in links if not link.exists()] == []


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {name for _, text in documents() for name in re.findall(r"(?:`|^ {4})make ([a-z-]+)", text, re.M)}
    assert {"test", "demo", "chaos"} <= named <= targets


def test_every_path_of_ours_that_a_document_marks_as_code_exists() -> None:
    """Documents that describe what is; a changelog and lab notes may name what was."""
    ours = re.compile(r"`((?:flywheel|models|tasks|tests|benchmarks|docs|deploy)/[\w./-]+)`")
    present = documents(besides=frozenset({"CHANGELOG.md", "lab-notes.md"}))
    named = {name for _, text in present for name in ours.findall(text)} - {"deploy/env"}
    assert len(named) > 15
    assert {name for name in named if not (ROOT / name).exists()} == set()
