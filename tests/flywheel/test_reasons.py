"""Reasons: every code explains itself to people, is unique, and is given by something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flywheel.api import app
from flywheel.reasons import Reason, explanation

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_code_for_scripts_and_an_explanation_for_people(reason: Reason) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", reason.value)
    assert reason.name == reason.value.upper()
    assert len(reason.explanation.split()) >= 2
    assert explanation(reason.value) == reason.explanation
    assert Reason.of(reason.value) is reason


def test_the_text_of_the_api_documents_every_reason() -> None:
    (parameter,) = (
        parameter
        for parameter in app.openapi()["paths"]["/v1/corpora/{corpus}/pages"]["get"]["parameters"]
        if parameter["name"] == "reason"
    )
    for reason in Reason:
        assert f"`{reason}`: {reason.explanation}" in parameter["description"]


def test_no_two_reasons_share_an_explanation() -> None:
    assert len({reason.explanation for reason in Reason}) == len(Reason)


def test_a_code_of_another_version_has_no_explanation_and_is_no_reason() -> None:
    assert explanation("not_of_this_version") == explanation(None) == ""
    with pytest.raises(ValueError, match="not_of_this_version"):
        Reason.of("not_of_this_version")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_given_by_something(reason: Reason) -> None:
    """A line in the table that no check uses is dead."""
    used = re.compile(rf"\bReason\.{reason.name}\b")
    rooms = [path for room in ("flywheel", "models", "tasks") for path in (ROOT / room).rglob("*.py")]
    assert any(used.search(path.read_text()) for path in rooms)


def test_every_reason_that_the_gate_gives_is_earned_by_a_page_of_its_tests() -> None:
    given = set(re.findall(r"\bReason\.([A-Z_]+)\b", (ROOT / "flywheel/gate/judge.py").read_text()))
    tests = "\n".join(path.read_text() for path in (ROOT / "tests/flywheel/gate").glob("*.py"))
    assert len(given) > 15
    assert {name for name in given if f"Reason.{name}" not in tests and f'"{Reason[name]}"' not in tests} == set()
