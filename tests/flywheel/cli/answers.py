"""Answers of the command line, read by tests, and the workers' part in them, played."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from flywheel.client import Client
from flywheel.database import transaction
from flywheel.database.tables import TrialRow
from tests.flywheel.rows import store

Run = Callable[..., tuple[int, str, str]]  # `flywheel ARGS`: exit code, output, errors


def as_json(done: tuple[int, str, str]) -> Any:
    assert done[2] == ""
    return json.loads(done[1])


def squeezed(text: str) -> str:
    """Text with its blanks single, to look for words across the edges of tables."""
    return re.sub(r"\s+", " ", text)


def answer_trials(monkeypatch: pytest.MonkeyPatch, results: dict[str, dict[str, Any]]) -> None:
    """Play the reading worker: a trial is finished, by its file's name, before it is fetched."""
    original = Client.trial

    def trial(self: Client, trial_id: int) -> Any:
        with transaction() as session:
            row = session.get_one(TrialRow, trial_id)
            row.status = "finished"
            row.result_key = store().put(json.dumps(results[row.name]).encode())
        return original(self, trial_id)

    monkeypatch.setattr(Client, "trial", trial)
